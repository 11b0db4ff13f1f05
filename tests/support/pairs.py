"""A primary with its standby for each engine, which the tests of clients share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from openrds.domain.engine import EngineName
from openrds.engines.binlog.installed import program
from support.dialects import DIALECTS, Dialect, Session
from support.engines import found, needs_engine
from support.service import ServiceUnderTest, session

BINLOG_ENGINES = (EngineName.MARIADB, EngineName.MYSQL)


@dataclass(frozen=True)
class Pair:
    """As the service has it. What a test makes in it has a name of the test's own."""

    service: ServiceUnderTest
    dialect: Dialect
    id: str

    @property
    def shown(self) -> dict[str, Any]:
        return self.service.instance(self.id)

    @property
    def endpoint(self) -> tuple[str, int]:
        """The same whoever of both is the primary."""
        shown = self.shown
        return shown["private_ips"][0], shown["port"]

    def session(self, **options: Any) -> Session:
        return session(self.shown, **options)

    def program(self, *names: str) -> Path:
        """Of the programs that came with the server, the first of this name."""
        return program(found(self.dialect.engine)[-1], *names)


def each_engine(*engines: EngineName) -> pytest.MarkDecorator:
    """The test for the pair of each of these engines, by default of all; what is of one pair runs in one process."""
    return pytest.mark.parametrize(
        "pair",
        [
            pytest.param(
                name, marks=(needs_engine(name), pytest.mark.xdist_group(f"clients of {name}")), id=name
            )
            for name in engines or DIALECTS
        ],
        indirect=True,
        scope="session",
    )
