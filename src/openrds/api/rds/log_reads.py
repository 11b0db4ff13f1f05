"""What the calls for logs share: whose turn it is to read, the window they ask for, and the entries in it."""

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, cast

from openrds.api.rds.instance_reads import find_instance
from openrds.api.state import ApiRequest, Service, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import Instance
from openrds.domain.logs import KEPT, LogKind, Window
from openrds.operations.intake.server_logs import InstanceLogs, Logged
from openrds.store.instances import node_of
from openrds.store.queries import Queries

_sql = Queries("instances")

T = TypeVar("T")

_READ_AT_ONCE = 2
_DOWNLOADS_AT_ONCE = 2


class Turns:
    """Reading takes a processor, and memory: a project reads for one call at a time, and all together for two.

    What is downloaded is in memory until its client has it: a project has two of them at a time.
    """

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(_READ_AT_ONCE)
        self._of_project: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._downloads: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(_DOWNLOADS_AT_ONCE)
        )

    async def read(self, project_id: str, work: Callable[[], T]) -> T:
        async with self._of_project[project_id], self._all:
            return await asyncio.to_thread(work)

    @asynccontextmanager
    async def download(self, project_id: str) -> AsyncIterator[None]:
        async with self._downloads[project_id]:
            yield


def turns_of(request: ApiRequest) -> Turns:
    return cast("Turns", request.app.state.log_turns)


async def logs_of(service: Service, instance: Instance) -> Callable[[], InstanceLogs]:
    """What finds the logs of an instance, in a thread."""
    rows = await service.reads.rows(_sql.nodes_of_instance, [instance.id])
    nodes = [node_of(row) for row in rows]
    assert service.sight is not None, "an API process that serves sees its host"
    sight = service.sight
    return lambda: InstanceLogs.find(sight, instance, nodes)


async def read_entries(
    request: ApiRequest,
    project_id: str,
    instance_id: str,
    kind: LogKind,
    window: Window,
    answer: Callable[[InstanceLogs, list[Logged]], T],
) -> T:
    """What `answer` makes of the entries in a window, in a thread.

    Raises:
        Refusal: INSTANCE_ID_FORMAT or INSTANCE_NOT_FOUND.
    """
    instance = await find_instance(request, project_id, instance_id)
    find = await logs_of(service_of(request), instance)

    def work() -> T:
        logs = find()
        return answer(logs, logs.entries(kind, window))

    return await turns_of(request).read(project_id, work)


def window_of(since: str, until: str, names: tuple[str, str]) -> Window:
    """
    Raises:
        Refusal: PARAMETER: not two times in their order, of the last month. Source: reads.md 10.
    """
    begin, end = moment_in(names[0], since), moment_in(names[1], until)
    if begin > end:
        raise Refusal(ErrorCode.PARAMETER, f"{names[0]} must not be later than {names[1]}.")
    if begin < dt.datetime.now(dt.UTC) - KEPT:
        raise Refusal(ErrorCode.PARAMETER, f"{names[0]} must not be longer ago than a month.")
    return Window(begin, end)


def moment_in(name: str, text: str) -> dt.datetime:
    """To the second, or finer. A `+` that a client did not encode arrives as a blank."""
    try:
        moment = dt.datetime.fromisoformat(text.strip().replace(" ", "+"))
        if moment.tzinfo is not None:
            return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise Refusal(ErrorCode.PARAMETER, f"{name} must be yyyy-mm-ddThh:mm:ss+0000.")
