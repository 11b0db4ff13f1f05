"""The certificates of an instance's servers: for all of its addresses, and renewed by a round."""

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from openrds.domain.engine import RULES, EngineName
from openrds.domain.instance_values import Node
from openrds.engines.protocol import Server, Tls
from openrds.hosts.processes import RECORD, find, wait_until
from openrds.operations.instances import restart_instance
from openrds.operations.intake.intake import Intake
from openrds.operations.network import switch_ssl
from openrds.operations.pairs import single_to_ha
from openrds.operations.rounds.certificates import CertificateWatch
from openrds.operations.rounds.roster import Roster
from openrds.service.authority import open_authority
from support import scenarios
from support.dialects import DIALECTS, Dialect
from support.dialects.mysql import MariaDBDialect
from support.engines import needs_engine
from support.workbench import PASSWORD, Workbench


class DemandingMariaDB(MariaDBDialect):
    """Of those versions that demand TLS, which no machine of the tests needs to have; the others here do not."""

    encrypts = True


SPOKEN = [
    pytest.param(dialect, marks=needs_engine(dialect.engine), id=type(dialect).__name__)
    for dialect in (
        *(DIALECTS[name] for name in (EngineName.POSTGRESQL, EngineName.MARIADB)),
        DemandingMariaDB(),
    )
]


@pytest.fixture(scope="module", params=SPOKEN)
def bench(request: pytest.FixtureRequest, workbench: Workbench) -> Iterator[Workbench]:
    dialect: Dialect = request.param
    with pytest.MonkeyPatch.context() as patched:
        since = (10, 6) if isinstance(dialect, DemandingMariaDB) else None
        patched.setitem(RULES, dialect.engine, replace(dialect.rules, tls_demanded_from=since))
        yield workbench.speaking(dialect)


@pytest.fixture(scope="module")
def instance_id(bench: Workbench) -> str:
    return scenarios.encrypting_instance(bench)


def is_verified(
    bench: Workbench, instance_id: str, address: str | None = None, ca: Path | None = None
) -> bool:
    ca = ca or bench.resources.settings.ca_file
    return is_let_in(bench, instance_id, address, ca=ca)


def is_let_in(bench: Workbench, instance_id: str, address: str | None = None, **options: Any) -> bool:
    instance = bench.resources.view.instance(instance_id)
    where = address or str(instance.address)
    try:
        bench.dialect.connect(where, instance.port, password=PASSWORD, seconds=5, **options).close()
    except bench.dialect.Error:
        return False
    return True


def pid(server: Server) -> int:
    process = find(server.node.folder / RECORD)
    return process.pid if process else 0


def streams(bench: Workbench, node: Node) -> bool:
    return bench.resources.node_server(node.instance_id, node.id).replication.state().streaming


def submit_ssl(instance_id: str, wanted: switch_ssl.SwitchSsl, intake: Intake) -> UUID:
    return switch_ssl.submit(intake, instance_id, wanted)


def run(bench: Workbench, instance_id: str, submit: object) -> None:
    scenarios.done(bench, instance_id, bench.submit(submit))  # type: ignore[arg-type]


def test_a_public_address_is_vouched_for_while_it_is_bound(bench: Workbench, instance_id: str) -> None:
    if not bench.resources.host.forwarder.name:
        pytest.skip(bench.resources.host.forwarder.refusal)
    node = bench.resources.primary_server(instance_id).node
    assert node.tls is not None and node.tls.names == (node.address,)
    run(bench, instance_id, lambda intake: scenarios.submit_bind(intake, instance_id, bench))
    public = scenarios.the_public_address(bench)
    for address in (public, None):
        assert wait_until(lambda where=address: is_verified(bench, instance_id, where), 10.0)
    run(bench, instance_id, lambda intake: scenarios.submit_unbind(intake, instance_id, bench))
    after = bench.resources.primary_server(instance_id)
    assert after.node.tls is not None and after.node.tls.names == (node.address,)
    assert wait_until(lambda: is_verified(bench, instance_id), 10.0)


def test_a_round_renews_what_is_not_good_any_more(bench: Workbench, instance_id: str, tmp_path: Path) -> None:
    """Such as that of a CA before. The server goes on, and so does a round whose forerunner died in the middle."""
    resources = bench.resources
    server = resources.primary_server(instance_id)
    before = pid(server)
    stranger = replace(resources.settings, data_dir=tmp_path)
    assert server.node.tls is not None
    other = resources.host.changed(server, tls=Tls(server.node.tls.names, open_authority(stranger)))
    other.keep_certificate()
    other.load_certificate()
    assert wait_until(lambda: not is_verified(bench, instance_id), 10.0)
    server.keep_certificate()  # and the server has not been told
    watch = CertificateWatch(resources, Roster(resources))
    watch.look_after_certificates()
    assert wait_until(lambda: is_verified(bench, instance_id), 10.0)
    other.keep_certificate()
    other.load_certificate()
    watch.look_after_certificates()
    assert wait_until(lambda: is_verified(bench, instance_id), 10.0)
    assert not is_verified(bench, instance_id, ca=stranger.ca_file)
    assert pid(server) == before != 0


def test_what_is_so_already_may_be_asked_for(bench: Workbench, instance_id: str) -> None:
    """Terraform asks for it after each creation. No server is restarted."""
    before = pid(bench.resources.primary_server(instance_id))
    run(bench, instance_id, lambda intake: switch_ssl.submit(intake, instance_id, switch_ssl.SwitchSsl(True)))
    assert pid(bench.resources.primary_server(instance_id)) == before != 0


def test_an_instance_from_before_has_it_from_its_next_start_on(bench: Workbench, instance_id: str) -> None:
    """As an older openrds has made it: without a certificate, and configured without."""
    resources = bench.resources
    server = resources.primary_server(instance_id)
    older = resources.host.changed(server, tls=None)
    older.stop()
    older.configure()
    older.start()
    (server.node.folder / "tls.pem").unlink()
    assert not is_verified(bench, instance_id)
    assert is_let_in(bench, instance_id, plain=True)
    CertificateWatch(resources, Roster(resources)).look_after_certificates()
    scenarios.query(bench, instance_id)
    run(
        bench,
        instance_id,
        lambda intake: restart_instance.submit(intake, instance_id, restart_instance.Restart()),
    )
    assert is_verified(bench, instance_id)
    assert is_let_in(bench, instance_id, plain=True) is not isinstance(bench.dialect, DemandingMariaDB)


def test_both_of_a_pair_vouch_for_its_endpoint(bench: Workbench, instance_id: str) -> None:
    """One that was single, and has a read replica that is told to come in another way when that changes."""
    if not bench.resources.host.forwarder.name:
        pytest.skip(bench.resources.host.forwarder.refusal)
    run(
        bench,
        instance_id,
        lambda intake: single_to_ha.submit(intake, instance_id, single_to_ha.SingleToHa("local-1a")),
    )
    run(bench, instance_id, lambda intake: scenarios.submit_replica(intake, instance_id, bench))
    for _ in range(2):
        assert is_verified(bench, instance_id)
        for node in bench.resources.view.nodes(instance_id):
            assert is_verified(bench, instance_id, node.address)
        run(bench, instance_id, lambda intake: scenarios.submit_switchover(intake, instance_id, bench))
    (replica,) = (one.id for one in bench.instances() if one.replica_of == instance_id)
    for on in (False, True):
        wanted = switch_ssl.SwitchSsl(ssl_option=on)
        run(bench, instance_id, functools.partial(submit_ssl, instance_id, wanted))
        assert is_verified(bench, instance_id) is on
        for followers in (bench.resources.view.standbys(instance_id), bench.resources.view.nodes(replica)):
            assert all(streams(bench, node) for node in followers)
    assert is_verified(bench, replica)
