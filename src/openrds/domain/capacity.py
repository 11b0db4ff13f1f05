"""When a volume counts as full. Bytes throughout, a GB being 2**30."""

GB = 2**30

#: A volume is full with less than 3 % free, or less than 18 GB on a large one; it is no longer with half as much again.
_FULL_SHARE = 0.03
_MOST = 18 * GB
_CURED = 1.5
#: Where its owner wants to make room, only with less than a third of that: the last is the server's own to end well.
_UNLOCKED = 1 / 3


def is_full(size_gb: int, free: int, *, was_full: bool, unlocked: bool = False) -> bool:
    """Whether clients may write no more. Once it was full it takes some more room, so that it does not flicker."""
    least = min(_FULL_SHARE * size_gb * GB, _MOST) * (_UNLOCKED if unlocked else 1)
    return free < least * (_CURED if was_full else 1)
