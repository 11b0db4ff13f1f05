"""Restore a backup, or an instance as it was at a moment, to a new instance. Source: operations.md 5.1.

A standby of the new instance is a copy of the restored primary.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec

from openrds.domain.deadline import LONG
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus
from openrds.domain.task import TaskName
from openrds.engines.registry import seal_password
from openrds.operations.intake.create_request import CreateInstance, Datastore, UnchangeableParam
from openrds.operations.intake.instance_plan import NewInstance, plan_instance, write_instance
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.restore_source import RestoreSource, check_same_names, find_source
from openrds.operations.steps import creating, restoring
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.source import Source
from openrds.store.database import Row
from openrds.tasks.operation import Operation, Step, StepContext


class Parameters(Source, frozen=True, kw_only=True):
    """`sealed_password` is empty where the administrator keeps the password that it had in the source."""

    administrator: str
    sealed_password: str


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, request: CreateInstance) -> tuple[NewInstance, UUID | None]:
    """The instance to be and its task; no task for a dry run."""
    source, backup = find_source(intake, _restore_point(request))
    planned = plan_instance(intake, _completed_request(request, backup))
    if not request.configuration_id:
        planned = _with_parameters(planned, backup["parameters"])
    _check_fits(planned, backup)
    if request.dry_run:
        return planned, None
    instance = write_instance(intake, planned)
    parameters = Parameters(
        **msgspec.structs.asdict(source),
        administrator=planned.administrator,
        sealed_password=seal_password(instance.engine, request.password or ""),
    )
    entities = {"instance": creating.aim_of(instance)}
    return planned, intake.accept(instance, RESTORE_NEW_INSTANCE, parameters, entities)


def _restore_point(request: CreateInstance) -> RestoreSource:
    try:
        return msgspec.convert(request.restore_point, RestoreSource)
    except msgspec.ValidationError as error:
        raise Refusal(ErrorCode.PARAMETER, f"restore_point: {error}") from None


def _completed_request(request: CreateInstance, backup: Row) -> CreateInstance:
    """What is left out of the datastore, and of what a creation fixes, is the source's."""
    if request.replica_of_id:
        raise Refusal(
            ErrorCode.PARAMETER,
            "A restore makes an instance of its own; leave out replica_of_id, and create replicas of it afterwards.",
        )
    datastore = request.datastore or Datastore(backup["engine"], backup["version"])
    return msgspec.structs.replace(
        request, restore_point=None, datastore=datastore, **_fixed(request, backup["options"])
    )


def _fixed(request: CreateInstance, of_source: Mapping[str, str]) -> dict[str, Any]:
    asked = request.unchangeable_param and request.unchangeable_param.lower_case_table_names
    fixed: dict[str, Any] = {
        "unchangeable_param": UnchangeableParam(asked or of_source.get("lower_case_table_names"))
    }
    if not (request.character_set or request.collation):
        fixed |= {name: of_source.get(name) for name in ("character_set", "collation")}
    return fixed


def _with_parameters(planned: NewInstance, of_source: Mapping[str, str]) -> NewInstance:
    """Those of the source. What is too much for the flavor is as if it were not set."""
    return replace(planned, spec=msgspec.structs.replace(planned.spec, parameters=of_source))


def _check_fits(planned: NewInstance, backup: Row) -> None:
    spec = planned.spec
    if (spec.engine, spec.version) != (backup["engine"], backup["version"]):
        raise Refusal(
            ErrorCode.PARAMETER,
            f"datastore must be the source's, {backup['engine']} {backup['version']}; or leave it out.",
        )
    check_same_names(spec.options, backup["options"])
    if spec.volume_size < backup["volume_size"]:
        raise Refusal(
            ErrorCode.RESTORE_VOLUME,
            f"volume.size must be at least the source's, {backup['volume_size']} GB.",
        )


def restore_data(context: Context) -> None:
    """A standby is copied while the restored primary is at rest, which is fastest."""
    resources, (server, *standbys) = context.resources, creating.servers_of(context)
    if not server.node.data_dir.exists():
        restoring.archive_source_log(resources, context.parameters)
        data = restoring.restore_apart(resources, context.parameters, server.node, str(context.task_id))
        data.rename(server.node.data_dir)
    restoring.remove_apart(resources.host, server, str(context.task_id))
    for standby in standbys:
        standby.replication.copy_upstream()


def remove_data(context: Context) -> None:
    server = context.resources.primary_server(context.instance_id)
    restoring.remove_apart(context.resources.host, server, str(context.task_id))


def start_servers(context: Context) -> None:
    creating.start_servers(context)
    _set_administrator(context)
    restoring.set_remote_access(context.resources, context.instance_id)
    creating.confirm_writes(context)
    creating.pass_on_endpoint(context)
    creating.check_endpoint(context)


def _set_administrator(context: Context) -> None:
    parameters = context.parameters
    if parameters.sealed_password:
        server = context.resources.primary_server(context.instance_id)
        server.set_administrator(parameters.administrator, parameters.sealed_password)


def stop_servers(context: Context) -> None:
    creating.stop_servers(context)
    context.resources.host.backups.remove_archive(context.instance_id)


RESTORE_NEW_INSTANCE: Operation[Resources, Parameters] = Operation(
    key="restore_new_instance",
    name=TaskName.RESTORE_NEW,
    status=InstanceStatus.BUILD,
    parameters=Parameters,
    steps=(
        creating.ALLOCATE_ADDRESS,
        creating.CREATE_VOLUME,
        Step("restore data", restore_data, undo=remove_data, expected=2.0, deadline=LONG),
        Step("start server", start_servers, undo=stop_servers, expected=0.2),
    ),
    on_completed=creating.IS_MADE,
    on_failed=creating.IS_UNMADE,
)
