"""What a restore can choose: databases and tables that there were at a moment. Source: operations.md 5.3, the SDK.

It is read from what was written down with the backups; see `operations/intake/restorable.py` for what that tells.
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Literal, TypeAlias, TypeVar

import msgspec
from litestar import post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from openrds.api.rds.account_reads import in_turn
from openrds.api.rds.instance_reads import find_instance
from openrds.api.rds.log_reads import moment_in, turns_of
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, Service, service_of
from openrds.domain.engine import RULES, EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceType
from openrds.domain.instance_values import Instance
from openrds.domain.lengths import Several, Text
from openrds.domain.task import format_time
from openrds.engines.protocol import EngineError
from openrds.hosts.backups import BackupFolders
from openrds.operations.accounts.asking import within_sight
from openrds.operations.backups.restoring_copies import MOST_COPIES
from openrds.operations.intake import restorable
from openrds.operations.intake.restorable import Found, Thing, Window
from openrds.operations.intake.restore_source import check_reached, milliseconds
from openrds.operations.steps import inventories
from openrds.operations.steps.source import moment_of
from openrds.repository import place
from openrds.repository.errors import NotInRepositoryError, RepositoryError
from openrds.store.database import Row
from openrds.store.instances import node_of
from openrds.store.queries import Queries

logger = logging.getLogger(__name__)

_sql = Queries("backups")
_instances = Queries("instances")

T = TypeVar("T")

_TAGS = ["Restores"]
_MOST_INSTANCES = 10
_MOST = 10_000

_LISTS = refusals(
    ErrorCode.ENGINE, ErrorCode.INSTANCE_TYPE, ErrorCode.INSTANCE_BUSY, body=True, instance=True
)

Offset: TypeAlias = Annotated[int, QueryParameter(ge=0, le=2**31)]
Limit: TypeAlias = Annotated[
    int,
    QueryParameter(
        ge=1, le=_MOST, description="Of each instance. Default: as many as can be restored at once."
    ),
]


class DatabasesAtMoment(msgspec.Struct):
    """`restore_time` in Unix milliseconds. Names are parts of names, in letters of any case."""

    instance_ids: Several[Text]
    restore_time: int
    database_name_like: Text | None = None
    instance_name_like: Text | None = None


class TablesAtMoment(msgspec.Struct):
    """`restore_time` in Unix milliseconds. Names are parts of names, in letters of any case."""

    instance_ids: Several[Text]
    restore_time: int
    database_name_like: Text | None = None
    table_name_like: Text | None = None
    instance_name_like: Text | None = None


class RestorableDatabase(msgspec.Struct):
    """`only` where it was there at one of two looks alone, the one `before` the moment or the one `after` it."""

    name: str
    total_tables: int
    only: Literal["before", "after"] | UnsetType = UNSET


class RestorableTable(msgspec.Struct):
    name: str
    only: Literal["before", "after"] | UnsetType = UNSET


class SchemaOfTables(msgspec.Struct):
    name: str
    total_tables: int
    tables: list[RestorableTable]


class DatabaseOfTables(msgspec.Struct):
    """`schemas`, or `tables` for an engine that has no schemas."""

    name: str
    total_tables: int
    schemas: list[SchemaOfTables] | UnsetType = UNSET
    tables: list[RestorableTable] | UnsetType = UNSET


class DatabasesOfInstance(msgspec.Struct):
    """`total_tables` are all that match, whatever the page. `seen_before` and `seen_after` are the times of the looks;
    empty where there was none.
    """

    id: str
    name: str
    total_tables: int
    databases: list[RestorableDatabase]
    seen_before: str
    seen_after: str


class TablesOfInstance(msgspec.Struct):
    """The same. Databases and schemas are those of the page; their `total_tables` are all that match."""

    id: str
    name: str
    total_tables: int
    databases: list[DatabaseOfTables]
    seen_before: str
    seen_after: str


class RestorableDatabasesAnswer(msgspec.Struct):
    """How many of them a request to restore may name."""

    database_limit: int
    table_limit: int
    instances: list[DatabasesOfInstance]


class RestorableTablesAnswer(msgspec.Struct):
    table_limit: int
    instances: list[TablesOfInstance]


class FastRestoreWanted(msgspec.Struct):
    """`restore_time` as `yyyy-mm-ddThh:mm:ss+0000`."""

    restore_time: Text
    instance_ids: Several[Text]


class FastRestore(msgspec.Struct):
    instance_id: str
    is_support_fast_table_restore: bool
    is_support_fast_database_restore: bool


class FastRestoreAnswer(msgspec.Struct):
    support_fast_restore_list: list[FastRestore]


@post(
    "/v3/{project_id:str}/{engine:str}/instances/history/databases",
    status_code=200,
    responses=_LISTS,
    tags=_TAGS,
)
async def list_restorable_databases(
    request: ApiRequest,
    project_id: FromPath[str],
    engine: FromPath[str],
    data: JSONBody[DatabasesAtMoment],
    offset: Offset = 0,
    limit: Limit = MOST_COPIES,
) -> RestorableDatabasesAnswer:
    """The databases that instances had at a moment, by the backups before and after it."""
    name, window = data.database_name_like or "", Window(offset, limit)
    answer = []
    for instance in await _instances_of(request, project_id, engine, data):
        looks = await _looks_at(request, instance, data.restore_time)
        found = await looks.read(lambda things: restorable.databases(things, name, window))
        answer.append(
            DatabasesOfInstance(
                instance.id,
                instance.name,
                found.tables[()],
                [
                    RestorableDatabase(one.database, found.tables[one.place], one.only or UNSET)
                    for one in found.shown
                ],
                *looks.times,
            )
        )
    return RestorableDatabasesAnswer(MOST_COPIES, MOST_COPIES, answer)


@post(
    "/v3/{project_id:str}/{engine:str}/instances/history/tables",
    status_code=200,
    responses=_LISTS,
    tags=_TAGS,
)
async def list_restorable_tables(
    request: ApiRequest,
    project_id: FromPath[str],
    engine: FromPath[str],
    data: JSONBody[TablesAtMoment],
    offset: Offset = 0,
    limit: Limit = MOST_COPIES,
) -> RestorableTablesAnswer:
    """The tables that instances had at a moment, by the backups before and after it."""
    database, name = data.database_name_like or "", data.table_name_like or ""
    window = Window(offset, limit)
    answer = []
    for instance in await _instances_of(request, project_id, engine, data):
        looks = await _looks_at(request, instance, data.restore_time)
        found = await looks.read(lambda things: restorable.tables(things, database, name, window))
        has_schemas = RULES[instance.engine].has_schemas
        answer.append(
            TablesOfInstance(
                instance.id,
                instance.name,
                found.tables[()],
                list(_by_database(found, has_schemas=has_schemas)),
                *looks.times,
            )
        )
    return RestorableTablesAnswer(MOST_COPIES, answer)


@post(
    "/v3/{project_id:str}/instances/fast-restore",
    status_code=200,
    responses=refusals(ErrorCode.INSTANCE_TYPE, body=True, instance=True),
    tags=_TAGS,
)
async def list_fast_restores(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[FastRestoreWanted]
) -> FastRestoreAnswer:
    """Whether `is_fast_restore` makes a restore faster: for no instance, as each is as fast as it can be."""
    moment = milliseconds(moment_in("restore_time", data.restore_time))
    found = await _all_of(request, project_id, data.instance_ids)
    for instance in found:
        await _check_moment(request, instance, moment)
    return FastRestoreAnswer([FastRestore(one.id, False, False) for one in found])


@dataclass(frozen=True)
class _Look:
    at: dt.datetime
    inventory: bytes


@dataclass(frozen=True)
class _Looks:
    request: ApiRequest
    project_id: str
    before: _Look | None
    after: _Look | None

    @property
    def times(self) -> tuple[str, str]:
        before, after = (format_time(look.at) if look else "" for look in (self.before, self.after))
        return before, after

    async def read(self, answer: Callable[[Iterator[Thing]], T]) -> T:
        """What is made of all that was there: names are compared by a processor, which has other work too."""
        before, after = (look.inventory if look else None for look in (self.before, self.after))
        return await turns_of(self.request).read(
            self.project_id, lambda: answer(restorable.things(before, after))
        )


async def _instances_of(
    request: ApiRequest, project_id: str, engine: str, data: DatabasesAtMoment | TablesAtMoment
) -> list[Instance]:
    """
    Raises:
        Refusal: ENGINE, PARAMETER, INSTANCE_ID_FORMAT or INSTANCE_NOT_FOUND.
    """
    wanted = next((one for one in EngineName if one.lower() == engine.lower()), None)
    if wanted is None:
        raise Refusal(ErrorCode.ENGINE, f"There is no engine {engine}; it is one of {', '.join(EngineName)}.")
    found = await _all_of(request, project_id, data.instance_ids)
    for instance in found:
        if instance.engine is not wanted:
            raise Refusal(
                ErrorCode.PARAMETER,
                f"Instance {instance.id} is of {instance.engine}; ask for it below {instance.engine.lower()}/.",
            )
    name = (data.instance_name_like or "").casefold()
    return [instance for instance in found if name in instance.name.casefold()]


async def _all_of(request: ApiRequest, project_id: str, ids: Sequence[str]) -> list[Instance]:
    if not 1 <= len(ids) <= _MOST_INSTANCES:
        raise Refusal(ErrorCode.PARAMETER, f"instance_ids must have 1 to {_MOST_INSTANCES} ids.")
    return [await find_instance(request, project_id, id_) for id_ in dict.fromkeys(ids)]


async def _check_moment(request: ApiRequest, instance: Instance, restore_time: int) -> dt.datetime:
    """
    Raises:
        Refusal: INSTANCE_TYPE, a read replica has no backups; PARAMETER, it cannot be restored to that moment.
    """
    if instance.type is InstanceType.REPLICA:
        raise Refusal(
            ErrorCode.INSTANCE_TYPE,
            f"{instance.id} is a read replica, which has no backups; name its primary.",
        )
    moment = moment_of(restore_time)
    ranges = await service_of(request).reads.rows(_sql.restorable_ranges, [instance.id])
    check_reached(instance.id, ranges, restore_time)
    return moment


async def _looks_at(request: ApiRequest, instance: Instance, restore_time: int) -> _Looks:
    """
    Raises:
        Refusal: it cannot be restored to that moment; PARAMETER, nobody has looked; STORE_UNAVAILABLE, the backup
            repository does not answer; INSTANCE_BUSY.
    """
    moment = await _check_moment(request, instance, restore_time)
    service, key = service_of(request), {"instance_id": instance.id, "moment": moment}
    base = await service.reads.row(_sql.base_for, key)
    later = await service.reads.row(_sql.next_backup, key)
    before = await in_turn(request, lambda: _of_backup(service, base)) if base else None
    if later:
        after = await in_turn(request, lambda: _of_backup(service, later))
    else:
        after = await _of_server(request, instance)
    if before is None and after is None:
        raise Refusal(
            ErrorCode.PARAMETER,
            f"What instance {instance.id} had at that moment was not written down, and cannot be listed; name what you "
            "want to restore all the same.",
        )
    return _Looks(request, instance.project_id, before, after)


def _of_backup(service: Service, backup: Row) -> _Look | None:
    """None for one that was made by an openrds that did not write it down."""
    folder = BackupFolders(service.settings.backups_dir).backup(backup["instance_id"], backup["id"])
    found = inventories.beside(folder)
    if found is None and service.repository and backup["outside"] in ("whole", "found"):
        name = f"{place.backup(backup['instance_id'], backup['id'])}/{inventories.NAME}"
        try:
            found = service.repository.open().read_large(name, inventories.MOST_BYTES)
        except NotInRepositoryError:
            return None
        except RepositoryError as error:
            # What is wrong there is the operator's affair.
            logger.warning("what is in backup %s cannot be read: %s", backup["id"], error)
            raise Refusal(ErrorCode.STORE_UNAVAILABLE, "The backup cannot be read now; try again.") from None
    return None if found is None else _Look(backup["end_time"], found)


async def _of_server(request: ApiRequest, instance: Instance) -> _Look | None:
    """What is there now; None where the server does not answer, or is not within sight."""
    service = service_of(request)
    rows = await service.reads.rows(_instances.nodes_of_instance, [instance.id])
    nodes = [node_of(row) for row in rows]

    def look() -> _Look | None:
        seen = within_sight(service.sight, instance, nodes) if service.sight else None
        if seen is None:
            return None
        engine, node = seen
        try:
            return _Look(dt.datetime.now(dt.UTC), inventories.taken_now(engine.copying, node))
        except EngineError:
            logger.debug("what can be restored is listed without a look at the server", exc_info=True)
            return None

    return await in_turn(request, look)


def _by_database(found: Found, *, has_schemas: bool) -> Iterator[DatabaseOfTables]:
    for database, of_database in groupby(found.shown, key=lambda one: one.database):
        total = found.tables[(database,)]
        if not has_schemas:
            yield DatabaseOfTables(database, total, tables=_tables(of_database))
            continue
        schemas = [
            SchemaOfTables(place[1], found.tables[place], _tables(of_schema))
            for place, of_schema in groupby(of_database, key=lambda one: one.place[:2])
        ]
        yield DatabaseOfTables(database, total, schemas)


def _tables(found: Iterator[Thing]) -> list[RestorableTable]:
    return [RestorableTable(one.place[-1], one.only or UNSET) for one in found]


HANDLERS = [list_restorable_databases, list_restorable_tables, list_fast_restores]
