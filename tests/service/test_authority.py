"""The CA of the instances' certificates: the service's own, and one of the operator's."""

import datetime as dt
import os
import ssl
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from openrds.domain.settings import Settings
from openrds.hosts.certificates import is_good, make_identity
from openrds.service import authority
from openrds.service.authority import Authority, AuthorityError, open_authority
from support.folders import short_folder
from support.service import free_port

NAMES = ("127.64.0.1",)
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Own:
    """A CA of an operator's, signed by itself or another."""

    certificate: x509.Certificate
    key: Any

    @classmethod
    def made(
        cls, name: str, by: "Own | None" = None, *, key: Any = None, ca: bool = True, days: int = 100
    ) -> "Own":
        key = key or ec.generate_private_key(ec.SECP384R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(by.certificate.subject if by else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 200 * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        return cls(builder.sign(by.key if by else key, hashes.SHA256()), key)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def key_pem(self, password: bytes = b"") -> str:
        encryption = (
            serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        )
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        ).decode()


def with_files(tmp_path: Path, certificates: str, key: str, mode: int = 0o600) -> Settings:
    cert_file, key_file = tmp_path / "given.crt", tmp_path / "given.key"
    cert_file.write_text(certificates)
    key_file.write_text(key)
    key_file.chmod(mode)
    (tmp_path / "d").mkdir(exist_ok=True)
    return Settings(data_dir=tmp_path / "d", tls_ca_cert=cert_file, tls_ca_key=key_file)


def test_the_services_own_is_made_once(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    first, again = open_authority(settings), open_authority(settings)
    assert first.certificate == again.certificate
    assert settings.ca_file.read_text() == first.pem
    assert sorted(path.name for path in tmp_path.iterdir()) == ["authority.pem", "ca.crt"]
    context = ssl.create_default_context(cafile=str(settings.ca_file))
    assert len(context.get_ca_certs()) == 1


def test_it_is_renewed_with_the_same_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the old certificate can verify what is signed by the new one."""
    settings = Settings(data_dir=tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(authority, "_LIFE", 700 * DAY)
        old = open_authority(settings)
    identity = make_identity(NAMES, old).encode()
    new = open_authority(settings)
    assert new.certificate != old.certificate
    assert new.certificate.not_valid_after_utc - old.certificate.not_valid_after_utc > 365 * DAY
    assert settings.ca_file.read_text() == new.pem
    assert is_good(identity, NAMES, new)
    assert is_good(make_identity(NAMES, new).encode(), NAMES, old)
    assert open_authority(settings).certificate == new.certificate


def test_a_server_is_not_vouched_for_longer_than_its_ca_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = Own.made("short", days=20)
    caplog.set_level("WARNING")
    given = open_authority(with_files(tmp_path, own.pem, own.key_pem()))
    server = x509.load_pem_x509_certificate(make_identity(NAMES, given).encode())
    assert server.not_valid_after_utc == own.certificate.not_valid_after_utc
    assert "given.crt ends on" in caplog.text


def test_a_ca_that_ends_while_the_service_runs_keeps_no_server_from_starting(tmp_path: Path) -> None:
    ended = Own.made("ended", days=-1)
    identity = make_identity(NAMES, Authority((ended.certificate,), ended.key)).encode()
    server = x509.load_pem_x509_certificate(identity)
    assert server.not_valid_after_utc > dt.datetime.now(dt.UTC)


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_an_operators_own_signs(tmp_path: Path, kind: str) -> None:
    """One below another, whose certificate is what everybody trusts."""
    root = Own.made("root")
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else None
    below = Own.made("below", root, key=key)
    settings = with_files(tmp_path, below.pem + root.pem, below.key_pem())
    given = open_authority(settings)
    assert settings.ca_file.read_text() == below.pem + root.pem
    assert not settings.authority_file.exists()
    identity = make_identity(NAMES, given).encode()
    shown = x509.load_pem_x509_certificates(identity)
    assert shown[1:] == [below.certificate, root.certificate]
    shown[0].verify_directly_issued_by(below.certificate)
    assert is_good(identity, NAMES, given)


def test_what_cannot_sign_is_refused(tmp_path: Path) -> None:
    own, other = Own.made("own"), Own.made("other")
    ended, server = Own.made("ended", days=-1), Own.made("server", ca=False)
    for certificates, key, said in (
        (own.pem, other.key_pem(), "is not the key of the first certificate"),
        (server.pem, server.key_pem(), "is no CA's"),
        (ended.pem, ended.key_pem(), "and not now"),
        (own.pem + other.pem, own.key_pem(), "each issued by the next"),
        ("nothing", own.key_pem(), "has no certificates"),
        (own.pem, "nothing", "has no private key"),
        (own.pem, own.key_pem(b"secret"), "needs a password"),
    ):
        with pytest.raises(AuthorityError, match=said):
            open_authority(with_files(tmp_path, certificates, key))
    with pytest.raises(AuthorityError, match="chmod 600"):
        open_authority(with_files(tmp_path, own.pem, own.key_pem(), mode=0o644))
    settings = with_files(tmp_path, own.pem, own.key_pem())
    with pytest.raises(AuthorityError, match="go together"):
        open_authority(replace(settings, tls_ca_key=None))
    with pytest.raises(AuthorityError, match="cannot be read: No such file"):
        open_authority(replace(settings, tls_ca_cert=tmp_path / "missing"))
    assert list(settings.data_dir.iterdir()) == []


def test_a_service_says_so_at_its_start_and_leaves_nothing() -> None:
    folder = short_folder() / "d"
    listen = f"127.0.0.1:{free_port()}"
    done = subprocess.run(
        [sys.executable, "-m", "openrds.cli", "serve", f"--data-dir={folder}", f"--listen={listen}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "OPENRDS_TLS_CA_CERT": "/nowhere/ca", "OPENRDS_TLS_CA_KEY": "/nowhere/key"},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "openrds: /nowhere/ca cannot be read: No such file or directory."
    assert not folder.exists()
    folder.parent.rmdir()
