"""What the monitor and the tasks do about servers that died."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from openrds.domain.engine import EngineName
from openrds.domain.instance import Confirmation
from openrds.domain.instance_values import Node
from openrds.engines.postgresql import configuration
from openrds.hosts.deaths import Deathwatch
from openrds.operations.instances import stop_instance
from openrds.operations.intake.intake import NoParameters
from openrds.operations.rounds.monitor import Monitor
from openrds.operations.rounds.roster import Roster
from openrds.operations.steps import serving
from openrds.operations.steps.serving import keeping_servers
from openrds.tasks.operation import StepContext
from support.dialects import DIALECTS
from support.engines import needs_engine
from support.means import needs_forwarding
from support.prepared import Prepared
from support.scenarios import (
    active_instance,
    check_active,
    check_ha,
    connected,
    done,
    ha_instance,
    stopped_instance,
    submit_backup,
    submit_replica,
    submit_restart,
)
from support.service import wait_for
from support.workbench import Workbench

#: What is brought back is so by the same means with any engine; this is tried with two.
_ENGINES = [
    pytest.param(name, marks=needs_engine(name)) for name in (EngineName.POSTGRESQL, EngineName.MARIADB)
]
postgresql = pytest.mark.parametrize("bench", [EngineName.POSTGRESQL], indirect=True)


@pytest.fixture(params=_ENGINES)
def bench(workbench: Workbench, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    yield workbench.speaking(DIALECTS[request.param])
    Prepared(workbench).clean_up()


@pytest.fixture
def monitor(bench: Workbench) -> Monitor:
    """One that has come to a host where all was well."""
    watching = monitor_of(bench)
    watching.look(None)
    return watching


def monitor_of(bench: Workbench) -> Monitor:
    return Monitor(bench.resources, bench.queue, Roster(bench.resources), Deathwatch())


def look(bench: Workbench, monitor: Monitor) -> list[str]:
    """A round, and the operations that were begun and have ended since."""
    monitor.look(None)
    begun = bench.store.rows(b"select id, operation from task where status = 'Running' order by id")
    for task in begun:
        bench.run(task["id"])
    return [task["operation"] for task in begun]


def kill(bench: Workbench, instance_id: str, node: Node | None = None) -> None:
    node = node or bench.resources.view.primary(instance_id)
    bench.resources.node_server(instance_id, node.id).kill()


def control_file(bench: Workbench, instance_id: str) -> Path:
    return bench.resources.primary_server(instance_id).node.data_dir / bench.dialect.vital


def set_revivals(bench: Workbench, node: Node, count: int) -> None:
    statement = b"update node set revivals = %s, revived_at = now() where id = %s"
    bench.store.rows(statement, [count, node.id])


def test_a_task_fails_whose_server_never_starts_and_the_instance_comes_back_when_it_can(
    bench: Workbench, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_LONGEST", 0.1)
    instance_id = active_instance(bench)
    control = control_file(bench, instance_id)
    kill(bench, instance_id)
    data_dir = bench.resources.primary_server(instance_id).node.data_dir
    aside = control.rename(data_dir.parent / "log" / "control")

    task = bench.run(bench.submit(lambda intake: submit_backup(intake, instance_id, bench)))
    assert task["status"] == "Failed"
    assert "copy data failed: the server of the instance does not come up" in task["fail_reason"]
    assert bench.resources.view.instance(instance_id).status == "FAILED"
    assert look(bench, monitor) == ["restart_instance"]
    assert bench.resources.view.instance(instance_id).status == "FAILED"

    aside.rename(control)
    assert look(bench, monitor) == ["restart_instance"]
    check_active(bench, instance_id)


def test_who_keeps_dying_is_failed_until_it_is_due_and_a_restart_by_hand_forgives_it(
    bench: Workbench, monitor: Monitor
) -> None:
    instance_id = active_instance(bench)
    set_revivals(bench, bench.resources.view.primary(instance_id), 9)
    kill(bench, instance_id)
    assert look(bench, monitor) == []
    assert bench.resources.view.instance(instance_id).status == "FAILED"
    # Another one comes: it may be that the machine died.
    assert look(bench, monitor_of(bench)) == ["restart_instance"]
    check_active(bench, instance_id)

    done(bench, instance_id, bench.submit(lambda intake: submit_restart(intake, instance_id, bench)))
    kill(bench, instance_id)
    assert look(bench, monitor) == ["restart_instance"]
    check_active(bench, instance_id)


def test_a_failed_instance_that_answers_is_active(bench: Workbench, monitor: Monitor) -> None:
    instance_id = active_instance(bench)
    bench.store.rows(b"update instance set status = 'FAILED'")
    assert look(bench, monitor) == []
    check_active(bench, instance_id)


def test_a_stopped_instance_stays_so(bench: Workbench) -> None:
    stopped_instance(bench)
    assert look(bench, monitor_of(bench)) == []
    assert not bench.footprint().processes


@needs_forwarding
def test_a_standby_that_keeps_dying_and_one_that_may_not_take_over(
    bench: Workbench, monitor: Monitor
) -> None:
    instance_id = ha_instance(bench)
    primary, standby = bench.resources.view.nodes(instance_id)
    set_revivals(bench, standby, 9)
    kill(bench, instance_id, standby)
    assert look(bench, monitor) == []
    # No commit waits for it.
    with connected(bench, instance_id) as connection:
        connection.execute("create table written_without (x int)")
    assert bench.resources.view.standbys(instance_id)[0].confirmation == Confirmation.NO

    kill(bench, instance_id)
    assert look(bench, monitor) == ["restart_instance"]
    check_ha(bench, instance_id)
    assert bench.resources.view.primary(instance_id).id == primary.id

    # With both dead there is nobody to take over either.
    for node in (primary, standby):
        kill(bench, instance_id, node)
    assert look(bench, monitor) == ["restart_instance"]
    check_ha(bench, instance_id)


@needs_forwarding
def test_a_primary_that_no_longer_waits_for_its_standby_is_made_to_wait_again(
    bench: Workbench, monitor: Monitor
) -> None:
    instance_id = ha_instance(bench)
    assert look(bench, monitor) == []
    primary = bench.resources.primary_server(instance_id)
    bench.resources.host.changed(primary, confirmed_by=()).reload()
    wait_for(lambda: not primary.replication.followers()[0].confirms, 10, "the primary to wait for nobody")
    assert look(bench, monitor) == ["rebuild_standby"]
    check_ha(bench, instance_id)


def test_a_read_replica_that_cannot_start_is_copied_anew(bench: Workbench, monitor: Monitor) -> None:
    primary_id = active_instance(bench)
    done(bench, primary_id, bench.submit(lambda intake: submit_replica(intake, primary_id, bench)))
    (replica_id,) = (one.id for one in bench.instances() if one.replica_of)
    set_revivals(bench, bench.resources.view.primary(replica_id), 2)
    kill(bench, replica_id)
    control_file(bench, replica_id).unlink()
    assert look(bench, monitor) == ["rebuild_standby"]
    check_active(bench, replica_id)


def test_a_failed_read_replica_is_stopped_with_its_primary(bench: Workbench) -> None:
    """Else it would be brought back while its primary is stopped."""
    primary_id = active_instance(bench)
    done(bench, primary_id, bench.submit(lambda intake: submit_replica(intake, primary_id, bench)))
    (replica_id,) = (one.id for one in bench.instances() if one.replica_of)
    kill(bench, replica_id)
    bench.store.rows(b"update instance set status = 'FAILED' where id = %s", [replica_id])
    bench.submit(lambda intake: stop_instance.submit(intake, primary_id))
    assert look(bench, monitor_of(bench)) == ["stop_instance", "stop_instance"]
    assert look(bench, monitor_of(bench)) == []
    assert {(one.status, one.wanted) for one in bench.instances()} == {("SHUTDOWN", "stopped")}


def test_a_server_that_dies_during_a_long_step_is_brought_back_meanwhile(bench: Workbench) -> None:
    instance_id = active_instance(bench)

    @keeping_servers
    def take_long(context: StepContext[Any, Any]) -> bool:
        server = context.resources.primary_server(context.instance_id)
        server.kill()
        return bool(wait_for(server.answers, 60, "it to be brought back"))

    assert take_long(
        StepContext(UUID(int=0), bench.project_id, instance_id, NoParameters(), {}, "", bench.resources)
    )


@postgresql
def test_a_follower_that_went_while_its_primary_was_dead_is_forgotten(bench: Workbench) -> None:
    instance_id = active_instance(bench)
    slot = configuration.slot_name("gone")
    bench.superuser(instance_id, f"select pg_create_physical_replication_slot('{slot}', true)")
    done(bench, instance_id, bench.submit(lambda intake: submit_restart(intake, instance_id, bench)))
    bench.superuser(
        instance_id, "select 1 / (1 - least(1, count(*))) from pg_replication_slots"
    )  # fails where there is one
