import pytest

from openrds.domain.logs import slow_seconds


@pytest.mark.parametrize(
    ("parameters", "seconds"),
    [
        ({}, "1"),
        ({"long_query_time": "0.25"}, "0.25"),
        ({"long_query_time": "10.000000"}, "10"),
        ({"log_min_duration_statement": "250"}, "0.25"),
        ({"log_min_duration_statement": "0"}, "0"),
        ({"log_min_duration_statement": "-1"}, "-1"),
        ({"max_connections": "200"}, "1"),
    ],
)
def test_from_when_on_a_statement_is_slow(parameters: dict[str, str], seconds: str) -> None:
    assert slow_seconds(parameters) == seconds
