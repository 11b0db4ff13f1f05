"""What can be done to an instance: each is accepted as the API accepts it, and followed on its task's page."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from openrds.api.state import ApiRequest
from openrds.console.forms import fields_of, submit, text_in
from openrds.console.instances import backups_of, find_listed
from openrds.console.pages import render
from openrds.console.sessions import session_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.operations.backups import back_up
from openrds.operations.backups.back_up import CreateBackup
from openrds.operations.instances import delete_instance, restart_instance, start_instance, stop_instance
from openrds.operations.instances.restart_instance import Restart
from openrds.operations.intake.intake import Intake

_SUBMIT: Mapping[str, Callable[[Intake, str, Mapping[str, Any]], UUID]] = {
    "restart": lambda intake, id_, fields: restart_instance.submit(
        intake, id_, Restart(delay=text_in(fields, "when") == "window")
    ),
    "stop": lambda intake, id_, _: stop_instance.submit(intake, id_),
    "start": lambda intake, id_, _: start_instance.submit(intake, id_),
    "backup": lambda intake, id_, fields: _back_up(intake, id_, text_in(fields, "name")),
}


@get("/instances/{instance_id:str}/delete")
async def ask_to_delete(request: ApiRequest, instance_id: FromPath[str]) -> Response[str]:
    """What is lost, before it is."""
    one = await find_listed(request, instance_id)
    backups = await backups_of(request, instance_id)
    kinds = [backup["type"] for backup in backups]
    values = {
        "instance": one.instance,
        "one": one,
        "automatic": kinds.count("auto"),
        "manual": kinds.count("manual"),
    }
    return render(request, "delete.html", values)


@post("/instances/{instance_id:str}/delete")
async def delete(request: ApiRequest, instance_id: FromPath[str]) -> Response[Any]:
    """Of who has typed what is to go."""
    fields = await fields_of(request, session_of(request))
    instance = (await find_listed(request, instance_id)).instance
    if text_in(fields, "name") != instance.name:
        raise Refusal(ErrorCode.PARAMETER, "Nothing is deleted: the name of the instance was not typed.")
    return await submit(request, fields, lambda intake: delete_instance.submit(intake, instance_id))


@post("/instances/{instance_id:str}/{action:str}")
async def act(request: ApiRequest, instance_id: FromPath[str], action: FromPath[str]) -> Response[Any]:
    fields = await fields_of(request, session_of(request))
    if action not in _SUBMIT:
        raise Refusal(ErrorCode.NO_SUCH_API)
    return await submit(request, fields, lambda intake: _SUBMIT[action](intake, instance_id, fields))


def _back_up(intake: Intake, instance_id: str, name: str) -> UUID:
    _, task_id = back_up.submit(intake, CreateBackup(instance_id, name))
    return task_id


HANDLERS = [ask_to_delete, delete, act]
