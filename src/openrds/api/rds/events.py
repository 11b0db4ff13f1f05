"""What happens, as it happens: server-sent events of tasks, steps, instances and backups. An extension of openrds."""

import contextlib
import datetime as dt
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream

from openrds.api.access.authentication import Authenticator
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, project_of, service_of
from openrds.api.streams import KEEP_ALIVE, end_of_life, following, stream
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.identity import Credential
from openrds.tasks import events
from openrds.tasks.events import Event, Lagging, Position, Subject

#: Of events, whose messages are the same for all who get them.
_REMEMBERED = 1000


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
    return stream(request, _messages(request, wanted, seen))


async def _messages(
    request: ApiRequest, wanted: Wanted, seen: Position | None
) -> AsyncGenerator[bytes, None]:
    is_welcome, ends_at = _welcome(request), end_of_life()
    with contextlib.suppress(Lagging), following(request) as reader:
        async for message in _missed(request, wanted, seen, reader.position):
            yield message
        # Also who is cut off before anything happens can come again with a position.
        yield _nothing(reader.position)
        async for happened in reader.choose(wanted.has, KEEP_ALIVE):
            if time.monotonic() > ends_at or not is_welcome():
                return
            yield b"".join(map(_message, happened)) or _nothing(reader.position)


async def _missed(
    request: ApiRequest, wanted: Wanted, seen: Position | None, now: Position
) -> AsyncGenerator[bytes, None]:
    """What happened since an event was seen."""
    reads = service_of(request).reads
    if seen is None or seen == now:
        return
    if seen > now or not await events.is_kept(reads, seen):
        yield b"event: reset\ndata: {}\n\n"
        return
    async for event in events.read(reads, project_of(request).id, seen, now):
        if wanted.has(event):
            yield _message(event)


def _nothing(position: Position) -> bytes:
    """A client learns from this where it is, and that the stream lives."""
    return f"id: {position}\n\n".encode()


def _welcome(request: ApiRequest) -> Callable[[], bool]:
    """Asked again and again: whether who opened the stream might still open one."""
    authenticator: Authenticator = request.app.state.authenticator
    account = request.user.account
    by_token = request.user.credential is Credential.TOKEN
    token = authenticator.token(request.headers["x-auth-token"]) if by_token else None

    def is_welcome() -> bool:
        is_current = authenticator.accounts.with_access_key(account.access_key) is account
        return is_current and (token is None or authenticator.holds(token))

    return is_welcome


@lru_cache(_REMEMBERED)
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
