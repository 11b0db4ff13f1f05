"""The configuration of a node, derived from its flavor, address and port: one file, which is ours."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from openrds.domain.logs import SLOW_SECONDS
from openrds.domain.parameter_limits import fitting
from openrds.engines.binlog.flavour import Flavour
from openrds.engines.binlog.installed import tree_settings
from openrds.engines.binlog.offered import OFFERED
from openrds.engines.binlog.roles import Role, role_of
from openrds.engines.binlog.sessions import socket_path
from openrds.engines.protocol import NodeSpec, Size

_PLAIN = re.compile(r"[A-Za-z0-9_.]+", re.ASCII)
_OF_CHARACTERS = frozenset({"character_set_server", "collation_server"})
#: A variable that is called otherwise than the option which sets it.
_OPTION_OF = {"tx_isolation": "transaction_isolation"}
#: How the names of collations begin that are for any character set of Unicode.
_OF_ANY_SET = "uca1400"
_HEADER = "# Written by openrds; changes made here are lost.\n[mysqld]\n"
_LOG_NAME = "binlog"
_RELAY_NAME = "relay"
_MB = 2**20
_SMALL_LOG_MB, _LARGE_LOG_MB, _LARGE_MEMORY_MB = 64, 512, 16384
_LOG_FILE_MB = 64
#: After which the server itself removes a log: followers that were away for longer are copied anew, and what is to be
#: archived has long been.
_LOG_SECONDS = 7 * 86400
#: Of the sessions that one account of a client cannot take from us.
_OWN_SESSIONS = 10
#: One that is not acknowledged is waited for; the value is the largest that there is (49 days).
_CONFIRMATION_MS = 2**32 - 1
_SLOW_LOG = {"slow_query_log": "ON", "long_query_time": f"{SLOW_SECONDS:g}"}


def config_path(node: NodeSpec) -> Path:
    return node.folder / "server.cnf"


def init_path(node: NodeSpec) -> Path:
    """What the server does each time before it lets anybody in."""
    return node.folder / "init.sql"


def pid_path(node: NodeSpec) -> Path:
    return node.data_dir / "server.pid"


def log_folder(node: NodeSpec) -> Path:
    return node.folder / "log"


def error_log(node: NodeSpec) -> Path:
    return log_folder(node) / "error.log"


def slow_log(node: NodeSpec) -> Path:
    return log_folder(node) / "slow.log"


def temporary_folder(node: NodeSpec) -> Path:
    """On the volume, as all that clients can fill."""
    return node.folder / "tmp"


def exchange_folder(node: NodeSpec) -> Path:
    """The only folder from which and to which the server may read and write files for clients: there are none."""
    return node.folder / "none"


def max_connections(memory_mb: int) -> int:
    """About 10 MB of memory for each connection."""
    return max(100, min(5000, memory_mb // 10))


def server_id(node_id: str) -> int:
    """A number for the node that no other of its family has, but by a chance of one to four thousand million."""
    return int.from_bytes(hashlib.sha256(node_id.encode()).digest()[:4]) or 1


def offset(time_zone: str) -> str:
    """`UTC+08:00` as the servers write it."""
    return time_zone[3:] or "+00:00"


def command(node: NodeSpec, flavour: Flavour) -> list[str | Path]:
    """What starts the server. What its role says comes beside its file, and so a change of role writes no file anew."""
    closed = {} if role_of(node) is Role.PRIMARY else flavour.read_only(True)
    words = [f"--{name.replace('_', '-')}={value}" for name, value in closed.items()]
    return [node.installation.bin_dir / flavour.daemon, f"--defaults-file={config_path(node)}", *words]


def confirms(node: NodeSpec) -> bool:
    """Whether commits of the upstream may wait for this follower: a standby, and no read replica."""
    return node.upstream is not None and node.upstream.is_equal


def settings(node: NodeSpec, flavour: Flavour) -> dict[str, str]:
    """What is openrds' own to set comes after what a tenant may: `parameters` are no others, whoever wrote them."""
    asked = fitting(node.engine, node.parameters, node.memory_mb)
    usual = dict(flavour.settings(node))
    set_by_tenant = {
        name: value for name, value in asked.items() if name in OFFERED and name not in _OF_CHARACTERS
    }
    return (
        {"default_time_zone": offset(node.time_zone)}
        | _SLOW_LOG
        | words(node.options, asked)
        | derived(node.size, asked)
        | usual
        | set_by_tenant
        | tree_settings(node.installation)
        | _places(node)
        | _network(node)
        | dict(flavour.tls(node))
        | _log(node)
        | _isolation(node)
        | {name: usual[name] for name in usual.keys() - OFFERED}
        | dict(flavour.read_only(node.read_only))
        | semisync(node, flavour)
    )


def as_file(values: dict[str, str]) -> str:
    return _HEADER + "".join(
        f"{_OPTION_OF.get(name, name)} = {_quoted(value)}\n" for name, value in values.items()
    )


def semisync(node: NodeSpec, flavour: Flavour) -> dict[str, str]:
    """Each can be changed while the server runs."""
    names = flavour.semisync
    return {
        names.timeout: str(_CONFIRMATION_MS),
        names.wait_point: "AFTER_SYNC",
        names.wait_for_nobody: "ON",
        names.enabled: "ON" if node.confirmed_by else "OFF",
        names.confirms: "ON" if confirms(node) else "OFF",
    }


def log_file_mb(memory_mb: int) -> int:
    """Of the redo log. Spares are made with the small one, which the first start replaces within a second."""
    return _LARGE_LOG_MB if memory_mb >= _LARGE_MEMORY_MB else _SMALL_LOG_MB


def buffer_pool_mb(memory_mb: int) -> int:
    """Half of the memory; the rest is the sessions', and the page cache's of the logs."""
    return max(32, memory_mb // 2)


def _places(node: NodeSpec) -> dict[str, str]:
    return {
        "datadir": str(node.data_dir),
        "socket": str(socket_path(node)),
        "pid_file": str(pid_path(node)),
        "log_error": str(error_log(node)),
        "slow_query_log_file": str(slow_log(node)),
        "log_output": "FILE",
        "tmpdir": str(temporary_folder(node)),
        "init_file": str(init_path(node)),
    }


def _network(node: NodeSpec) -> dict[str, str]:
    """A node without an address listens on its Unix socket alone, over which nobody needs TLS."""
    common = {"port": str(node.port), "skip_name_resolve": "ON", "back_log": "128"}
    if not node.address:
        return common | {"skip_networking": "ON"}
    demanded = {"require_secure_transport": "ON"} if node.demands_tls else {}
    return common | {"bind_address": node.address} | demanded


def words(options: Mapping[str, str], parameters: Mapping[str, str]) -> dict[str, str]:
    """How names and texts are compared. A collation is one of the character set, or the server does not start."""
    lower_case = {"lower_case_table_names": options.get("lower_case_table_names", "0")}
    character_set, collation = parameters.get("character_set_server"), parameters.get("collation_server")
    if character_set is None and collation is None:
        character_set, collation = options.get("character_set", "utf8mb4"), options.get("collation")
    elif character_set is None and collation is not None:
        set_of = collation.partition("_")[0]
        character_set = options.get("character_set", "utf8mb4") if set_of == _OF_ANY_SET else set_of
    chosen = {"character_set_server": character_set, "collation_server": collation}
    return lower_case | {name: value for name, value in chosen.items() if value}


def derived(size: Size, parameters: Mapping[str, str]) -> dict[str, str]:
    memory_mb = size["memory_mb"]
    connections = int(parameters.get("max_connections") or max_connections(memory_mb))
    return {
        "max_connections": str(connections),
        "max_user_connections": str(connections - _OWN_SESSIONS),
        "innodb_buffer_pool_size": f"{buffer_pool_mb(memory_mb)}M",
        "table_open_cache": str(max(400, min(4000, connections))),
        "key_buffer_size": "1M",
    }


def _log(node: NodeSpec) -> dict[str, str]:
    """What is committed is in the log and on disk."""
    return {
        "server_id": str(server_id(node.node_id)),
        "report_host": node.node_id,
        "report_port": str(node.port),
        "log_bin": _LOG_NAME,
        "relay_log": _RELAY_NAME,
        "binlog_format": "ROW",
        # With rows in the log it is safe, and without it clients could make no triggers.
        "log_bin_trust_function_creators": "ON",
        "sync_binlog": "1",
        "innodb_flush_log_at_trx_commit": "1",
        "max_binlog_size": f"{_LOG_FILE_MB}M",
        "binlog_expire_logs_seconds": str(_LOG_SECONDS),
    }


def _isolation(node: NodeSpec) -> dict[str, str]:
    """Clients get at no file of the host, and put none anywhere but on the volume."""
    return {"local_infile": "OFF", "secure_file_priv": str(exchange_folder(node))}


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
