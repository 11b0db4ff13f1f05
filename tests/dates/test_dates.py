"""What touches time, at other dates: in `make test` a short form, in `make test-dates` all of it at each date."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.clock.sitecustomize import sweep
from support.dates import Date, find_library

ROOT = Path(__file__).parents[2]
ALL = os.environ.get("OPENRDS_TEST_DATES") == "all"
LIBRARY = find_library()

#: Written out, for machines that know no names of zones.
CENTRAL_EUROPE = "CET-1CEST,M3.5.0,M10.5.0/3"
LORD_HOWE = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"
NEW_ZEALAND = "NZST-12NZDT,M9.5.0,M4.1.0/3"

#: A Sunday, so that it is also the end of a week of tasks.
SUNDAY_29_FEBRUARY = Date("a minute before the end of a week, a month, 29 February", "2004-02-29 23:59:00")
END_OF_A_YEAR = Date("the end of a year", "2020-12-31 23:59:00")
BACK_TO_WINTER = Date("the hour that comes twice", "2021-10-31 00:30:00", CENTRAL_EUROPE)

#: All in the past: files keep their true times, and so none is taken for old.
DATES = (
    *(
        Date(f"a {name}", f"2021-06-{7 + number:02} 12:00:00")
        for number, name in enumerate(
            ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        )
    ),
    SUNDAY_29_FEBRUARY,
    BACK_TO_WINTER,
    Date("the end of that hour", "2021-10-31 00:59:00", CENTRAL_EUROPE),
    Date("the hour that does not come", "2021-03-28 00:59:00", CENTRAL_EUROPE),
    Date("half an hour that comes twice", "2021-04-03 14:59:00", LORD_HOWE),
    Date("another day than in UTC", "2021-06-30 11:59:00", NEW_ZEALAND),
    Date("29 February", "2024-02-29 12:00:00"),
    Date("the end of a month", "2021-04-30 23:59:00"),
    END_OF_A_YEAR,
    Date("the first day of a year", "2021-01-01 00:00:30"),
    Date("a minute before a week ends", "2021-06-13 23:59:00"),
    Date("the first hours of a week", "2021-06-14 03:00:00"),
    Date("a minute before all backup windows open", "2021-06-10 01:59:00"),
    Date("within all maintenance windows", "2021-06-10 03:00:00"),
)

#: In `make test`: what is quick, on two dates. In `make test-dates`: what touches time, on all of them.
PURE = (
    "tests/domain/test_backup.py",
    "tests/domain/test_schedule.py",
    "tests/domain/test_identity.py",
    "tests/api/test_authentication.py",
)
STORED = (
    "tests/tasks/test_tasks.py",
    "tests/tasks/test_task_center.py::test_tasks_older_than_a_month_are_forgotten",
)
WHOLE = (
    "tests/domain",
    "tests/api",
    "tests/store/test_query_plans.py",
    "tests/tasks",
    "tests/operations/test_backup_schedule.py",
    "tests/service/test_ended_tasks.py",
    "tests/service/test_quotas.py",
    "tests/service/test_replays.py",
    "tests/service/test_scheduled_tasks.py",
    "tests/service/test_task_export.py",
)
#: What takes many servers, on the hardest of the dates.
SERVED = (
    "tests/operations/test_certificates.py",
    "tests/engines/test_backups.py",
    "tests/engines/test_binlog_backups.py",
    "tests/service/test_instance_backups.py",
    "tests/service/test_restores.py",
    "tests/service/test_stop_and_start.py",
    "tests/clients/test_huawei_backups.py",
    "tests/cli/test_cli_backups.py",
)
HARDEST = (SUNDAY_29_FEBRUARY, BACK_TO_WINTER, END_OF_A_YEAR)

pytestmark = [
    pytest.mark.skipif(
        not LIBRARY,
        reason="no faketime here, so the clock is left alone; on Debian and Ubuntu, as root: apt-get install faketime",
    ),
    pytest.mark.grouped_by("date"),
    pytest.mark.timeout(3600),
]


@pytest.fixture(autouse=True)
def _leave_nothing() -> Iterator[None]:
    yield
    sweep()


RUNS = (
    [(date, WHOLE + (SERVED if date in HARDEST else ())) for date in DATES]
    if ALL
    else [(SUNDAY_29_FEBRUARY, PURE + STORED), (BACK_TO_WINTER, PURE)]
)


@pytest.mark.parametrize(("date", "tests"), RUNS, ids=[date.name for date, _ in RUNS])
def test_what_touches_time_does_so_on_any_date(date: Date, tests: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env=date.environment(LIBRARY),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^\d+ passed", done.stdout, re.MULTILINE | re.ASCII), done.stdout


def test_processes_and_servers_take_it_for_that_moment() -> None:
    """Those that get an environment of their own too."""
    program = "import subprocess; print(subprocess.check_output(['date', '+%F %R %z'], env={'PATH': '/bin:/usr/bin'}))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=BACK_TO_WINTER.environment(LIBRARY),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "2021-10-31 02:3" in done.stdout
    assert "+0200" in done.stdout
