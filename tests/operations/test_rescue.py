"""What an asynchronous primary had acknowledged before it died, and its standby had not heard of."""

import pytest

from openrds.domain.engine import EngineName
from openrds.engines.binlog import sessions
from openrds.operations.pairs import switchover
from support.dialects import DIALECTS
from support.engines import needs_engine
from support.means import needs_forwarding
from support.prepared import Prepared
from support.scenarios import check_ha, connected, ha_instance, submit_mode
from support.workbench import Workbench

pytestmark = needs_forwarding


@pytest.mark.parametrize(
    ("engine", "stop_receiving"),
    [
        pytest.param(EngineName.MARIADB, "STOP SLAVE IO_THREAD", marks=needs_engine(EngineName.MARIADB)),
        pytest.param(EngineName.MYSQL, "STOP REPLICA IO_THREAD", marks=needs_engine(EngineName.MYSQL)),
    ],
)
def test_what_an_asynchronous_primary_wrote_last_is_rescued(
    workbench: Workbench, engine: EngineName, stop_receiving: str
) -> None:
    """It is recovered where its standby finds it and clients do not come."""
    bench = workbench.speaking(DIALECTS[engine])
    pair = ha_instance(bench)
    bench.run(bench.submit(lambda intake: submit_mode(intake, pair, bench)))
    old, new = (node.id for node in bench.resources.view.nodes(pair))
    with connected(bench, pair) as connection:
        connection.execute("create table kept (x int)")
    bench.resources.node_server(pair, new).replication.catch_up(10)
    with sessions.session(bench.resources.node_server(pair, new).node) as standby:
        sessions.execute(standby, stop_receiving)
    with connected(bench, pair) as connection:
        connection.execute("insert into kept values (4711)")
    bench.resources.node_server(pair, old).kill()

    rescuing = switchover.Parameters(old, new, force=True, rescue=True)
    task = bench.run(bench.submit(lambda intake: switchover.begin(intake, intake.instance(pair), rescuing)))
    assert task["status"] == "Completed", task["fail_reason"]
    assert bench.resources.view.primary(pair).id == new
    with connected(bench, pair) as connection:
        assert connection.execute("select x from kept") == [(4711,)]
    check_ha(bench, pair)
    Prepared(bench).clean_up()
