"""The programs with which people come to an instance, by its engine, and how they are called."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from openrds.domain.engine import EngineName


@dataclass(frozen=True)
class ClientProgram:
    """`names` in the order in which they are looked for; `database` is where one comes in who names none."""

    names: tuple[str, ...]
    password_variable: str
    user_option: str
    database: str = ""
    database_option: str = ""

    def find(self) -> str | None:
        """The name of one that this machine has."""
        return next((name for name in self.names if shutil.which(name)), None)

    def command(
        self, program: str, host: str, port: int, user: str, database: str, options: Sequence[str]
    ) -> list[str]:
        where = [f"--host={host}", f"--port={port}", f"--{self.user_option}={user}"]
        if self.database_option:
            return [program, *where, f"--{self.database_option}={database}", *options]
        return [program, *where, *options, *([database] if database else [])]


PROGRAMS: Mapping[EngineName, ClientProgram] = {
    EngineName.POSTGRESQL: ClientProgram(("psql",), "PGPASSWORD", "username", "postgres", "dbname"),
    EngineName.MYSQL: ClientProgram(("mysql", "mariadb"), "MYSQL_PWD", "user"),
    EngineName.MARIADB: ClientProgram(("mariadb", "mysql"), "MYSQL_PWD", "user"),
}
