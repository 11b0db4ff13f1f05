"""What happens, as it happens: server-sent events of tasks, steps, instances and backups. An extension of openrds."""

import datetime as dt
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream

from openrds.api.access.authentication import Authenticator
from openrds.api.holding import holding_of
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, project_of, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.store.database import Reads
from openrds.tasks import events
from openrds.tasks.events import Event, Lagging, Position, Subject

#: Seconds after which a stream in which nothing happens shows that it lives.
KEEP_ALIVE = 15.0
#: Seconds that a stream lasts; then its client comes again, and must be who it says again.
LIFE = 3600.0

_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class EventData(msgspec.Struct):
    """`id` is the event's number, `state` what it is about as it was right after it."""

    id: str
    subject: Subject
    at: dt.datetime
    instance_id: str
    task_id: str
    state: dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """Which events of a project; empty fields do not filter."""

    subjects: frozenset[Subject] = frozenset()
    instance_id: str = ""
    task_id: str = ""

    def has(self, event: Event) -> bool:
        return (
            (not self.subjects or event.subject in self.subjects)
            and (not self.instance_id or event.instance_id == self.instance_id)
            and (not self.task_id or str(event.task_id) == self.task_id)
        )


@get(
    "/v3/{project_id:str}/events",
    responses=refusals(ErrorCode.THROTTLED, ErrorCode.STORE_UNAVAILABLE),
    media_type="text/event-stream",
    tags=["Extensions"],
)
async def stream_events(
    request: ApiRequest,
    project_id: FromPath[str],
    subject: Annotated[
        str | None, QueryParameter(description="task, step, instance, backup: one or more, with commas.")
    ] = None,
    instance_id: FromQuery[str | None] = None,
    task_id: FromQuery[str | None] = None,
    since: Annotated[
        str | None, QueryParameter(description="The id of the last event seen; so does Last-Event-ID.")
    ] = None,
) -> Stream:
    """What happens in the project from now on, or behind the last event that was seen, as server-sent events.

    An event `reset` says that some may be missing, because the last one seen is older than a day: read anew what you
    show. A client that reads too slowly is cut off, and reads on when it comes again.
    """
    wanted = Wanted(_subjects(subject), instance_id or "", task_id or "")
    seen = _position(request.headers.get("last-event-id") or since)
    # Once the answer has begun, nothing can be refused any more.
    holding_of(request).check(project_id)
    if not service_of(request).events.is_live:
        raise Refusal(ErrorCode.STORE_UNAVAILABLE)
    return Stream(_stream(request, wanted, seen), headers=_HEADERS, media_type="text/event-stream")


async def _stream(request: ApiRequest, wanted: Wanted, seen: Position | None) -> AsyncGenerator[bytes, None]:
    service, project_id = service_of(request), project_of(request).id
    ends_at = time.monotonic() + LIFE
    with holding_of(request).one(project_id), service.events.reading(project_id) as reader:
        async for message in _missed(service.reads, project_id, wanted, seen, reader.position):
            yield message
        # Also who is cut off before anything happens can come again with a position.
        yield _nothing(reader.position)
        while time.monotonic() < ends_at:
            try:
                happened = await reader.take(KEEP_ALIVE)
            except Lagging:
                return
            if not _may_go_on(request):
                return
            messages = b"".join(_message(event) for event in happened if wanted.has(event))
            if messages or not happened:
                yield messages or _nothing(reader.position)


async def _missed(
    reads: Reads, project_id: str, wanted: Wanted, seen: Position | None, now: Position
) -> AsyncGenerator[bytes, None]:
    """What happened since an event was seen."""
    if seen is None or seen == now:
        return
    if seen > now or not await events.is_kept(reads, seen):
        yield b"event: reset\ndata: {}\n\n"
        return
    async for event in events.read(reads, project_id, seen, now):
        if wanted.has(event):
            yield _message(event)


def _nothing(position: Position) -> bytes:
    """A client learns from this where it is, and that the stream lives."""
    return f"id: {position}\n\n".encode()


def _may_go_on(request: ApiRequest) -> bool:
    """Whether who opened the stream might still open one."""
    authenticator: Authenticator = request.app.state.authenticator
    account = request.user.account
    if authenticator.accounts.with_access_key(account.access_key) is not account:
        return False
    token = request.headers.get("x-auth-token")
    if token is None or request.headers.get("authorization"):
        return True
    try:
        authenticator.token(token)
    except Refusal:
        return False
    return True


def _message(event: Event) -> bytes:
    data = EventData(
        str(event.position),
        event.subject,
        event.at,
        event.instance_id,
        str(event.task_id or ""),
        event.state,
    )
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (
        data.id.encode(),
        event.subject.encode(),
        msgspec.json.encode(data),
    )


def _subjects(text: str | None) -> frozenset[Subject]:
    try:
        return frozenset(Subject(part) for part in (text or "").split(",") if part)
    except ValueError:
        known = ", ".join(Subject)
        raise Refusal(ErrorCode.PARAMETER, f"subject must be of {known}, with commas.") from None


def _position(text: str | None) -> Position | None:
    if not text:
        return None
    position = Position.parse(text)
    if position is None:
        raise Refusal(
            ErrorCode.PARAMETER, "since and Last-Event-ID must be the id of an event, such as 812-40."
        )
    return position


HANDLERS = [stream_events]
