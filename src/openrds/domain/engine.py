"""The four database engines of the contract, and what the contract says of each."""

from dataclasses import dataclass, replace
from enum import StrEnum


class EngineName(StrEnum):
    """Spelled as the API answers it; requests may use any letter case."""

    MYSQL = "MySQL"
    POSTGRESQL = "PostgreSQL"
    SQLSERVER = "SQLServer"
    MARIADB = "MariaDB"

    @classmethod
    def parse(cls, text: str) -> "EngineName | None":
        return _BY_LOWER_NAME.get(text.lower())


_BY_LOWER_NAME = {name.value.lower(): name for name in EngineName}


@dataclass(frozen=True)
class EngineRules:
    """What differs between engines in names, ids and the checks of a request.

    Source: contract, job-names.md 3 and operations.md 0 and 3. MariaDB's id suffix and port range have
    no evidence there; it gets the free digit 02 and MySQL's range.
    """

    task_token: str
    id_digits: str
    administrator: str
    default_port: int
    port_ranges: tuple[range, ...]
    forbidden_ports: frozenset[int]
    password_specials: str
    replication_modes: tuple[str, ...]
    default_replication_mode: str
    flavor_token: str

    def allows_port(self, port: int) -> bool:
        return port not in self.forbidden_ports and any(port in ports for ports in self.port_ranges)


_MYSQL = EngineRules(
    task_token="Mysql",  # noqa: S106
    id_digits="01",
    administrator="root",
    default_port=3306,
    port_ranges=(range(1024, 65536),),
    forbidden_ports=frozenset({12017, 33071}),
    password_specials="~!@#$%^*-_=+?,()&",  # noqa: S106
    replication_modes=("async", "semisync"),
    default_replication_mode="semisync",
    flavor_token="mysql",  # noqa: S106
)

RULES: dict[EngineName, EngineRules] = {
    EngineName.MYSQL: _MYSQL,
    EngineName.MARIADB: replace(_MYSQL, task_token="Mariadb", id_digits="02", flavor_token="mariadb"),  # noqa: S106
    EngineName.POSTGRESQL: EngineRules(
        task_token="Postgresql",  # noqa: S106
        id_digits="03",
        administrator="root",
        default_port=5432,
        port_ranges=(range(2100, 9501),),
        forbidden_ports=frozenset(),
        password_specials="~!@#%^*-_=+?,",  # noqa: S106
        replication_modes=("async", "sync"),
        default_replication_mode="async",
        flavor_token="pg",  # noqa: S106
    ),
    EngineName.SQLSERVER: EngineRules(
        task_token="Sqlserver",  # noqa: S106
        id_digits="04",
        administrator="rdsuser",
        default_port=1433,
        port_ranges=(range(1433, 1434), range(2100, 9501)),
        forbidden_ports=frozenset({5355, 5985}),
        password_specials="~!@#$%^*-_+?,",  # noqa: S106
        replication_modes=("sync",),
        default_replication_mode="sync",
        flavor_token="mssql",  # noqa: S106
    ),
}
