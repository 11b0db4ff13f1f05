"""Server-sent events: what every stream of them has, whatever it sends."""

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from litestar.response import Stream

from openrds.api.holding import holding_of
from openrds.api.state import ApiRequest, project_of, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.tasks.events import Following

#: Seconds after which a stream in which nothing happens shows that it lives.
KEEP_ALIVE = 15.0
#: Seconds that one lasts; then its client comes again, and must be who it says again.
_LIFE = 3600.0

_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def stream(request: ApiRequest, parts: AsyncGenerator[bytes, None]) -> Stream:
    """
    Raises:
        Refusal: THROTTLED, the project has too many; STORE_UNAVAILABLE. Once it has begun, nothing can be refused.
    """
    holding_of(request).check(project_of(request).id)
    if not service_of(request).events.is_live:
        raise Refusal(ErrorCode.STORE_UNAVAILABLE)
    return Stream(parts, headers=_HEADERS, media_type="text/event-stream")


@contextmanager
def following(request: ApiRequest) -> Iterator[Following]:
    """What happens in the project, for the time of the block.

    Raises:
        Lagging, Refusal: it cannot be followed now.
    """
    project_id = project_of(request).id
    with holding_of(request).one(project_id), service_of(request).events.reading(project_id) as reader:
        yield reader


def end_of_life() -> float:
    """When a stream that begins now is to end, by the monotonic clock."""
    return time.monotonic() + _LIFE
