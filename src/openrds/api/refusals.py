"""Which errors a route may answer, for its OpenAPI document."""

from collections import defaultdict

from litestar.openapi.datastructures import ResponseSpec

from openrds.api.errors import ErrorBody
from openrds.domain.errors import ErrorCode

#: What any authenticated route may answer.
_ALWAYS = (
    ErrorCode.PARAMETER,
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.PROJECT_MISMATCH,
    ErrorCode.TOKEN_INVALID,
    ErrorCode.FORBIDDEN,
    ErrorCode.NO_SUCH_API,
    ErrorCode.METHOD_NOT_ALLOWED,
    ErrorCode.BODY_TOO_LARGE,
    ErrorCode.INTERNAL,
    ErrorCode.STORE_UNAVAILABLE,
)
_WITH_BODY = (ErrorCode.EMPTY_BODY, ErrorCode.BODY_SYNTAX)
_ON_INSTANCE = (
    ErrorCode.INSTANCE_ID_FORMAT,
    ErrorCode.INSTANCE_NOT_FOUND,
    ErrorCode.INSTANCE_BUSY,
    ErrorCode.STATUS_FORBIDS,
    ErrorCode.FROZEN,
)


def refusals(*errors: ErrorCode, body: bool = False, instance: bool = False) -> dict[int, ResponseSpec]:
    """The `responses` of a handler: what any route may answer, and what this one adds."""
    by_status: dict[int, list[ErrorCode]] = defaultdict(list)
    for error in (*_ALWAYS, *(_WITH_BODY if body else ()), *(_ON_INSTANCE if instance else ()), *errors):
        if error not in by_status[error.status]:
            by_status[error.status].append(error)
    return {
        status: ResponseSpec(
            ErrorBody,
            generate_examples=False,
            description="; ".join(f"`{error.code}` {error.meaning}" for error in errors_),
        )
        for status, errors_ in sorted(by_status.items())
    }
