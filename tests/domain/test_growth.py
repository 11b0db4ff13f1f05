"""How a volume grows by itself."""

import pytest

from openrds.domain.capacity import GB
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.growth import VolumeGrowth, growth_of


@pytest.mark.parametrize(
    ("growth", "size", "free_gb", "expected"),
    [
        (VolumeGrowth(4000, 10), 400, 41, None),
        (VolumeGrowth(4000, 10), 400, 40, 460),
        (VolumeGrowth(4000, 20), 400, 80, 460),
        (VolumeGrowth(4000, 10), 40, 10, 50),
        (VolumeGrowth(4000, 10), 40, 10.5, None),
        (VolumeGrowth(4000, 10, 50), 400, 0, 600),
        (VolumeGrowth(4000, 10, 5), 400, -1, 420),
        (VolumeGrowth(4000, 10, 5), 410, 0, 440),
        (VolumeGrowth(450, 10), 400, 0, 450),
        (VolumeGrowth(455, 10), 450, 0, None),
        (VolumeGrowth(4000, 10), 4000, 0, None),
    ],
)
def test_when_and_how_far_a_volume_grows(
    growth: VolumeGrowth, size: int, free_gb: float, expected: int | None
) -> None:
    assert growth.next_size(size, int((size - free_gb) * GB)) == expected


@pytest.mark.parametrize(
    ("limit", "threshold", "step"),
    [
        (39, 10, None),
        (4001, 10, None),
        (50, 10, None),
        (100, 5, None),
        (100, 12, 15),
        (100, 10, 4),
        (100, 10, 51),
        (None, 10, 15),
        (100, None, 15),
    ],
)
def test_what_cannot_be_asked_for(limit: int | None, threshold: int | None, step: int | None) -> None:
    with pytest.raises(Refusal) as refusal:
        growth_of(("limit", "threshold", "step"), limit, threshold, step, present=60)
    assert refusal.value.error is ErrorCode.PARAMETER


def test_what_can() -> None:
    assert growth_of(("", "", ""), 60, 20, 50, present=60) == VolumeGrowth(60, 20, 50)
