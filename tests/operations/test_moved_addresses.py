"""An instance at another address: a single one's server goes there, a pair's connections are passed on from there."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from openrds.domain.engine import EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.hosts.addresses import is_answering
from openrds.operations.intake.intake import Intake
from openrds.operations.network import change_address
from openrds.operations.pairs import single_to_ha
from support import scenarios
from support.dialects import DIALECTS
from support.engines import needs_engine
from support.workbench import PASSWORD, Workbench

ENGINES = [pytest.param(name, marks=needs_engine(name), id=name) for name in EngineName if name in DIALECTS]


@pytest.fixture(scope="module", params=ENGINES)
def bench(request: pytest.FixtureRequest, workbench: Workbench) -> Iterator[Workbench]:
    yield workbench.speaking(DIALECTS[request.param])


def move(bench: Workbench, instance_id: str, address: str) -> None:
    def submit(intake: Intake) -> UUID:
        return change_address.submit(intake, instance_id, change_address.ChangeAddress(address))

    scenarios.done(bench, instance_id, bench.submit(submit))


def untaken(bench: Workbench) -> str:
    """The last of the pool that nobody holds: those that are let go are the next node's."""
    held = {row["address"] for row in scenarios.held_addresses(bench)}
    return [one for one in bench.resources.host.addresses.candidates() if one not in held][-1]


def run(bench: Workbench, instance_id: str, submit: object) -> None:
    scenarios.done(bench, instance_id, bench.submit(submit))  # type: ignore[arg-type]


def test_a_family_moves_twice(bench: Workbench) -> None:
    """One that was single listens on its endpoint until it is restarted elsewhere, be it with a standby beside it."""
    if not bench.resources.host.forwarder.name:
        pytest.skip(bench.resources.host.forwarder.refusal)
    instance_id = scenarios.encrypting_instance(bench)
    view = bench.resources.view
    run(bench, instance_id, lambda intake: scenarios.submit_replica(intake, instance_id, bench))
    (replica,) = (one.id for one in bench.instances() if one.replica_of == instance_id)
    wanted = single_to_ha.SingleToHa("local-1a")
    run(bench, instance_id, lambda intake: single_to_ha.submit(intake, instance_id, wanted))
    run(bench, instance_id, lambda intake: scenarios.submit_bind(intake, instance_id, bench))
    for _ in range(2):
        old, address = str(view.instance(instance_id).address), untaken(bench)
        move(bench, instance_id, address)
        instance = view.instance(instance_id)
        assert (instance.status, instance.address) == ("ACTIVE", address)
        assert not is_answering(old, instance.port)
        scenarios.verified(bench, instance_id).close()
        scenarios.query(bench, instance_id, address=scenarios.the_public_address(bench))
        for node in (*view.standbys(instance_id), *view.nodes(replica)):
            assert bench.resources.node_server(node.instance_id, node.id).replication.state().streaming
        run(bench, instance_id, lambda intake: scenarios.submit_switchover(intake, instance_id, bench))
        scenarios.verified(bench, instance_id).close()
    run(bench, instance_id, lambda intake: scenarios.submit_unbind(intake, instance_id, bench))
    with pytest.raises(Refusal) as refused:
        move(bench, replica, untaken(bench))
    assert refused.value.error is ErrorCode.INSTANCE_TYPE
    with pytest.raises(Refusal, match=r"in use by another|taken"):
        move(bench, instance_id, str(view.instance(replica).address))
    bench.dialect.connect(
        str(view.instance(replica).address), instance.port, password=PASSWORD, seconds=5
    ).close()
