"""The OpenAPI document in JSON, written once: anybody may ask for it, and writing it takes long."""

from typing import Any

from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin


class RenderedOnce(JsonRenderPlugin):
    """All who ask get the same bytes."""

    _text: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        if self._text is None:
            self._text = super().render(request, openapi_schema)
        return self._text
