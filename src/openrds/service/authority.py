"""Who signs the certificates of the instances' servers: a CA of the service's own, or the operator's.

It belongs to the control side. A host that runs servers gets certificates, and never sees the key.
"""

import contextlib
import datetime as dt
import logging
import os
import secrets
import stat
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from openrds.domain.settings import Settings
from openrds.hosts.certificates import alternative_names
from openrds.hosts.folders import make_durable, read

logger = logging.getLogger(__name__)

_LIFE = dt.timedelta(days=3650)
#: With less than this left, the service's own CA gets a certificate with the same name and key: servers then show what
#: both the old one and the new one vouch for.
_RENEWED_BEFORE = dt.timedelta(days=1825)
_SERVER_LIFE = dt.timedelta(days=365)
#: Of a certificate by a CA that has ended: a server must be able to start, whatever clients think of it.
_LEAST_LIFE = dt.timedelta(days=1)
#: An operator's CA that has less left is told of at each start.
_WARNED_BEFORE = dt.timedelta(days=60)
#: Clocks of clients may be behind.
_LEEWAY = dt.timedelta(hours=1)

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


class AuthorityError(Exception):
    """There is no CA to sign with; the message says why and what to do."""


@dataclass(frozen=True)
class Authority:
    """`chain` begins with the certificate whose key signs; what follows leads from it to one that clients trust."""

    chain: tuple[x509.Certificate, ...]
    key: _Key

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]

    @property
    def end(self) -> dt.datetime:
        """When clients cease to trust what it signs."""
        return min(one.not_valid_after_utc for one in self.chain)

    @property
    def pem(self) -> str:
        """What clients are to trust."""
        return "".join(map(_as_pem, self.chain))

    def issue(self, names: Collection[str], key: ec.EllipticCurvePublicKey) -> str:
        """A certificate for addresses and names, and all of the chain, as PEM: MySQL looks whether they fit."""
        first = next(iter(names))
        certificate = (
            _begun(_named(first), self.certificate.subject, key, self._end())
            .add_extension(alternative_names(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_key_of(self.certificate), critical=False)
            .sign(self.key, _digest(self.key))
        )
        return "".join(map(_as_pem, (certificate, *self.chain)))

    def _end(self) -> dt.datetime:
        return max(_now() + _LEAST_LIFE, min(_now() + _SERVER_LIFE, self.end))


def open_authority(settings: Settings) -> Authority:
    """
    The CA that the settings name, else the service's own, which is made the first time.

    What clients are to trust is written down in `settings.ca_file`, for anybody to read.

    Raises:
        AuthorityError: it cannot be used.
    """
    authority = _given(settings) if settings.tls_ca_cert or settings.tls_ca_key else _own(settings)
    if _text_of(settings.ca_file) != authority.pem:
        _write(settings.ca_file, authority.pem, 0o644)
    return authority


def _given(settings: Settings) -> Authority:
    certificate, key = settings.tls_ca_cert, settings.tls_ca_key
    if certificate is None or key is None:
        raise AuthorityError("tls_ca_cert and tls_ca_key go together: give both, or none.")
    authority = Authority(_read_chain(certificate), _read_key(key))
    _check_usable(authority, certificate, key)
    if authority.end - _now() < _WARNED_BEFORE:
        logger.warning(
            "the CA in %s ends on %s: clients then trust no instance", certificate, authority.end.date()
        )
    return authority


def _check_usable(authority: Authority, file: Path, key_file: Path) -> None:
    certificate, now = authority.certificate, _now()
    if authority.key.public_key() != certificate.public_key():
        raise AuthorityError(f"{key_file} is not the key of the first certificate in {file}.")
    if not _may_sign(certificate):
        raise AuthorityError(f"{file} is no CA's: its first certificate may not sign others.")
    for one in authority.chain:
        if not one.not_valid_before_utc <= now < one.not_valid_after_utc:
            raise AuthorityError(
                f"{file} holds a certificate that is valid from {one.not_valid_before_utc:%Y-%m-%d} to "
                f"{one.not_valid_after_utc:%Y-%m-%d}, and not now."
            )
    for one, next_ in zip(authority.chain, authority.chain[1:], strict=False):
        if one.issuer != next_.subject:
            raise AuthorityError(
                f"{file} must begin with the certificate that signs, each issued by the next."
            )


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    with contextlib.suppress(x509.ExtensionNotFound):
        if not certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign:
            return False
    return constraints.ca


def _read_chain(path: Path) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(_read(path)))
    except ValueError as error:
        raise AuthorityError(f"{path} has no certificates in the form PEM: {error}") from None


def _read_key(path: Path) -> _Key:
    content = _read(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o007:
        raise AuthorityError(
            f"Everybody on this machine may read the key {path}, or write it: chmod 600 {path}"
        )
    try:
        key: PrivateKeyTypes = serialization.load_pem_private_key(content, None)
    except TypeError:
        raise AuthorityError(
            f"The key {path} needs a password, which nobody gives it: store it without one, with mode 0600."
        ) from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise AuthorityError(f"{path} has no private key in the form PEM: {error}") from None
    if not isinstance(key, _Key):
        raise AuthorityError(f"{path} must be an RSA, EC or Ed25519 key: others cannot sign here.")
    return key


def _read(path: Path) -> bytes:
    try:
        return read(path)
    except OSError as error:
        raise AuthorityError(f"{path} cannot be read: {error.strerror}.") from None


def _own(settings: Settings) -> Authority:
    path = settings.authority_file
    if not path.exists():
        _write(path, _made(), 0o600, anew=True)
    authority = Authority(_read_chain(path), _read_key(path))
    if authority.certificate.not_valid_after_utc - _now() > _RENEWED_BEFORE:
        return authority
    renewed = _certificate_of(authority.key, authority.certificate.subject)
    _write(path, _key_pem(authority.key) + _as_pem(renewed), 0o600)
    return Authority((renewed,), authority.key)


def _made() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return _key_pem(key) + _as_pem(_certificate_of(key, _named(f"openrds CA {secrets.token_hex(4)}")))


def _certificate_of(key: _Key, name: x509.Name) -> x509.Certificate:
    return (
        _begun(name, name, key.public_key(), _now() + _LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, _digest(key))
    )


def _begun(
    name: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, end: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - _LEEWAY)
        .not_valid_after(end)
    )


def _usage(**allowed: bool) -> x509.KeyUsage:
    uses = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**dict.fromkeys(uses, False) | allowed)


def _key_of(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """As the issuer's own certificate calls its key."""
    try:
        named = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(named)


def _named(common_name: str) -> x509.Name:
    """Clients that know no names but this one, such as libpq before 15, look here for the address."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _digest(key: _Key) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()


def _key_pem(key: _Key) -> str:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode()


def _as_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _text_of(path: Path) -> str:
    with contextlib.suppress(OSError):
        return read(path).decode(errors="replace")
    return ""


def _write(path: Path, text: str, mode: int, *, anew: bool = False) -> None:
    """Whoever reads sees all of it; `anew`: what another has written meanwhile stays.

    Raises:
        AuthorityError: it cannot be written.
    """
    try:
        descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            if anew:
                with contextlib.suppress(FileExistsError):
                    os.link(draft, path)
            else:
                Path(draft).replace(path)
        finally:
            Path(draft).unlink(missing_ok=True)
        make_durable(path.parent, tree=False)
    except OSError as error:
        raise AuthorityError(f"{path} cannot be written: {error.strerror}.") from None
