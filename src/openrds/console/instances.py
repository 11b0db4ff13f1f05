"""Instances: their list, and one of them."""

from typing import Annotated, Any

from litestar import Response, get
from litestar.params import FromPath, QueryParameter

from openrds.api.state import ApiRequest, project_of, service_of
from openrds.console.connections import connections
from openrds.console.pages import Shown, show
from openrds.console.tasks import PAGE, Offset, pages_of, task_row
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.flavor import find_flavor
from openrds.domain.instance import InstanceStatus
from openrds.domain.statuses import ALLOWED, Action
from openrds.domain.task import TaskStatus
from openrds.store.instances import Listed, listed_of
from openrds.store.queries import Queries
from openrds.tasks import center
from openrds.tasks.events import Event, Subject

_backups = Queries("backups")
_sql = Queries("instances")

_LATEST_TASKS = 10

Name = Annotated[str | None, QueryParameter(max_length=100)]


@get("/instances")
async def list_instances(request: ApiRequest, name: Name = None, offset: Offset = 0) -> Response[Any]:
    async def view() -> Shown:
        listed, total = await listed_instances(request, name_part=name or None, offset=offset, limit=PAGE)
        values = {
            "instances": [one.instance for one in listed],
            "filters": {"name": name or ""},
            "pages": pages_of("/console/instances", {"name": name}, offset, total),
        }
        return Shown(values)

    return await show(request, "instances.html", view, lambda event: event.subject is Subject.INSTANCE)


@get("/instances/{instance_id:str}")
async def show_instance(request: ApiRequest, instance_id: FromPath[str]) -> Response[Any]:
    project_id, service = project_of(request).id, service_of(request)

    async def view() -> Shown:
        one = await find_listed(request, instance_id)
        wanted = center.TaskFilter(instance_id=instance_id)
        tasks = await center.list_tasks(service.reads, project_id, wanted, offset=0, limit=_LATEST_TASKS)
        rows = [task_row(task) for task in tasks.tasks]
        busy = next((task for task in rows if task["status"] == TaskStatus.RUNNING), None)
        flavor = find_flavor(one.instance.engine, one.instance.flavor_ref)
        values = {
            "instance": one.instance,
            "one": one,
            "flavor": f"{flavor.vcpus} vCPU, {flavor.memory_gb} GB" if flavor else "",
            "connections": connections(one.instance),
            "tasks": rows,
            "more_tasks": tasks.total_count > len(rows),
            "busy": busy,
            "allowed": allowed_in(one.instance.status) if busy is None else frozenset(),
            "backups": await backups_of(request, instance_id),
        }
        return Shown(values, moves=busy is not None)

    def is_of_it(event: Event) -> bool:
        return event.instance_id == instance_id

    return await show(request, "instance.html", view, is_of_it)


async def listed_instances(
    request: ApiRequest, *, id_: str | None = None, name_part: str | None = None, offset: int, limit: int
) -> tuple[list[Listed], int]:
    """Some instances, newest first, and how many there are."""
    unfiltered = ("id_part", "name", "type", "engine", "eps_id", "vpc_id", "subnet_id")
    parameters: dict[str, Any] = dict.fromkeys(unfiltered) | {
        "project_id": project_of(request).id,
        "id": id_,
        "name_part": name_part,
        "tags": "[]",
        "offset": offset,
        "limit": limit,
    }
    rows = await service_of(request).reads.rows(_sql.list_instances, parameters)
    return [listed_of(row) for row in rows if row["id"] is not None], rows[0]["total_count"]


async def find_listed(request: ApiRequest, instance_id: str) -> Listed:
    """
    Raises:
        Refusal: INSTANCE_NOT_FOUND.
    """
    found, _ = await listed_instances(request, id_=instance_id, offset=0, limit=1)
    if not found:
        raise Refusal(ErrorCode.INSTANCE_NOT_FOUND, f"There is no instance {instance_id}.")
    return found[0]


async def backups_of(request: ApiRequest, instance_id: str) -> list[dict[str, Any]]:
    """The newest."""
    unfiltered = ("id", "type", "status", "from", "until")
    parameters: dict[str, Any] = dict.fromkeys(unfiltered) | {
        "project_id": project_of(request).id,
        "instance_id": instance_id,
        "offset": 0,
        "limit": PAGE,
    }
    rows = await service_of(request).reads.rows(_backups.list_backups, parameters)
    return [row for row in rows if row["id"] is not None]


def allowed_in(status: InstanceStatus) -> frozenset[Action]:
    """What the server would accept: the buttons know no rule of their own."""
    return frozenset(action for action, statuses in ALLOWED.items() if status in statuses)


HANDLERS = [list_instances, show_instance]
