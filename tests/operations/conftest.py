"""A workbench for the tests of a module."""

from collections.abc import Iterator

import pytest

from support.workbench import Workbench, running_workbench


@pytest.fixture(scope="module")
def workbench() -> Iterator[Workbench]:
    with running_workbench() as bench:
        for engine in bench.resources.host.engines.values():
            engine.installations()
        yield bench
