"""A restore that was cut off before all of the log was replayed is begun anew: by then it has not all of the moment."""

from collections.abc import Iterator
from typing import Any

import pytest

from openrds.domain.engine import EngineName
from openrds.engines.protocol import EngineError
from support.dialects import DIALECTS
from support.engines import needs_engine
from support.prepared import Prepared
from support.scenarios import backed_up_instance, done, read_back, submit_restore_tables
from support.workbench import Workbench

#: Their servers run, and let us in, before the log is replayed.
REPLAYING = (EngineName.MARIADB, EngineName.MYSQL)


@pytest.fixture(params=[pytest.param(name, marks=needs_engine(name)) for name in REPLAYING])
def bench(workbench: Workbench, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    yield workbench.speaking(DIALECTS[request.param])
    Prepared(workbench).clean_up()


def test_what_runs_without_having_replayed_is_not_copied(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance_id = backed_up_instance(bench)
    backups: Any = type(bench.engine.backups)
    begin_replay, tried = backups._begin_replay, []

    def cut_off_once(*arguments: Any) -> None:
        tried.append(arguments)
        if len(tried) == 1:
            raise EngineError("it is cut off here")
        begin_replay(*arguments)

    monkeypatch.setattr(backups, "_begin_replay", cut_off_once)

    done(bench, instance_id, bench.submit(lambda intake: submit_restore_tables(intake, instance_id, bench)))

    assert len(tried) == 2
    read_back(bench, instance_id, "written_again")
