"""What is measured of each server: once a minute, and where that is wanted each second or five."""

import datetime as dt

import msgspec

#: For how long it is kept.
KEPT = dt.timedelta(days=7)
#: The same of what is measured each second or five.
KEPT_CLOSE = dt.timedelta(hours=1)
#: In seconds. Source: the SDK, SetSecondLevelMonitor.
CLOSE_INTERVALS = (1, 5)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says of itself. `transactions`, `cache_hits` and `cache_reads` (pages that were found in memory,
    and that were not) are counted since its start, and fall back when it is started again.
    """

    connections_active: int
    connections_idle: int
    connections_idle_in_transaction: int = 0
    transactions: int
    cache_hits: int
    cache_reads: int


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A node at a moment; None for what is not known, such as of a server that does not answer.

    `volume_bytes` is how large its volume is, `backup_age_seconds` how long ago the last backup of its instance was
    begun.
    """

    node_id: str
    instance_id: str
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    volume_bytes: int
    volume_used_bytes: int | None = None
    connections_active: int | None = None
    connections_idle: int | None = None
    connections_idle_in_transaction: int | None = None
    transactions: int | None = None
    cache_hits: int | None = None
    cache_reads: int | None = None
    lag_bytes: int | None = None
    lag_seconds: float | None = None
    backup_age_seconds: float | None = None
