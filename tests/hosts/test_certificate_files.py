"""When a certificate is renewed, and what never counts as one."""

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from openrds.domain.settings import Settings
from openrds.hosts.certificates import alternative_names, is_good, make_identity
from openrds.service.authority import Authority, open_authority

NAMES = ("127.64.0.1", "10.0.0.7")


@dataclass(frozen=True)
class Dated(Authority):
    """Its certificates begin and end so many days from now."""

    first_day: int = 0
    last_day: int = 1

    def issue(self, names: "tuple[str, ...] | object", key: ec.EllipticCurvePublicKey) -> str:
        now = dt.datetime.now(dt.UTC)
        assert isinstance(self.key, ec.EllipticCurvePrivateKey)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(1)
            .not_valid_before(now + dt.timedelta(days=self.first_day))
            .not_valid_after(now + dt.timedelta(days=self.last_day))
            .add_extension(alternative_names(NAMES), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM).decode()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return open_authority(Settings(data_dir=tmp_path))


def test_a_new_one_is_good_for_its_names_alone(authority: Authority) -> None:
    identity = make_identity(NAMES, authority).encode()
    assert is_good(identity, NAMES, authority)
    assert is_good(identity, tuple(reversed(NAMES)), authority)
    assert not is_good(identity, NAMES[:1], authority)
    assert not is_good(identity, (*NAMES, "10.0.0.8"), authority)


@pytest.mark.parametrize(
    ("begin", "end", "good"), [(-100, 265, True), (-300, 65, False), (-400, -35, False), (1, 366, False)]
)
def test_it_is_renewed_in_the_last_third_of_its_life(
    authority: Authority, begin: int, end: int, good: bool
) -> None:
    dated = Dated(authority.chain, authority.key, begin, end)
    assert is_good(make_identity(NAMES, dated).encode(), NAMES, authority) is good


def test_what_another_has_signed_is_not_good(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = open_authority(Settings(data_dir=tmp_path / "other"))
    identity = make_identity(NAMES, other).encode()
    assert not is_good(identity, NAMES, authority)
    # Also where it says that it is the same.
    forged = replace(other, chain=authority.chain)
    assert not is_good(make_identity(NAMES, forged).encode(), NAMES, authority)


def test_a_key_of_another_kind_is_not_even_looked_at(authority: Authority) -> None:
    """Its owner may have put it there for us to spend our time on."""
    one = make_identity(NAMES, authority)
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    mark = "-----BEGIN CERTIFICATE-----"
    assert not is_good(key + one[one.index(mark) :].encode(), NAMES, authority)
    assert not is_good((one[one.index(mark) :] + one[: one.index(mark)]).encode(), NAMES, authority)


def test_a_key_with_anothers_certificate_is_not_good(authority: Authority) -> None:
    one, other = make_identity(NAMES, authority), make_identity(NAMES, authority)
    mark = "-----BEGIN CERTIFICATE-----"
    mixed = one[: one.index(mark)] + other[other.index(mark) :]
    assert not is_good(mixed.encode(), NAMES, authority)
