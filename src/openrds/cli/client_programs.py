"""The programs with which people come to an instance, by its engine, and how they are called."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openrds.domain.engine import EngineName


@dataclass(frozen=True)
class ClientProgram:
    """`names` in the order in which they are looked for; `database` is where one comes in who names none."""

    names: tuple[str, ...]
    password_variable: str
    user_option: str
    database: str = ""
    database_option: str = ""

    def verifying(self, program: str, ca: Path) -> tuple[list[str], dict[str, str]]:
        """With what it goes on only if the server proves to be the one of the address: options, and variables."""
        if not self.is_of_mysql:
            return [], {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(ca)}
        demand = "--ssl-verify-server-cert" if _is_mariadbs(program) else "--ssl-mode=VERIFY_IDENTITY"
        return [f"--ssl-ca={ca}", demand], {}

    def encrypting(self, program: str) -> list[str]:
        """With what it comes over TLS, whoever the server is: MariaDB's do by themselves only since 10.10."""
        return ["--ssl"] if _is_mariadbs(program) else []

    @property
    def is_of_mysql(self) -> bool:
        return "mysql" in self.names

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


def _is_mariadbs(program: str) -> bool:
    """Either may have the other's name, and each knows only its own options."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return "mariadb" in program
    return "MariaDB" in said.stdout


PROGRAMS: Mapping[EngineName, ClientProgram] = {
    EngineName.POSTGRESQL: ClientProgram(("psql",), "PGPASSWORD", "username", "postgres", "dbname"),
    EngineName.MYSQL: ClientProgram(("mysql", "mariadb"), "MYSQL_PWD", "user"),
    EngineName.MARIADB: ClientProgram(("mariadb", "mysql"), "MYSQL_PWD", "user"),
}
