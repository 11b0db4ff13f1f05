"""An instance is restored onto itself, as engines are of which the contract says so.

The way is the same for all of them, so PostgreSQL goes it here though callers may not.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from openrds.domain.engine import RULES, EngineName
from openrds.domain.errors import Refusal
from openrds.operations.backups import restore_instance
from openrds.operations.intake.restore_source import RestoreSource
from support.prepared import Prepared
from support.scenarios import active_instance, check_active, connected, done, now, run_backup, write_down
from support.workbench import Workbench


@pytest.fixture
def bench(workbench: Workbench) -> Iterator[Workbench]:
    yield workbench
    Prepared(workbench).clean_up()


def test_what_came_after_the_moment_is_gone(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    instance_id = active_instance(bench)
    run_backup(bench, instance_id)
    write_down(bench, instance_id)
    request = restore_instance.RestoreInstance(
        RestoreSource(instance_id, restore_time=now()), restore_instance.RestoreTarget(instance_id)
    )
    with connected(bench, instance_id) as connection:
        connection.execute("insert into written_down (answer) values (43)")

    with pytest.raises(Refusal, match="PostgreSQL is not restored onto the instance itself"):
        bench.submit(lambda intake: restore_instance.submit(intake, request))
    allowed = replace(RULES[EngineName.POSTGRESQL], restores_onto_itself=True)
    monkeypatch.setitem(RULES, EngineName.POSTGRESQL, allowed)
    done(bench, instance_id, bench.submit(lambda intake: restore_instance.submit(intake, request)))

    check_active(bench, instance_id)
    with connected(bench, instance_id) as connection:
        assert connection.execute("select answer from written_down") == [(42,)]
    # What was before leads to no moment any more, and what comes does.
    run_backup(bench, instance_id)
    (reached,) = bench.store.rows(b"select count(*) as bases from backup where continuous")
    assert reached["bases"] == 1
