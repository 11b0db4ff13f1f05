"""What the cloud lets be chosen of backups and is fixed here: each is read as it is, set to that, and to nothing else.

Source: SDK `show_backup_retain_policy`, `set_backup_retain_policy`, `delete_backup_selection`,
`show_backup_usage_alarm_config`, `update_backup_usage_alarm_config`, `show_backup_usage_exceeded_instances`.
"""

from typing import Annotated

import msgspec
from litestar import Response, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from openrds.api.changes import change
from openrds.api.rds.instance_policies import Successful
from openrds.api.rds.instance_reads import find_instance
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.lengths import Several, Text
from openrds.domain.rules import check_one_of
from openrds.operations.intake.intake import Intake

_TAGS = ["Backups"]

_RETAINED = ("NONE", "LAST", "ALL")
#: What stays of an instance that is deleted: its manual backups. The recycle bin is apart from that.
_AUTO, _MANUAL = "NONE", "ALL"
_SWITCH = ("ON", "OFF")
_MOST_AT_ONCE = 50


class ShowRetainPolicy(msgspec.Struct):
    """Of one instance: the answer has room for one."""

    instanceids: Several[Text]
    offset: int = 0
    limit: int = 10
    instance_status: Text | None = None
    begin_time: Text | None = None
    end_time: Text | None = None


class RetainPolicy(msgspec.Struct):
    instance_id: str
    name: str
    engine_name: str
    engine_version: str
    auto: str = _AUTO
    manual: str = _MANUAL


class SetRetainPolicy(msgspec.Struct):
    auto: Text
    manual: Text
    instanceids: Several[Text]


class DeleteSelection(msgspec.Struct):
    """Whether automatic backups stay when the instance is deleted."""

    selection: bool


class AlarmConfig(msgspec.Struct):
    """The rest of it is not said while it is off."""

    alarm_enabled: str = "OFF"


class SetAlarmConfig(msgspec.Struct):
    alarm_enabled: Text
    threshold_percent: int | None = None
    increment_percent: int | None = None


class AlarmConfigSet(msgspec.Struct):
    status: str = "COMPLETED"


class ExceededInstance(msgspec.Struct):
    """Of which there is none."""


class ExceededInstances(msgspec.Struct):
    instances: list[ExceededInstance]
    total: int = 0


@post(
    "/v3/{project_id:str}/backup-retain-policy",
    status_code=200,
    responses=refusals(body=True, instance=True),
    tags=_TAGS,
)
async def show_retain_policy(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[ShowRetainPolicy]
) -> RetainPolicy:
    """What would stay of an instance if it were deleted. The recycle bin keeps automatic backups too, for its days."""
    if len(data.instanceids) != 1:
        raise Refusal(
            ErrorCode.PARAMETER, "instanceids must have one id: the answer has room for one instance."
        )
    instance = await find_instance(request, project_id, data.instanceids[0])
    return RetainPolicy(instance.id, instance.name, instance.engine, instance.version)


@put(
    "/v3/{project_id:str}/backup-retain-policy",
    responses=refusals(ErrorCode.NOT_OFFERED, body=True, instance=True),
    tags=_TAGS,
)
async def set_retain_policy(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[SetRetainPolicy]
) -> Response[Successful]:
    """`auto` `NONE` with `manual` `ALL` is accepted; nothing else is done."""

    def work(intake: Intake) -> Successful:
        check_one_of("auto", data.auto, _RETAINED)
        check_one_of("manual", data.manual, _RETAINED)
        if not 1 <= len(data.instanceids) <= _MOST_AT_ONCE:
            raise Refusal(ErrorCode.PARAMETER, f"instanceids must have 1 to {_MOST_AT_ONCE} ids.")
        for id_ in sorted(set(data.instanceids)):
            intake.instance(id_)
        _check_fixed(data.auto == _AUTO and data.manual == _MANUAL)
        return Successful()

    return await change(request, work)


@post(
    "/v3/{project_id:str}/instances/{instance_id:str}/backups/delete-selection",
    status_code=200,
    responses=refusals(ErrorCode.NOT_OFFERED, body=True, instance=True),
    tags=_TAGS,
)
async def select_backups(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[DeleteSelection],
) -> Response[Successful]:
    """`{"selection": false}` is accepted: automatic backups go with their instance."""

    def work(intake: Intake) -> Successful:
        intake.instance(instance_id)
        _check_fixed(not data.selection)
        return Successful()

    return await change(request, work)


@get("/v3/{project_id:str}/backups/usage-alarm-config", responses=refusals(), tags=_TAGS)
async def show_usage_alarm(request: ApiRequest, project_id: FromPath[str]) -> AlarmConfig:
    """Whether it is told that backups take much of the space that is free of charge: it is not, as none is charged."""
    return AlarmConfig()


@put(
    "/v3/{project_id:str}/backups/usage-alarm-config",
    responses=refusals(ErrorCode.NOT_OFFERED, body=True),
    tags=_TAGS,
)
async def set_usage_alarm(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[SetAlarmConfig]
) -> Response[AlarmConfigSet]:
    """`{"alarm_enabled": "OFF"}` is accepted; it cannot be switched on."""

    def work(_intake: Intake) -> AlarmConfigSet:
        check_one_of("alarm_enabled", data.alarm_enabled, _SWITCH)
        if data.alarm_enabled == "ON":
            raise Refusal(
                ErrorCode.NOT_OFFERED,
                "It cannot be switched on: backups have no space that is free of charge, as nothing is charged. GET "
                "backups/backup-usage says what they take, and GET quotas what manual ones may.",
            )
        return AlarmConfigSet()

    return await change(request, work)


@get("/v3/{project_id:str}/backups/usage-alarm/exceeded-instances", responses=refusals(), tags=_TAGS)
async def list_exceeded(
    request: ApiRequest,
    project_id: FromPath[str],
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 100,
) -> ExceededInstances:
    """Instances whose backups take more than the alarm says: none, as there is no alarm."""
    return ExceededInstances([])


def _check_fixed(is_so: bool) -> None:
    """
    Raises:
        Refusal: NOT_OFFERED; to say that it is so would not be true.
    """
    if not is_so:
        raise Refusal(
            ErrorCode.NOT_OFFERED,
            "Manual backups stay when their instance is deleted, and automatic ones go. Make a manual one before, or "
            "have the recycle bin (PUT instances/recycle-policy) keep the last state and the automatic ones for days.",
        )


HANDLERS = [
    show_retain_policy,
    set_retain_policy,
    select_backups,
    show_usage_alarm,
    set_usage_alarm,
    list_exceeded,
]
