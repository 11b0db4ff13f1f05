"""MySQL on this host."""

from openrds.domain.engine import EngineName
from openrds.engines.binlog.engine import BinlogEngine
from openrds.engines.mysql.backups import MySQLBackups
from openrds.engines.mysql.discovery import KIND
from openrds.engines.mysql.flavour import MySQLFlavour
from openrds.engines.mysql.passwords import sha2_hash
from openrds.engines.mysql.server import MySQLServer
from openrds.engines.mysql.upgrades import MySQLUpgrades


class MySQL(BinlogEngine):
    name = EngineName.MYSQL
    kind = KIND
    flavour = MySQLFlavour
    servers = MySQLServer
    backups_of = MySQLBackups
    upgrades_of = MySQLUpgrades

    @staticmethod
    def seal_password(password: str) -> str:
        return sha2_hash(password)
