"""What databases and tables there were when a backup was made: a file in its folder, beside its data.

The names, each as JSON on a line of its own and all in their order, compressed by zstd: a few bytes for a table. In the
backup repository it is an object besides, so that who asks need not fetch the backup.
"""

import io
import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import zstandard

from openrds.engines.protocol import Copying, EngineError, NodeSpec, Place
from openrds.hosts import folders

logger = logging.getLogger(__name__)

#: In the folder of a backup, and below its name in the repository.
NAME = "inventory"
#: Databases and tables; a server that has more has no inventory.
MOST = 250_000
#: Of the file, in bytes: no name is longer than 256.
MOST_BYTES = 2**27
_LEVEL = 1
_PIECE = 2**16
_PATIENCE = 20.0


def note(copying: Copying, node: NodeSpec, folder: Path) -> None:
    """Write down what a server has. A backup is one without that too."""
    path = folder / NAME
    path.touch(mode=0o600)
    try:
        with path.open("wb") as file:
            write(file, copying.inventory(node, MOST))
    except EngineError as error:
        logger.warning("what is in the backup %s cannot be listed: %s", folder.name, error)
        path.unlink()


def taken_now(copying: Copying, node: NodeSpec) -> bytes:
    """What a server has now: somebody waits for it.

    Raises:
        EngineError: it does not say within some 20 s.
    """
    file = io.BytesIO()
    write(file, _soon(copying.inventory(node, MOST), node))
    return file.getvalue()


def _soon(places: Iterable[Place], node: NodeSpec) -> Iterator[Place]:
    deadline = time.monotonic() + _PATIENCE
    for place in places:
        if time.monotonic() > deadline:
            raise EngineError(f"{node.engine} {node.node_id} takes too long to say what it has")
        yield place


def write(file: BinaryIO, places: Iterable[Place]) -> None:
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    encoder = msgspec.json.Encoder()
    with compressor.stream_writer(file, closefd=False) as stream:
        for place in places:
            stream.write(encoder.encode(place) + b"\n")


def read(content: bytes) -> Iterator[Place]:
    """In their order; a few at a time are in memory."""
    decoder = msgspec.json.Decoder(tuple[str, ...])
    left = b""
    with zstandard.ZstdDecompressor().stream_reader(content) as stream:
        while piece := stream.read(_PIECE):
            *lines, left = (left + piece).split(b"\n")
            yield from map(decoder.decode, lines)


def beside(folder: Path) -> bytes | None:
    """The file of a backup; None where there is none."""
    try:
        return folders.read(folder / NAME, MOST_BYTES)
    except FileNotFoundError:
        return None
