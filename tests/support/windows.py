"""Maintenance windows that begin so many hours from now, whatever time it is."""

import datetime as dt
from typing import Any

from support.service import ServiceUnderTest, fresh


def set_window(service: ServiceUnderTest, instance: dict[str, Any], begins_in_hours: int) -> tuple[str, str]:
    """Let the window begin so many hours from the hour that it is now; its begin and end as shown."""
    hour = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    begins = hour + dt.timedelta(hours=begins_in_hours)
    ends = begins + dt.timedelta(hours=4)
    body = {"start_time": begins.strftime("%H:%M"), "end_time": ends.strftime("%H:%M")}
    answer = service.call("PUT", f"instances/{instance['id']}/ops-window", body, headers=fresh())
    assert answer.status_code == 200, answer.text
    form = "%Y-%m-%dT%H:%M:%S+0000"
    return begins.strftime(form), ends.strftime(form)
