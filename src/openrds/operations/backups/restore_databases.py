"""Restore databases of an instance as they were at a moment, under new names, while it serves.

Source: operations.md 5.4.
"""

from uuid import UUID

import msgspec

from openrds.domain.account_rules import check_holds_data
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus
from openrds.domain.lengths import Several, Text
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import DatabaseCopy
from openrds.operations.backups import restoring_copies
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.status import BECOMES_ACTIVE, IS_LOOKED_AT
from openrds.tasks.operation import Operation


class Database(msgspec.Struct):
    old_name: Text
    new_name: Text


class InstanceDatabases(msgspec.Struct):
    """`restore_time` is in Unix milliseconds."""

    instance_id: Text
    restore_time: int
    databases: Several[Database]
    is_fast_restore: bool | None = None


class RestoreDatabases(msgspec.Struct):
    instances: Several[InstanceDatabases]


class Parameters(restoring_copies.Wanted, frozen=True):
    databases: tuple[DatabaseCopy, ...]

    @property
    def copies(self) -> tuple[DatabaseCopy, ...]:
        return self.databases


def submit(intake: Intake, request: RestoreDatabases) -> list[tuple[str, UUID]]:
    """The tasks by their instances: of all that are named, or of none."""
    if not request.instances:
        raise Refusal(ErrorCode.PARAMETER, "Name at least one instance.")
    return [(wanted.instance_id, _submit(intake, wanted)) for wanted in request.instances]


def _submit(intake: Intake, wanted: InstanceDatabases) -> UUID:
    instance = intake.instance(wanted.instance_id)
    databases = tuple(
        DatabaseCopy(
            restoring_copies.as_kept(instance, database.old_name),
            restoring_copies.as_kept(instance, database.new_name),
        )
        for database in wanted.databases
    )
    for database in databases:
        check_holds_data(database.database, instance.engine)
    restoring_copies.check_names(
        instance,
        [(database.database, database.new_name) for database in databases],
        [(database.new_name,) for database in databases],
    )
    instance, source = restoring_copies.admit(
        intake, wanted.instance_id, RESTORE_DATABASES, wanted.restore_time
    )
    restoring_copies.check_now(intake, instance, wanted.restore_time, databases)
    parameters = Parameters(source.source_id, source.backup_id, wanted.restore_time, databases)
    return intake.accept(instance, RESTORE_DATABASES, parameters)


RESTORE_DATABASES: Operation[Resources, Parameters] = Operation(
    key="restore_databases",
    name=TaskName.RESTORE_DATABASES,
    action=Action.RESTORE_TABLES,
    status=InstanceStatus.RESTORING,
    parameters=Parameters,
    keeps_parameters=True,
    steps=restoring_copies.STEPS,
    on_completed=BECOMES_ACTIVE,
    on_failed=IS_LOOKED_AT,
)
