"""The four database engines of the contract, and what the contract says of each."""

from dataclasses import dataclass, replace
from enum import StrEnum


def is_version(version: str, asked: str) -> bool:
    """Whether what a caller asks for is a version as a host has it: `16` is meant by `16` and `16.14`, `8.0` by
    `8.0.36`, and `8.4` by neither `8` nor `8.40`.
    """
    return asked == version or asked.startswith(f"{version}.")


def numbers_of(version: str) -> tuple[int, ...]:
    """To tell which of two versions as hosts have them, `16.14` and `16.9`, is the newer."""
    return tuple(map(int, version.split(".")))


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


#: Of the characters that MySQL has in names.
_LAST_OF_PLANE = 0xFFFF


@dataclass(frozen=True)
class EngineRules:
    """What differs between engines in names, ids and the checks of a request.

    In `waiting_modes`, some of the `replication_modes`, commits wait for the standby. `longest_name` is of databases
    and tables. `restores_onto_itself`: an instance may be restored onto itself. `accounts_have_hosts`: an account says
    from where it may log in, so that remote connections can be closed. `keeps_log`: its servers keep log for others to
    read, for as long as a policy says. `tls_demanded_from` is the first version whose servers let nobody in without
    TLS while they speak it; None: each of them does. `upgrades`: its instances can come to another major version.

    Source: contract, job-names.md 3 and operations.md 0 and 3. MariaDB's id suffix and port range have
    no evidence there; it gets the free digit 02 and MySQL's range. What demands TLS is as in the RDS of AWS.
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
    waiting_modes: frozenset[str]
    flavor_token: str
    longest_name: int
    names_in_bytes: bool
    has_schemas: bool
    restores_onto_itself: bool
    accounts_have_hosts: bool
    keeps_log: bool
    tls_demanded_from: tuple[int, ...] | None
    upgrades: bool

    def demands_tls(self, version: str) -> bool:
        """Whether servers of a version, `9.7` or `9.7.4`, let nobody in without TLS while they speak it."""
        first = self.tls_demanded_from
        return first is not None and numbers_of(version) >= first

    def waits_in(self, mode: str | None) -> bool:
        """Whether commits wait for the standby in a replication mode; None is that of an instance without one."""
        return mode in self.waiting_modes

    def allows_name(self, name: str) -> bool:
        """Whether a database or a table may be called so, as far as can be told without asking a server."""
        length = len(name.encode()) if self.names_in_bytes else len(name)
        if not 1 <= length <= self.longest_name or "\0" in name:
            return False
        return self.names_in_bytes or not (
            name.endswith(" ") or any(ord(letter) > _LAST_OF_PLANE for letter in name)
        )

    @property
    def name_rule(self) -> str:
        """The same in words."""
        if self.names_in_bytes:
            return f"A name must have 1 to {self.longest_name} bytes."
        return (
            f"A name must have 1 to {self.longest_name} characters of the basic plane of Unicode, and not end "
            "with a space."
        )

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
    waiting_modes=frozenset({"semisync"}),
    flavor_token="mysql",  # noqa: S106
    longest_name=64,
    names_in_bytes=False,
    has_schemas=False,
    restores_onto_itself=True,
    accounts_have_hosts=True,
    keeps_log=True,
    tls_demanded_from=(9, 7),
    upgrades=False,
)

RULES: dict[EngineName, EngineRules] = {
    EngineName.MYSQL: _MYSQL,
    EngineName.MARIADB: replace(
        _MYSQL,
        task_token="Mariadb",  # noqa: S106
        id_digits="02",
        flavor_token="mariadb",  # noqa: S106
        tls_demanded_from=(11, 8),
        upgrades=True,
    ),
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
        waiting_modes=frozenset({"sync"}),
        flavor_token="pg",  # noqa: S106
        longest_name=63,
        names_in_bytes=True,
        has_schemas=True,
        restores_onto_itself=False,
        accounts_have_hosts=False,
        keeps_log=False,
        tls_demanded_from=None,
        upgrades=True,
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
        waiting_modes=frozenset({"sync"}),
        flavor_token="mssql",  # noqa: S106
        longest_name=64,
        names_in_bytes=False,
        has_schemas=True,
        restores_onto_itself=True,
        accounts_have_hosts=False,
        keeps_log=False,
        tls_demanded_from=None,
        upgrades=False,
    ),
}
