"""What lists of databases and accounts have in common: pages, and how a server is asked for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, TypeAlias, TypeVar

from litestar.params import QueryParameter

from openrds.api.rds.instance_reads import find_instance
from openrds.api.state import ApiRequest, project_of, service_of
from openrds.domain.accounts import Page
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import Instance
from openrds.engines.protocol import Accounts, NodeSpec
from openrds.operations.accounts.asking import ask
from openrds.store.instances import node_of
from openrds.store.queries import Queries

_sql = Queries("instances")

T = TypeVar("T")

PageNumber: TypeAlias = Annotated[
    int, QueryParameter(name="page", ge=1, le=2**31, description="The first is 1.")
]
PageLimit: TypeAlias = Annotated[int, QueryParameter(name="limit", ge=1, le=100)]

#: A server that hangs keeps a thread waiting, of which changes of instances shall have enough.
_ASKING = ThreadPoolExecutor(16, thread_name_prefix="asking")
#: Questions of one project at a time, and for how many seconds the next one waits.
_OF_ONE_PROJECT = 4
_PATIENCE = 10.0


def page_of(number: int, limit: int) -> Page:
    return Page((number - 1) * limit, limit)


async def asked(
    request: ApiRequest,
    project_id: str,
    instance_id: str,
    question: Callable[[Accounts, NodeSpec], T],
    check: Callable[[Instance], None] = lambda _: None,
) -> T:
    """What the server of an instance says. `check` is asked first whether it can know such a thing.

    Raises:
        Refusal: INSTANCE_ID_FORMAT or INSTANCE_NOT_FOUND; INSTANCE_BUSY, when others of the project are asked all the
            time; what `check` raises, and `ask`.
    """
    instance = await find_instance(request, project_id, instance_id)
    check(instance)
    service = service_of(request)
    rows = await service.reads.rows(_sql.nodes_of_instance, [instance_id])
    nodes = [node_of(row) for row in rows]
    return await in_turn(request, lambda: ask(service.sight, instance, nodes, question))


async def in_turn(request: ApiRequest, work: Callable[[], T]) -> T:
    """What asks a server, in a thread: a few at a time for a project.

    Raises:
        Refusal: INSTANCE_BUSY, when others of the project are asked all the time; what `work` raises.
    """
    turns: dict[str, asyncio.Semaphore] = request.app.state.asking
    turn = turns.setdefault(project_of(request).id, asyncio.Semaphore(_OF_ONE_PROJECT))
    try:
        async with asyncio.timeout(_PATIENCE):
            await turn.acquire()
    except TimeoutError:
        raise Refusal(
            ErrorCode.INSTANCE_BUSY, "Too many servers of the project are asked; try again later."
        ) from None
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(_ASKING, work)
    # The turn is over when the server has answered, not when the caller has left.
    future.add_done_callback(lambda _: turn.release())
    return await asyncio.shield(future)
