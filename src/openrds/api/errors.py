"""Every failure becomes `{"error_code", "error_msg"}`, and every answer has an `X-Request-Id`.

Source: contract, auth-and-errors.md 1.2 and 5. Handlers with `opt={"keystone": True}` also get keystone's
`error` object, which OpenStack clients read.
"""

import http
import logging
import os
import re
import traceback
from enum import Enum
from types import UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec
import psycopg
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from litestar.types import ExceptionHandlersMap, Message, Scope

from openrds.api.unknown_paths import may_exist
from openrds.domain.errors import ErrorCode, Refusal

REQUEST_ID_HEADER = "X-Request-Id"

logger = logging.getLogger(__name__)

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_AT_PATH = re.compile(r"(?P<expected>.*) - at `(?:key in )?\$\.?(?P<path>.*?)(?:\[\.\.\.\])?`", re.DOTALL)
#: How messages of msgspec begin that say too little to whoever is to mend it.
_WRONG_CHOICE = "Invalid enum value "
_WRONG_TIMES = ("Invalid RFC3339", "Timestamp is out of range", "Expected `datetime")
_CODE_OF_STATUS = {
    401: ErrorCode.UNAUTHENTICATED,
    403: ErrorCode.FORBIDDEN,
    404: ErrorCode.NO_SUCH_API,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.BODY_TOO_LARGE,
}

AnyRequest: TypeAlias = Request[Any, Any, Any]


class KeystoneError(msgspec.Struct):
    code: int
    message: str
    title: str


class ErrorBody(msgspec.Struct, omit_defaults=True):
    """The body of every answer above 399; `error` only on the IAM paths."""

    error_code: str
    error_msg: str
    error: KeystoneError | msgspec.UnsetType = msgspec.UNSET


def request_id(scope: Scope) -> str:
    """The id of this request: the caller's own if it is sane, else a new one; the same on every call."""
    state: dict[str, Any] = scope.setdefault("state", {})
    if "request_id" not in state:
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        state["request_id"] = given.decode() if _SANE_ID.fullmatch(given) else new_request_id()
    return str(state["request_id"])


def new_request_id() -> str:
    """32 hex digits; a UUID would be as good, and takes five times as long."""
    return os.urandom(16).hex()


async def add_request_id(message: Message, scope: Scope) -> None:
    """A `before_send` hook: `X-Request-Id` on every answer, those of the router included."""
    if message["type"] == "http.response.start":
        # A new list, because Litestar shares the old one between answers of a cached response.
        message["headers"] = [*message["headers"], (b"x-request-id", request_id(scope).encode())]


def answer_refusal(request: AnyRequest, refusal: Refusal) -> Response[ErrorBody]:
    throttled = refusal.error is ErrorCode.THROTTLED
    return _answer(request, refusal.error, str(refusal), {"Retry-After": "1"} if throttled else None)


def answer_http_exception(request: AnyRequest, error: HTTPException) -> Response[ErrorBody]:
    """Litestar's own refusals: no route, no such method, body too large, a body that cannot be decoded."""
    if error.status_code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return answer_unexpected(request, error)
    if isinstance(error.__cause__, SerializationException):
        return _answer(request, ErrorCode.BODY_SYNTAX, f"The request body is not JSON: {error.__cause__}.")
    code = _CODE_OF_STATUS.get(error.status_code, ErrorCode.PARAMETER)
    if code is ErrorCode.METHOD_NOT_ALLOWED and not may_exist(request.app, request.url.path):
        return _answer(request, ErrorCode.NO_SUCH_API)
    said = error.detail != http.HTTPStatus(error.status_code).phrase
    return _answer(request, code, error.detail if said else code.meaning, error.headers)


def answer_validation(request: AnyRequest, error: ValidationException) -> Response[ErrorBody]:
    """A parameter or field of the wrong type or out of range; the message names each."""
    problems = error.extra if isinstance(error.extra, list) else []
    # Litestar leaves `data` out when the body is empty, and then misses it.
    if any(problem.get("key") == "data" and problem["message"] == "'data'" for problem in problems):
        return _answer(request, ErrorCode.EMPTY_BODY)
    message = "; ".join(_problem(request, problem) for problem in problems)
    return _answer(request, ErrorCode.PARAMETER, message or error.detail.partition(" for path ")[0])


def _problem(request: AnyRequest, problem: dict[str, Any]) -> str:
    # `id_` and `type_` are called so only here, because the bare names are Python's.
    key, message = problem.get("key", "").removesuffix("_"), str(problem["message"])
    if not key:
        return message
    if message.startswith(_WRONG_CHOICE) and (choices := _choices(request, key)):
        return f"{key} must be one of {', '.join(choices)}, not {message.removeprefix(_WRONG_CHOICE)}"
    if message.startswith(_WRONG_TIMES):
        return f"{key} must be a time, such as 2026-02-03T04:05:06Z"
    return f"{'body' if key == 'data' else key}: {message}"


def _choices(request: AnyRequest, key: str) -> list[str]:
    """What a parameter in the path or the query may be; nothing where that is not a few words."""
    hints = get_type_hints(request.scope["route_handler"].fn)
    hint = hints.get(key) or hints.get(f"{key}_")
    kinds = get_args(hint) if get_origin(hint) in (UnionType, Union) else (hint,)
    for kind in kinds:
        if get_origin(kind) is Literal:
            return [str(choice) for choice in get_args(kind)]
        if isinstance(kind, type) and issubclass(kind, Enum):
            return [str(choice.value) for choice in kind]
    return []


def answer_msgspec(request: AnyRequest, error: msgspec.MsgspecError) -> Response[ErrorBody]:
    """A body that a handler decoded by itself."""
    if not isinstance(error, msgspec.ValidationError):
        return _answer(request, ErrorCode.BODY_SYNTAX, f"The request body is not JSON: {error}.")
    match = _AT_PATH.fullmatch(str(error))
    if match is None:
        return _answer(request, ErrorCode.PARAMETER, str(error))
    return _answer(request, ErrorCode.PARAMETER, f"{match['path'] or 'body'}: {match['expected']}")


def answer_serialization(request: AnyRequest, error: SerializationException) -> Response[ErrorBody]:
    if isinstance(error.__cause__, msgspec.MsgspecError):
        return answer_msgspec(request, error.__cause__)
    return _answer(request, ErrorCode.BODY_SYNTAX)


def answer_undecodable(
    request: AnyRequest, error: UnicodeDecodeError | RecursionError
) -> Response[ErrorBody]:
    """A JSON body that is not UTF-8 or too deep: Litestar lets these errors of its decoder through."""
    if traceback.extract_tb(error.__traceback__)[-1].name != "decode_json":
        return answer_unexpected(request, error)
    wrong = "nested too deeply" if isinstance(error, RecursionError) else "not UTF-8"
    return _answer(request, ErrorCode.BODY_SYNTAX, f"The request body is {wrong}.")


def answer_data_error(request: AnyRequest, error: psycopg.DataError) -> Response[ErrorBody]:
    """The store keeps every character but NUL, which a caller may have put anywhere; other faults are ours."""
    if isinstance(error, psycopg.errors.UntranslatableCharacter) or "NUL" in str(error):
        return _answer(request, ErrorCode.PARAMETER, "The character NUL is not allowed.")
    return answer_unexpected(request, error)


def answer_store_unavailable(request: AnyRequest, error: psycopg.OperationalError) -> Response[ErrorBody]:
    """Also for `psycopg_pool.PoolTimeout`, which is an OperationalError."""
    logger.warning("request %s: the store does not answer: %s", request_id(request.scope), error)
    return _answer(request, ErrorCode.STORE_UNAVAILABLE, headers={"Retry-After": "1"})


def answer_unexpected(request: AnyRequest, error: Exception) -> Response[ErrorBody]:
    """Tells the caller only where to look: the traceback goes to the log."""
    name = request_id(request.scope)
    logger.error("request %s failed: %s %s", name, request.method, request.url.path, exc_info=error)
    return _answer(request, ErrorCode.INTERNAL, f"{ErrorCode.INTERNAL.meaning} Request id: {name}.")


def _answer(
    request: AnyRequest, code: ErrorCode, message: str = "", headers: dict[str, str] | None = None
) -> Response[ErrorBody]:
    body = ErrorBody(code.code, message or code.meaning)
    handler = request.scope.get("route_handler")
    if handler is not None and handler.opt.get("keystone"):
        body.error = KeystoneError(code.status, body.error_msg, http.HTTPStatus(code.status).phrase)
    return Response(body, status_code=code.status, headers=headers, media_type=MediaType.JSON)


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    Refusal: answer_refusal,
    ValidationException: answer_validation,
    HTTPException: answer_http_exception,
    SerializationException: answer_serialization,
    msgspec.MsgspecError: answer_msgspec,
    psycopg.OperationalError: answer_store_unavailable,
    psycopg.DataError: answer_data_error,
    UnicodeDecodeError: answer_undecodable,
    RecursionError: answer_undecodable,
    Exception: answer_unexpected,
}
