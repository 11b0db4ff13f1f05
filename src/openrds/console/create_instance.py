"""A new instance, by a form: what can be chosen is what the service offers now."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from litestar import Response, get, post

from openrds.api.cloud.network_reads import default_of
from openrds.api.rds.catalogue import versions_of
from openrds.api.state import ApiRequest, service_of
from openrds.console.forms import fields_of, submit, text_in
from openrds.console.pages import render
from openrds.console.sessions import session_of
from openrds.domain.engine import RULES, EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.flavor import GROUP_TYPES, flavors_of
from openrds.domain.instance import InstanceType
from openrds.domain.texts import number_in
from openrds.operations.instances import create_instance
from openrds.operations.intake.create_request import CreateInstance, Datastore, Ha, Volume
from openrds.operations.intake.intake import Intake

_VOLUME_TYPE = "CLOUDSSD"
_BEGINNING = {"name": "", "engine": "", "flavor": "", "size": "40", "standby": ""}


@get("/instances/new")
async def show_form(request: ApiRequest) -> Response[str]:
    return await _form(request, _BEGINNING)


@post("/instances/new")
async def create(request: ApiRequest) -> Response[Any]:
    """Accepted as `POST instances` is, in the project's own network; refused, the form comes again and says why."""
    fields = await fields_of(request, session_of(request))
    typed = {name: text_in(fields, name) for name in _BEGINNING}
    try:
        order = _order(request, typed, text_in(fields, "password"))

        def work(intake: Intake) -> UUID:
            _, task_id = create_instance.submit(intake, order)
            assert task_id is not None, "it was no dry run"
            return task_id

        return await submit(request, fields, work)
    except Refusal as refusal:
        return await _form(request, typed, str(refusal), refusal.error.status)


async def _form(
    request: ApiRequest, typed: Mapping[str, str], wrong: str = "", status: int = 200
) -> Response[str]:
    engines = [
        f"{engine} {version}"
        for engine in (EngineName.POSTGRESQL, EngineName.MYSQL, EngineName.MARIADB)
        for version in reversed(await versions_of(request, engine))
    ]
    values = {"typed": typed, "engines": engines, "flavors": _sizes(), "wrong": wrong}
    return render(request, "create.html", values, status)


def _sizes() -> dict[str, str]:
    """The same for each engine, under codes that differ in its token only."""
    token = RULES[EngineName.POSTGRESQL].flavor_token
    return {
        flavor.spec_code.removeprefix(f"rds.{token}."): f"{flavor.vcpus} vCPU, {flavor.memory_gb} GB"
        for flavor in flavors_of(EngineName.POSTGRESQL)
        if flavor.instance_type is InstanceType.SINGLE and flavor.group_type == GROUP_TYPES[0]
    }


def _order(request: ApiRequest, typed: Mapping[str, str], password: str) -> CreateInstance:
    """
    Raises:
        Refusal: what no part of a body can be made of; all else is checked where the API's bodies are.
    """
    name, _, version = typed["engine"].partition(" ")
    engine = EngineName.parse(name)
    if engine is None:
        raise Refusal(ErrorCode.ENGINE, "Choose an engine.")
    rules, network = RULES[engine], default_of(request)
    has_standby = bool(typed["standby"])
    zone = service_of(request).settings.availability_zones[0]
    return CreateInstance(
        name=typed["name"],
        datastore=Datastore(engine, version),
        flavor_ref=f"rds.{rules.flavor_token}.{typed['flavor']}{'.ha' if has_standby else ''}",
        volume=Volume(_VOLUME_TYPE, number_in(typed["size"])),
        availability_zone=f"{zone},{zone}" if has_standby else zone,
        ha=Ha("Ha", rules.default_replication_mode) if has_standby else None,
        vpc_id=network.vpc.id,
        subnet_id=network.subnet.id,
        security_group_id=network.security_group.id,
        password=password,
    )


HANDLERS = [show_form, create]
