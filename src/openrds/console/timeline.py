"""The steps of a task on a line of time: when each began and how long it took, or where it will be as usual."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from openrds.domain.task import StepStatus
from openrds.store.database import Row

#: A step is shown as slow that takes so many times what it usually does, and so many seconds more.
_SLOW_TIMES, _SLOW_MORE = 2.0, 5.0
#: The least that can be seen, in hundredths of the whole.
_LEAST = 0.6
_GOING_ON = frozenset({StepStatus.RUNNING, StepStatus.UNDOING})


def timeline(
    begun: dt.datetime, steps: Sequence[Row], usual: Mapping[str, float], now: dt.datetime
) -> list[dict[str, Any]]:
    """Each step with its bar: `begin` and `length`, and `usual_length`, in hundredths of the whole.

    `seconds` is what it took, or takes so far; None before it begins. Times are the store's only.
    """
    shown, at = [], 0.0
    for step in steps:
        seconds = _seconds(step, now)
        expected = usual.get(step["name"])
        if step["started_at"] is not None:
            at = max(0.0, (step["started_at"] - begun).total_seconds())
        shown.append(
            {
                **{name: step[name] for name in ("name", "status", "node_id", "host", "attempts", "error")},
                "seconds": seconds,
                "usual": expected,
                "begin": at,
                "length": seconds or 0.0,
                "usual_length": expected or 0.0,
                "is_slow": _is_slow(seconds, expected),
            }
        )
        at += expected or 0.0 if seconds is None else seconds
    return _scaled(shown)


def _seconds(step: Row, now: dt.datetime) -> float | None:
    begun: dt.datetime | None = step["started_at"]
    ended: dt.datetime | None = now if step["status"] in _GOING_ON else step["ended_at"]
    return None if begun is None or ended is None else max(0.0, (ended - begun).total_seconds())


def _is_slow(seconds: float | None, usual: float | None) -> bool:
    return bool(seconds and usual and seconds > max(_SLOW_TIMES * usual, usual + _SLOW_MORE))


def _scaled(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    whole = max((one["begin"] + max(one["length"], one["usual_length"]) for one in steps), default=0.0) or 1.0
    for one in steps:
        for name in ("begin", "length", "usual_length"):
            one[name] = round(100 * one[name] / whole, 2)
        if one["seconds"] is not None:
            one["length"] = max(_LEAST, one["length"])
            one["begin"] = min(one["begin"], 100 - one["length"])
    return steps
