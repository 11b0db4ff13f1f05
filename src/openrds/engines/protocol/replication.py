"""A server as a copy of another, and as one that others copy."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class StandbyState:
    """How far a server that follows another has come.

    `is_standby` is False for a primary. `streaming` is whether it hears of each change at once, `lag_bytes` what it
    has received and not applied, `lag_seconds` the age of its last change, 0.0 where it has applied all.
    """

    is_standby: bool
    streaming: bool
    lag_bytes: int
    lag_seconds: float


@dataclass(frozen=True)
class Follower:
    """A server that follows, as its upstream sees it.

    `confirms` is whether commits wait for it now, `lag_bytes` what it has not yet got on disk.
    """

    node_id: str
    streaming: bool
    confirms: bool
    lag_bytes: int


class Replication(Protocol):
    """One server as a copy of another, `node.upstream`, or as one that others copy.

    Each of these returns when it is so, and raises EngineError when it cannot be brought about.
    """

    def copy_upstream(self) -> None:
        """Make the data directory a copy of the upstream's, which runs, or has never run.

        It appears whole or not at all; one that is there already is kept.
        """

    def launch(self) -> None:
        """Begin to start a standby while its upstream is being started, where it can wait for it; `follow` goes on."""

    def follow(self) -> None:
        """Start as a standby of the upstream, or turn to it from another; the standby hears of each change then."""

    def go_on(self) -> None:
        """Have a standby that runs follow again if it does not, as after a promotion that was cut off."""

    def rejoin(self) -> str:
        """Follow the upstream after having been its equal: what it does not have is dropped.

        What led to it of its log, and was not archived, is archived first. Returns by which means: `attached`,
        `rewound` or `copied`.
        """

    def archive_remains(self) -> None:
        """Archive what of the log that led to the upstream only this dead equal of it still has.

        Raises:
            EngineError: it cannot be archived.
        """

    def prepare_successor(self) -> None:
        """Have followers of a primary get what they would need in its place and the log does not say.

        Costs little where nothing of the kind has changed.
        """

    def demote(self) -> str:
        """End the service of a primary: clients are cut, nothing more is written. Returns its last position.

        It may be stopped by that, or live on and be read; `is_primary` says the same as before. Of one that does not
        run it is the last position, where that is known: it ended as it should.
        """

    def resume(self) -> None:
        """Have a primary serve, and take writes, whether it was demoted, is stopped, or serves already.

        It is started as it was configured. One that is `read_only`, because its volume is full, takes no writes. That
        it serves already is seen at little cost.
        """

    def await_position(self, position: str, seconds: float) -> None:
        """Wait until a standby has applied all up to a position of its upstream.

        One that lets nobody in (`node.takes_over`) is not waited for. What it has confirmed it has on disk, and
        applies before it is promoted.
        """

    def catch_up(self, seconds: float) -> None:
        """Wait until a standby that can be asked has applied all that its upstream had on disk by now."""

    def promote(self) -> None:
        """Make a standby a primary, for which clients wait."""

    def take_up(self) -> None:
        """Have a primary do what only a primary does, and did nothing of as a standby; clients do not wait for it.

        Nothing raises: it is not worth that nobody serves.
        """

    def is_primary(self) -> bool:
        """Whether the data is a primary's: one that was promoted, or never followed, though it be demoted since.

        It is what was last written down about the data, true of a dead server too. Cheap: no connection is made.
        """

    def state(self) -> StandbyState: ...

    def followers(self) -> tuple[Follower, ...]: ...

    def await_confirmation(self, seconds: float) -> None:
        """Wait until `node.confirmed_by` counts, and whoever is in it has all that was acknowledged before."""

    def forget(self, node_id: str) -> None:
        """Keep nothing back any more for a follower that does not come again."""

    def forget_others(self, node_ids: Collection[str]) -> None:
        """The same for each follower but these, so far as it is not there now."""
