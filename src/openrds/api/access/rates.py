"""How many requests a second a project may send: a bucket each, that fills at the rate and holds a second's worth.

Source: contract, auth-and-errors.md 4 and 8 (429, APIGW.0308).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from litestar.types import ASGIApp, Receive, Scope, Send

from openrds.domain.errors import ErrorCode, Refusal

Clock = Callable[[], float]


@dataclass
class _Bucket:
    """How many requests are left, as of a moment in seconds."""

    left: float
    at: float


class Rates:
    """Of one API process. There is a bucket for each project that has called: as many as there are projects at most."""

    def __init__(self, per_second: int, clock: Clock = time.monotonic) -> None:
        self.per_second = per_second
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, project_id: str) -> None:
        """Count a request.

        Raises:
            Refusal: THROTTLED, the bucket is empty.
        """
        bucket = self._filled(project_id)
        if bucket.left < 1:
            raise Refusal(
                ErrorCode.THROTTLED,
                f"The project may send {self.per_second} requests a second; try again in a second.",
            )
        bucket.left -= 1

    def used(self, project_id: str) -> int:
        """How much of what may be sent within a second was sent just now."""
        return self.per_second - int(self._filled(project_id).left)

    def _filled(self, project_id: str) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(project_id, _Bucket(self.per_second, now))
        bucket.left = min(self.per_second, bucket.left + (now - bucket.at) * self.per_second)
        bucket.at = now
        return bucket


class RatesMiddleware:
    """Stands behind authentication; what is public is not counted here."""

    def __init__(self, app: ASGIApp, rates: Rates) -> None:
        self._app = app
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app for a project that has not sent too much.

        Raises:
            Refusal: THROTTLED.
        """
        caller = scope.get("user")
        if caller is not None:
            self._rates.take(caller.project.id)
        await self._app(scope, receive, send)
