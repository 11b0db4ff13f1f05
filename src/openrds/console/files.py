"""The console's style, scripts and icons: what is in `static/`, by name."""

import functools
from pathlib import Path

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from openrds.console.guard import OPEN

_FOLDER = Path(__file__).with_name("static")
_TYPES = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "hx-sse.min.js": "text/javascript",
    "icons.svg": "image/svg+xml",
}


@functools.cache
def _content(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()


@get("/static/{name:str}", opt=OPEN, sync_to_thread=False)
def static_file(name: FromPath[str]) -> Response[bytes]:
    """Only what is named here: no path of a caller's leads to a file."""
    if name not in _TYPES:
        raise NotFoundException
    return Response(_content(name), media_type=_TYPES[name], headers={"Cache-Control": "max-age=300"})


HANDLERS = [static_file]
