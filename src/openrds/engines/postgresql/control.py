"""What a data directory says of itself in `global/pg_control`, also while no server runs on it."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from openrds.engines.protocol import NodeSpec

#: System identifier, versions of the file and the catalogue, state, time, last checkpoint, its redo, its timeline.
#: These come first and are the same in versions 12 to 18.
_LAYOUT = struct.Struct("=QIIIxxxxqQQI")
_SHUT_DOWN = 1
#: The settings of which a standby may not have less than its upstream.
ROOM = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
#: What comes later is elsewhere in each version, but for what stands before this number: alignment, whether commits are
#: timed, and what a standby needs room for.
_LANDMARK = struct.pack("=d", 1234567.0)
_ALIGNMENT = 8
_ROOM = struct.Struct("=iiiii")
_ROOM_BEFORE_ALIGNMENT = 24


@dataclass(frozen=True)
class ControlFile:
    """`checkpoint` is where the last checkpoint stands in the WAL of `timeline`.

    `room` is what the primary allowed when that was written, by the names of its settings: a standby must allow it too.
    """

    system_id: int
    is_shut_down: bool
    checkpoint: int
    timeline: int
    room: Mapping[str, int]

    @classmethod
    def read(cls, node: NodeSpec) -> "ControlFile":
        """
        Raises:
            OSError: there is no such file.
        """
        content = node.user.read(node.data_dir / "global" / "pg_control")
        system_id, _, _, state, _, checkpoint, _, timeline = _LAYOUT.unpack_from(content)
        return cls(system_id, state == _SHUT_DOWN, checkpoint, timeline, _room_in(content))


def _room_in(content: bytes) -> dict[str, int]:
    end = content.find(_LANDMARK)
    while end > 0 and content[end - 4 : end] != struct.pack("=I", _ALIGNMENT):
        end -= 4
    if end < _ROOM_BEFORE_ALIGNMENT:
        return {}
    values = _ROOM.unpack_from(content, end - 4 - _ROOM_BEFORE_ALIGNMENT)
    return dict(zip(ROOM, values, strict=True))


def parse_position(text: str) -> int:
    """`16/B374D848` as a number of bytes."""
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def format_position(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
