"""Restore tables of an instance as they were at a moment, under new names, while it serves.

Source: operations.md 5.4.
"""

from collections.abc import Iterator
from uuid import UUID

import msgspec

from openrds.domain.engine import RULES
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus
from openrds.domain.instance_values import Instance
from openrds.domain.lengths import Several, Text
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import TableCopy
from openrds.operations.backups import restoring_copies
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.status import BECOMES_ACTIVE, IS_LOOKED_AT
from openrds.tasks.operation import Operation


class Table(msgspec.Struct):
    old_name: Text
    new_name: Text


class Schema(msgspec.Struct):
    schema: Text
    tables: Several[Table]


class Database(msgspec.Struct):
    """`schemas` for an engine that has schemas, and `tables` for one that has none."""

    database: Text
    schemas: Several[Schema] | None = None
    tables: Several[Table] | None = None


class InstanceTables(msgspec.Struct):
    """`restore_time` is in Unix milliseconds."""

    instance_id: Text
    restore_time: int
    databases: Several[Database]


class RestoreTables(msgspec.Struct):
    instances: Several[InstanceTables]


class Parameters(restoring_copies.Wanted, frozen=True):
    tables: tuple[TableCopy, ...]

    @property
    def copies(self) -> tuple[TableCopy, ...]:
        return self.tables


def submit(intake: Intake, request: RestoreTables) -> list[tuple[str, UUID]]:
    """The tasks by their instances: of all that are named, or of none."""
    if not request.instances:
        raise Refusal(ErrorCode.PARAMETER, "Name at least one instance.")
    return [(wanted.instance_id, submit_one(intake, wanted)) for wanted in request.instances]


def submit_one(intake: Intake, wanted: InstanceTables) -> UUID:
    instance = intake.instance(wanted.instance_id)
    tables = tuple(_tables_of(wanted, instance))
    restoring_copies.check_names(
        instance,
        [(table.table, table.new_name) for table in tables],
        [(table.database, table.schema, table.new_name) for table in tables],
    )
    instance, source = restoring_copies.admit(intake, wanted.instance_id, RESTORE_TABLES, wanted.restore_time)
    restoring_copies.check_now(intake, instance, wanted.restore_time, tables)
    parameters = Parameters(source.source_id, source.backup_id, wanted.restore_time, tables)
    return intake.accept(instance, RESTORE_TABLES, parameters)


def _tables_of(wanted: InstanceTables, instance: Instance) -> Iterator[TableCopy]:
    """
    Raises:
        Refusal: PARAMETER, tables are named in a way that the engine does not have.
    """
    engine = instance.engine
    for database in wanted.databases:
        has, has_not, lists = _SCHEMAS if RULES[engine].has_schemas else _NO_SCHEMAS
        if getattr(database, has) is None or getattr(database, has_not) is not None:
            raise Refusal(
                ErrorCode.PARAMETER,
                f"Tables of {engine} are named by databases[].{lists}, and by nothing else.",
            )
        for schema in database.schemas or [Schema("", database.tables or [])]:
            for table in schema.tables:
                names = (database.database, schema.schema, table.old_name, table.new_name)
                yield TableCopy(*(restoring_copies.as_kept(instance, name) for name in names))


#: What a database must have, what it must not, and in words.
_SCHEMAS = ("schemas", "tables", "schemas[].tables[]")
_NO_SCHEMAS = ("tables", "schemas", "tables[]")

RESTORE_TABLES: Operation[Resources, Parameters] = Operation(
    key="restore_tables",
    name=TaskName.RESTORE_TABLES,
    action=Action.RESTORE_TABLES,
    status=InstanceStatus.RESTORING,
    parameters=Parameters,
    keeps_parameters=True,
    steps=restoring_copies.STEPS,
    on_completed=BECOMES_ACTIVE,
    on_failed=IS_LOOKED_AT,
)
