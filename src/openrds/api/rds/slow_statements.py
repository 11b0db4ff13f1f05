"""Slow statements that differ only in their values, taken together."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from openrds.domain.logs import SlowEntry
from openrds.operations.intake.server_logs import InstanceLogs, Logged


@dataclass
class Group:
    """`newest` is one of them; the others are sums over all."""

    newest: SlowEntry
    statement: str
    verb: str
    count: int = 0
    seconds: float = 0.0
    lock_seconds: float = 0.0
    rows_sent: int = 0
    rows_examined: int = 0

    def add(self, entry: SlowEntry) -> None:
        self.count += 1
        self.seconds += entry.seconds
        self.lock_seconds += entry.lock_seconds
        self.rows_sent += entry.rows_sent
        self.rows_examined += entry.rows_examined

    def fields(self) -> dict[str, Any]:
        """With averages, as callers are told."""
        return {
            "count": str(self.count),
            "time": f"{self.seconds / self.count:.5f} s",
            "lock_time": f"{self.lock_seconds / self.count:.5f} s",
            "rows_sent": self.rows_sent // self.count,
            "rows_examined": self.rows_examined // self.count,
            "database": self.newest.database,
            "users": self.newest.user,
            "query_sample": self.statement,
            "type": self.verb,
            "client_ip": self.newest.client,
        }


def grouped(logs: InstanceLogs, entries: Iterable[Logged], *, slowest_first: bool) -> list[Group]:
    """Those that are slowest on the average first, or those that were slow most often."""
    groups: dict[tuple[str, ...], Group] = {}
    for one in entries:
        entry = one.entry
        assert isinstance(entry, SlowEntry)
        key = (logs.normalised(entry.statement), entry.database, entry.user)
        if key not in groups:
            groups[key] = Group(entry, logs.statement(entry), logs.verb(entry))
        groups[key].add(entry)
    if slowest_first:
        return sorted(groups.values(), key=lambda group: -group.seconds / group.count)
    return sorted(groups.values(), key=lambda group: (-group.count, -group.seconds))
