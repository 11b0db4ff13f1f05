"""One MySQL server."""

import contextlib
from pathlib import Path

from openrds.engines.binlog import sessions
from openrds.engines.binlog.server import BinlogServer
from openrds.engines.mysql import cloning
from openrds.engines.protocol import EngineError
from openrds.hosts.processes import Process


class MySQLServer(BinlogServer):
    def copy_running(self, folder: Path) -> None:
        """What it has committed is written down in the copy itself."""
        assert self.node.upstream is not None, "only a node with an upstream copies it"
        cloning.clone(self._helper(), self.node.upstream, folder)

    def stop(self) -> None:
        """Clients are sent away first: it would give each of them two seconds to go by itself.

        Its scheduler of events is ended too. That of 9.7 does not sleep from when the server is to end until all
        sessions have: it holds a core meanwhile, and those of followers take three times as long.
        """
        cloning.end_helper(self._helper())
        if self.is_running() and not self.hangs():
            with contextlib.suppress(EngineError), sessions.session(self.node) as connection:
                sessions.end_clients(connection)
                sessions.execute(connection, "SET GLOBAL event_scheduler = OFF")
        super().stop()

    def kill(self) -> None:
        super().kill()
        cloning.end_helper(self._helper())

    def _helper(self) -> BinlogServer:
        return _Helper(cloning.helper_node(self.node), self.means)

    def _spawn(self) -> Process:
        """A killed one leaves the lock of its socket, with a pid that may be somebody else's by now."""
        path = sessions.socket_path(self.node)
        with self.node.user.acting():
            path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
        return super()._spawn()


class _Helper(MySQLServer):
    """It has none itself."""

    def stop(self) -> None:
        BinlogServer.stop(self)

    def kill(self) -> None:
        BinlogServer.kill(self)
