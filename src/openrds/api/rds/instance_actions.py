"""`POST instances/{id}/action`: one of several things to do to an instance. Source: operations.md 8."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType

from openrds.api.changes import change
from openrds.api.rds.instance_bodies import JobIdAnswer
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.lengths import Text
from openrds.operations.instances import enlarge_volume, resize_flavor, restart_instance
from openrds.operations.instances.enlarge_volume import EnlargeVolume
from openrds.operations.instances.resize_flavor import ResizeFlavor
from openrds.operations.intake.intake import Intake
from openrds.operations.pairs import single_to_ha
from openrds.operations.pairs.single_to_ha import SingleToHa


class InstanceAction(msgspec.Struct):
    """Exactly one key says what to do."""

    restart: restart_instance.Restart | UnsetType = UNSET
    enlarge_volume: EnlargeVolume | UnsetType = UNSET
    reduce_volume: dict[Text, Any] | UnsetType = UNSET
    resize_flavor: ResizeFlavor | UnsetType = UNSET
    single_to_ha: SingleToHa | UnsetType = UNSET
    change_volume: dict[Text, Any] | UnsetType = UNSET


#: What each key submits; a key of the contract that is not here is not offered.
_SUBMIT: Mapping[str, Callable[[Intake, str, Any], UUID]] = {
    "restart": restart_instance.submit,
    "enlarge_volume": enlarge_volume.submit,
    "resize_flavor": resize_flavor.submit,
    "single_to_ha": single_to_ha.submit,
}


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/action",
    status_code=202,
    responses=refusals(
        ErrorCode.VOLUME_NOT_LARGER,
        ErrorCode.VOLUME_SIZE,
        ErrorCode.VOLUME_MULTIPLE,
        ErrorCode.REPLICA_VOLUME,
        ErrorCode.FLAVOR,
        ErrorCode.FLAVOR_CHANGE,
        ErrorCode.FLAVOR_SOLD_OUT,
        ErrorCode.INSTANCE_TYPE,
        ErrorCode.AVAILABILITY_ZONE,
        ErrorCode.HA_MODE,
        ErrorCode.STORAGE_SOLD_OUT,
        body=True,
        instance=True,
    ),
    tags=["Instances"],
)
async def act(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[InstanceAction],
) -> Response[JobIdAnswer]:
    """Do one thing to an instance: `restart`, `enlarge_volume`, `resize_flavor`, `single_to_ha`."""

    def work(intake: Intake) -> JobIdAnswer:
        return JobIdAnswer(str(_submit(intake, instance_id, data)))

    return await change(request, work, status=202)


def _submit(intake: Intake, instance_id: str, action: InstanceAction) -> UUID:
    asked = [field for field in action.__struct_fields__ if getattr(action, field) is not UNSET]
    if len(asked) != 1:
        raise Refusal(ErrorCode.PARAMETER, "The body must have exactly one action, such as restart.")
    (key,) = asked
    if key not in _SUBMIT:
        raise Refusal(ErrorCode.PARAMETER, f"{key} is not offered by this openrds.")
    return _SUBMIT[key](intake, instance_id, getattr(action, key))


HANDLERS = [act]
