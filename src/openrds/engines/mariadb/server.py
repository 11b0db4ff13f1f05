"""One MariaDB server."""

from pathlib import Path

from openrds.engines.binlog.roles import write_position
from openrds.engines.binlog.server import BinlogServer
from openrds.engines.mariadb.hot_copies import copy_data


class MariaDBServer(BinlogServer):
    def copy_running(self, folder: Path) -> None:
        assert self.node.upstream is not None, "only a node with an upstream copies it"
        position = copy_data(self.node.upstream, self.node, folder)
        write_position(self.node, position, folder)
