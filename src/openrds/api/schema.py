"""The document of the API at `/schema/openapi.json`, and the page at `/schema` that shows it, signs and sends.

The page is Swagger UI, whose files come with the package `swagger-ui-py`, and what is in `page/`. Nothing of it comes
from elsewhere, and its Content-Security-Policy sees to that.
"""

import functools
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath
from litestar.plugins.base import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute

from openrds import __version__
from openrds.api.rendered import RenderedOnce

_PUBLIC = {"public": True}
_OWN = Path(__file__).with_name("page")

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

_SCHEMES = {
    "signature": SecurityScheme(
        type="http",
        scheme="sdk-hmac-sha256",
        description="Signed with an access key and its secret key, which are in credentials.json.",
    ),
    "token": SecurityScheme(
        type="apiKey",
        name="X-Auth-Token",
        security_scheme_in="header",
        description="A token of POST /v3/auth/tokens: its answer's X-Subject-Token.",
    ),
}


class Page(OpenAPIRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return (_OWN / "index.html").read_bytes()


class Security(ReceiveRoutePlugin):
    """Each operation that is not public says that it wants a signature or a token."""

    def receive_route(self, route: BaseRoute) -> None:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            if not handler.opt.get("public"):
                handler.security = [{name: []} for name in _SCHEMES]


def openapi_config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="openrds",
        version=__version__,
        description="A self-hosted relational database service behind the Huawei Cloud RDS v3 API.",
        components=Components(security_schemes=dict(_SCHEMES)),
        openapi_router=Router(
            "/schema",
            route_handlers=[],
            include_in_schema=False,
            opt=_PUBLIC,
            after_request=_finish,
        ),
        render_plugins=[Page(path="/"), RenderedOnce(path="/openapi.json")],
    )


def _finish(response: Response[Any]) -> Response[Any]:
    """Litestar answers an unknown path below the document's with a page of its own."""
    if response.status_code == 404:
        raise NotFoundException
    response.headers.update(_HEADERS)
    return response


def _files() -> dict[str, tuple[Path, str]]:
    """What the page is made of, by name: where it is, and its media type."""
    package = find_spec("swagger_ui")
    assert package is not None and package.origin is not None
    bundled = Path(package.origin).with_name("static")
    return {
        "page.js": (_OWN / "page.js", "text/javascript"),
        "signature.js": (_OWN / "signature.js", "text/javascript"),
        "swagger-ui-bundle.js": (bundled / "swagger-ui-bundle.js", "text/javascript"),
        "swagger-ui.css": (bundled / "swagger-ui.css", MediaType.CSS),
        "favicon-32x32.png": (bundled / "favicon-32x32.png", "image/png"),
    }


_FILES = _files()


@functools.cache
def _content(name: str) -> bytes:
    """2 MB in all, read once: whoever asks costs no thread, and nobody has to be known to ask."""
    return _FILES[name][0].read_bytes()


@get("/schema/ui/{name:str}", include_in_schema=False, opt=_PUBLIC, sync_to_thread=False)
def page_file(name: FromPath[str]) -> Response[bytes]:
    """Only what the page needs, by its name: no path of a caller's leads to a file."""
    if name not in _FILES:
        raise NotFoundException
    return Response(_content(name), media_type=_FILES[name][1], headers=_HEADERS)
