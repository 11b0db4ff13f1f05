"""Fixtures for all tests; what they are made of is in `support`."""

from collections.abc import Iterator

import pytest

from support.service import ServiceUnderTest, running_service


@pytest.fixture(scope="session")
def service() -> Iterator[ServiceUnderTest]:
    """A service that many tests share: they must not mind each other's instances and tasks."""
    with running_service() as running:
        yield running


@pytest.fixture
def own_service() -> Iterator[ServiceUnderTest]:
    """A service for one test alone."""
    with running_service() as running:
        yield running


class Grouping:
    """Which tests share a worker: those of a module with a service of its own, which would else be started on each."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            module = getattr(item, "module", None)
            if hasattr(module, "service") and item.get_closest_marker("xdist_group") is None:
                item.add_marker(pytest.mark.xdist_group(module.__name__))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Grouping())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have pytest 9.2 see the groups that pytest-xdist 3.8 writes where it looks no more (pytest-xdist, issue 1386)."""
    for item in items:
        grouped = vars(item).get("_nodeid")
        if grouped is not None:
            item._id = type(item._id).parse(grouped)
