"""What went wrong, as a page: the API's own refusals, in its words."""

import functools
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.types import ExceptionHandlersMap

from openrds.api.errors import EXCEPTION_HANDLERS, ErrorBody
from openrds.console.guard import SignedOut, is_stream
from openrds.console.pages import RELOAD, add_headers, render, see_other
from openrds.console.sessions import AnyRequest
from openrds.domain.errors import ErrorCode


def _ask_to_sign_in(request: AnyRequest, _: SignedOut) -> Response[Any]:
    if is_stream(request):
        return add_headers(Response(RELOAD, media_type="text/event-stream"))
    back = request.scope["path"] if request.method == "GET" else "/console"
    return add_headers(see_other(f"/console/sign-in?next={quote(back)}"))


def _as_page(
    answer: Callable[[AnyRequest, Any], Response[ErrorBody]], request: AnyRequest, error: Exception
) -> Response[str]:
    said = answer(request, error)
    # The contract has these as bad requests; for a browser it is a page that is not there.
    is_missing = said.content.error_code in _MISSING
    values = {"code": said.content.error_code, "message": said.content.error_msg}
    return add_headers(
        render(request, "failure.html", values, 404 if is_missing else said.status_code or 500)
    )


_MISSING = frozenset({ErrorCode.TASK_NOT_FOUND.code, ErrorCode.INSTANCE_ID_FORMAT.code})

FAILURES: ExceptionHandlersMap = {
    kind: functools.partial(_as_page, answer) for kind, answer in EXCEPTION_HANDLERS.items()
} | {SignedOut: _ask_to_sign_in}
