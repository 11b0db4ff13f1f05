"""Which errors a route may answer, for its OpenAPI document."""

from collections import defaultdict

from litestar.openapi.datastructures import ResponseSpec

from openrds.api.errors import ErrorBody
from openrds.domain.errors import ErrorCode

#: What any route may answer.
_ALWAYS = (
    ErrorCode.PARAMETER,
    ErrorCode.NO_SUCH_API,
    ErrorCode.METHOD_NOT_ALLOWED,
    ErrorCode.BODY_TOO_LARGE,
    ErrorCode.INTERNAL,
)
_AUTHENTICATED = (
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.PROJECT_MISMATCH,
    ErrorCode.TOKEN_INVALID,
    ErrorCode.FORBIDDEN,
    ErrorCode.THROTTLED,
    ErrorCode.STORE_UNAVAILABLE,
)
_WITH_BODY = (ErrorCode.EMPTY_BODY, ErrorCode.BODY_SYNTAX)
_ON_INSTANCE = (
    ErrorCode.INSTANCE_ID_FORMAT,
    ErrorCode.INSTANCE_NOT_FOUND,
    ErrorCode.INSTANCE_BUSY,
    ErrorCode.STATUS_FORBIDS,
    ErrorCode.FROZEN,
    ErrorCode.QUOTA,
)


def refusals(
    *errors: ErrorCode, public: bool = False, body: bool = False, instance: bool = False
) -> dict[int, ResponseSpec]:
    """The `responses` of a handler: what routes of its kind may answer, and what this one adds.

    A `public` route asks nobody who calls.
    """
    kinds = ((not public, _AUTHENTICATED), (body, _WITH_BODY), (instance, _ON_INSTANCE))
    of_kind = [error for applies, kind in kinds if applies for error in kind]
    by_status: dict[int, list[ErrorCode]] = defaultdict(list)
    for error in dict.fromkeys((*_ALWAYS, *of_kind, *errors)):
        by_status[error.status].append(error)
    return {
        status: ResponseSpec(
            ErrorBody,
            generate_examples=False,
            description="; ".join(f"`{error.code}` {error.meaning}" for error in errors_),
        )
        for status, errors_ in sorted(by_status.items())
    }
