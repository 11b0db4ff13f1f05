"""Have the servers of an instance of PostgreSQL let in whom rows of `pg_hba.conf` name. Callers wait for the end.

All nodes of the instance get them, and read replicas have their own. What the primary does not take is taken back.
Source: the cloud's SDK.
"""

import logging
from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from openrds.domain.access import USUAL, AccessRow, access_row, check_rows
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import Instance
from openrds.domain.lengths import Several, Text
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import EngineError
from openrds.hosts.errors import HostError
from openrds.operations.accounts.databases import check_has_schemas
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.nodes import each_node, node_of
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import start_primary
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Step, StepContext, TaskContext

logger = logging.getLogger(__name__)

_sql = Queries("access")

#: Of the history of an instance.
_KEPT = 100


class Row(msgspec.Struct):
    """A row, and its place among them, from 0 on."""

    priority: int
    type: Text = "host"
    database: Text = "all"
    user: Text = "all"
    address: Text = "0.0.0.0/0"
    mask: Text = ""
    method: Text = "scram-sha-256"


class Parameters(msgspec.Struct, frozen=True):
    old: tuple[AccessRow, ...] | None
    new: tuple[AccessRow, ...] | None


Context = StepContext[Resources, Parameters]
Rows = tuple[AccessRow, ...]


def replace_all(intake: Intake, instance_id: str, rows: Several[Row]) -> UUID:
    """With none, the instance has the usual ones again."""
    return _submit(intake, instance_id, lambda _: _placed(rows) if rows else None)


def put(intake: Intake, instance_id: str, rows: Several[Row]) -> UUID:
    """Change those that are in the places, and add the others at the end."""

    def changed(now: Rows) -> Rows:
        by_place = dict(enumerate(now)) | {row.priority: _checked(row) for row in _each_once(rows)}
        return tuple(row for _, row in sorted(by_place.items()))

    return _submit(intake, instance_id, changed)


def remove(intake: Intake, instance_id: str, rows: Several[Row]) -> UUID:
    """Those in the places, whatever else is said of them."""

    def changed(now: Rows) -> Rows:
        gone = {row.priority for row in _each_once(rows)}
        if missing := gone - set(range(len(now))):
            raise Refusal(ErrorCode.PARAMETER, f"priority: there is no row {min(missing)}.")
        return tuple(row for place, row in enumerate(now) if place not in gone)

    return _submit(intake, instance_id, changed)


def rows_of(instance: Instance) -> Rows:
    return USUAL if instance.access is None else instance.access


def _submit(intake: Intake, instance_id: str, changed: Callable[[Rows], Rows | None]) -> UUID:
    check_has_schemas(intake.instance(instance_id))
    instance = intake.admit(instance_id, CHANGE_ACCESS)
    new = changed(rows_of(instance))
    if new is not None:
        check_rows(new)
    return intake.accept(instance, CHANGE_ACCESS, Parameters(instance.access, new))


def _placed(rows: Sequence[Row]) -> Rows:
    return tuple(map(_checked, sorted(_each_once(rows), key=lambda row: row.priority)))


def _each_once(rows: Sequence[Row]) -> Sequence[Row]:
    check_rows(rows)
    if any(row.priority < 0 for row in rows) or len({row.priority for row in rows}) != len(rows):
        raise Refusal(ErrorCode.PARAMETER, "priority must be 0 or more, and another one in each row.")
    return rows


def _checked(row: Row) -> AccessRow:
    return access_row(row.type, row.database, row.user, row.address, row.mask, row.method)


def set_access(context: Context) -> None:
    _write(context, context.parameters.new)


def set_access_back(context: Context) -> None:
    _write(context, context.parameters.old)


def load_access(context: Context) -> None:
    """
    Raises:
        EngineError: the primary does not take it.
    """
    if context.node_id == context.resources.view.primary(context.instance_id).id:
        start_primary(context.resources, context.instance_id)
        _load(context)
    else:
        _try_to_load(context)


def load_access_back(context: Context) -> None:
    """The store still has the new rows: what was set is taken back after this."""
    old = context.parameters.old
    _try_to_load(context, USUAL if old is None else old)


def _load(context: Context, access: Rows | None = None) -> None:
    resources, (instance, node) = context.resources, node_of(context)
    resources.host.volumes.make_ready(node.id)
    server = resources.server(instance, node)
    if access is not None:
        server = resources.host.changed(server, access=access)
    resources.engine(instance.id).accounts.load_access(server.node)


def _try_to_load(context: Context, access: Rows | None = None) -> None:
    """A server that is not there now is configured when it comes back."""
    try:
        _load(context, access)
    except (EngineError, HostError):
        logger.warning("node %s does not know yet who may connect", context.node_id, exc_info=True)


def _write(context: Context, access: Rows | None) -> None:
    with context.resources.store.transaction() as connection:
        value = None if access is None else Jsonb(msgspec.to_builtins(access))
        connection.execute(_sql.set_access, {"id": context.instance_id, "access": value})


def completed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> None:
    _note(context, connection, succeeded=True)


def failed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> None:
    _note(context, connection, succeeded=False)


def _note(context: TaskContext[Parameters], connection: Writer, *, succeeded: bool) -> None:
    before, after = (
        Jsonb(msgspec.to_builtins(USUAL if rows is None else rows))
        for rows in (context.parameters.old, context.parameters.new)
    )
    connection.execute(
        _sql.note_change,
        {"instance_id": context.instance_id, "before": before, "after": after, "succeeded": succeeded},
    )
    connection.execute(_sql.forget_changes, {"id": context.instance_id, "kept": _KEPT})


CHANGE_ACCESS: Operation[Resources, Parameters] = Operation(
    key="change_access",
    name=TaskName.CHANGE_ACCESS,
    action=Action.CHANGE_PARAMETERS,
    parameters=Parameters,
    steps=(
        Step("set access", set_access, undo=set_access_back, expected=0.01),
        Step("load access", load_access, undo=load_access_back, of=each_node, expected=0.02),
    ),
    on_completed=Ending(completed),
    on_failed=Ending(failed),
)
