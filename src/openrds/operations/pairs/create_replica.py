"""Create a read replica: an instance of its own that follows another. Source: operations.md 3.2."""

from uuid import UUID

from openrds.domain import rules
from openrds.domain.deadline import LONG
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus, InstanceType, new_instance_id
from openrds.domain.instance_values import Instance, InstanceSpec
from openrds.domain.statuses import Action
from openrds.domain.task import TaskName
from openrds.engines.protocol import Server
from openrds.operations.intake.create_request import CreateInstance
from openrds.operations.intake.instance_plan import (
    NewInstance,
    check_flavor,
    check_holds,
    check_offered,
    check_region,
    check_room,
    check_zone,
    growth_asked_for,
    tags_of,
    write_instance,
)
from openrds.operations.intake.intake import Intake, NoParameters
from openrds.operations.steps import creating
from openrds.operations.steps.replication import forget_follower
from openrds.operations.steps.resources import Resources
from openrds.operations.steps.serving import with_upstream
from openrds.operations.steps.status import instance_of
from openrds.store.instances import nodes_of, replicas_of
from openrds.tasks.operation import Operation, Step, StepContext

#: Of one primary.
MOST_REPLICAS = 5

Context = StepContext[Resources, NoParameters]


def submit(intake: Intake, request: CreateInstance) -> tuple[NewInstance, UUID | None]:
    """The replica to be and its task; no task for a dry run. What is the primary's is ignored in the request."""
    primary = _primary(intake, request)
    planned = _plan(intake, request, primary)
    if request.dry_run:
        return planned, None
    instance = write_instance(intake, planned)
    entities = {"instance": creating.aim_of(instance)}
    return planned, intake.accept(instance, CREATE_REPLICA, entities=entities)


def _primary(intake: Intake, request: CreateInstance) -> Instance:
    """
    Raises:
        Refusal: there is no such instance, or it cannot have another replica now.
    """
    assert request.replica_of_id
    primary = intake.instance(request.replica_of_id)
    if primary.type is InstanceType.REPLICA:
        raise Refusal(ErrorCode.REPLICA_SOURCE, "A read replica cannot have read replicas; name its primary.")
    intake.check(primary, CREATE_REPLICA)
    replicas = replicas_of(intake.connection, primary.id)
    if len(replicas) >= MOST_REPLICAS:
        raise Refusal(
            ErrorCode.TOO_MANY_REPLICAS,
            f"The instance has {len(replicas)} read replicas, and may have no more.",
        )
    return primary


def _plan(intake: Intake, request: CreateInstance, primary: Instance) -> NewInstance:
    check_offered(request)
    engine = primary.engine
    rules.check_name(request.name, engine)
    check_region(intake, request)
    check_zone(intake, "availability_zone", request.availability_zone)
    flavor = check_flavor(engine, request.flavor_ref, InstanceType.REPLICA)
    rules.check_volume(request.volume.type, primary.volume_size)
    node, *_ = nodes_of(intake.connection, primary.id)
    check_holds(intake, node.host, flavor)
    check_room(intake, node.host, places=1)
    return NewInstance(_spec(request, primary), node.host)


def _spec(request: CreateInstance, primary: Instance) -> InstanceSpec:
    """Most of it is the primary's, whatever the request says."""
    return InstanceSpec(
        id=new_instance_id(primary.engine),
        project_id=primary.project_id,
        name=request.name,
        engine=primary.engine,
        version=primary.version,
        complete_version=primary.complete_version,
        type=InstanceType.REPLICA,
        flavor_ref=request.flavor_ref,
        volume_type=request.volume.type,
        volume_size=primary.volume_size,
        port=primary.port,
        availability_zone=request.availability_zone,
        vpc_id=primary.vpc_id,
        subnet_id=primary.subnet_id,
        security_group_id=primary.security_group_id,
        enterprise_project_id=request.enterprise_project_id or primary.enterprise_project_id,
        time_zone=primary.time_zone,
        backup_start_time=primary.backup_start_time,
        backup_keep_days=0,
        tags=tags_of(request),
        replica_of=primary.id,
        secret=primary.secret,
        options=primary.options,
        parameters=primary.parameters,
        ssl=primary.ssl,
        growth=growth_asked_for(request, primary.volume_size),
        auto_upgrade=bool(request.is_auto_upgrade),
    )


@with_upstream
def copy_primary(context: Context) -> None:
    _server(context).replication.copy_upstream()


def forget_copy(context: Context) -> None:
    primary_id = instance_of(context).replica_of
    assert primary_id is not None, "a read replica is one of an instance"
    forget_follower(context.resources, primary_id, _server(context).node.node_id)


@with_upstream
def follow_primary(context: Context) -> None:
    _server(context).replication.follow()


def _server(context: Context) -> Server:
    return context.resources.primary_server(context.instance_id)


CREATE_REPLICA: Operation[Resources, NoParameters] = Operation(
    key="create_replica",
    name=TaskName.CREATE_REPLICA,
    action=Action.CREATE_REPLICA,
    status=InstanceStatus.BUILD,
    parameters=NoParameters,
    steps=(
        creating.ALLOCATE_ADDRESS,
        creating.CREATE_VOLUME,
        Step("copy primary", copy_primary, undo=forget_copy, expected=0.6, deadline=LONG),
        Step("follow primary", follow_primary, undo=creating.stop_servers, expected=0.2),
        Step("check endpoint", creating.check_endpoint, expected=0.02),
    ),
    on_completed=creating.IS_MADE,
    on_failed=creating.IS_UNMADE,
)
