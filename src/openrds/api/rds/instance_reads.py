"""Look-ups of one instance for the API's queries."""

from openrds.api.state import ApiRequest, Service, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import is_instance_id
from openrds.domain.instance_values import Instance
from openrds.store.instances import instance_of
from openrds.store.queries import Queries

_sql = Queries("instances")


async def find_instance(request: ApiRequest, project_id: str, instance_id: str) -> Instance:
    """
    Raises:
        Refusal: INSTANCE_ID_FORMAT or INSTANCE_NOT_FOUND.
    """
    if not is_instance_id(instance_id):
        raise Refusal(ErrorCode.INSTANCE_ID_FORMAT)
    return await instance_in_project(service_of(request), project_id, instance_id)


async def instance_in_project(service: Service, project_id: str, instance_id: str) -> Instance:
    """
    Raises:
        Refusal: INSTANCE_NOT_FOUND.
    """
    row = await service.reads.row(_sql.instance_by_id, [instance_id])
    if row is None or row["project_id"] != project_id:
        raise Refusal(ErrorCode.INSTANCE_NOT_FOUND, f"There is no instance {instance_id}.")
    return instance_of(row)
