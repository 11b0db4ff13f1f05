"""The configuration files of a node, derived from its flavor, address and port."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from openrds.domain.access import ALL, AccessRow, names_of
from openrds.domain.engine import EngineName
from openrds.domain.logs import SLOW_SECONDS
from openrds.domain.parameter_limits import fitting
from openrds.engines.certificates import identity_path, serves_tls
from openrds.engines.family import password_of
from openrds.engines.protocol import NodeSpec, Size, Upstream

#: openrds' own superuser. It has no password: it is reached by whom the file system lets to the Unix socket, and by
#: nobody over TCP.
SUPERUSER = "rdsAdmin"

#: Whoever has this name loads what tenants made, and is let in over the Unix socket as the superuser is.
LOADER = "openrds_loader"

#: As whom followers come over TCP, with a password from the family's secret. It may replicate, and nothing else.
FOLLOWER = "rdsRepl"

#: Of the replication slots that are ours.
SLOT_PREFIX = "openrds_"

#: What a follower that is away may keep back on its upstream's disk; after that it must be copied anew.
_KEPT_FOR_FOLLOWERS = "4GB"

#: Kept for a follower that has no slot yet on a primary that was promoted just now.
_KEPT_FOR_NEWCOMERS_MB = 64

#: Of the write-ahead log, as initdb makes it.
_SEGMENT_MB = 16
SEGMENT_BYTES = _SEGMENT_MB * 2**20

#: Of the files of its logs: what it writes before it takes itself the log is in a file of the second kind.
LOG_SUFFIXES = (".csv", ".log")

_KB = 1024
_HEADER = "# Written by openrds; changes made here are lost.\n"


def max_connections(memory_mb: int) -> int:
    """About 10 MB of memory for each connection."""
    return max(100, min(5000, memory_mb // 10))


def posix_zone(time_zone: str) -> str:
    """`UTC+08:00` for PostgreSQL, which reads it as POSIX does: an offset there counts to the west of Greenwich."""
    sign, hours = time_zone[3:4], time_zone[4:6]
    return f"<{time_zone[:6]}>{'-' if sign == '+' else '+'}{hours}" if sign else time_zone


def postgresql_conf(node: NodeSpec, floor: Mapping[str, int] | None = None) -> str:
    """A standby has at least the room `floor`, which its data says that its upstream had. What is openrds' own to set
    comes last.
    """
    room = room_for(node, floor or {})
    settings = (
        derived(node.size)
        | {"log_min_duration_statement": f"{SLOW_SECONDS * 1000:.0f}ms"}
        | fitting(node.engine, node.parameters, node.memory_mb)
        | {name: str(value) for name, value in room.items()}
        | _network(node)
        | _tls(node)
        | _write_ahead_log(node)
        | _replication(node, lets_in=_lets_in(node, room))
        | _logging(node)
        | _writing(node)
    )
    return _HEADER + "".join(f"{name} = {quoted(value)}\n" for name, value in settings.items())


def pg_hba_conf(node: NodeSpec) -> str:
    """Who may connect, and how: the first line that fits decides. So what is openrds' own comes first.

    Whoever gets to the socket is root or the user that the server runs as: it has mode 0700, in a folder with the same.
    PostgreSQL cannot tell who it is (`peer`) of a user without a name, as that of an instance is.
    """
    return _HEADER + (
        f'local all "{SUPERUSER}","{LOADER}" trust\n'
        f'local replication "{SUPERUSER}" trust\n'
        f'host replication "{FOLLOWER}" all scram-sha-256\n'
        f'host all "{SUPERUSER}","{LOADER}","{FOLLOWER}" all reject\n'
        + "".join(f"{_hba_line(row)}\n" for row in node.access)
    )


def _hba_line(row: AccessRow) -> str:
    """A quoted name is no keyword; the checks of rows see to what quotes do not keep from being read otherwise."""
    names = [
        ALL if text == ALL else ",".join(f'"{name}"' for name in names_of(text))
        for text in (row.database, row.user)
    ]
    return " ".join((row.type, *names, row.network, row.method))


def archive_command(archive: Path) -> str:
    """
    A shell command that puts a WAL segment into the archive.

    A segment appears there whole and on disk, or not at all. One that is there already is a success if it is
    the same, for the server may have died before it noted the first success, and an error otherwise.
    """
    folder = shlex.quote(str(archive).replace("%", "%%"))
    return (
        f'f={folder}/%f; if test -e "$f"; then cmp -s "%p" "$f"; '
        f'else cp --sparse=always "%p" "$f.tmp" && sync "$f.tmp" && mv "$f.tmp" "$f" && sync {folder}; fi'
    )


def _network(node: NodeSpec) -> dict[str, str]:
    sockets = str(node.socket_dir).replace('"', '""')
    return {
        "listen_addresses": node.address,
        "port": str(node.port),
        "unix_socket_directories": f'"{sockets}"',
        "unix_socket_permissions": "0700",
        "password_encryption": "scram-sha-256",
        "timezone": posix_zone(node.time_zone),
    }


def _tls(node: NodeSpec) -> dict[str, str]:
    """Each can be changed while the server runs."""
    if not serves_tls(node):
        return {}
    identity = str(identity_path(node))
    return {
        "ssl": "on",
        "ssl_cert_file": identity,
        "ssl_key_file": identity,
        "ssl_min_protocol_version": "TLSv1.2",
    }


def derived(size: Size) -> dict[str, str]:
    """A quarter of the memory for the buffers; the rest is the page cache's, and the sessions'."""
    memory_mb, room = size["memory_mb"], room_of((size, {}))
    work_mem = max(4 * _KB, memory_mb * _KB // 4 // room["max_connections"])
    return {
        **{name: str(value) for name, value in room.items()},
        "shared_buffers": f"{memory_mb // 4}MB",
        "effective_cache_size": f"{memory_mb * 3 // 4}MB",
        "maintenance_work_mem": f"{max(16, min(2048, memory_mb // 16))}MB",
        "work_mem": f"{work_mem}kB",
        "huge_pages": "off",
        "wal_level": "replica",
        "max_parallel_workers": str(size["vcpus"]),
    }


def room_for(node: NodeSpec, floor: Mapping[str, int]) -> dict[str, int]:
    """Of what a standby may not have less than its upstream, where it lets anybody in."""
    own = (node.size, node.parameters)
    if node.upstream is None or node.takes_over:
        return room_of(own)
    room = room_of(own, (node.upstream.size, node.upstream.parameters))
    return {name: max(value, floor.get(name, 0)) for name, value in room.items()}


def room_of(*servers: tuple[Size, Mapping[str, str]]) -> dict[str, int]:
    """Room for what each of them may have, of a size and with parameters of its own."""
    each = [_room_of_one(*server) for server in servers]
    return {name: max(room[name] for room in each) for name in each[0]}


def _room_of_one(size: Size, parameters: Mapping[str, str]) -> dict[str, int]:
    usual = {
        "max_connections": max_connections(size["memory_mb"]),
        "max_worker_processes": max(8, size["vcpus"]),
        "max_prepared_transactions": 0,
        "max_locks_per_transaction": 64,
    }
    fit = fitting(EngineName.POSTGRESQL, parameters, size["memory_mb"])
    return {name: int(fit.get(name, value)) for name, value in usual.items()}


def _lets_in(node: NodeSpec, room: Mapping[str, int]) -> bool:
    """PostgreSQL asks for room like the upstream's only of a standby that lets somebody in, as it does by default."""
    if node.upstream is None or not node.takes_over:
        return True
    return room == room_of((node.size, node.parameters), (node.upstream.size, node.upstream.parameters))


def _write_ahead_log(node: NodeSpec) -> dict[str, str]:
    """A standby looks for lost WAL each 100 ms: with the default of 5 s some failovers took as long.

    It says each second how far it is: since version 16 a primary sometimes does not notice that it has something to
    send before it hears from the standby, and with the default of 10 s commits that wait for it took as long.
    """
    return {
        "archive_mode": "on",
        "archive_command": archive_command(node.archive),
        "archive_timeout": "300s",
        "wal_receiver_status_interval": "1s",
        "wal_retrieve_retry_interval": "100ms",
    }


def _replication(node: NodeSpec, *, lets_in: bool) -> dict[str, str]:
    """`hot_standby_feedback` is off: a long query on a standby shall not keep the primary from tidying up."""
    settings = {
        "hot_standby": "on" if lets_in else "off",
        "synchronous_standby_names": synchronous_standby_names(node.confirmed_by),
    }
    if major_version(node) >= 13:
        settings["max_slot_wal_keep_size"] = _KEPT_FOR_FOLLOWERS
        settings["wal_keep_size"] = f"{_KEPT_FOR_NEWCOMERS_MB}MB"
    else:
        settings["wal_keep_segments"] = str(_KEPT_FOR_NEWCOMERS_MB // _SEGMENT_MB)
    if node.upstream is not None:
        settings |= {
            "primary_conninfo": _upstream_conninfo(node, node.upstream),
            "primary_slot_name": slot_name(node.node_id),
            "recovery_target_timeline": "latest",
        }
    return settings


def major_version(node: NodeSpec) -> int:
    return int(node.installation.version)


def slot_name(node_id: str) -> str:
    return f"{SLOT_PREFIX}{node_id}"


def synchronous_standby_names(node_ids: Iterable[str]) -> str:
    """Any one of them; an application name may hold what a bare name may not."""
    names = ", ".join(f'"{node_id}"' for node_id in sorted(node_ids))
    return f"ANY 1 ({names})" if names else ""


def passfile(node: NodeSpec) -> Path:
    """By what a follower is let in: who may see all settings shall not see that. It is in no copy of the data."""
    return node.folder / "upstream.pass"


def passfile_text(upstream: Upstream) -> str:
    return f"*:*:replication:{FOLLOWER}:{password_of(upstream.secret, FOLLOWER)}\n"


def _upstream_conninfo(node: NodeSpec, upstream: Upstream) -> str:
    """Over TCP. One that is out of the clients' reach listens on no address, and is reached over its socket."""
    if not upstream.address:
        return conninfo(node.upstream_here, application_name=node.node_id)
    return _conninfo(
        host=upstream.address,
        port=str(upstream.port),
        user=FOLLOWER,
        passfile=str(passfile(node)),
        # Whether it offers TLS changes without its followers being told; it is the secret that says who is who.
        sslmode="prefer",
        application_name=node.node_id,
    )


def conninfo(node: NodeSpec, **options: str) -> str:
    """How our superuser reaches a server of this host: over its socket, without a password.

    A program that is told so comes with the settings of its environment.
    """
    return _conninfo(host=str(node.socket_dir), port=str(node.port), user=SUPERUSER, **options)


def _conninfo(**words: str) -> str:
    return " ".join(f"{name}={_conninfoquoted(value)}" for name, value in words.items())


def _conninfoquoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _logging(node: NodeSpec) -> dict[str, str]:
    """CSV quotes what clients decide on; a file is closed before it is too much to read."""
    return {
        "logging_collector": "on",
        "log_destination": "csvlog",
        "log_directory": str(log_folder(node)),
        "log_filename": "postgresql-%Y-%m-%d_%H%M%S.log",
        "log_file_mode": "0600",
        "log_rotation_age": "1d",
        "log_rotation_size": "4MB",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_timezone": "UTC",
    }


def _writing(node: NodeSpec) -> dict[str, str]:
    """A default: who wants to make room says `SET transaction_read_only = off` in a transaction, and deletes."""
    return {"default_transaction_read_only": "on"} if node.read_only else {}


def standby_signal(node: NodeSpec) -> Path:
    """The file that makes a server a standby when it starts; its promotion removes it."""
    return node.data_dir / "standby.signal"


def socket_path(node: NodeSpec) -> Path:
    """Where the server listens beside its address; PostgreSQL says how it is named."""
    return node.socket_dir / f".s.PGSQL.{node.port}"


def log_folder(node: NodeSpec) -> Path:
    return node.folder / "log"


def quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
