"""What makes a copy of a fresh data directory one of its own: a system identifier.

Without that the log of one could be taken for that of another. It stands in the control file, and in the header of the
one segment of the log.
"""

import secrets
import struct
import time
from pathlib import Path

from openrds.engines.protocol import EngineError

_SYSTEM_ID = struct.Struct("=Q")
_CHECKSUM = struct.Struct("=I")
_CASTAGNOLI = 0x82F63B78
#: A control file holds less: all of it is to be written at once.
_LONGEST = 512
#: Of the system identifier, in the first page of a segment.
_PLACE_IN_LOG = 24


def identify(data_dir: Path) -> None:
    """Give a data directory that was never started a system identifier: of the time as initdb's, with more chance.

    Raises:
        OSError: a file cannot be read or written.
        EngineError: the control file is not whole.
    """
    fresh = _SYSTEM_ID.pack(int(time.time()) << 32 | secrets.randbits(32))
    with (data_dir / "global" / "pg_control").open("r+b") as control:
        content = control.read()
        end = _checked_length(content)
        checked = fresh + content[len(fresh) : end]
        control.seek(0)
        control.write(checked + _CHECKSUM.pack(crc32c(checked)))
    for segment in (data_dir / "pg_wal").glob("0*"):
        with segment.open("r+b") as log:
            log.seek(_PLACE_IN_LOG)
            log.write(fresh)


def _checked_length(content: bytes) -> int:
    """What the control file holds before its checksum: that differs between versions, and the checksum tells."""
    crc = 0
    for end in range(4, _LONGEST, 4):
        crc = crc32c(content[end - 4 : end], crc)
        if content[end : end + 4] == _CHECKSUM.pack(crc):
            return end
    raise EngineError("a data directory: its control file has no valid checksum")


def crc32c(content: bytes, before: int = 0) -> int:
    """The checksum (Castagnoli) that PostgreSQL writes, of so much more than `before` is of."""
    crc = before ^ 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
