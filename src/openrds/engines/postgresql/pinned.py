"""The settings that every session of ours brings with it.

The owner of a database and whoever may alter a role decide what is in force when a session begins: a role, a path, a
time-out of a millisecond. What comes with the connection wins over what they have set, so all that could break or steer
us is written here, once, for sessions and for programs that come with the server.
"""

from collections.abc import Iterator

#: How long a statement may wait for a lock of a client, and how long it may take. What takes longer says so.
LOCK_SECONDS = 2.0
STATEMENT_SECONDS = 60.0

#: What any user may set, and so a tenant too. By the version from which on there is such a setting.
_OF_ANYBODY = {
    12: {
        "role": "none",
        "search_path": "pg_catalog",
        "local_preload_libraries": "",
        "idle_in_transaction_session_timeout": "0",
        "default_transaction_read_only": "off",
        "default_transaction_isolation": "read committed",
        "default_transaction_deferrable": "off",
        "default_tablespace": "",
        "default_table_access_method": "heap",
        "temp_tablespaces": "",
        "synchronous_commit": "on",
        "row_security": "off",
        "check_function_bodies": "off",
        "standard_conforming_strings": "on",
        "transform_null_equals": "off",
        "array_nulls": "on",
        "quote_all_identifiers": "off",
        "xmloption": "content",
        "client_encoding": "UTF8",
        "client_min_messages": "warning",
        "DateStyle": "ISO",
        "IntervalStyle": "postgres",
        "TimeZone": "UTC",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "debug_print_parse": "off",
        "debug_print_rewritten": "off",
        "debug_print_plan": "off",
    },
    14: {"idle_session_timeout": "0", "client_connection_check_interval": "0"},
    17: {"transaction_timeout": "0"},
}

#: No statement of ours may reach the log, as it may hold a sealed password; and what only a superuser may set.
_OF_A_SUPERUSER = {
    12: {
        "log_statement": "none",
        "log_min_error_statement": "panic",
        "log_min_duration_statement": "-1",
        "log_transaction_sample_rate": "0",
        "log_duration": "off",
        "pg_stat_statements.track": "none",
        "auto_explain.log_min_duration": "-1",
    },
    13: {"log_min_duration_sample": "-1"},
    17: {"event_triggers": "off"},
}


def options(
    version: int,
    *,
    superuser: bool = True,
    lock_seconds: float = LOCK_SECONDS,
    statement_seconds: float = STATEMENT_SECONDS,
) -> str:
    """For `options` of a connection or PGOPTIONS. Who is no superuser is refused with more than it may set."""
    times = {
        "lock_timeout": f"{lock_seconds * 1000:.0f}",
        "statement_timeout": f"{statement_seconds * 1000:.0f}",
    }
    settings = dict(_known(_OF_ANYBODY, version)) | times
    if superuser:
        settings |= dict(_known(_OF_A_SUPERUSER, version))
    return " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())


def _known(by_version: dict[int, dict[str, str]], version: int) -> Iterator[tuple[str, str]]:
    for since, settings in by_version.items():
        if version >= since:
            yield from settings.items()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
