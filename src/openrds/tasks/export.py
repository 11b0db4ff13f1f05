"""All tasks of a project, for whoever wants them in a file: read piece by piece, however many there are."""

import datetime as dt
from collections.abc import AsyncIterator
from uuid import UUID

from openrds.domain.task import lowest_id_at
from openrds.store.database import Reads, Row
from openrds.store.queries import Queries
from openrds.tasks.center import TaskFilter

_sql = Queries("tasks")

_PIECE = 1000
_MILLISECOND = dt.timedelta(milliseconds=1)
_BEYOND_ALL = UUID(int=2**128 - 1)


async def export_tasks(reads: Reads, project_id: str, wanted: TaskFilter) -> AsyncIterator[list[Row]]:
    """The tasks that match, newest first, some at a time.

    Each piece is as it was when it was read, so that no transaction stays open. Of the filters, `id` and `order_id`
    are not for exports.
    """
    parameters = {
        "project_id": project_id,
        "instance_id": wanted.instance_id,
        "name": wanted.name,
        "status": wanted.status,
        "first": lowest_id_at(wanted.start_time) if wanted.start_time else UUID(int=0),
        "limit": _PIECE,
    }
    beyond = lowest_id_at(wanted.end_time + _MILLISECOND) if wanted.end_time else _BEYOND_ALL
    while True:
        piece = await reads.rows(_sql.export_tasks, parameters | {"beyond": beyond})
        if not piece:
            return
        # What was looked through has an end, also where little of it matched.
        beyond = piece[-1]["id"]
        tasks = [row for row in piece if row["matches"]]
        if tasks:
            yield tasks
