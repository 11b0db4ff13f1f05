"""When a server that died is brought back: at once, but the later the more often that was in vain."""

import datetime as dt

#: So often in a row a server is brought back at once. Then there is a pause, which doubles each time, in seconds.
AT_ONCE = 3
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 300.0
#: After so many it is the longest in any case.
_DOUBLINGS = 16
#: A server that was last brought back so long ago has died for another reason.
FORGIVEN_AFTER = dt.timedelta(minutes=10)


def pause_after(revivals: int) -> float:
    """Seconds from one revival to the next; `revivals` is how many there were in a row."""
    if revivals < AT_ONCE:
        return 0.0
    return min(FIRST_PAUSE * 2.0 ** min(revivals - AT_ONCE, _DOUBLINGS), LONGEST_PAUSE)


def seconds_until_due(revivals: int, revived_at: dt.datetime | None, now: dt.datetime) -> float:
    """Until it may be brought back; 0.0 where that is now. `revived_at` is when it last was."""
    if revived_at is None or now - revived_at > FORGIVEN_AFTER:
        return 0.0
    return max(0.0, pause_after(revivals) - (now - revived_at).total_seconds())
