"""What was last measured of each server, in Prometheus' words and units."""

import hmac
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from openrds.domain.errors import ErrorCode, Refusal
from openrds.store.database import Row

_LABELS = ("instance_id", "name", "engine", "node", "role")
#: By column: name, and what it is.
_GAUGES = {
    "memory_bytes": (
        "openrds_node_memory_bytes",
        "RAM that the server takes; what its processes share counts once.",
    ),
    "volume_bytes": ("openrds_node_volume_size_bytes", "How large its volume is."),
    "volume_used_bytes": ("openrds_node_volume_used_bytes", "What is on its volume."),
    "lag_bytes": ("openrds_node_replication_lag_bytes", "What a follower has received and not applied."),
    "lag_seconds": ("openrds_node_replication_lag_seconds", "How far a follower is behind."),
    "backup_age_seconds": (
        "openrds_node_backup_age_seconds",
        "How long ago the last backup of its instance was begun.",
    ),
}
_COUNTERS = {
    "cpu_seconds": ("openrds_node_cpu_seconds", "CPU time of the server's processes."),
    "transactions": ("openrds_node_transactions", "Transactions that ended."),
    "cache_hits": ("openrds_node_cache_hits", "Pages that were found in the server's memory."),
    "cache_reads": ("openrds_node_cache_reads", "Pages that were not, and were read."),
}
_CONNECTIONS = "openrds_node_connections"
_STATES = {
    "connections_active": "active",
    "connections_idle": "idle",
    "connections_idle_in_transaction": "idle in transaction",
}


#: As a scrape shows them.
NAMES = {
    _CONNECTIONS,
    *(name for name, _ in _GAUGES.values()),
    *(f"{name}_total" for name, _ in _COUNTERS.values()),
}


def check_token(authorization: str, token: str) -> None:
    """Who may read metrics where a token is set.

    Raises:
        Refusal: UNAUTHENTICATED.
    """
    if token and not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
        raise Refusal(
            ErrorCode.UNAUTHENTICATED, "Send `Authorization: Bearer` and the setting metrics_token."
        )


def add_instance_metrics(registry: CollectorRegistry, rows: Iterable[Row]) -> None:
    """Of each node, what is known of it."""
    found = list(rows)
    for column, (name, text) in _GAUGES.items():
        gauge = Gauge(name, text, _LABELS, registry=registry)
        for row in found:
            if row[column] is not None:
                gauge.labels(*_labels(row)).set(row[column])
    connections = Gauge(
        _CONNECTIONS,
        "Connections of clients, by what they do.",
        (*_LABELS, "state"),
        registry=registry,
    )
    for row in found:
        for column, state in _STATES.items():
            if row[column] is not None:
                connections.labels(*_labels(row), state).set(row[column])
    registry.register(_Counters(found))


class _Counters(Collector):
    """Counted by the servers: they fall back when one is started again."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def collect(self) -> Iterable[Metric]:
        for column, (name, text) in _COUNTERS.items():
            family = CounterMetricFamily(name, text, labels=_LABELS)
            for row in self._rows:
                if row[column] is not None:
                    family.add_metric(_labels(row), row[column])
            yield family


def _labels(row: Row) -> list[str]:
    return [row["instance_id"], row["name"], row["engine"], row["node_id"], row["role"]]
