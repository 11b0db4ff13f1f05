"""One MariaDB server."""

from pathlib import Path

from openrds.engines.binlog.roles import write_position
from openrds.engines.binlog.server import BinlogServer
from openrds.engines.mariadb.hot_copies import copy_data


class MariaDBServer(BinlogServer):
    def copy_running(self, folder: Path) -> None:
        position = copy_data(self.node.upstream_here, self.node, folder)
        write_position(self.node, position, folder)
