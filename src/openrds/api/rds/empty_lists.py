"""Lists of things that openrds has none of: true answers, so that whoever looks goes on. Source: reads.md 6."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.params import FromPath, QueryParameter

from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest

_TAGS = ["Instances"]

Offset = Annotated[int, QueryParameter(ge=0, le=2**62)]


class Entry(msgspec.Struct):
    """Of which there is none."""


class TagsAnswer(msgspec.Struct):
    tags: list[Entry]


class SharedBackupsAnswer(msgspec.Struct):
    backups: list[Entry]
    total: int = 0


@get("/v3/{project_id:str}/tags/predefined-tag", responses=refusals(), tags=_TAGS)
async def list_predefined_tags(request: ApiRequest, project_id: FromPath[str]) -> TagsAnswer:
    """Tags that were made to choose from: there are none. `GET tags` has those in use."""
    return TagsAnswer([])


@get("/v3/{project_id:str}/share-backups", responses=refusals(), tags=["Backups"])
async def list_shared_backups(
    request: ApiRequest,
    project_id: FromPath[str],
    offset: Offset = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 100,
) -> SharedBackupsAnswer:
    """Backups that other projects share with this one: none, as no project shares any."""
    return SharedBackupsAnswer([])


HANDLERS = [list_predefined_tags, list_shared_backups]
