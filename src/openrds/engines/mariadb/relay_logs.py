"""What a follower has received and not applied, found in its relay logs: by number, as it does not note each place."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from openrds.engines.binlog.gtids import GtidSet
from openrds.engines.protocol import NodeSpec
from openrds.hosts import folders

_INDEX = "relay.index"
_MAGIC_BYTES = 4
#: Of each event: when, of which kind, whose, how long, where in the upstream's log, and flags.
_HEADER = struct.Struct("<IBIIIH")
_GTID = 162
#: Of a transaction: its number, and the domain in which it has it.
_NUMBER = struct.Struct("<QI")


def first_unapplied(node: NodeSpec, applied: GtidSet) -> tuple[str, int] | None:
    """The file and the place in it of the first transaction that is not among the applied ones; None if all are.

    Raises:
        OSError: a file cannot be read.
    """
    with node.user.acting():
        for path in _files(node.data_dir):
            with folders.open_file(path) as file:
                for stream, number, place in _transactions(file):
                    if not applied.holds(stream, number):
                        return path.name, place
    return None


def _files(data_dir: Path) -> list[Path]:
    """Oldest first; none where it never followed."""
    try:
        names = folders.read(data_dir / _INDEX).decode().split()
    except FileNotFoundError:
        return []
    return [path for path in (data_dir / Path(name).name for name in names) if path.exists()]


def _transactions(file: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """The domain, the number and the place of each, as far as the file goes."""
    place, end = _MAGIC_BYTES, os.fstat(file.fileno()).st_size
    while place + _HEADER.size + _NUMBER.size <= end:
        file.seek(place)
        _, kind, _, size, _, _ = _HEADER.unpack(file.read(_HEADER.size))
        if size < _HEADER.size:
            return
        if kind == _GTID:
            number, domain = _NUMBER.unpack(file.read(_NUMBER.size))
            yield str(domain), number, place
        place += size
