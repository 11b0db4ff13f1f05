"""What MySQL calls and says in its own way."""

import contextlib
import errno
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from openrds.domain.engine import EngineName
from openrds.domain.parameters import Parameter
from openrds.engines import programs
from openrds.engines.binlog import configuration
from openrds.engines.binlog.flavour import Channel, Flavour, Semisync
from openrds.engines.binlog.installed import tree_settings
from openrds.engines.binlog.sessions import (
    FOLLOWER,
    SUPERUSER,
    Connection,
    escaped,
    execute,
    follower_session,
    rows,
    scalar,
)
from openrds.engines.certificates import identity_path, serves_tls
from openrds.engines.family import password_of
from openrds.engines.mysql import rights
from openrds.engines.mysql.catalogue import catalogue
from openrds.engines.mysql.passwords import sha2_hash
from openrds.engines.protocol import EngineError, Installation, NodeSpec, Upstream
from openrds.hosts.user import ServerUser

#: Who fetches less than this from the beginning on is as fast as with a copy.
_SMALL_LOG_BYTES = 64 * 2**20
_HELP_SECONDS = 30.0
_FIRST_LOG = "binlog.000001"
_SEALED = re.compile(r"\$A\$[0-9A-F]{3}\$[A-Za-z0-9]{20}[A-Za-z0-9./]{43}", re.ASCII)
#: Of a password that nobody has.
_UNKNOWN = "$A$005$" + "x" * 63
_UUID = re.compile(r"^server-uuid=([0-9a-f-]{36})$", re.ASCII | re.MULTILINE)
_ALL = "1-9223372036854775806"
#: Each server takes 2305 requests, of the 65536 that a kernel has unless it was told otherwise.
_AIO = Path("/proc/sys/fs/aio-max-nr")
_PLENTY_OF_AIO = 2**20


class MySQLFlavour(Flavour):
    engine = EngineName.MYSQL
    daemon = "mysqld"
    recipe_program = "mysqld --initialize"
    fixed_options = {"lower_case_table_names": "0"}  # noqa: RUF012 - a ClassVar of the base

    position = "SELECT REPLACE(@@GLOBAL.gtid_executed, '\\n', '')"
    await_position = "SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s)"
    stop_following = "STOP REPLICA"
    stop_receiving = "STOP REPLICA IO_THREAD"
    forget_upstream = "RESET REPLICA ALL"
    followers = "SHOW REPLICAS"
    follower_columns = ("Server_Id", "Host")
    all_sent = ("Source has sent all binlog to replica", "Master has sent all binlog to slave")
    #: A fatal error of the upstream when it reads its log, such as that it lacks what is wanted or what there is.
    gone_for_good = frozenset({1236, 13114})
    semisync = Semisync(
        enabled="rpl_semi_sync_source_enabled",
        timeout="rpl_semi_sync_source_timeout",
        wait_point="rpl_semi_sync_source_wait_point",
        wait_for_nobody="rpl_semi_sync_source_wait_no_replica",
        confirms="rpl_semi_sync_replica_enabled",
        status="Rpl_semi_sync_source_status",
        clients="Rpl_semi_sync_source_clients",
    )
    writers = ("mysqlbinlog",)
    #: It waits for changes of definitions that are at work, and holds back others.
    hold_accounts = "LOCK INSTANCE FOR BACKUP"
    release_accounts = "UNLOCK INSTANCE"
    purged = "SELECT @@GLOBAL.gtid_purged"
    object_rights = rights.OBJECT_RIGHTS

    def settings(self, node: NodeSpec) -> Mapping[str, str]:
        """A follower is told to follow by us each time, so that it cannot begin on its own with an old word.

        What costs memory without being used is off or small: a server of the smallest flavor is to fit in 350 MB.
        """
        return {
            "plugin_load_add": "semisync_source.so;semisync_replica.so;mysql_clone.so",
            "gtid_mode": "ON",
            "enforce_gtid_consistency": "ON",
            "skip_replica_start": "ON",
            "replica_net_timeout": "5",
            "partial_revokes": "ON",
            "mysqlx": "OFF",
            "secure_file_priv": "NULL",
            # A clone has the tables of InnoDB alone: what others held would be missing from backups and copies.
            "disabled_storage_engines": "MyISAM,MRG_MYISAM,ARCHIVE,BLACKHOLE,FEDERATED,EXAMPLE",
            "performance_schema": "OFF",
            "table_definition_cache": "400",
            "innodb_redo_log_capacity": f"{configuration.log_file_mb(node.memory_mb)}M",
            "innodb_log_buffer_size": "8M",
            "innodb_use_native_aio": "ON" if _has_plenty_of_aio() else "OFF",
        }

    def catalogue(self, connection: Connection, node: NodeSpec) -> Iterable[Parameter]:
        command = (node.installation.bin_dir / self.daemon, "--no-defaults", "--verbose", "--help")
        return catalogue(connection, programs.run(command, node.user, seconds=_HELP_SECONDS))

    def read_only(self, wanted: bool) -> Mapping[str, str]:
        """Nobody but the service has the right to write all the same, so the stricter one would bind it alone."""
        return {"read_only": "ON" if wanted else "OFF"}

    def tls(self, node: NodeSpec) -> Mapping[str, str]:
        """It would make what it does not have, and show what an older openrds had it make.

        Where it cannot verify its own certificate it takes no other while it runs. One without an address shows none,
        and copies from others over TLS, which it could not without a version.
        """
        own = {"auto_generate_certs": "OFF"}
        if serves_tls(node):
            shown = dict.fromkeys(("ssl_ca", "ssl_cert", "ssl_key"), str(identity_path(node)))
            return {**own, **shown, "tls_version": "TLSv1.2,TLSv1.3"}
        return {**own, "tls_version": ""} if node.address else own

    def load_certificate(self, connection: Connection) -> None:
        if scalar(connection, "SELECT @@GLOBAL.tls_version"):
            execute(connection, "ALTER INSTANCE RELOAD TLS")

    def make_command(
        self, installation: Installation, folder: Path, options: Mapping[str, str]
    ) -> Sequence[str]:
        places = (f"--{name}={value}" for name, value in tree_settings(installation).items())
        return (
            str(installation.bin_dir / self.daemon),
            "--no-defaults",
            *places,
            f"--datadir={folder}",
            "--initialize-insecure",
            f"--innodb-redo-log-capacity={configuration.log_file_mb(0)}M",
            f"--lower-case-table-names={options.get('lower_case_table_names', '0')}",
            "--performance-schema=OFF",
            "--innodb-use-native-aio=OFF",
            "--skip-log-bin",
        )

    def service_accounts(self, node: NodeSpec) -> Sequence[str]:
        """Followers may also copy all data: their account is used by nobody else. Fresh data has an account that
        anybody could log in to from the machine itself.
        """
        rights_of = {
            f"'{SUPERUSER}'@'localhost'": ("ALL", " WITH GRANT OPTION"),
            f"'{FOLLOWER}'@'%'": ("REPLICATION SLAVE, REPLICATION CLIENT, BACKUP_ADMIN, SYSTEM_USER", ""),
        }
        statements = ["DROP USER IF EXISTS 'root'@'localhost'"]
        for (account, (granted, option)), name in zip(rights_of.items(), (SUPERUSER, FOLLOWER), strict=True):
            sealed = self.identified(sha2_hash(password_of(node.secret, name)))
            statements += [
                f"CREATE USER IF NOT EXISTS {account} {sealed}",
                f"ALTER USER {account} {sealed} REQUIRE NONE PASSWORD EXPIRE NEVER ACCOUNT UNLOCK",
                f"GRANT {granted} ON *.* TO {account}{option}",
            ]
        return statements

    def identified(self, sealed_password: str) -> str:
        """
        Raises:
            EngineError: it is not sealed in MySQL's way.
        """
        if sealed_password and not _SEALED.fullmatch(sealed_password):
            raise EngineError("the password is not sealed as MySQL keeps it.")
        return f"IDENTIFIED WITH caching_sha2_password AS '{sealed_password or _UNKNOWN}'"

    def administrator_rights(self, account: str, node: NodeSpec) -> Sequence[str]:
        return rights.administrator_rights(account, version_of(node))

    def new_account(self, account: str, identified: str, node: NodeSpec) -> Sequence[str]:
        return rights.new_account(account, identified, version_of(node))

    def renewed_rights(self, account: str, node: NodeSpec) -> Sequence[str]:
        """None: to grant again takes back what bounds it, for an instant in which its holder could log in."""
        return ()

    def turn_to(self, upstream: Upstream, user: str, password: str) -> Sequence[tuple[str, Sequence[Any]]]:
        """The password is not written down, where clients of a follower could read it. Without TLS it is encrypted with
        a key of the upstream's.
        """
        turn = (
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = %s, SOURCE_PORT = %s, SOURCE_AUTO_POSITION = 1, "
            "SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 0, SOURCE_HEARTBEAT_PERIOD = 1, "
            "GET_SOURCE_PUBLIC_KEY = 1, SOURCE_SSL = %s"
        )
        start = "START REPLICA USER = %s PASSWORD = %s"
        return (turn, (upstream.address, upstream.port, int(upstream.tls))), (
            start,
            (user, password),
        )

    def lacking(self, connection: Connection, upstream: Upstream) -> str:
        """
        What was done on the upstream itself is left out: it may come here before it is counted there, and where it
        lacks some of that, which it once had, the upstream refuses by itself.
        """
        own = scalar(connection, self.position)
        with contextlib.suppress(EngineError), follower_session(upstream) as there:
            known = scalar(there, f"SELECT CONCAT(@@GLOBAL.gtid_executed, ',', @@server_uuid, ':{_ALL}')")
            return str(scalar(connection, "SELECT GTID_SUBTRACT(%s, %s)", own, known))
        return ""

    def adopt_own_position(self, connection: Connection) -> None:
        """It goes by what it has applied, without being told."""

    def take_position(self, connection: Connection, position: str) -> None:
        execute(connection, reset_log(connection))
        execute(connection, f"SET GLOBAL gtid_purged = {escaped(connection, position)}")

    def imports_can_last(self, connection: Connection) -> bool:
        return True

    def make_imports_last(self, connection: Connection) -> None:
        """They do by themselves: recovery leaves what was imported since as it is."""

    def log_identity(self, data_dir: Path, user: ServerUser) -> str:
        """Data that is made anew has another server's UUID.

        Raises:
            OSError: it cannot be read.
        """
        found = _UUID.search(user.read(data_dir / "auto.cnf").decode(errors="replace"))
        if found is None:
            raise OSError(errno.EINVAL, "Does not say which server's it is", str(data_dir / "auto.cnf"))
        return found[1]

    def channel(self, connection: Connection) -> Channel | None:
        found = rows(connection, "SHOW REPLICA STATUS")
        return _channel(connection, found[0]) if found else None

    def begin_draining(self, connection: Connection, node: NodeSpec) -> bool:
        """What it has applied before it passes over by itself."""
        execute(connection, "START REPLICA SQL_THREAD")
        return True

    def has_whole_log(self, connection: Connection) -> bool:
        """Its first log is there, and begins after nothing; what was copied or restored begins after something."""
        logs = rows(connection, "SHOW BINARY LOGS")
        if not logs or logs[0]["Log_name"] != _FIRST_LOG or scalar(connection, "SELECT @@GLOBAL.gtid_purged"):
            return False
        return sum(int(log["File_size"]) for log in logs) <= _SMALL_LOG_BYTES


def _channel(connection: Connection, row: Mapping[str, Any]) -> Channel:
    receives, applies = row["Replica_IO_Running"], row["Replica_SQL_Running"]
    return Channel(
        upstream=(row["Source_Host"], row["Source_Port"]),
        receives=receives == "Yes",
        applies=applies == "Yes",
        has_given_up=bool(
            (receives == "No" and row["Last_IO_Errno"]) or (applies == "No" and row["Last_SQL_Errno"])
        ),
        received=(row["Source_Log_File"], row["Read_Source_Log_Pos"]),
        applied=(row["Relay_Source_Log_File"], row["Exec_Source_Log_Pos"]),
        relay_bytes=row["Relay_Log_Space"],
        lag_seconds=float(row["Seconds_Behind_Source"] or 0),
        io_error=row["Last_IO_Errno"],
        error=row["Last_SQL_Error"] or row["Last_IO_Error"],
        is_drained=_has_applied(connection, row["Retrieved_Gtid_Set"]),
    )


def _has_applied(connection: Connection, received: str) -> bool:
    """Several threads apply at once: that all was handed to them does not mean that they are done."""
    return bool(scalar(connection, "SELECT GTID_SUBSET(%s, @@GLOBAL.gtid_executed)", received))


def version_of(node: NodeSpec) -> tuple[int, ...]:
    return tuple(map(int, node.installation.complete_version.split(".")))


def reset_log(connection: Connection) -> str:
    version = str(scalar(connection, "SELECT @@version"))
    is_old = version.startswith("8.0.")
    return "RESET MASTER" if is_old else "RESET BINARY LOGS AND GTIDS"


def _has_plenty_of_aio() -> bool:
    try:
        return int(_AIO.read_text()) >= _PLENTY_OF_AIO
    except (OSError, ValueError):
        return False
