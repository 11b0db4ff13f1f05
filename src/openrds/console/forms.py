"""What is sent by the console's forms: read, known to be of the session, and done once."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response

from openrds.api.changes import CLIENT_TOKEN_LIFE, Claim, change
from openrds.api.rds.instance_bodies import JobIdAnswer
from openrds.api.state import ApiRequest
from openrds.console.pages import see_other
from openrds.console.sessions import AnyRequest, Session, nonce_of, session_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.operations.intake.intake import Intake

_LONGEST = 1000
_MOST_FIELDS = 40


async def fields_of(request: AnyRequest, session: Session | None = None) -> Mapping[str, Any]:
    """The fields of a form; of one that a session's page showed, unless there is no session.

    Raises:
        Refusal: PARAMETER; FORBIDDEN for a form without the token of the session.
    """
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise Refusal(ErrorCode.PARAMETER, "Only the console's own forms are taken.")
    fields = {
        name: values[0] if len(values) == 1 else values
        for name, values in (await request.form()).dict().items()
    }
    if len(fields) > _MOST_FIELDS:
        raise Refusal(ErrorCode.PARAMETER, "The form has too many fields.")
    if session is not None:
        nonce_of(session, text_in(fields, "token"))
    return fields


def text_in(fields: Mapping[str, Any], name: str) -> str:
    """The text of a field, "" where there is none.

    Raises:
        Refusal: PARAMETER, it was given more than once or is too long.
    """
    value = fields.get(name, "")
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise Refusal(ErrorCode.PARAMETER, f"{name} must be one text of at most {_LONGEST} characters.")
    return value


async def submit(
    request: ApiRequest, fields: Mapping[str, Any], work: Callable[[Intake], UUID]
) -> Response[Any]:
    """Have a task accepted and go to its page: of a form that is sent twice, to the one of the first time.

    Raises:
        Refusal: what `work` raises.
    """
    session = session_of(request)
    nonce = nonce_of(session, text_in(fields, "token"))
    claim = Claim(f"form {session.id_hash.hex()} {nonce}", CLIENT_TOKEN_LIFE)

    def accept(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(work(intake)))

    answer = await change(request, accept, claims=[claim])
    task_id = msgspec.json.decode(answer.content, type=JobIdAnswer).job_id
    return see_other(f"/console/tasks/{task_id}")
