"""What a primary had not archived when it died can be restored once it is, and not before."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from openrds.domain.errors import Refusal
from openrds.engines.protocol import EngineError
from openrds.operations.backups.restore_new_instance import submit as submit_restore
from openrds.operations.intake.create_request import Datastore
from openrds.operations.intake.restore_source import milliseconds, source_at
from openrds.operations.pairs import rebuild_standby, switchover
from openrds.operations.pairs.switchover import SWITCHOVER
from openrds.operations.registry import OPERATIONS
from support.means import needs_forwarding
from support.prepared import Prepared
from support.scenarios import check_ha, connected, ha_instance, read_back, run_backup, write_down
from support.workbench import Workbench

pytestmark = needs_forwarding


@pytest.fixture
def pair(workbench: Workbench) -> Iterator[str]:
    """It has a backup, and a table in log that only its primary has."""
    yield ha_instance(workbench)
    Prepared(workbench).clean_up()


def test_a_moment_in_log_that_only_a_dead_primary_has_is_not_promised(
    workbench: Workbench, pair: str
) -> None:
    run_backup(workbench, pair)
    stop_archiving(workbench, pair)
    write_down(workbench, pair)
    moment = milliseconds(dt.datetime.now(dt.UTC))
    fill_segments(workbench, pair)
    assert is_promised(workbench, pair, moment)

    old, new = workbench.resources.view.nodes(pair)
    workbench.resources.node_server(pair, old.id).kill()
    take_over_without_the_old(workbench, pair, old.id, new.id)
    assert workbench.resources.view.primary(pair).id == new.id
    assert not is_promised(workbench, pair, moment)
    # What comes after the next backup can be restored, whatever becomes of the log before.
    run_backup(workbench, pair)
    assert not is_promised(workbench, pair, moment)
    assert is_promised(workbench, pair, milliseconds(dt.datetime.now(dt.UTC)))

    task_id = workbench.submit(lambda intake: rebuild_standby.begin(intake, intake.instance(pair), old.id))
    assert workbench.run(task_id)["status"] == "Completed"
    check_ha(workbench, pair)
    assert is_promised(workbench, pair, moment)
    read_back(workbench, restored(workbench, pair, moment), "written_down")


def stop_archiving(bench: Workbench, instance_id: str) -> None:
    bench.superuser(instance_id, "alter system set archive_command = 'false'", "select pg_reload_conf()")


def fill_segments(bench: Workbench, instance_id: str) -> None:
    """So that the log of before is in whole segments, which the standby has too."""
    for _ in range(2):
        with connected(bench, instance_id) as connection:
            connection.execute("create table if not exists filler (x int)")
            connection.execute("insert into filler values (1)")
        bench.superuser(instance_id, "select pg_switch_wal()")


def is_promised(bench: Workbench, instance_id: str, moment: int) -> bool:
    try:
        bench.submit(lambda intake: source_at(intake, instance_id, moment))
    except Refusal:
        return False
    return True


def take_over_without_the_old(bench: Workbench, instance_id: str, old: str, new: str) -> None:
    """The old primary does not come back yet."""
    parameters = switchover.Parameters(old, new, force=True)
    task_id = bench.submit(lambda intake: switchover.begin(intake, intake.instance(instance_id), parameters))

    def fail(_context: Any) -> None:
        raise EngineError("on purpose")

    change_roles, rejoin = SWITCHOVER.steps
    operation = replace(SWITCHOVER, steps=(change_roles, replace(rejoin, do=fail)))
    assert bench.run(task_id, {**OPERATIONS, "switchover": operation})["status"] == "Failed"


def restored(bench: Workbench, instance_id: str, moment: int) -> str:
    point = {"instance_id": instance_id, "type": "timestamp", "restore_time": moment}
    version = bench.resources.view.instance(instance_id).version
    request = bench.create_request(restore_point=point, datastore=Datastore("PostgreSQL", version))
    _, task_id = bench.submit(lambda intake: submit_restore(intake, request))
    task = bench.run(task_id)
    assert task["status"] == "Completed", task["fail_reason"]
    return str(task["instance_id"])
