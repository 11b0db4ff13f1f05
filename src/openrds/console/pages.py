"""How a page is shown: as a whole, or as a stream of its part that lives, rendered anew when something happens.

A stream begins with the part as it is then. So whoever was cut off, and comes again, has missed nothing.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import jinja2
from litestar import Response
from litestar.response import Redirect, Stream

from openrds import __version__
from openrds.api.state import ApiRequest
from openrds.api.streams import KEEP_ALIVE, end_of_life, following, stream
from openrds.console import words
from openrds.console.guard import HEADERS, is_stream
from openrds.console.sessions import AnyRequest, form_token, session_of, sessions_of
from openrds.domain.errors import Refusal
from openrds.tasks.events import Event, Lagging

#: Seconds between two versions of a part that keeps changing: nobody reads faster.
_PAUSE = 0.25
#: Seconds after which what moves without events, as the progress of a step does, is shown anew.
_MOVING = 1.0

#: The page itself says what has become of it, or of who looks at it.
RELOAD = b"event: reload\ndata: -\n\n"


@dataclass(frozen=True)
class Shown:
    """What a template gets. `moves`: it changes also while nothing happens."""

    values: dict[str, Any] = field(default_factory=dict)
    moves: bool = False


View = Callable[[], Awaitable[Shown]]
Wanted = Callable[[Event], bool]


@functools.cache
def _templates() -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("openrds.console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters |= words.FILTERS
    templates.globals["version"] = __version__
    templates.globals["parts"] = templates.get_template("_parts.html").module
    return templates


async def show(
    request: ApiRequest, template: str, view: View, wanted: Wanted = lambda _: True
) -> Response[str] | Stream:
    """The page, or for who asks for a stream its block `live`, again after each event that is wanted."""
    if not is_stream(request):
        return render(request, template, (await view()).values)
    return stream(request, _stream(request, template, view, wanted))


def render(request: AnyRequest, template: str, values: dict[str, Any], status: int = 200) -> Response[str]:
    """A whole page. `values` may be what a tenant wrote: the templates escape all."""
    text = _templates().get_template(template).render(_common(request) | values)
    return Response(text, status_code=status, media_type="text/html")


def see_other(path: str) -> Redirect:
    return Redirect(path, status_code=303)


def add_headers(response: Response[Any]) -> Response[Any]:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


async def _stream(
    request: ApiRequest, template: str, view: View, wanted: Wanted
) -> AsyncGenerator[bytes, None]:
    try:
        async for part in _parts(request, template, view, wanted):
            yield part
    except Refusal:
        # What the page is about is gone. It says so itself.
        yield RELOAD


async def _parts(
    request: ApiRequest, template: str, view: View, wanted: Wanted
) -> AsyncGenerator[bytes, None]:
    session, sessions, ends_at = session_of(request), sessions_of(request), end_of_life()
    with (
        contextlib.suppress(Lagging),
        following(request) as reader,
        sessions.streaming(session, reader),
    ):
        # One form token for all that the stream shows: else each part would differ from the one before.
        common, shown, last = _common(request), await view(), ""
        while True:
            text = _live(template, common | shown.values)
            yield _message(text) if text != last else b":\n\n"
            last = text
            try:
                await asyncio.sleep(_PAUSE)
                happened = await reader.take(_MOVING if shown.moves else KEEP_ALIVE)
            except Lagging:
                happened, ends_at = [], 0.0
            if await sessions.find(session.id, sees=False) is None:
                yield RELOAD
                return
            if time.monotonic() > ends_at:
                return
            if shown.moves or any(map(wanted, happened)):
                shown = await view()


def _live(template: str, values: dict[str, Any]) -> str:
    page = _templates().get_template(template)
    context = page.new_context(values)
    return "".join(page.blocks["live"](context))


def _message(text: str) -> bytes:
    return "".join(f"data: {line}\n" for line in text.splitlines()).encode() + b"\n"


def _common(request: AnyRequest) -> dict[str, Any]:
    """What every page may name."""
    session = request.scope["state"].get("console_session")
    return {
        "session": session,
        "account": session.account if session else None,
        "address": _address(request),
        "token": form_token(session) if session else "",
    }


def _address(request: AnyRequest) -> str:
    """The page's own, with its filters: also its stream's."""
    query = request.scope["query_string"].decode("latin-1")
    return request.scope["path"] + (f"?{query}" if query else "")
