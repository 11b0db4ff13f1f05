"""Which parameters servers have, for calls that need to know: it is found out when it is first asked for."""

import asyncio
import time
from typing import Any

from openrds.api.state import ApiRequest, service_of
from openrds.domain.engine import EngineName, is_version
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.parameters import Catalogue
from openrds.store.database import Row
from openrds.store.parameters import EDITION, catalogue_of
from openrds.store.queries import Queries

_sql = Queries("parameters")

#: Seconds that a caller waits while a server is started to be asked, and between looks whether it was.
_PATIENCE = 40.0
_LOOK = 0.05


async def installations(request: ApiRequest) -> list[Row]:
    """What the hosts have, one of each version."""
    return await service_of(request).reads.rows(_sql.installations)


async def installed_version(request: ApiRequest, engine: EngineName, asked: str) -> str:
    """The version, as hosts have it, that a caller means.

    Raises:
        Refusal: DATASTORE_VERSION.
    """
    offered = [row["version"] for row in await installations(request) if row["engine"] == engine]
    for version in offered:
        if is_version(version, asked):
            return str(version)
    raise Refusal(
        ErrorCode.DATASTORE_VERSION,
        f"No host has {engine} {asked[:64]}; there is {', '.join(offered) or 'none'}.",
    )


async def catalogue_for(request: ApiRequest, engine: EngineName, version: str) -> Catalogue:
    """
    Raises:
        Refusal: INSTANCE_BUSY, it takes long to find out; DATASTORE_VERSION, no host has a server to be asked;
            INTERNAL, it could not be asked.
    """
    found = [
        row for row in await installations(request) if (row["engine"], row["version"]) == (engine, version)
    ]
    key = {
        "engine": engine,
        "version": version,
        "edition": EDITION,
        "complete_version": found[0]["complete_version"] if found else None,
    }
    row = await service_of(request).reads.row(_sql.catalogue, key)
    if row is None and not found:
        raise Refusal(
            ErrorCode.DATASTORE_VERSION,
            f"No host has {engine} {version} any more, so that its servers cannot be asked for their parameters.",
        )
    if row is None or row["parameters"] is None:
        row = await _find_out(request, key)
    return catalogue_of(row)


async def _find_out(request: ApiRequest, key: dict[str, Any]) -> Row:
    service = service_of(request)
    await asyncio.to_thread(service.store.rows, _sql.want_catalogue, key)
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        row = await service.reads.row(_sql.catalogue, key)
        if row is not None and row["parameters"] is not None:
            return row
        if row is not None and row["problem"] is not None:
            raise Refusal(
                ErrorCode.INTERNAL,
                f"The parameters of {key['engine']} {key['complete_version']} could not be found out: {row['problem']}",
            )
        await asyncio.sleep(_LOOK)
    raise Refusal(
        ErrorCode.INSTANCE_BUSY,
        f"The parameters of {key['engine']} {key['complete_version']} are still being found out; try again.",
    )
