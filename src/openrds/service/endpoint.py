"""Where the API is reached, and by which certificate it is known there."""

from pathlib import Path

from cryptography import x509

from openrds.api.wire.tls import Certificate
from openrds.domain.settings import Settings


def certificate_of(settings: Settings) -> Certificate | None:
    """What the API shows its clients; None where it speaks plain HTTP.

    Raises:
        CertificateError: the files of the settings cannot be used.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificate(settings.tls_cert, settings.tls_key)


def endpoint_of(settings: Settings) -> str:
    """The URL for clients on this host: by a name of the certificate, if it has not the address that we listen on."""
    if settings.tls_cert is None:
        return f"http://{settings.listen}"
    host, _, port = settings.listen.rpartition(":")
    names = _names_in(settings.tls_cert)
    return f"https://{host if host in names else next(iter(names), host)}:{port}"


def _names_in(file: Path) -> list[str]:
    certificate = x509.load_pem_x509_certificates(file.read_bytes())[0]
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    names = found.get_values_for_type(x509.DNSName)
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return [name for name in names if not name.startswith("*")] + addresses
