"""What MariaDB calls and says in its own way."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from openrds.domain.engine import EngineName
from openrds.domain.parameters import Parameter
from openrds.engines.binlog import configuration
from openrds.engines.binlog.flavour import Channel, Flavour, Semisync
from openrds.engines.binlog.gtids import parse
from openrds.engines.binlog.installed import base_of, program
from openrds.engines.binlog.sessions import (
    FOLLOWER,
    SUPERUSER,
    Connection,
    escaped,
    execute,
    rows,
    scalar,
)
from openrds.engines.certificates import identity_path, serves_tls
from openrds.engines.family import password_of
from openrds.engines.mariadb.catalogue import catalogue
from openrds.engines.mariadb.passwords import native_hash
from openrds.engines.mariadb.relay_logs import first_unapplied
from openrds.engines.protocol import EngineError, Installation, NodeSpec, Upstream
from openrds.hosts.user import ServerUser

#: Who fetches less than this from the beginning on is as fast as with a copy.
_SMALL_LOG_BYTES = 64 * 2**20
_LOG = "log"
_FIRST_LOG = "binlog.000001"
_SEALED = re.compile(r"\*[0-9A-F]{40}", re.ASCII)
_HAS_PUBLIC = (10, 11)
#: Returns once recovery would begin after all that was done before. Older minor releases do not have it.
_CHECKPOINT = "innodb_log_checkpoint_now"
_DRAINED = "Slave has read all relay log"

#: What a tenant may do with its own databases.
_OBJECT_RIGHTS = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES, LOCK TABLES, "
    "EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER, DELETE HISTORY"
)
#: For each account that has none yet.
_NARROWER = (
    "INSERT IGNORE INTO mysql.db (Host, Db, User, Show_view_priv) "
    "SELECT Host, '{}', User, 'Y' FROM mysql.global_priv"
)
_SERVER_RIGHTS = "PROCESS, SHOW DATABASES, REPLICATION SLAVE, BINLOG MONITOR"


class MariaDBFlavour(Flavour):
    engine = EngineName.MARIADB
    daemon = "mariadbd"
    recipe_program = "mariadb-install-db"

    position = "SELECT @@GLOBAL.gtid_binlog_pos"
    await_position = "SELECT MASTER_GTID_WAIT(%s, %s)"
    stop_following = "STOP SLAVE"
    stop_receiving = "STOP SLAVE IO_THREAD"
    forget_upstream = "RESET SLAVE ALL"
    followers = "SHOW SLAVE HOSTS"
    follower_columns = ("Server_id", "Host")
    all_sent = ("Master has sent all binlog to slave",)
    #: "Could not find GTID in binlog", "log purged", and others of the kind.
    gone_for_good = frozenset({1236})
    semisync = Semisync(
        enabled="rpl_semi_sync_master_enabled",
        timeout="rpl_semi_sync_master_timeout",
        wait_point="rpl_semi_sync_master_wait_point",
        wait_for_nobody="rpl_semi_sync_master_wait_no_slave",
        confirms="rpl_semi_sync_slave_enabled",
        status="Rpl_semi_sync_master_status",
        clients="Rpl_semi_sync_master_clients",
    )
    writers = ("mariadb-backup", "mariabackup", "mariadb-binlog", "mbstream")
    object_rights = _OBJECT_RIGHTS
    is_no_role = "is_role = 'N'"

    def settings(self, node: NodeSpec) -> Mapping[str, str]:
        """A follower is told to follow by us each time, so that it cannot begin on its own with an old word."""
        return {
            "gtid_strict_mode": "ON",
            "log_slave_updates": "ON",
            "skip_slave_start": "ON",
            "slave_net_timeout": "5",
            "master_retry_count": "0",
            "skip_symbolic_links": "ON",
            "performance_schema": "OFF",
            "aria_pagecache_buffer_size": "16M",
            "query_cache_type": "OFF",
            "query_cache_size": "0",
            "innodb_log_file_size": f"{configuration.log_file_mb(node.memory_mb)}M",
            "log_warnings": "1",
        }

    def catalogue(self, connection: Connection, node: NodeSpec) -> Iterable[Parameter]:
        return catalogue(connection)

    def read_only(self, wanted: bool) -> Mapping[str, str]:
        return {"read_only": "ON" if wanted else "OFF"}

    def tls(self, node: NodeSpec) -> Mapping[str, str]:
        """Since 11.4 it would make a certificate of its own."""
        if not serves_tls(node):
            return {"ssl": "OFF"}
        identity = str(identity_path(node))
        return {"ssl_cert": identity, "ssl_key": identity, "tls_version": "TLSv1.2,TLSv1.3"}

    def load_certificate(self, connection: Connection) -> None:
        if scalar(connection, "SELECT @@GLOBAL.have_ssl") == "YES":
            execute(connection, "FLUSH SSL")

    def make_command(
        self, installation: Installation, folder: Path, options: Mapping[str, str]
    ) -> Sequence[str]:
        return (
            str(program(installation, "mariadb-install-db", "mysql_install_db")),
            "--no-defaults",
            f"--basedir={base_of(installation)}",
            f"--datadir={folder}",
            # Of its own: a server that starts removes the temporary tables of any that it finds there.
            f"--tmpdir={folder}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            f"--innodb-log-file-size={configuration.log_file_mb(0)}M",
            f"--extra-file={Path(__file__).with_name('initial.sql')}",
        )

    def service_accounts(self, node: NodeSpec) -> Sequence[str]:
        """
        Who is granted something on all databases gets it on those of the server too, unless it has a narrower word.

        So each account gets one, PUBLIC too, where there is such a thing: the administrator may grant what it has to
        any of them, and would have it back from PUBLIC. The word itself is of no use to anybody.
        """
        admin, follower = f"'{SUPERUSER}'@'localhost'", f"'{FOLLOWER}'@'%'"
        sealed = {name: native_hash(password_of(node.secret, name)) for name in (SUPERUSER, FOLLOWER)}
        public = ["GRANT SHOW VIEW ON `{}`.* TO PUBLIC"] if version_of(node) >= _HAS_PUBLIC else []
        return [
            f"CREATE OR REPLACE USER {admin} {self.identified(sealed[SUPERUSER])}",
            f"CREATE OR REPLACE USER {follower} {self.identified(sealed[FOLLOWER])}",
            f"GRANT ALL ON *.* TO {admin} WITH GRANT OPTION",
            f"GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO {follower}",
            *(word.format(database) for word in (*public, _NARROWER) for database in ("mysql", "sys")),
            "FLUSH PRIVILEGES",
        ]

    def identified(self, sealed_password: str) -> str:
        """
        Raises:
            EngineError: it is not sealed in MariaDB's way.
        """
        if sealed_password and not _SEALED.fullmatch(sealed_password):
            raise EngineError("the password is not sealed as MariaDB keeps it.")
        return f"IDENTIFIED VIA mysql_native_password USING '{sealed_password or 'invalid'}'"

    def administrator_rights(self, account: str, node: NodeSpec) -> Sequence[str]:
        """The narrower word on the server's own databases comes first: nobody has more meanwhile."""
        return (
            f"GRANT SELECT, SHOW VIEW ON `mysql`.* TO {account}",
            f"GRANT SELECT, SHOW VIEW, EXECUTE ON `sys`.* TO {account}",
            f"GRANT {_SERVER_RIGHTS} ON *.* TO {account}",
            f"GRANT {_OBJECT_RIGHTS} ON `%`.* TO {account} WITH GRANT OPTION",
        )

    def as_granted(self, database: str) -> str:
        """There it would be a pattern. MySQL takes it as it is, since rights can be taken back in part there."""
        return database.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")

    def bounds(self, account: str) -> Sequence[str]:
        """The narrower word of `service_accounts`."""
        return [f"GRANT SHOW VIEW ON `{database}`.* TO {account}" for database in ("mysql", "sys")]

    def turn_to(self, upstream: Upstream, user: str, password: str) -> Sequence[tuple[str, Sequence[Any]]]:
        """Over TLS only where that is demanded: it begins by reading the machine's certificates, which takes 20 ms. It
        is the family's secret that says who it is, and since 11.4 it would look at the certificate unless told not to.
        """
        turn = (
            "CHANGE MASTER TO MASTER_HOST = %s, MASTER_PORT = %s, MASTER_USER = %s, MASTER_PASSWORD = %s, "
            "MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 1, "
            "MASTER_SSL = %s, MASTER_SSL_VERIFY_SERVER_CERT = 0"
        )
        where = (upstream.address, upstream.port, user, password, int(upstream.demands_tls))
        return (turn, where), ("START SLAVE", ())

    def adopt_own_position(self, connection: Connection) -> None:
        position = scalar(connection, self.position)
        if position and position != scalar(connection, "SELECT @@GLOBAL.gtid_slave_pos"):
            execute(connection, f"SET GLOBAL gtid_slave_pos = {escaped(connection, position)}")

    def take_position(self, connection: Connection, position: str) -> None:
        execute(connection, "RESET MASTER")
        for name in ("gtid_binlog_state", "gtid_slave_pos"):
            execute(connection, f"SET GLOBAL {name} = {escaped(connection, position)}")

    def imports_can_last(self, connection: Connection) -> bool:
        return bool(rows(connection, f"SHOW GLOBAL VARIABLES LIKE '{_CHECKPOINT}'"))

    def make_imports_last(self, connection: Connection) -> None:
        """Recovery that begins before an import makes the first page anew, as it was when the table had no rows."""
        execute(connection, f"SET GLOBAL {_CHECKPOINT} = ON")

    def log_identity(self, data_dir: Path, user: ServerUser) -> str:
        """Its files say when they were begun, and its transactions are numbered on."""
        return _LOG

    def channel(self, connection: Connection) -> Channel | None:
        found = rows(connection, "SHOW SLAVE STATUS")
        return _channel(connection, found[0]) if found else None

    def begin_draining(self, connection: Connection, node: NodeSpec) -> bool:
        """Going by GTID drops what was received; going by places in files does not, if one says from which on."""
        applied = parse(str(scalar(connection, self.position) or ""))
        try:
            place = first_unapplied(node, applied)
        except OSError as error:
            raise EngineError(f"the relay logs of {node.node_id} cannot be read: {error}") from error
        if place is None:
            return False
        execute(
            connection,
            "CHANGE MASTER TO MASTER_USE_GTID = no, RELAY_LOG_FILE = %s, RELAY_LOG_POS = %s",
            *place,
        )
        execute(connection, "START SLAVE SQL_THREAD")
        return True

    def has_whole_log(self, connection: Connection) -> bool:
        """Its first log is there, and begins after nothing; what was copied or restored begins after something."""
        logs = rows(connection, "SHOW BINARY LOGS")
        if not logs or logs[0]["Log_name"] != _FIRST_LOG:
            return False
        if sum(int(log["File_size"]) for log in logs) > _SMALL_LOG_BYTES:
            return False
        events = rows(connection, f"SHOW BINLOG EVENTS IN '{_FIRST_LOG}' LIMIT 2")
        return any(event["Event_type"] == "Gtid_list" and event["Info"] == "[]" for event in events)


def _channel(connection: Connection, row: Mapping[str, Any]) -> Channel:
    receives, applies = row["Slave_IO_Running"], row["Slave_SQL_Running"]
    return Channel(
        upstream=(row["Master_Host"], row["Master_Port"]),
        receives=receives == "Yes",
        applies=applies == "Yes",
        has_given_up=bool(
            (receives == "No" and row["Last_IO_Errno"]) or (applies == "No" and row["Last_SQL_Errno"])
        ),
        received=(row["Master_Log_File"], row["Read_Master_Log_Pos"]),
        applied=(row["Relay_Master_Log_File"], row["Exec_Master_Log_Pos"]),
        relay_bytes=row["Relay_Log_Space"],
        lag_seconds=float(row["Seconds_Behind_Master"] or 0),
        io_error=row["Last_IO_Errno"],
        error=row["Last_SQL_Error"] or row["Last_IO_Error"],
        is_drained=_is_drained(connection, row),
    )


def _is_drained(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Who applies says so before it has woken for what came last; who receives says what came, where it goes by GTID.

    The order counts: it is drained of what had come when the row was made.
    """
    if not str(row["Slave_SQL_Running_State"] or "").startswith(_DRAINED):
        return False
    applied = scalar(connection, "SELECT @@GLOBAL.gtid_slave_pos")
    return parse(row["Gtid_IO_Pos"] or "") <= parse(str(applied or ""))


def version_of(node: NodeSpec) -> tuple[int, ...]:
    return tuple(map(int, node.installation.complete_version.split(".")[:2]))
