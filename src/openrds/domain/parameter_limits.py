"""What the memory of a flavor bounds: a tenant may not ask for more than it has."""

from collections.abc import Mapping
from dataclasses import dataclass

from openrds.domain.engine import EngineName
from openrds.domain.errors import ErrorCode, Refusal

_KB, _MB = 2**10, 2**20


@dataclass(frozen=True)
class Share:
    """At most this part of the memory. A unit of the parameter takes `cost` bytes, and `least` units fit in any."""

    part: float
    cost: int = 1
    least: int = 0

    def most(self, memory_mb: int) -> int:
        return max(self.least, int(memory_mb * _MB * self.part) // self.cost)


#: For each session, and some statements have several of it.
_OF_A_SESSION = Share(1 / 8)
_BINLOG = {
    "innodb_buffer_pool_size": Share(3 / 4),
    "max_connections": Share(1, 4 * _MB, least=100),
    "innodb_log_buffer_size": Share(1 / 8),
    "key_buffer_size": Share(1 / 4),
    "table_open_cache": Share(1 / 4, 64 * _KB, least=400),
    "table_definition_cache": Share(1 / 4, 64 * _KB, least=400),
    "thread_cache_size": Share(1 / 4, 256 * _KB, least=100),
    "max_allowed_packet": Share(1 / 2),
    "temptable_max_ram": Share(1 / 2),
    "query_cache_size": Share(1 / 8),
    "aria_pagecache_buffer_size": Share(1 / 4),
    "innodb_ft_cache_size": Share(1 / 8),
    "innodb_ft_total_cache_size": Share(1 / 2),
    **dict.fromkeys(
        (
            "sort_buffer_size",
            "join_buffer_size",
            "read_buffer_size",
            "read_rnd_buffer_size",
            "binlog_cache_size",
            "binlog_stmt_cache_size",
            "bulk_insert_buffer_size",
            "innodb_sort_buffer_size",
            "myisam_sort_buffer_size",
            "aria_sort_buffer_size",
            "max_heap_table_size",
            "tmp_table_size",
            "tmp_memory_table_size",
            "mrr_buffer_size",
            "histogram_generation_max_mem_size",
        ),
        _OF_A_SESSION,
    ),
}

#: By engine and parameter. The costs are those of a unit as the server has it: pages of 8 kB, kB, or one of something.
LIMITS: Mapping[EngineName, Mapping[str, Share]] = {
    EngineName.POSTGRESQL: {
        "shared_buffers": Share(1 / 2, 8 * _KB),
        "wal_buffers": Share(1 / 8, 8 * _KB),
        "temp_buffers": Share(1 / 8, 8 * _KB),
        "work_mem": Share(1 / 4, _KB),
        "maintenance_work_mem": Share(1 / 2, _KB),
        "autovacuum_work_mem": Share(1 / 2, _KB),
        "logical_decoding_work_mem": Share(1 / 4, _KB),
        "gin_pending_list_limit": Share(1 / 8, _KB),
        "max_connections": Share(1, 4 * _MB, least=100),
        "max_worker_processes": Share(1 / 4, 8 * _MB, least=32),
        "autovacuum_max_workers": Share(1 / 4, 8 * _MB, least=3),
        "max_prepared_transactions": Share(1 / 8, 64 * _KB),
        "max_locks_per_transaction": Share(1 / 4, _MB, least=64),
        "max_pred_locks_per_transaction": Share(1 / 4, _MB, least=64),
        "track_activity_query_size": Share(1 / 8, _KB),
        "pg_stat_statements.max": Share(1 / 8, 8 * _KB, least=100),
    },
    EngineName.MYSQL: _BINLOG,
    EngineName.MARIADB: _BINLOG,
}


def check_fit(engine: EngineName, values: Mapping[str, str], memory_mb: int) -> None:
    """
    Raises:
        Refusal: PARAMETER_RANGE, one is more than an instance with so much memory may have.
    """
    for name, value in values.items():
        most = _most(engine, name, memory_mb)
        if most is not None and int(value) > most:
            raise Refusal(
                ErrorCode.PARAMETER_RANGE,
                f"{name} may be at most {most} in an instance whose flavor has {memory_mb} MB of memory, not {value}.",
            )


def fitting(engine: EngineName, values: Mapping[str, str], memory_mb: int) -> dict[str, str]:
    """Those that an instance with so much memory may have; a flavor that is larger again has the others again."""

    def fits(name: str, value: str) -> bool:
        most = _most(engine, name, memory_mb)
        return most is None or int(value) <= most

    return {name: value for name, value in values.items() if fits(name, value)}


def _most(engine: EngineName, name: str, memory_mb: int) -> int | None:
    share = LIMITS.get(engine, {}).get(name)
    return None if share is None else share.most(memory_mb)
