"""An instance that its owner had made read-only, whatever else becomes of it."""

import re
from collections.abc import Iterator

import pytest

from openrds.domain.engine import EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.operations.instances import restart_instance, set_read_only
from openrds.operations.rounds.volume_watch import settle_fullness
from support.dialects import DIALECTS
from support.engines import needs_engine
from support.means import needs_forwarding
from support.prepared import Prepared
from support.scenarios import (
    active_instance,
    connected,
    done,
    ha_instance,
    submit_replica,
    submit_restore_tables,
    submit_switchover,
)
from support.workbench import Workbench

ENGINES = [pytest.param(engine, marks=needs_engine(engine), id=engine) for engine in EngineName]

pytestmark = pytest.mark.grouped_by("bench")


@pytest.fixture(scope="module", params=ENGINES)
def bench(workbench: Workbench, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    yield workbench.speaking(DIALECTS[request.param])
    Prepared(workbench).clean_up()


def takes_writes(bench: Workbench, instance_id: str) -> bool:
    try:
        with connected(bench, instance_id) as client:
            client.execute("create table tried (x int)")
            client.execute("drop table tried")
    except bench.dialect.Error as error:
        assert re.search(bench.dialect.read_only, str(error))
        return False
    return True


def switch(bench: Workbench, instance_id: str, on: bool) -> None:
    request = set_read_only.SetReadOnly(readonly=on)
    done(
        bench,
        instance_id,
        bench.submit(lambda intake: set_read_only.submit(intake, instance_id, request)),
    )


def status(bench: Workbench, instance_id: str) -> str:
    return str(bench.resources.view.instance(instance_id).status)


def check_stays(bench: Workbench, instance_id: str) -> None:
    """Neither a volume that was full nor a restart lets it be written, nor its administrator."""
    settle_fullness(bench.resources, instance_id, full=True)
    assert status(bench, instance_id) == "STORAGE FULL" and not takes_writes(bench, instance_id)
    settle_fullness(bench.resources, instance_id, full=False)
    assert status(bench, instance_id) == "ACTIVE" and not takes_writes(bench, instance_id)
    request = restart_instance.Restart()
    done(
        bench,
        instance_id,
        bench.submit(lambda intake: restart_instance.submit(intake, instance_id, request)),
    )
    assert not takes_writes(bench, instance_id)
    if bench.dialect.engine is not EngineName.POSTGRESQL:
        with connected(bench, instance_id) as client, pytest.raises(bench.dialect.Error):
            client.execute("set global read_only = off")
    with pytest.raises(Refusal, match="readonly-status") as refused:
        bench.submit(lambda intake: submit_restore_tables(intake, instance_id, bench))
    assert refused.value.error is ErrorCode.STATUS_FORBIDS


def check_waits_for_room(bench: Workbench, instance_id: str) -> None:
    """Let be written while its volume is full, it is once there is room."""
    settle_fullness(bench.resources, instance_id, full=True)
    switch(bench, instance_id, on=False)
    assert status(bench, instance_id) == "STORAGE FULL" and not takes_writes(bench, instance_id)
    settle_fullness(bench.resources, instance_id, full=False)
    assert takes_writes(bench, instance_id)


def test_it_is_read_only_until_its_owner_lets_it_be_written(bench: Workbench) -> None:
    instance_id = active_instance(bench)
    assert takes_writes(bench, instance_id)
    switch(bench, instance_id, on=True)
    assert not takes_writes(bench, instance_id)
    switch(bench, instance_id, on=True)
    check_stays(bench, instance_id)
    check_waits_for_room(bench, instance_id)


@needs_forwarding
def test_so_is_the_standby_that_becomes_the_primary(bench: Workbench) -> None:
    if bench.dialect.engine is EngineName.MYSQL:
        pytest.skip("its servers take seconds to start; MariaDB's change roles in the same way")
    instance_id = ha_instance(bench)
    assert takes_writes(bench, instance_id)
    switch(bench, instance_id, on=True)
    done(bench, instance_id, bench.submit(lambda intake: submit_switchover(intake, instance_id, bench)))
    assert not takes_writes(bench, instance_id)
    switch(bench, instance_id, on=False)
    assert takes_writes(bench, instance_id)


def test_a_read_replica_is_so_anyway(bench: Workbench) -> None:
    if bench.dialect.engine is not EngineName.POSTGRESQL:
        pytest.skip("it is refused without a look at its engine")
    primary_id = active_instance(bench)
    task_id = bench.submit(lambda intake: submit_replica(intake, primary_id, bench))
    done(bench, primary_id, task_id)
    (replica,) = (one for one in bench.instances() if one.replica_of == primary_id)
    request = set_read_only.SetReadOnly(readonly=True)
    with pytest.raises(Refusal) as refused:
        bench.submit(lambda intake: set_read_only.submit(intake, replica.id, request))
    assert refused.value.error is ErrorCode.INSTANCE_TYPE
