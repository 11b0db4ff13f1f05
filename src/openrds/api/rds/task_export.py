"""The export of a project's tasks: an extension of openrds. It is streamed, so it may be of any length."""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream

from openrds.api.rds.tasks import Milliseconds, check_window, moment
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, project_of, service_of
from openrds.domain.task import TaskStatus, format_time
from openrds.store.database import Row
from openrds.tasks.center import TaskFilter
from openrds.tasks.export import export_tasks


class ExportFormat(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"


class ExportedTask(msgspec.Struct):
    """One line. `end_time` is empty while the task runs, `fail_reason` unless it failed."""

    id: str
    name: str
    status: TaskStatus
    instance_id: str
    instance_name: str
    order_id: str
    create_time: str
    end_time: str
    fail_reason: str
    entities: dict[str, Any]


_ENCODER = msgspec.json.Encoder()
_MEDIA_TYPES = {ExportFormat.NDJSON: "application/x-ndjson", ExportFormat.CSV: "text/csv; charset=utf-8"}


@dataclass
class _Export(Operation):
    """The route in the OpenAPI document: its answer is in one of two forms, and a handler can name but one."""

    def __post_init__(self) -> None:
        answer = (self.responses or {})["200"]
        assert isinstance(answer, OpenAPIResponse)
        answer.content = {
            media_type: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
            for media_type in _MEDIA_TYPES.values()
        }


@get(
    "/v3/{project_id:str}/tasks/export",
    responses=refusals(),
    tags=["Extensions"],
    operation_class=_Export,
)
async def export(
    request: ApiRequest,
    project_id: FromPath[str],
    format_: Annotated[ExportFormat, QueryParameter(name="format")] = ExportFormat.NDJSON,
    instance_id: FromQuery[str | None] = None,
    name: FromQuery[str | None] = None,
    status: FromQuery[TaskStatus | None] = None,
    start_time: Milliseconds = None,
    end_time: Milliseconds = None,
) -> Stream:
    """All tasks of the last month that match, newest first, as NDJSON or CSV: an extension of openrds."""
    check_window(start_time, end_time)
    wanted = TaskFilter(
        instance_id=instance_id or None,
        name=name or None,
        status=status,
        start_time=moment(start_time),
        end_time=moment(end_time),
    )
    pieces = export_tasks(service_of(request).reads, project_of(request).id, wanted)
    # What goes wrong from the start is still answered as an error.
    first: list[Row] = await anext(pieces, [])
    lines = _csv(first, pieces) if format_ is ExportFormat.CSV else _ndjson(first, pieces)
    return Stream(lines, media_type=_MEDIA_TYPES[format_])


async def _ndjson(first: list[Row], pieces: AsyncIterator[list[Row]]) -> AsyncIterator[bytes]:
    yield _json_text(first)
    async for piece in pieces:
        yield _json_text(piece)


async def _csv(first: list[Row], pieces: AsyncIterator[list[Row]]) -> AsyncIterator[bytes]:
    yield _csv_text([ExportedTask.__struct_fields__])
    yield _csv_text(map(_csv_row, first))
    async for piece in pieces:
        yield _csv_text(map(_csv_row, piece))


def _json_text(tasks: list[Row]) -> bytes:
    return _ENCODER.encode_lines([_exported(task) for task in tasks])


def _csv_row(task: Row) -> list[str]:
    exported = _exported(task)
    return [*msgspec.structs.astuple(exported)[:-1], _ENCODER.encode(exported.entities).decode()]


def _csv_text(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _exported(task: Row) -> ExportedTask:
    return ExportedTask(
        id=str(task["id"]),
        name=task["name"],
        status=TaskStatus(task["status"]),
        instance_id=task["instance_id"],
        instance_name=task["instance_name"],
        order_id=task["order_id"],
        create_time=format_time(task["created_at"]),
        end_time=format_time(task["ended_at"]) if task["ended_at"] else "",
        fail_reason=task["fail_reason"] if task["status"] == TaskStatus.FAILED else "",
        entities=task["entities"],
    )


HANDLERS = [export]
