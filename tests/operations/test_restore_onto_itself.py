"""An instance is restored onto itself, as engines are of which the contract says so."""

import time
from collections.abc import Iterator

import pytest

from openrds.domain.engine import EngineName
from openrds.operations.backups import restore_instance
from openrds.operations.intake.restore_source import RestoreSource
from support.dialects import DIALECTS
from support.engines import needs_engine
from support.prepared import Prepared
from support.scenarios import active_instance, check_active, connected, done, now, run_backup, write_down
from support.workbench import Workbench

pytestmark = needs_engine(EngineName.MARIADB)


@pytest.fixture
def bench(workbench: Workbench) -> Iterator[Workbench]:
    yield workbench.speaking(DIALECTS[EngineName.MARIADB])
    Prepared(workbench).clean_up()


def moment(bench: Workbench) -> int:
    """One that the engine can tell from what comes before and after."""
    time.sleep(bench.dialect.resolution)
    found = now()
    time.sleep(bench.dialect.resolution)
    return found


def test_what_came_after_the_moment_is_gone(bench: Workbench) -> None:
    instance_id = active_instance(bench)
    run_backup(bench, instance_id)
    write_down(bench, instance_id)
    request = restore_instance.RestoreInstance(
        RestoreSource(instance_id, restore_time=moment(bench)), restore_instance.RestoreTarget(instance_id)
    )
    with connected(bench, instance_id) as connection:
        connection.execute("insert into written_down (answer) values (43)")
    done(bench, instance_id, bench.submit(lambda intake: restore_instance.submit(intake, request)))

    check_active(bench, instance_id)
    with connected(bench, instance_id) as connection:
        assert connection.execute("select answer from written_down") == [(42,)]
    # What was before leads to no moment any more, and what comes does.
    run_backup(bench, instance_id)
    (reached,) = bench.store.rows(b"select count(*) as bases from backup where continuous")
    assert reached["bases"] == 1
