"""Roles change where the demoted primary lives on: it answers, and must not be taken for one that takes writes."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from openrds.domain.engine import EngineName
from openrds.domain.instance import InstanceStatus
from openrds.engines.binlog.sessions import session
from openrds.engines.protocol import EngineError
from openrds.hosts.deaths import Deathwatch
from openrds.operations.pairs import switchover
from openrds.operations.registry import OPERATIONS
from openrds.operations.rounds.monitor import Monitor
from openrds.operations.rounds.roster import Roster
from openrds.operations.steps.status import status_by_looking
from openrds.tasks.runner import Runner
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
    submit_single_to_ha,
    submit_switchover,
)
from support.workbench import Workbench

ENGINES = [
    pytest.param(engine, marks=needs_engine(engine), id=engine)
    for engine in (EngineName.MARIADB, EngineName.MYSQL)
]

pytestmark = pytest.mark.grouped_by("bench")


@pytest.fixture(scope="module", params=ENGINES)
def bench(workbench: Workbench, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    yield workbench.speaking(DIALECTS[request.param])
    Prepared(workbench).clean_up()


@pytest.fixture(scope="module")
def single(bench: Workbench) -> str:
    return with_table(bench, active_instance(bench))


@pytest.fixture(scope="module")
def pair(bench: Workbench) -> str:
    return with_table(bench, ha_instance(bench))


def with_table(bench: Workbench, instance_id: str) -> str:
    with connected(bench, instance_id) as connection:
        connection.execute("create table tried (x int)")
    return instance_id


def takes_writes(bench: Workbench, instance_id: str) -> bool:
    """Where not, it says that it is read-only."""
    try:
        with connected(bench, instance_id) as connection:
            connection.execute("insert into tried values (1)")
    except bench.dialect.Error as error:
        assert re.search(bench.dialect.read_only, str(error))
        return False
    return True


def replication_of(bench: Workbench, instance_id: str) -> type[Any]:
    return type(bench.resources.primary_server(instance_id).replication)


def demote(bench: Workbench, instance_id: str) -> None:
    bench.resources.primary_server(instance_id).replication.demote()
    assert bench.resources.primary_server(instance_id).answers()
    assert not takes_writes(bench, instance_id)


@needs_forwarding
def test_roles_change_though_the_old_primary_lives_on(bench: Workbench, pair: str) -> None:
    old, new = (node.id for node in bench.resources.view.nodes(pair))
    task_id = bench.submit(lambda intake: submit_switchover(intake, pair, bench))
    Runner(bench.store, bench.queue, OPERATIONS, bench.resources).run_step(task_id)
    assert bench.resources.view.primary(pair).id == new
    assert bench.resources.node_server(pair, old).is_running()
    assert takes_writes(bench, pair)
    done(bench, pair, task_id)
    check_ha(bench, pair)


@needs_forwarding
def test_one_whose_place_nobody_took_serves_again(
    bench: Workbench, pair: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_replication: object, position: str, _seconds: float) -> None:
        raise EngineError(f"the standby does not reach {position}")

    primary = bench.resources.view.primary(pair).id
    monkeypatch.setattr(replication_of(bench, pair), "await_position", never)
    task = bench.run(bench.submit(lambda intake: submit_switchover(intake, pair, bench)))
    assert task["status"] == "Failed"
    assert bench.resources.view.primary(pair).id == primary
    assert takes_writes(bench, pair)
    check_ha(bench, pair)


class Death(BaseException):
    """Of a worker: nothing of it is recorded."""


@needs_forwarding
@pytest.mark.parametrize("who", ["worker", "worker that promotes", "servers"])
def test_a_death_between_demote_and_promote_loses_nothing(
    bench: Workbench, pair: str, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    with connected(bench, pair) as connection:
        connection.execute("insert into tried values (4711)")
        ((count,),) = connection.execute("select count(*) from tried")
    replication = replication_of(bench, pair)
    promote = replication.promote

    def die(of_standby: Any) -> None:
        monkeypatch.setattr(replication, "promote", promote)
        if who == "worker that promotes":
            with session(of_standby._node) as connection:
                of_standby._apply_rest(connection)
        if who != "servers":
            raise Death
        for node in bench.resources.view.nodes(pair):
            bench.resources.node_server(pair, node.id).kill()
        raise EngineError("the server has gone")

    task_id = bench.submit(lambda intake: submit_switchover(intake, pair, bench))
    monkeypatch.setattr(replication, "promote", die)
    if who != "servers":
        with pytest.raises(Death):
            Runner(bench.store, bench.queue, OPERATIONS, bench.resources).run_step(task_id)
        assert not takes_writes(bench, pair)
    task = bench.run(task_id)
    assert task["status"] == "Completed", task["fail_reason"]
    assert takes_writes(bench, pair)
    check_ha(bench, pair)
    with connected(bench, pair) as connection:
        assert connection.execute("select count(*) from tried") == [(count + 1,)]


@needs_forwarding
@pytest.mark.parametrize("which", ["primary", "standby"])
def test_who_is_seen_alive_and_then_dead_is_brought_back(
    bench: Workbench, pair: str, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """A process that was killed may look alive when the step begins."""
    old, new = (node.id for node in bench.resources.view.nodes(pair))
    replication = replication_of(bench, pair)
    state = replication.state

    def die(asked: Any) -> Any:
        monkeypatch.setattr(replication, "state", state)
        bench.resources.node_server(pair, old if which == "primary" else new).kill()
        raise EngineError("the server has gone")

    task_id = bench.submit(lambda intake: submit_switchover(intake, pair, bench))
    monkeypatch.setattr(replication, "state", die)
    task = bench.run(task_id)
    assert replication.state is state
    assert task["status"] == "Completed", task["fail_reason"]
    assert bench.resources.view.primary(pair).id == new
    check_ha(bench, pair)


@needs_forwarding
def test_one_that_cannot_be_demoted_is_ended_by_force(
    bench: Workbench, pair: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_replication: object) -> str:
        raise EngineError("it does not take it")

    old, new = (node.id for node in bench.resources.view.nodes(pair))
    with monkeypatch.context() as patched:
        patched.setattr(replication_of(bench, pair), "demote", refuse)
        _, task_id = bench.submit(
            lambda intake: switchover.submit(intake, pair, switchover.Failover(force=True))
        )
        Runner(bench.store, bench.queue, OPERATIONS, bench.resources).run_step(task_id)
        assert bench.resources.view.primary(pair).id == new
        assert not bench.resources.node_server(pair, old).is_running()
    done(bench, pair, task_id)
    check_ha(bench, pair)


def test_who_looks_what_became_of_an_instance_resumes_it(bench: Workbench, single: str) -> None:
    demote(bench, single)
    assert status_by_looking(bench.resources, single) is InstanceStatus.ACTIVE
    check_active(bench, single)
    assert takes_writes(bench, single)


def test_the_monitor_resumes_what_a_failed_task_left(bench: Workbench, single: str) -> None:
    demote(bench, single)
    bench.store.rows(b"update instance set status = 'FAILED' where id = %s", [single])
    Monitor(bench.resources, bench.queue, Roster(bench.resources), Deathwatch()).look(None)
    check_active(bench, single)
    assert takes_writes(bench, single)


@needs_forwarding
def test_one_that_was_single_leaves_the_endpoint(bench: Workbench, single: str) -> None:
    """It listens there itself, and would be what clients reach as long as it lives."""
    done(bench, single, bench.submit(lambda intake: submit_single_to_ha(intake, single, bench)))
    old = bench.resources.view.primary(single)
    assert old.address == bench.resources.view.instance(single).address
    task_id = bench.submit(lambda intake: submit_switchover(intake, single, bench))
    Runner(bench.store, bench.queue, OPERATIONS, bench.resources).run_step(task_id)
    assert not bench.resources.node_server(single, old.id).is_running()
    assert takes_writes(bench, single)
    done(bench, single, task_id)
    assert takes_writes(bench, single)
