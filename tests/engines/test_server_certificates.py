"""Servers prove who they are to clients who want to know, and let in those who do not ask, or the newest do not."""

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openrds.domain.settings import Settings
from openrds.engines.protocol import Server, Tls
from openrds.hosts.processes import wait_until
from openrds.service.authority import open_authority

pytestmark = pytest.mark.every_engine

#: A trial, and its server.
Shared = tuple[Any, Server]


@pytest.fixture(autouse=True)
def _needs_tls(module_trial: Any) -> None:
    if not module_trial.installation.speaks_tls:
        pytest.skip("this server was built without TLS")


@pytest.fixture
def others(tmp_path: Path) -> Settings:
    """Of another service, with a CA of its own."""
    return Settings(data_dir=tmp_path)


def is_let_in(trial: Any, server: Server, ca: Path, address: str = "") -> bool:
    node = server.node
    try:
        trial.dialect.connect(address or node.address, node.port, ca=ca).close()
    except trial.dialect.Error as error:
        assert "certificate" in str(error).lower() or "mismatch" in str(error).lower(), error
        return False
    return True


def test_a_client_knows_the_server_by_its_address(shared: Shared) -> None:
    trial, server = shared
    assert is_let_in(trial, server, trial.settings.ca_file)


def test_a_client_that_trusts_another_ca_goes_away(shared: Shared, others: Settings) -> None:
    trial, server = shared
    open_authority(others)
    assert not is_let_in(trial, server, others.ca_file)


def test_a_client_that_does_not_ask_is_let_in_unless_the_version_demands_it(shared: Shared) -> None:
    trial, server = shared
    version = trial.installation.complete_version
    if trial.dialect.rules.demands_tls(version):
        with pytest.raises(trial.dialect.Refused, match=r"\(3159, .*insecure transport"):
            trial.query(server, "SELECT 1", plain=True)
        assert trial.query(server, "SELECT 1") == 1
    else:
        assert trial.query(server, "SELECT 1", plain=True) == 1


def test_the_key_is_the_servers_alone(shared: Shared) -> None:
    trial, server = shared
    file = (server.node.folder / "tls.pem").lstat()
    assert (stat.S_IMODE(file.st_mode), file.st_uid) == (0o600, trial.user.uid)
    assert "PRIVATE KEY" not in trial.settings.ca_file.read_text()
    own = trial.settings.authority_file.lstat()
    assert (stat.S_IMODE(own.st_mode), stat.S_IMODE(trial.settings.ca_file.lstat().st_mode)) == (0o600, 0o644)


def test_a_certificate_is_replaced_while_the_server_serves(shared: Shared, others: Settings) -> None:
    """Who is there notices nothing."""
    trial, server = shared
    pid, before = trial.pid(server), server.keep_certificate()
    assert server.keep_certificate() == before
    assert server.node.tls is not None
    changed = trial.engine.server(
        replace(server.node, tls=Tls(server.node.tls.names, open_authority(others)))
    )
    with trial.client(server) as client:
        assert changed.keep_certificate() != before
        changed.load_certificate()
        assert wait_until(lambda: is_let_in(trial, server, others.ca_file), 10.0)
        assert not is_let_in(trial, server, trial.settings.ca_file)
        server.keep_certificate()
        server.load_certificate()
        assert wait_until(lambda: is_let_in(trial, server, trial.settings.ca_file), 10.0)
        assert client.execute("SELECT 1") == [(1,)]
    assert trial.pid(server) == pid


def test_a_certificate_follows_the_addresses(shared: Shared) -> None:
    trial, server = shared
    before, elsewhere = server.keep_certificate(), trial.node().address
    tls = Tls((server.node.address, elsewhere), open_authority(trial.settings))
    assert trial.engine.server(replace(server.node, tls=tls)).keep_certificate() != before
    server.keep_certificate()


def test_what_is_broken_is_made_anew(shared: Shared) -> None:
    trial, server = shared
    file, before = server.node.folder / "tls.pem", server.keep_certificate()
    for broken in (
        "",
        "nonsense",
        file.read_text().replace("CERTIFICATE", "CERTIFIED"),
        file.read_text()[:300],
    ):
        trial.user.write(file, broken)
        assert server.keep_certificate() != before
    server.load_certificate()
    assert wait_until(lambda: is_let_in(trial, server, trial.settings.ca_file), 10.0)


def test_a_server_that_speaks_no_tls_says_so(trial: Any) -> None:
    server = trial.started(tls=None)
    with pytest.raises(trial.dialect.Error, match=r"(?i)ssl"):
        trial.dialect.connect(server.node.address, server.node.port, ca=trial.settings.ca_file)
    assert trial.query(server, "SELECT 1", plain=True) == 1
    assert server.keep_certificate() == ""
