import pytest

from openrds.api.access.rates import Rates
from openrds.domain.errors import ErrorCode, Refusal


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def sent(rates: Rates, project: str, most: int) -> int:
    """How many of so many requests at this moment pass."""
    for number in range(most):
        try:
            rates.take(project)
        except Refusal as refusal:
            assert refusal.error is ErrorCode.THROTTLED
            return number
    return most


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_bucket_holds_a_second_and_fills_at_the_rate(clock: Clock) -> None:
    rates = Rates(10, clock)
    assert rates.used("one") == 0
    assert sent(rates, "one", 100) == 10
    assert rates.used("one") == 10
    clock.now += 0.25
    assert sent(rates, "one", 100) == 2
    clock.now += 3600
    assert rates.used("one") == 0
    assert sent(rates, "one", 100) == 10


def test_projects_have_buckets_of_their_own(clock: Clock) -> None:
    rates = Rates(2, clock)
    assert sent(rates, "one", 5) == 2
    assert sent(rates, "other", 5) == 2
