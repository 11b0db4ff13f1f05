"""Files of InnoDB, as far as they say themselves how long they must be. Source: the header of a file's first page."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from openrds.engines.protocol import EngineError
from openrds.hosts.folders import open_file
from openrds.hosts.user import ServerUser

#: In the first page: the size in pages, and flags.
_HEADER = struct.Struct(">46xI4xI")
_USUAL_PAGE = 16384
_FULL_CRC32 = 0x10


def check_whole(folder: Path, user: ServerUser) -> None:
    """
    Raises:
        EngineError: a file is shorter than it says, or there is none of the system's.
    """
    with user.acting():
        for path in _files(folder):
            if path.stat().st_size < _least_bytes(path):
                raise EngineError(f"the copy is damaged: {path.relative_to(folder)} is cut off")


def _files(folder: Path) -> Iterator[Path]:
    yield folder / "ibdata1"
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names if name.endswith(".ibd"))


def _least_bytes(path: Path) -> int:
    try:
        with open_file(path) as file:
            pages, flags = _HEADER.unpack(file.read(_HEADER.size))
    except (OSError, struct.error):
        raise EngineError(f"the copy is damaged: {path.name} cannot be read") from None
    return int(pages * _page_bytes(flags))


def _page_bytes(flags: int) -> int:
    """Of a page in the file, which is smaller than one in memory where the table is compressed."""
    if flags & _FULL_CRC32:
        return 512 << (flags & 0xF)
    shift = (flags >> 1) & 0xF or (flags >> 6) & 0xF
    return 512 << shift if shift else _USUAL_PAGE
