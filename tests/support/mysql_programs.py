"""The programs that come with MySQL and MariaDB, run by the administrator of a pair, or somebody it has made."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from openrds.domain.engine import EngineName
from support.pairs import Pair
from support.service import PASSWORD


@contextmanager
def database(pair: Pair, name: str) -> Iterator[None]:
    with pair.session() as client:
        client.execute(f"CREATE DATABASE {name}")
    try:
        yield
    finally:
        with pair.session() as client:
            client.execute(f"DROP DATABASE {name}")


def run(
    pair: Pair, names: tuple[str, ...], *words: str, typed: str = "", user: str = "root"
) -> subprocess.CompletedProcess[str]:
    host, port = pair.endpoint
    where = (f"--host={host}", f"--port={port}", f"--user={user}")
    # By the environment it is deprecated, and to some of them no password at all.
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as options:
        options.write(f"[client]\npassword={PASSWORD}\n")
        options.flush()
        return subprocess.run(
            [pair.program(*names), f"--defaults-file={options.name}", *where, *words],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            input=typed,
            timeout=120,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a program printed that must succeed, and have nothing to complain of."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@contextmanager
def replication_account(pair: Pair) -> Iterator[str]:
    """The administrator of MariaDB can make none, and has the right itself."""
    if pair.dialect.engine is EngineName.MARIADB:
        yield "root"
        return
    with pair.session() as client:
        client.execute(f"CREATE USER reader IDENTIFIED BY '{PASSWORD}'")
        client.execute("GRANT REPLICATION SLAVE ON *.* TO reader")
    try:
        yield "reader"
    finally:
        with pair.session() as client:
            client.execute("DROP USER reader")
