"""How a volume grows by itself. Sizes in GB. Source: reads.md 9, operations.md 3, the cloud's SDK."""

import msgspec

from openrds.domain.capacity import GB
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.rules import VOLUME_SIZES

_THRESHOLDS = (10, 15, 20)
_STEPS = range(5, 51)
_USUAL_STEP = 15
#: With no more than this free a volume grows in any case.
_LEAST_FREE = 10 * GB
_UNIT = 10


class VolumeGrowth(msgspec.Struct, frozen=True):
    """It grows up to `limit_size` when `trigger_threshold` percent of it or 10 GB are free, or less.

    Each time by `step_percent` of what it has, or 15, in tens of GB.
    """

    limit_size: int
    trigger_threshold: int
    step_percent: int | None = None

    def next_size(self, size: int, used: int) -> int | None:
        """To which size a volume that holds so many bytes is to grow; None for one that is large enough."""
        if size * GB - used > max(size * GB * self.trigger_threshold // 100, _LEAST_FREE):
            return None
        step = -(-size * (self.step_percent or _USUAL_STEP) // 100)
        wanted = -(-(size + step) // _UNIT) * _UNIT
        largest = self.limit_size // _UNIT * _UNIT
        return min(wanted, largest) if largest > size else None


def growth_of(
    fields: tuple[str, str, str],
    limit_size: int | None,
    trigger_threshold: int | None,
    step_percent: int | None,
    *,
    present: int,
) -> VolumeGrowth:
    """What a request says for a volume of `present` GB, its values called by `fields`.

    Raises:
        Refusal: PARAMETER.
    """
    limit, threshold, step = fields
    if limit_size is None or trigger_threshold is None:
        raise Refusal(
            ErrorCode.PARAMETER, f"{limit} and {threshold} are required for a volume that is to grow."
        )
    if limit_size not in VOLUME_SIZES or limit_size < present:
        least, most = max(VOLUME_SIZES.start, present), VOLUME_SIZES.stop - 1
        raise Refusal(ErrorCode.PARAMETER, f"{limit} must be {least} to {most} GB.")
    if trigger_threshold not in _THRESHOLDS:
        raise Refusal(ErrorCode.PARAMETER, f"{threshold} must be 10, 15 or 20.")
    if step_percent is not None and step_percent not in _STEPS:
        raise Refusal(ErrorCode.PARAMETER, f"{step} must be 5 to 50.")
    return VolumeGrowth(limit_size, trigger_threshold, step_percent)
