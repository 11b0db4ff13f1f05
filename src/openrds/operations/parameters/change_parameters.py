"""Set parameters of an instance, some or all by a group, and have its servers take what needs no restart.

Read replicas get what their primary gets. What a server does not take is taken back on all of them.
Source: reads.md 5.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import Instance
from openrds.domain.parameters import Catalogue, changed, check_values
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import EngineError
from openrds.hosts.errors import HostError
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.parameter_groups import check_parameters, find_group_for
from openrds.operations.steps.nodes import each_node, node_of
from openrds.operations.steps.parameters import set_in_force
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import start_primary
from openrds.store.database import Writer
from openrds.store.instances import nodes_of, replicas_of
from openrds.store.parameters import note_application, note_changes
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Step, StepContext, TaskContext

logger = logging.getLogger(__name__)

_sql = Queries("parameters")

_MOST_VALUES = 500


class Change(msgspec.Struct, frozen=True):
    """What one instance has and is to have; `in_force` is what is so without a restart."""

    instance_id: str
    old: dict[str, str]
    new: dict[str, str]
    old_in_force: dict[str, str]
    in_force: dict[str, str]


class Parameters(msgspec.Struct, frozen=True):
    """The changes of the instance, first, and of its read replicas. `group_id` is that of a group that is applied."""

    changes: list[Change]
    instance_name: str
    old_configuration_id: str
    configuration_id: str
    group_id: str = ""


@dataclass(frozen=True)
class Accepted:
    task_id: UUID
    restart_required: bool


Context = StepContext[Resources, Parameters]


def submit(intake: Intake, instance_id: str, values: Mapping[str, str], catalogue: Catalogue) -> Accepted:
    """Set some. The catalogue is that of the instance's version."""
    instance = intake.admit(instance_id, CHANGE_PARAMETERS)
    if not 1 <= len(values) <= _MOST_VALUES:
        raise Refusal(ErrorCode.PARAMETER, f"values must have 1 to {_MOST_VALUES} parameters.")
    new = {**instance.parameters, **check_values(catalogue, values)}
    return _accept(intake, instance, new, catalogue, instance.configuration_id)


def submit_group(intake: Intake, instance_id: str, configuration_id: str, catalogue: Catalogue) -> Accepted:
    """Have the instance's parameters be those of a group, and no others be set."""
    instance = intake.admit(instance_id, CHANGE_PARAMETERS)
    group = find_group_for(intake, configuration_id, instance.engine, instance.version)
    kept = group.id if group.user_defined else ""
    return _accept(intake, instance, dict(group.parameters), catalogue, kept, group_id=group.id)


def _accept(
    intake: Intake,
    instance: Instance,
    new: dict[str, str],
    catalogue: Catalogue,
    configuration_id: str,
    group_id: str = "",
) -> Accepted:
    node, *_ = nodes_of(intake.connection, instance.id)
    check_parameters(intake, instance, node.host, new)
    replicas = replicas_of(intake.connection, instance.id)
    changes = [_change(instance, dict(instance.parameters), new, catalogue)]
    changes += [_change(replica, dict(instance.parameters), new, catalogue) for replica in replicas]
    parameters = Parameters(changes, instance.name, instance.configuration_id, configuration_id, group_id)
    task_id = intake.accept(
        instance,
        CHANGE_PARAMETERS,
        parameters,
        also_held=[replica.id for replica in replicas],
        name=TaskName.APPLY_CONFIGURATION if group_id else None,
    )
    first = changes[0]
    return Accepted(task_id, restart_required=bool(changed(first.in_force, first.new)))


def _change(
    instance: Instance, before: Mapping[str, str], after: Mapping[str, str], catalogue: Catalogue
) -> Change:
    """Of a read replica what changes of its primary does; others of its values stay."""
    old = dict(instance.parameters)
    names = set(changed(before, after))
    new = {
        name: value for name, value in old.items() if name not in names or old.get(name) != before.get(name)
    }
    new |= {name: after[name] for name in names if name in after}
    in_force = {name: value for name, value in new.items() if not _needs_restart(catalogue, name)}
    had = dict(instance.parameters_in_force)
    in_force |= {name: value for name, value in had.items() if _needs_restart(catalogue, name)}
    return Change(instance.id, old, new, had, in_force)


def _needs_restart(catalogue: Catalogue, name: str) -> bool:
    """What is not known any more does, so that nothing is said to be in force that is not."""
    return name not in catalogue or catalogue[name].restart


def set_parameters(context: Context) -> None:
    parameters = context.parameters
    new = {change.instance_id: change.new for change in parameters.changes}
    _write(context, new, parameters.configuration_id)


def set_parameters_back(context: Context) -> None:
    parameters = context.parameters
    old = {change.instance_id: change.old for change in parameters.changes}
    _write(context, old, parameters.old_configuration_id)


def apply_parameters(context: Context) -> None:
    change = _change_of(context)
    if context.node_id == context.resources.view.primary(context.instance_id).id:
        start_primary(context.resources, context.instance_id)
        _apply(context, change.new, change.old)
    else:
        _try_to_apply(context, change.new, change.old)


def apply_parameters_back(context: Context) -> None:
    change = _change_of(context)
    _try_to_apply(context, change.old, change.new)


def _apply(context: Context, values: Mapping[str, str], before: Mapping[str, str]) -> None:
    """
    Raises:
        EngineError: the server does not take one of them.
    """
    resources, (instance, node) = context.resources, node_of(context)
    resources.host.volumes.make_ready(node.id)
    server = resources.host.changed(resources.server(instance, node), parameters=values)
    resources.engine(instance.id).parameters.apply(server.node, before)


def _try_to_apply(context: Context, values: Mapping[str, str], before: Mapping[str, str]) -> None:
    """A server that is not there now is configured when it comes back."""
    try:
        _apply(context, values, before)
    except (EngineError, HostError):
        logger.warning("node %s does not have its parameters yet", context.node_id, exc_info=True)


def _change_of(context: Context) -> Change:
    instance, _ = node_of(context)
    return next(change for change in context.parameters.changes if change.instance_id == instance.id)


def _write(context: Context, values: Mapping[str, Mapping[str, str]], configuration_id: str) -> None:
    with context.resources.store.transaction() as connection:
        for instance_id, parameters in values.items():
            own = instance_id == context.instance_id
            connection.execute(
                _sql.set_parameters,
                {
                    "id": instance_id,
                    "parameters": Jsonb(parameters),
                    "configuration_id": configuration_id if own else None,
                },
            )


def completed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> None:
    for change in context.parameters.changes:
        set_in_force(connection, change.instance_id, change.in_force)
    _note(context, connection, succeeded=True)


def failed(context: TaskContext[Parameters], connection: Writer, _seen: None) -> None:
    _note(context, connection, succeeded=False)


def _note(context: TaskContext[Parameters], connection: Writer, *, succeeded: bool) -> None:
    parameters = context.parameters
    for change in parameters.changes:
        note_changes(connection, change.instance_id, change.old, change.new, succeeded=succeeded)
    if parameters.group_id:
        instance = context.instance_id, parameters.instance_name
        note_application(connection, context.project_id, parameters.group_id, instance, succeeded=succeeded)


CHANGE_PARAMETERS: Operation[Resources, Parameters] = Operation(
    key="change_parameters",
    name=TaskName.CHANGE_PARAMETERS,
    also_named=(TaskName.APPLY_CONFIGURATION,),
    action=Action.CHANGE_PARAMETERS,
    parameters=Parameters,
    steps=(
        Step("set parameters", set_parameters, undo=set_parameters_back, expected=0.01),
        Step("apply parameters", apply_parameters, undo=apply_parameters_back, of=each_node, expected=0.02),
    ),
    on_completed=Ending(completed),
    on_failed=Ending(failed),
)
