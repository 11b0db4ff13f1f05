"""Give an instance a private DNS name, or another one, for which its servers vouch. Source: operations.md 16."""

from uuid import UUID

import msgspec

from openrds.domain.dns_names import DAYS_HELD, check_dns_type, check_label, check_served
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import Instance
from openrds.domain.lengths import Text
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.certificates import renew_certificates, show_certificate
from openrds.operations.steps.nodes import each_node, node_of
from openrds.operations.steps.resources import Resources
from openrds.store.database import Writer
from openrds.store.queries import Queries
from openrds.tasks.operation import Ending, Operation, Step, StepContext, TaskContext

_sql = Queries("dns_names")


class CreateDnsName(msgspec.Struct):
    dns_type: Text


class ChangeDnsName(msgspec.Struct):
    """`dns_name` is only the first part of the name."""

    dns_name: Text


class Parameters(msgspec.Struct, frozen=True):
    old: str | None
    new: str


Context = StepContext[Resources, Parameters]


def submit_first(intake: Intake, instance_id: str, request: CreateDnsName) -> UUID:
    """It is called as its id is."""
    check_served(intake.settings)
    check_dns_type(request.dns_type)
    instance = intake.admit(instance_id, CHANGE_DNS_NAME)
    if instance.dns_label:
        raise Refusal(
            ErrorCode.PARAMETER,
            f"The instance has a DNS name, {instance.dns_label}.{intake.settings.dns_zone}; PUT modify-dns changes it.",
        )
    return _submit(intake, instance, instance.id, TaskName.CREATE_DNS_NAME)


def submit(intake: Intake, instance_id: str, request: ChangeDnsName) -> UUID:
    """One that has none yet gets it too."""
    check_served(intake.settings)
    instance = intake.admit(instance_id, CHANGE_DNS_NAME)
    label = check_label(request.dns_name, instance.id)
    if label == instance.dns_label:
        raise Refusal(ErrorCode.PARAMETER, f"The instance has the DNS name {label} already.")
    return _submit(intake, instance, label, TaskName.CHANGE_DNS_NAME)


def _submit(intake: Intake, instance: Instance, label: str, name: TaskName) -> UUID:
    """The name is the instance's from now on, so that no other call can have it."""
    row = {
        "label": label,
        "project_id": instance.project_id,
        "instance_id": instance.id,
        "days": DAYS_HELD,
    }
    if intake.connection.execute(_sql.take_name, row).fetchone() is None:
        raise Refusal(ErrorCode.PARAMETER, _why_not(intake, instance, label))
    return intake.accept(instance, CHANGE_DNS_NAME, Parameters(instance.dns_label, label), name=name)


def _why_not(intake: Intake, instance: Instance, label: str) -> str:
    """Nobody is told whose a name is but its project."""
    holder = intake.connection.execute(_sql.holder_of_name, [label]).fetchone()
    if holder is not None and holder["project_id"] == instance.project_id:
        return f"dns_name: {label} is the name of instance {holder['instance_id']}."
    return f"dns_name: {label} is taken; choose another."


def set_name(context: Context) -> None:
    _set_name(context, context.parameters.new)


def set_old_name(context: Context) -> None:
    """The servers may vouch for the new one by now."""
    _set_name(context, context.parameters.old)
    renew_certificates(context.resources, context.instance_id)


def _set_name(context: Context, label: str | None) -> None:
    """The name server is told by the store."""
    context.resources.store.rows(_sql.set_name, {"label": label, "instance_id": context.instance_id})


def renew_certificate(context: Context) -> None:
    show_certificate(context.resources.server(*node_of(context)))


def settle(context: TaskContext[Parameters], connection: Writer, _seen: None) -> None:
    """What it is not called is its project's alone for a while: clients may still look for it there."""
    connection.execute(_sql.leave_other_names, [context.instance_id])


CHANGE_DNS_NAME: Operation[Resources, Parameters] = Operation(
    key="change_dns_name",
    name=TaskName.CHANGE_DNS_NAME,
    also_named=(TaskName.CREATE_DNS_NAME,),
    action=Action.CHANGE_DNS_NAME,
    parameters=Parameters,
    steps=(
        Step("set name", set_name, undo=set_old_name, expected=0.01),
        Step("renew certificate", renew_certificate, of=each_node, expected=0.02),
    ),
    on_completed=Ending(settle),
    on_failed=Ending(settle),
)
