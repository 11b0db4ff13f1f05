"""When a server that died is brought back."""

import datetime as dt

import pytest

from openrds.domain.recovery import pause_after, seconds_until_due

NOW = dt.datetime(2026, 2, 28, 23, 59, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("revivals", "seconds"),
    [(0, 0), (1, 0), (2, 0), (3, 10), (4, 20), (5, 40), (6, 80), (7, 160), (8, 300), (9, 300), (5000, 300)],
)
def test_the_pause_grows_up_to_five_minutes(revivals: int, seconds: float) -> None:
    assert pause_after(revivals) == seconds


@pytest.mark.parametrize(
    ("revivals", "ago", "due_in"),
    [
        (0, None, 0),
        (2, 0, 0),
        (3, 0, 10),
        (3, 4, 6),
        (3, 10, 0),
        (9, 299, 1),
        (9, 300, 0),
        (9, 600, 0),
        (9, 601, 0),
    ],
)
def test_it_is_counted_from_the_last_try(revivals: int, ago: float | None, due_in: float) -> None:
    revived_at = None if ago is None else NOW - dt.timedelta(seconds=ago)
    assert seconds_until_due(revivals, revived_at, NOW) == due_in
