"""What a data directory says of itself in `global/pg_control`, also while no server runs on it."""

import struct
from dataclasses import dataclass

from openrds.engines.protocol import NodeSpec

#: System identifier, versions of the file and the catalogue, state, time, last checkpoint, its redo, its timeline.
#: These come first and are the same in versions 12 to 18.
_LAYOUT = struct.Struct("=QIIIxxxxqQQI")
_SHUT_DOWN = 1


@dataclass(frozen=True)
class ControlFile:
    """`checkpoint` is where the last checkpoint stands in the WAL of `timeline`."""

    system_id: int
    is_shut_down: bool
    checkpoint: int
    timeline: int

    @classmethod
    def read(cls, node: NodeSpec) -> "ControlFile":
        """
        Raises:
            OSError: there is no such file.
        """
        content = node.user.read(node.data_dir / "global" / "pg_control")
        system_id, _, _, state, _, checkpoint, _, timeline = _LAYOUT.unpack_from(content)
        return cls(system_id, state == _SHUT_DOWN, checkpoint, timeline)


def parse_position(text: str) -> int:
    """`16/B374D848` as a number of bytes."""
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def format_position(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
