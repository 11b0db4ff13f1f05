"""MariaDB on this host."""

from openrds.domain.engine import EngineName
from openrds.engines.binlog.engine import BinlogEngine
from openrds.engines.mariadb.backups import MariaDBBackups
from openrds.engines.mariadb.discovery import KIND
from openrds.engines.mariadb.flavour import MariaDBFlavour
from openrds.engines.mariadb.passwords import native_hash
from openrds.engines.mariadb.server import MariaDBServer
from openrds.engines.mariadb.upgrades import MariaDBUpgrades


class MariaDB(BinlogEngine):
    name = EngineName.MARIADB
    kind = KIND
    flavour = MariaDBFlavour
    servers = MariaDBServer
    backups_of = MariaDBBackups
    upgrades_of = MariaDBUpgrades

    @staticmethod
    def seal_password(password: str) -> str:
        return native_hash(password)
