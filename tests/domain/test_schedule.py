import datetime as dt

import pytest

from openrds.domain.schedule import next_window


@pytest.mark.parametrize(
    ("window", "now", "begins", "ends"),
    [
        ("02:00-06:00", "2026-03-01T01:59", "2026-03-01T02:00", "2026-03-01T06:00"),
        ("02:00-06:00", "2026-03-01T02:00", "2026-03-01T02:00", "2026-03-01T06:00"),
        ("02:00-06:00", "2026-03-01T05:59", "2026-03-01T02:00", "2026-03-01T06:00"),
        ("02:00-06:00", "2026-02-28T06:00", "2026-03-01T02:00", "2026-03-01T06:00"),
        ("22:00-02:00", "2026-03-01T01:00", "2026-02-28T22:00", "2026-03-01T02:00"),
        ("22:00-02:00", "2026-03-01T02:00", "2026-03-01T22:00", "2026-03-02T02:00"),
        ("20:00-00:00", "2026-12-31T23:59", "2026-12-31T20:00", "2027-01-01T00:00"),
        ("00:00-04:00", "2026-12-31T23:59", "2027-01-01T00:00", "2027-01-01T04:00"),
    ],
)
def test_the_window_that_is_open_or_the_next(window: str, now: str, begins: str, ends: str) -> None:
    def at(text: str) -> dt.datetime:
        return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)

    assert next_window(window, at(now)) == (at(begins), at(ends))


def test_windows_are_of_utc() -> None:
    east = dt.timezone(dt.timedelta(hours=8))
    begins, _ = next_window("02:00-06:00", dt.datetime(2026, 3, 1, 11, tzinfo=east))
    assert begins == dt.datetime(2026, 3, 1, 2, tzinfo=dt.UTC)
