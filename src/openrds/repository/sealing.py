"""Objects as they are in a repository: compressed, encrypted and authenticated, each bound to its name.

`MAGIC`, 32 random bytes, then the content by zstd and AES-256-GCM. The key of an object is derived from the
repository's (HKDF-SHA256) with those bytes as salt and the object's name as info. So no key is used for two contents,
the nonce need not be random, and an object in another's place does not open: a name says which part of what it is.
"""

import os

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from openrds.repository.errors import StrangeObjectError

#: The most that an object holds, in bytes: what is larger is cut. It is what a transfer needs of memory, twice.
MOST_BYTES = 4 * 2**20

_MAGIC = b"openrds1"
_SALT_BYTES = 32
_HEAD_BYTES = len(_MAGIC) + _SALT_BYTES
_NONCE = bytes(12)
#: Of zstd: 3, its default, takes up to four times as long for some percent less, and the line is rarely that slow.
_LEVEL = 1
#: What zstd and the cipher may add to what cannot be compressed.
MOST_SEALED_BYTES = MOST_BYTES + MOST_BYTES // 128 + 2**16


def seal(name: str, content: bytes | memoryview, key: bytes) -> bytes:
    """An object for this name alone; at most `MOST_BYTES` can be opened again."""
    assert len(content) <= MOST_BYTES, "an object holds no more"
    salt = os.urandom(_SALT_BYTES)
    compressed = zstandard.ZstdCompressor(level=_LEVEL).compress(content)
    return _MAGIC + salt + AESGCM(_object_key(name, salt, key)).encrypt(_NONCE, compressed, _MAGIC)


def unseal(name: str, sealed: bytes, key: bytes) -> bytes:
    """
    Raises:
        StrangeObjectError: it is not an object of this name, or was sealed with another key.
    """
    head, salt = sealed[: len(_MAGIC)], sealed[len(_MAGIC) : _HEAD_BYTES]
    if head != _MAGIC:
        raise StrangeObjectError(f"{name} in the backup repository is no object of openrds.")
    try:
        compressed = AESGCM(_object_key(name, salt, key)).decrypt(
            _NONCE, memoryview(sealed)[_HEAD_BYTES:], _MAGIC
        )
    except InvalidTag:
        raise StrangeObjectError(
            f"{name} in the backup repository is damaged, was replaced, or has another key."
        ) from None
    # Authenticated: it was we who compressed it. The bound is for what an old openrds may have put there.
    if zstandard.frame_content_size(compressed) > MOST_BYTES:
        raise StrangeObjectError(f"{name} in the backup repository is larger than it may be.")
    return zstandard.ZstdDecompressor().decompress(compressed, max_output_size=MOST_BYTES)


def _object_key(name: str, salt: bytes, key: bytes) -> bytes:
    info = b"openrds repository object\0" + name.encode()
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key)
