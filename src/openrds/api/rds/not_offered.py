"""The calls of the Huawei SDK that openrds does not have: each is refused with NOT_OFFERED and the reason.

A caller is told so as others are told what they did wrong: who calls, and whether the instance exists, comes first.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from litestar import route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler

from openrds.api.rds.instance_reads import find_instance
from openrds.api.rds.not_offered_calls import CALLS
from openrds.api.state import ApiRequest, project_of
from openrds.domain.errors import ErrorCode, Refusal


@dataclass(frozen=True)
class Call:
    """`path` is written as the API's document writes it."""

    method: str
    path: str
    reason: str


def _calls() -> Iterator[Call]:
    for reason, lines in CALLS.items():
        for line in lines:
            method, path = line.split()
            full = path if path.startswith("/") else f"/v3/{{project_id}}/{path}"
            yield Call(method, full, reason)


NOT_OFFERED = tuple(_calls())
_REASONS = {(call.method, call.path): call.reason for call in NOT_OFFERED}


async def refuse(request: ApiRequest) -> None:
    """
    Raises:
        Refusal: NOT_OFFERED; INSTANCE_ID_FORMAT or INSTANCE_NOT_FOUND for a path with an instance that is not there.
    """
    instance_id = request.path_params.get("instance_id")
    if instance_id is not None:
        await find_instance(request, project_of(request).id, instance_id)
    reason = _REASONS[request.method, request.scope["path_template"]]
    raise Refusal(ErrorCode.NOT_OFFERED, f"openrds does not offer this call. {reason}")


def _handlers() -> Iterator[HTTPRouteHandler]:
    """One for each method, with all the paths that it is refused on."""
    paths: dict[str, list[str]] = defaultdict(list)
    for call in NOT_OFFERED:
        paths[call.method].append(call.path.replace("}", ":str}"))
    for method, of_method in paths.items():
        # The document has what can be done.
        yield route(of_method, http_method=HttpMethod(method), include_in_schema=False)(refuse)


HANDLERS = list(_handlers())
