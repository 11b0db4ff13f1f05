"""The certificate of a node's server, in a file of the node's user that is in no copy or backup of its data."""

import hashlib
from pathlib import Path

from openrds.engines.protocol import EngineError, NodeSpec, Tls
from openrds.hosts.certificates import is_good, make_identity

_FILE = "tls.pem"
#: With a long chain.
_MOST_BYTES = 2**16


def serves_tls(node: NodeSpec) -> bool:
    """A node that listens on its Unix socket alone needs none."""
    return node.tls is not None and bool(node.address)


def identity_path(node: NodeSpec) -> Path:
    """The key with its certificate, and what leads to the one that clients trust."""
    return node.folder / _FILE


def keep_identity(node: NodeSpec) -> str:
    """
    See that a node has a certificate that is good for its names and for a while, and return what tells it from others.

    It is not waited for the disk: what is broken after a power cut is made anew before the server starts.

    Raises:
        EngineError: it cannot be written.
    """
    if node.tls is None or not serves_tls(node):
        return ""
    path = identity_path(node)
    try:
        identity = _read(node, path)
        if not is_good(identity, node.tls.names, node.tls.issuer):
            identity = _write_new(node, node.tls, path)
    except OSError as error:
        raise EngineError(f"the certificate of {node.node_id} cannot be written: {error}") from error
    return hashlib.sha256(identity).hexdigest()


def _write_new(node: NodeSpec, tls: Tls, path: Path) -> bytes:
    """What else was drafted is of a worker that died, and has a key in it."""
    for remains in node.folder.glob(f".{path.name}.*"):
        remains.unlink(missing_ok=True)
    text = make_identity(tls.names, tls.issuer)
    node.user.write(path, text, durable=False)
    return text.encode()


def _read(node: NodeSpec, path: Path) -> bytes:
    try:
        return node.user.read(path, _MOST_BYTES)
    except OSError:
        return b""
