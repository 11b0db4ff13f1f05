"""The objects of a backup in the backup repository, with links to them. Source: reads.md 3.4."""

import asyncio
import datetime as dt
import logging
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import FromPath, QueryParameter

from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.task import format_time
from openrds.repository import place
from openrds.repository.errors import RepositoryError
from openrds.repository.objects import Objects, bucket_of
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("repository")

_LIFETIME = dt.timedelta(hours=1)
_MOST = 1000
#: Seconds in which the credentials to sign with must be there: those of a machine's role are asked for.
_SIGNING_SECONDS = 10.0


class BackupFile(msgspec.Struct):
    """`size` is in KB. A backup has all databases, and names none; what a link leads to is encrypted."""

    name: str
    size: int
    download_link: str
    link_expired_time: str
    database_name: str = ""


class BackupFilesAnswer(msgspec.Struct):
    """`total_count` is how many there are in all."""

    files: list[BackupFile]
    bucket: str
    total_count: int


@get(
    "/v3/{project_id:str}/backup-files",
    responses=refusals(ErrorCode.BACKUP_NOT_FOUND),
    tags=["Backups"],
)
async def list_files(
    request: ApiRequest,
    project_id: FromPath[str],
    backup_id: Annotated[str, QueryParameter(min_length=1)],
    offset: Annotated[int, QueryParameter(ge=0, le=2**30)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=_MOST)] = _MOST,
) -> BackupFilesAnswer:
    """The files of a backup in the repository. They are encrypted with the key of the service."""
    service = service_of(request)
    key = {"id": backup_id, "project_id": project_id, "first": offset + 1, "last": offset + limit}
    found = await service.reads.row(_sql.files_of_backup, key)
    if found is None:
        raise Refusal(ErrorCode.BACKUP_NOT_FOUND, f"There is no backup {backup_id}.")
    url = service.settings.backup_repository
    if not url or found["outside"] not in ("whole", "found"):
        raise Refusal(
            ErrorCode.PARAMETER,
            f"Backup {backup_id} is not in a backup repository, or not yet; it has no files.",
        )
    names, sizes = found["names"] or [], found["kb"] or []
    below = place.backup(found["instance_id"], backup_id)
    expires = dt.datetime.now(dt.UTC) + _LIFETIME
    try:
        objects = Objects.at(url, service.settings.backup_repository_options)
        async with asyncio.timeout(_SIGNING_SECONDS):
            links = await objects.links([f"{below}/{name}" for name in names], _LIFETIME)
    except (RepositoryError, TimeoutError) as error:
        # What is wrong there is the operator's affair.
        logger.warning("no links to the files of backup %s: %s", backup_id, error)
        raise Refusal(ErrorCode.STORE_UNAVAILABLE, "No links can be made now; try again.") from None
    files = [
        BackupFile(name, size, link, format_time(expires))
        for name, size, link in zip(names, sizes, links, strict=True)
    ]
    return BackupFilesAnswer(files, bucket_of(url), found["total"])


HANDLERS = [list_files]
