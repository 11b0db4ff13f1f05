"""Fixtures for all tests; what they are made of is in `support`."""

import gc
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from zlib import crc32

import pytest

pytest.register_assert_rewrite("support")  # so that what does not hold there is shown as in a test

from support.dialects import DIALECTS  # noqa: E402
from support.engines import why_missing  # noqa: E402
from support.folders import short_folder  # noqa: E402
from support.s3 import S3, running_s3  # noqa: E402
from support.service import ServiceUnderTest, running_service  # noqa: E402

#: Characters of a service's log.
_LOG_SHOWN = 6000


@pytest.hookimpl(tryfirst=True)  # xdist looks at the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a module run in one worker, which so makes what they share only once.

    Those of a long module that is marked with `grouped_by` are parted by the values of the parameters it names, and
    modules that share something are marked with an `xdist_group` of theirs.
    """
    for item in items:
        if item.get_closest_marker("xdist_group"):
            continue
        marker = item.get_closest_marker("grouped_by")
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        values = [repr(parameters.get(name)) for name in (marker.args if marker else ())]
        group = item.nodeid.partition("::")[0]
        if values:
            group += f"-{crc32(' '.join(values).encode()):x}"
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish() -> None:
    """What is there now stays: each collection of garbage would go through it again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a test that fails goes what its service said last: what is rare cannot be asked again."""
    report = yield
    if report.failed and report.when != "teardown":  # by then it may be gone
        used = getattr(item, "funcargs", {}).values()
        for running in {id(one): one for one in used if isinstance(one, ServiceUnderTest)}.values():
            report.sections.append(
                (f"the end of the log of {running.data_dir}", running.log_text()[-_LOG_SHOWN:])
            )
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tests of an engine that is not here are left out, which is said."""
    for reason in filter(None, map(why_missing, DIALECTS)):
        terminalreporter.write_line(f"LEFT OUT: {reason}")


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


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """A storage of objects."""
    with running_s3() as server:
        yield server


@pytest.fixture
def folder() -> Iterator[Path]:
    """One with a short path, which the user that servers run as can reach."""
    path = short_folder()
    yield path
    shutil.rmtree(path)
