"""Whether a password would do. Source: SDK `check_weakpwd`."""

import msgspec
from litestar import post
from litestar.params import FromPath, JSONBody

from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.engine import RULES, EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.lengths import Text
from openrds.domain.rules import is_weak


class CheckPassword(msgspec.Struct):
    target: Text
    engine: Text = EngineName.MYSQL


class WeakAnswer(msgspec.Struct):
    weak: bool


@post(
    "/v3/{project_id:str}/weakpwd",
    status_code=200,
    responses=refusals(ErrorCode.ENGINE, body=True),
    tags=["Catalogue"],
)
async def check_password(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[CheckPassword]
) -> WeakAnswer:
    """Whether `target` is no password for the administrator of an `engine`, or is one that is easily guessed."""
    engine = EngineName.parse(data.engine)
    if engine is None:
        raise Refusal(ErrorCode.ENGINE, f"The engine must be one of {', '.join(EngineName)}.")
    return WeakAnswer(is_weak(data.target, engine, user=RULES[engine].administrator))


HANDLERS = [check_password]
