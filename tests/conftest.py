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
