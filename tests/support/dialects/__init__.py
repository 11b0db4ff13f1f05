"""What the tests must know of each engine beyond its protocol: how a client speaks to it, and what it calls things."""

from openrds.domain.engine import EngineName
from support.dialects.dialect import Dialect, Session
from support.dialects.mysql import MariaDBDialect, MySQLDialect
from support.dialects.postgresql import PostgreSQLDialect

DIALECTS: dict[EngineName, Dialect] = {
    dialect.engine: dialect for dialect in (PostgreSQLDialect(), MariaDBDialect(), MySQLDialect())
}

POSTGRESQL = DIALECTS[EngineName.POSTGRESQL]

__all__ = ["DIALECTS", "POSTGRESQL", "Dialect", "Session"]
