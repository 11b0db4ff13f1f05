"""PostgreSQL as it would be if a demoted server lived on to be read, as MySQL's and MariaDB's do.

With it the operations are tried on real servers whatever engines this machine has.
"""

from openrds.engines.postgresql.engine import PostgreSQL
from openrds.engines.postgresql.replication import PostgreSQLReplication
from openrds.engines.postgresql.server import PostgreSQLServer
from openrds.engines.postgresql.sessions import superuser_session
from openrds.engines.protocol import NodeSpec


class LivingReplication(PostgreSQLReplication):
    def demote(self) -> str:
        if not self._server.is_running():
            return super().demote()
        self._server.set_read_only(True)
        with superuser_session(self._node) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
                " AND pid <> pg_backend_pid()"
            )
            (position,) = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone() or (None,)
            # Something behind it, for a standby to have passed it.
            connection.execute("SELECT pg_create_restore_point('demoted')")
        return str(position)

    def resume(self) -> None:
        self._server.set_read_only(self._node.read_only)
        super().resume()


class LivingServer(PostgreSQLServer):
    @property
    def replication(self) -> LivingReplication:
        return LivingReplication(self, self._programs)


class LivingPostgreSQL(PostgreSQL):
    def server(self, node: NodeSpec) -> LivingServer:
        return LivingServer(node, self._programs, self._limits)
