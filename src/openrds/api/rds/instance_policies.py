"""What is done to an instance by itself, or could be and is not.

The latter is read as off; switching it off is accepted, on is refused.

Source: reads.md 1.3 and 9.
"""

import msgspec
from litestar import Response, get, put
from litestar.params import FromPath, JSONBody

from openrds.api.changes import change
from openrds.api.rds.instance_reads import find_instance
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.lengths import Text
from openrds.domain.rules import check_one_of
from openrds.operations.instances import instance_changes as changes
from openrds.operations.intake.intake import Intake

_TAGS = ["Instances"]
_SWITCH = ("ON", "OFF")


class RestartPolicyAnswer(msgspec.Struct):
    """`restart_server`: whether the machine is restarted too; the policy would say when."""

    restart_policy: dict[str, str]
    restart_server: bool = False


class MonitoringAnswer(msgspec.Struct):
    """`interval` in seconds; 0 while it is off."""

    switch_option: bool = False
    interval: int = 0


class AutoUpgradeAnswer(msgspec.Struct):
    switch_option: bool = False


class AutoScalingAnswer(msgspec.Struct):
    """Cycles in seconds, thresholds in percent; 0 and empty while it is off."""

    instance_id: str
    status: str = "OFF"
    monitor_cycle: int = 0
    silence_cycle: int = 0
    enlarge_threshold: int = 0
    max_flavor: str = ""
    reduce_enabled: str = "OFF"
    reduce_threshold: int = 0
    min_flavor: str = ""


class SetAutoScaling(msgspec.Struct):
    status: Text
    reduce_enabled: Text = "OFF"


class AutoScalingSwitched(msgspec.Struct):
    instance_id: str
    status: str


class AutoScalingRecord(msgspec.Struct):
    """Of which there is none."""


class AutoScalingHistory(msgspec.Struct):
    records: list[AutoScalingRecord]
    total_count: int = 0


class Done(msgspec.Struct):
    pass


class Successful(msgspec.Struct):
    resp: str = "successful"


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/restart-policy",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def show_restart_policy(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> RestartPolicyAnswer:
    """What a restart restarts: the servers of an instance, never a machine, and by no policy."""
    await find_instance(request, project_id, instance_id)
    return RestartPolicyAnswer({})


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/second-level-monitor",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def show_monitoring(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> MonitoringAnswer:
    """Whether it is measured each second or five, besides each minute."""
    interval = (await find_instance(request, project_id, instance_id)).monitor_interval
    return MonitoringAnswer(interval is not None, interval or 0)


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/second-level-monitor",
    responses=refusals(body=True, instance=True),
    tags=_TAGS,
)
async def set_monitoring(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[changes.SetMonitoring],
) -> Response[Done]:
    """Have it measured each second or five, or no more. `GET metrics?resolution=second` has the samples."""

    def work(intake: Intake) -> Done:
        changes.set_monitoring(intake, instance_id, data)
        return Done()

    return await change(request, work)


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/db-auto-upgrade",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def show_auto_upgrade(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> AutoUpgradeAnswer:
    """Whether it gets newer minor versions by itself."""
    return AutoUpgradeAnswer((await find_instance(request, project_id, instance_id)).auto_upgrade)


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/db-auto-upgrade",
    responses=refusals(body=True, instance=True),
    tags=_TAGS,
)
async def set_auto_upgrade(
    request: ApiRequest,
    project_id: FromPath[str],
    instance_id: FromPath[str],
    data: JSONBody[changes.SetAutoUpgrade],
) -> Response[Successful]:
    """Have it get newer minor versions by itself, in its maintenance window, or no more."""

    def work(intake: Intake) -> Successful:
        changes.set_auto_upgrade(intake, instance_id, data)
        return Successful()

    return await change(request, work)


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/auto-scaling/policy",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def show_auto_scaling(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> AutoScalingAnswer:
    """Whether its flavor changes by itself: it does not."""
    await find_instance(request, project_id, instance_id)
    return AutoScalingAnswer(instance_id)


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/auto-scaling/history",
    responses=refusals(instance=True),
    tags=_TAGS,
)
async def list_auto_scaling(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> AutoScalingHistory:
    """When its flavor changed by itself: never."""
    await find_instance(request, project_id, instance_id)
    return AutoScalingHistory([])


@put(
    "/v3/{project_id:str}/instances/{instance_id:str}/auto-scaling/policy",
    responses=refusals(ErrorCode.NOT_OFFERED, body=True, instance=True),
    tags=_TAGS,
)
async def set_auto_scaling(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str], data: JSONBody[SetAutoScaling]
) -> Response[AutoScalingSwitched]:
    """`{"status": "OFF"}` is accepted; it cannot be switched on."""

    def work(intake: Intake) -> AutoScalingSwitched:
        intake.instance(instance_id)
        check_one_of("status", data.status, _SWITCH)
        check_one_of("reduce_enabled", data.reduce_enabled, _SWITCH)
        _only_off("ON" in (data.status, data.reduce_enabled), "Flavors change when they are asked to.")
        return AutoScalingSwitched(instance_id, data.status)

    return await change(request, work)


def _only_off(on: bool, why_not: str) -> None:
    """
    Raises:
        Refusal: NOT_OFFERED; to say that it is on would not be true.
    """
    if on:
        raise Refusal(ErrorCode.NOT_OFFERED, f"It cannot be switched on. {why_not}")


HANDLERS = [
    show_restart_policy,
    show_monitoring,
    set_monitoring,
    show_auto_upgrade,
    set_auto_upgrade,
    show_auto_scaling,
    list_auto_scaling,
    set_auto_scaling,
]
