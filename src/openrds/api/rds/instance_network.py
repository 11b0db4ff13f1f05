"""What moves an instance in the network, and stops and starts it. Source: operations.md 9, 10, 11 and 13."""

from uuid import UUID

import msgspec
from litestar import Response, post, put
from litestar.params import FromPath, JSONBody

from openrds.api.changes import change
from openrds.api.rds.instance_bodies import JobIdAnswer
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.errors import ErrorCode
from openrds.domain.lengths import Text
from openrds.operations.instances import remote_connection, start_instance, stop_instance
from openrds.operations.intake.intake import Intake
from openrds.operations.network import (
    bind_public_address,
    change_address,
    change_port,
    change_security_group,
    switch_ssl,
    unbind_public_address,
)

_TAGS = ["Instances"]


class SetPublicIp(msgspec.Struct):
    """Both address and id are required to bind."""

    is_bind: bool
    public_ip: Text | None = None
    public_ip_id: Text | None = None


class WorkflowIdAnswer(msgspec.Struct, rename="camel"):
    workflow_id: str


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/public-ip",
    responses=refusals(body=True, instance=True),
    tags=_TAGS,
)
async def set_public_ip(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str], data: JSONBody[SetPublicIp]
) -> Response[JobIdAnswer]:
    """Bind a public address, or unbind the one there is."""

    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(_submit_public_ip(intake, instance_id, data)))

    return await change(request, work)


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/port",
    responses=refusals(body=True, instance=True),
    tags=_TAGS,
)
async def set_port(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[change_port.ChangePort],
) -> Response[WorkflowIdAnswer]:
    """Change the port; the servers are restarted."""

    def work(intake: Intake) -> WorkflowIdAnswer:
        return WorkflowIdAnswer(str(change_port.submit(intake, instance_id, data)))

    return await change(request, work)


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/ip",
    responses=refusals(ErrorCode.INSTANCE_TYPE, body=True, instance=True),
    tags=_TAGS,
)
async def set_ip(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[change_address.ChangeAddress],
) -> Response[WorkflowIdAnswer]:
    """Move to another address of the pool; the servers are restarted."""

    def work(intake: Intake) -> WorkflowIdAnswer:
        return WorkflowIdAnswer(str(change_address.submit(intake, instance_id, data)))

    return await change(request, work)


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/security-group",
    responses=refusals(ErrorCode.SECURITY_GROUP, body=True, instance=True),
    tags=_TAGS,
)
async def set_security_group(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[change_security_group.ChangeSecurityGroup],
) -> Response[WorkflowIdAnswer]:
    """Have another security group say who may connect."""

    def work(intake: Intake) -> WorkflowIdAnswer:
        return WorkflowIdAnswer(str(change_security_group.submit(intake, instance_id, data)))

    return await change(request, work)


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/ssl",
    responses=refusals(body=True, instance=True),
    tags=_TAGS,
)
async def set_ssl(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[switch_ssl.SwitchSsl],
) -> Response[JobIdAnswer]:
    """Offer TLS to clients, or none; the servers are restarted where that changes something."""

    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(switch_ssl.submit(intake, instance_id, data)))

    return await change(request, work)


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/remote-connection",
    responses=refusals(ErrorCode.INSTANCE_TYPE, body=True, instance=True),
    tags=_TAGS,
)
async def set_remote_connection(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[remote_connection.SetRemoteConnection],
) -> Response[JobIdAnswer]:
    """Extension, for MySQL and MariaDB: let its administrator log in from outside, or not."""

    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(remote_connection.submit(intake, instance_id, data)))

    return await change(request, work)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/action/shutdown",
    status_code=200,
    responses=refusals(ErrorCode.INSTANCE_TYPE, instance=True),
    tags=_TAGS,
)
async def stop(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> Response[JobIdAnswer]:
    """Stop an instance with its read replicas; the data stays."""

    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(stop_instance.submit(intake, instance_id)))

    return await change(request, work)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/action/startup",
    status_code=200,
    responses=refusals(ErrorCode.INSTANCE_TYPE, instance=True),
    tags=_TAGS,
)
async def start(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> Response[JobIdAnswer]:
    """Start a stopped instance with its read replicas."""

    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(start_instance.submit(intake, instance_id)))

    return await change(request, work)


def _submit_public_ip(intake: Intake, instance_id: str, data: SetPublicIp) -> UUID:
    if data.is_bind:
        return bind_public_address.submit(intake, instance_id, data.public_ip, data.public_ip_id)
    return unbind_public_address.submit(intake, instance_id, data.public_ip)


HANDLERS = [set_public_ip, set_port, set_ip, set_security_group, set_ssl, set_remote_connection, stop, start]
