"""When a backup is due, and what one may be called."""

import datetime as dt

import pytest

from openrds.domain.backup import automatic_name, check_backup_name, is_due, window_begin

EVERY_DAY = "1,2,3,4,5,6,7"


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("window", "now", "begin"),
    [
        ("02:00-03:00", "2026-02-03 02:00", "2026-02-03 02:00"),
        ("02:00-03:00", "2026-02-03 01:59", "2026-02-02 02:00"),
        ("23:30-00:30", "2026-02-03 00:10", "2026-02-02 23:30"),
    ],
)
def test_a_window_last_began(window: str, now: str, begin: str) -> None:
    assert window_begin(window, at(now)) == at(begin)


@pytest.mark.parametrize(
    ("period", "last", "now", "due"),
    [
        (EVERY_DAY, None, "2026-02-03 02:00", True),
        (EVERY_DAY, None, "2026-02-03 02:59", True),
        (EVERY_DAY, None, "2026-02-03 03:00", False),
        (EVERY_DAY, None, "2026-02-03 01:59", False),
        (EVERY_DAY, "2026-02-02 02:10", "2026-02-03 02:10", True),
        (EVERY_DAY, "2026-02-03 02:00", "2026-02-03 02:10", False),
        ("2", None, "2026-02-03 02:10", True),  # a Tuesday
        ("1,3", None, "2026-02-03 02:10", False),
    ],
)
def test_a_backup_is_due_once_in_each_window(period: str, last: str | None, now: str, due: bool) -> None:
    assert is_due("02:00-03:00", period, at(last) if last else None, at(now)) is due


def test_a_window_over_midnight_is_of_the_day_when_it_began() -> None:
    assert is_due("23:30-00:30", "1", None, at("2026-02-03 00:10"))
    assert not is_due("23:30-00:30", "2", None, at("2026-02-03 00:10"))


def test_automatic_names_are_such_as_a_caller_may_give() -> None:
    for name in ("orders", "a" * 64):
        check_backup_name(automatic_name(name, at("2026-02-03 02:00")))
