"""What a careful person does with each engine's own programs, and which figures openrds is held to beside that."""

from bench.hands.binlog import MariaDBHand, MySQLHand
from bench.hands.hand import BarePair, Bounds, Hand
from bench.hands.postgresql import PostgreSQLHand

POSTGRESQL = PostgreSQLHand()
#: By how a measurement is called that is not of PostgreSQL: `create-mysql`.
HANDS: dict[str, Hand] = {"postgresql": POSTGRESQL, "mysql": MySQLHand(), "mariadb": MariaDBHand()}

__all__ = ["HANDS", "POSTGRESQL", "BarePair", "Bounds", "Hand"]
