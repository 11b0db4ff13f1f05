"""The files of the logs, links to download them, and whether slow statements are shown with their values.

Source: reads.md 10, SDK `list_slow_log_file`, `download_slowlog`, `download_errorlog`, `set_sensitive_slow_log`.
"""

import datetime as dt
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Annotated, cast

from litestar import MediaType, Response, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from openrds.api.access.authentication import Authenticator
from openrds.api.changes import change
from openrds.api.cloud.iam import AnonymousRequest, base_url
from openrds.api.rds import log_bodies as bodies
from openrds.api.rds.instance_changes import Done
from openrds.api.rds.instance_reads import find_instance, instance_in_project
from openrds.api.rds.log_reads import Turns, logs_of, turns_of
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, Service, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.links import LinkError, read_link, sign_link
from openrds.domain.logs import LogKind
from openrds.operations.instances import instance_changes as changes
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.server_logs import FileOfNode

_TAGS = ["Logs"]
_PIECE = 2**16
_FINISHED = "FINISH"


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/slowlog-files",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def list_slow_files(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    offset: Annotated[int, QueryParameter(ge=0, le=2**31)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 10,
) -> bodies.LogFilesAnswer:
    """The files of all nodes that slow statements are in, the newest first."""
    found = await _files(request, project_id, instance_id, LogKind.SLOW)
    page = [bodies.LogFileEntry(one.name, str(one.file.size)) for one in found[offset : offset + limit]]
    return bodies.LogFilesAnswer(page, len(found))


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/slowlog-download",
    status_code=200,
    responses=refusals(body=True, instance=True),
    tags=_TAGS,
)
async def download_slow(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[bodies.DownloadRequest],
) -> bodies.LogDownloadsAnswer:
    """Links to the slow logs, without what may not be shown of them: to one file, or to all."""
    return await _links(request, project_id, instance_id, LogKind.SLOW, data.file_name)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/errorlog-download",
    status_code=200,
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def download_errors(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> bodies.LogDownloadsAnswer:
    """Links to the error logs of all nodes."""
    return await _links(request, project_id, instance_id, LogKind.ERROR, "")


@get(
    "/downloads/{link:str}",
    opt={"public": True},
    media_type=MediaType.TEXT,
    responses=refusals(ErrorCode.UNAUTHENTICATED, ErrorCode.INSTANCE_NOT_FOUND, public=True),
    tags=["Extensions"],
)
async def download(request: AnonymousRequest, link: FromPath[str]) -> Stream:
    """A log, for whoever has the link: an extension of openrds."""
    service, turns = cast("Service", request.app.state.service), cast("Turns", request.app.state.log_turns)
    project_id, instance_id, kind, name = _opened(request, link)
    instance = await instance_in_project(service, project_id, instance_id)
    find = await logs_of(service, instance)

    def content() -> bytes:
        logs = find()
        found = [one for one in logs.files(kind) if one.name == name]
        return "".join(logs.content(kind, one) for one in found[:1]).encode(errors="replace")

    return Stream(
        _pieces(turns, project_id, content),
        media_type=MediaType.TEXT,
        headers={"content-disposition": f'attachment; filename="{kind}.log"'},
    )


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/slowlog-sensitization/{status:str}",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def set_sensitization(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str], status: FromPath[str]
) -> Response[Done]:
    """`on` shows slow statements with the values in them, `off` with `?`; none that may hold a password, ever."""
    if status not in ("on", "off"):
        raise Refusal(ErrorCode.PARAMETER, "status must be on or off.")

    def work(intake: Intake) -> Done:
        changes.show_values_of_slow_log(intake, instance_id, shown=status == "on")
        return Done()

    return await change(request, work)


async def _files(request: ApiRequest, project_id: str, instance_id: str, kind: LogKind) -> list[FileOfNode]:
    instance = await find_instance(request, project_id, instance_id)
    find = await logs_of(service_of(request), instance)
    found = await turns_of(request).read(project_id, lambda: find().files(kind))
    return sorted(found, key=lambda one: (-one.file.changed, one.name))


async def _links(
    request: ApiRequest, project_id: str, instance_id: str, kind: LogKind, name: str
) -> bodies.LogDownloadsAnswer:
    found = await _files(request, project_id, instance_id, kind)
    if name:
        found = [one for one in found if one.name == name]
        if not found:
            raise Refusal(ErrorCode.PARAMETER, f"There is no file {name}: slowlog-files lists them.")
    now = dt.datetime.now(dt.UTC)
    links = [_link(request, instance_id, kind, one, now) for one in found]
    return bodies.LogDownloadsAnswer(links, _FINISHED, len(links))


def _link(
    request: ApiRequest, instance_id: str, kind: LogKind, one: FileOfNode, now: dt.datetime
) -> bodies.LogDownload:
    link = sign_link(request.user.account, f"{instance_id}/{kind}/{one.name}", now)
    at = int(now.timestamp() * 1000)
    return bodies.LogDownload(
        workflow_id=hashlib.sha256(link.encode()).hexdigest()[:32],
        file_name=one.name,
        status=_FINISHED,
        file_size=str(one.file.size),
        file_link=f"{base_url(request)}/downloads/{link}",
        create_at=at,
        update_at=at,
    )


def _opened(request: AnonymousRequest, link: str) -> tuple[str, str, LogKind, str]:
    """Project, instance, kind and file of a link."""
    authenticator = cast("Authenticator", request.app.state.authenticator)
    try:
        found = read_link(link, authenticator.accounts, authenticator.clock())
    except LinkError as error:
        raise Refusal(ErrorCode.UNAUTHENTICATED, str(error)) from None
    instance_id, kind, name = found.target.split("/", 2)
    return found.account.project.id, instance_id, LogKind(kind), name


async def _pieces(turns: Turns, project_id: str, content: Callable[[], bytes]) -> AsyncIterator[bytes]:
    """From the file as it is when its turn comes."""
    async with turns.download(project_id):
        text = await turns.read(project_id, content)
        for start in range(0, len(text), _PIECE):
            yield text[start : start + _PIECE]


HANDLERS = [list_slow_files, download_slow, download_errors, download, set_sensitization]
