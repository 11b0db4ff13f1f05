"""What a server proves with who it is: a key that is made where it serves, and a certificate for it, in one file.

So both change at once, and whoever reads them meanwhile never sees a key with another's certificate.
"""

import datetime as dt
import ipaddress
from collections.abc import Collection
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

#: A certificate that has no more than this part of its life left is renewed.
_RENEWED_IN_LAST = 1 / 3
#: Of a key as it is made here. Whoever the file belongs to could put one there whose check takes minutes.
_MOST_KEY_BYTES = 512
_BEGIN_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


class Issuer(Protocol):
    """Who signs certificates. It is told the public half of a key, and never needs the other."""

    @property
    def certificate(self) -> x509.Certificate:
        """Its own, whose key signs."""

    def issue(self, names: Collection[str], key: ec.EllipticCurvePublicKey) -> str:
        """A certificate for addresses and names, the first of which counts as its subject, and what leads from it to
        the one that clients trust, as PEM.
        """


def make_identity(names: Collection[str], issuer: Issuer) -> str:
    """A new key with its certificate, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode() + issuer.issue(names, key.public_key())


def is_good(identity: bytes, names: Collection[str], issuer: Issuer) -> bool:
    """Whether a key and certificate are by this issuer and for these names, belong together, and have time left."""
    private, begin, certificates = identity.partition(_BEGIN_CERTIFICATE)
    if len(private) > _MOST_KEY_BYTES:
        return False
    try:
        certificate = x509.load_pem_x509_certificate(begin + certificates)
        key = serialization.load_pem_private_key(private, None)
    except (ValueError, TypeError):
        return False
    return (
        key.public_key() == certificate.public_key()
        and _names_of(certificate) == frozenset(names)
        and _is_by(certificate, issuer.certificate)
        and _has_time_left(certificate)
    )


def _names_of(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = map(str, found.get_values_for_type(x509.IPAddress))
    return frozenset((*addresses, *found.get_values_for_type(x509.DNSName)))


def _is_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Also by an older certificate of the same name and key, which clients may have."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _has_time_left(certificate: x509.Certificate) -> bool:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    now = dt.datetime.now(dt.UTC)
    return begin <= now and end - now > (end - begin) * _RENEWED_IN_LAST


def alternative_names(names: Collection[str]) -> x509.SubjectAlternativeName:
    """Addresses, and names of DNS, as clients look for them."""
    return x509.SubjectAlternativeName([_alternative_name(name) for name in names])


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
