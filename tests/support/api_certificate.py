"""A certificate for the API."""

import ssl
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from openrds.domain.settings import Settings
from openrds.service.authority import open_authority


class ApiCertificate:
    """A certificate for 127.0.0.1 by a CA of its own, which may be renewed."""

    def __init__(self, folder: Path) -> None:
        self.chain, self.key = folder / "api.crt", folder / "api.key"
        self._authority = open_authority(Settings(data_dir=folder))
        self.ca = folder / "ca.crt"
        self.renew()

    def renew(self, password: bytes | None = None) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
        self.key.write_bytes(pem)
        self.chain.write_text(self._authority.issue(["127.0.0.1"], key.public_key()))

    def client(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.minimum_version = context.maximum_version = version
        return context
