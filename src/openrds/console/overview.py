"""The first page: how much there is, and what runs or failed."""

import datetime as dt
from typing import Any

from litestar import Response, get

from openrds.api.state import ApiRequest, project_of, service_of
from openrds.console.instances import listed_instances
from openrds.console.pages import Shown, show
from openrds.console.tasks import task_row
from openrds.domain.task import TaskStatus
from openrds.tasks import center
from openrds.tasks.events import Event, Subject

_LISTED = 10
_RECENT = dt.timedelta(days=1)


@get("/")
async def show_overview(request: ApiRequest) -> Response[Any]:
    project_id, reads = project_of(request).id, service_of(request).reads

    async def page(wanted: center.TaskFilter) -> center.TaskPage:
        return await center.list_tasks(reads, project_id, wanted, offset=0, limit=_LISTED)

    async def view() -> Shown:
        since = dt.datetime.now(dt.UTC) - _RECENT
        running = await page(center.TaskFilter(status=TaskStatus.RUNNING))
        failed = await page(center.TaskFilter(status=TaskStatus.FAILED, start_time=since))
        _, instances = await listed_instances(request, offset=0, limit=1)
        values = {
            "instances": instances,
            "running": running.total_count,
            "failed": failed.total_count,
            "running_tasks": [task_row(task) for task in running.tasks],
            "failed_tasks": [task_row(task) for task in failed.tasks],
        }
        return Shown(values, moves=bool(running.tasks))

    def is_shown(event: Event) -> bool:
        return event.subject in (Subject.TASK, Subject.INSTANCE)

    return await show(request, "overview.html", view, is_shown)


HANDLERS = [show_overview]
