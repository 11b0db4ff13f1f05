"""Copies of all data of a server, and data made of them again."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from openrds.engines.protocol.node import NodeSpec
from openrds.engines.protocol.server import Server


@dataclass(frozen=True)
class BaseBackup:
    """A copy of all data of a server, which needs nothing else to be restored to its `end`.

    `log_position` is the engine's word for where the log archive must begin for later moments to be reached.
    """

    begin: dt.datetime
    end: dt.datetime
    log_position: str
    size_bytes: int


@dataclass(frozen=True)
class RestorePoint:
    """What data is restored from: a base backup, and with a `moment` the log archived since then, up to that.

    With `to_the_end` the archive may end before the moment: then all there is is replayed.
    `remains` is the data directory of the source where its server does not run: the log in it may go on where
    the archive ends.
    """

    backup: Path
    archive: Path
    moment: dt.datetime | None = None
    remains: Path | None = None
    to_the_end: bool = False


class Backups(Protocol):
    """How an engine makes copies of its data, and makes data of them again.

    `ships_log` is whether its log gets into the archive by rounds of `ship_log`; where not, servers put it there.
    """

    ships_log: bool

    def back_up(self, node: NodeSpec, folder: Path) -> BaseBackup:
        """Copy all data of a running server into an empty folder, and look whether the copy is whole.

        Raises:
            EngineError: this host has no program for it, or the copy failed.
        """

    def break_off(self, folder: Path) -> None:
        """Have `back_up` into this folder fail, where it is at work."""

    def ship_log(self, node: NodeSpec) -> None:
        """One round: put what the server has finished of its log into the archive. Little is done where nothing is new.

        Raises:
            EngineError: it cannot be put there.
        """

    def clear_log(self, node: NodeSpec, keep_hours: int, *, archived: bool) -> None:
        """Remove from a server's own folders what it has of its log for longer than so many hours.

        What a follower still needs stays, and with `archived` what is not in the archive. For an engine whose log is
        shipped in rounds; the others do it by themselves.

        Raises:
            EngineError: it cannot be removed.
        """

    def archive_log(self, node: NodeSpec) -> None:
        """Return once everything that is committed by now is in the archive, with a later commit behind it.

        Raises:
            EngineError: the server does not archive; the message says what it reports.
        """

    def is_archived_since(self, archive: Path, log_position: str, primary: NodeSpec | None = None) -> bool:
        """Whether the archive has all from a position on to its end, so that each moment between can be reached.

        Its end is at least where the log of a running primary begins that took another's place.

        Raises:
            EngineError: the primary does not answer.
        """

    def prune_archive(self, archive: Path, log_position: str | None) -> None:
        """Remove what comes before a position. Without one all may go, but for what was archived just now."""

    def restore(self, node: NodeSpec, point: RestorePoint) -> Server:
        """Make the node's data directory from a restore point, whatever was in it.

        The server that replayed the log runs when this returns: on its Unix socket alone, and without regard
        for a power cut. It is the caller's to stop.

        Raises:
            EngineError: the data cannot be restored; the message says why.
        """

    def drop(self, node: NodeSpec) -> None:
        """Stop the server that `restore` left, and remove its folders; what it has is lost."""
