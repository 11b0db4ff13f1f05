"""Parameter groups are made, changed and removed at once: no server is involved. Source: reads.md 5."""

import re
import secrets
from collections.abc import Mapping

import msgspec
from psycopg.types.json import Jsonb

from openrds.domain.engine import EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.lengths import Text
from openrds.domain.parameters import Catalogue, check_values
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.parameter_groups import check_together, find_group, group_id
from openrds.store.parameters import ParameterGroup, group_of
from openrds.store.queries import Queries

_sql = Queries("parameters")

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_LONGEST_DESCRIPTION = 256
#: As many as the cloud's own service allows.
MOST_GROUPS = 100
_MOST_VALUES = 500


class GroupDatastore(msgspec.Struct):
    type: Text
    version: Text


class CreateGroup(msgspec.Struct):
    name: Text
    datastore: GroupDatastore
    description: Text | None = None
    values: dict[Text, Text] | None = None


class UpdateGroup(msgspec.Struct):
    """What is left out stays as it is; of the values, those that are named are set."""

    name: Text | None = None
    description: Text | None = None
    values: dict[Text, Text] | None = None


class CopyGroup(msgspec.Struct):
    name: Text
    description: Text | None = None


def create(
    intake: Intake, request: CreateGroup, engine: EngineName, version: str, catalogue: Catalogue
) -> ParameterGroup:
    values = _checked(catalogue, request.values or {}, {})
    return _insert(intake, request.name, request.description or "", engine, version, values)


def copy(intake: Intake, configuration_id: str, request: CopyGroup) -> ParameterGroup:
    """Of a default group too."""
    source = find_group(intake, configuration_id)
    description = request.description or ""
    return _insert(intake, request.name, description, source.engine, source.version, source.parameters)


def update(
    intake: Intake, configuration_id: str, request: UpdateGroup, catalogue: Catalogue
) -> ParameterGroup:
    """Instances that the group was applied to stay as they are until it is applied again."""
    group = _own(intake, configuration_id)
    name = group.name if request.name is None else request.name
    description = group.description if request.description is None else request.description
    _check_name(intake, name, description, group.id)
    values = _checked(catalogue, request.values or {}, group.parameters)
    changed = msgspec.structs.replace(group, name=name, description=description, parameters=values)
    _update(intake, changed)
    return changed


def reset(intake: Intake, configuration_id: str) -> ParameterGroup:
    """Have nothing set in it any more."""
    group = msgspec.structs.replace(_own(intake, configuration_id), parameters={})
    _update(intake, group)
    return group


def remove(intake: Intake, configuration_id: str) -> None:
    """
    Raises:
        Refusal: CONFIGURATION; CONFIGURATION_FIXED; CONFIGURATION_IN_USE, an instance has it.
    """
    group = _own(intake, configuration_id)
    users = intake.connection.execute(_sql.instances_of_configuration, [group.id]).fetchall()
    if users:
        raise Refusal(
            ErrorCode.CONFIGURATION_IN_USE,
            f"{len(users)} instances have it, {users[0]['id']} among them: apply another group to them first.",
        )
    intake.connection.execute(_sql.delete_configuration, [group.id])
    intake.connection.execute(_sql.forget_applications_of, {"project_id": intake.project_id, "id": group.id})


def _own(intake: Intake, configuration_id: str) -> ParameterGroup:
    group = find_group(intake, configuration_id)
    if not group.user_defined:
        raise Refusal(
            ErrorCode.CONFIGURATION_FIXED, f"{group.name} is a default group: make a copy, and change that."
        )
    return group


def _checked(catalogue: Catalogue, values: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    if len(values) > _MOST_VALUES:
        raise Refusal(ErrorCode.PARAMETER, f"values may have at most {_MOST_VALUES} parameters.")
    checked = {**present, **check_values(catalogue, values)}
    check_together(checked)
    return checked


def _insert(
    intake: Intake,
    name: str,
    description: str,
    engine: EngineName,
    version: str,
    values: Mapping[str, str],
) -> ParameterGroup:
    id_ = group_id(engine, secrets.token_hex(16))
    (counted,) = intake.connection.execute(
        _sql.count_configurations, {"project_id": intake.project_id}
    ).fetchall()
    if counted["configurations"] >= MOST_GROUPS:
        raise Refusal(
            ErrorCode.CONFIGURATION_QUOTA,
            f"The project has {MOST_GROUPS} parameter groups, and may have no more.",
        )
    _check_name(intake, name, description, id_)
    columns = {
        "id": id_,
        "project_id": intake.project_id,
        "name": name,
        "description": description,
        "engine": engine,
        "version": version,
        "parameters": Jsonb(values),
    }
    row = intake.connection.execute(_sql.insert_configuration, columns).fetchone()
    assert row is not None, "an insert returns its row"
    return group_of(row)


def _update(intake: Intake, group: ParameterGroup) -> None:
    columns = {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "parameters": Jsonb(group.parameters),
    }
    intake.connection.execute(_sql.update_configuration, columns)


def _check_name(intake: Intake, name: str, description: str, id_: str) -> None:
    if not _NAME.fullmatch(name):
        raise Refusal(
            ErrorCode.PARAMETER,
            "name must have 1 to 64 letters, digits, hyphens, underscores or dots.",
        )
    if len(description) > _LONGEST_DESCRIPTION:
        raise Refusal(ErrorCode.PARAMETER, f"description may have at most {_LONGEST_DESCRIPTION} characters.")
    taken = {"project_id": intake.project_id, "name": name, "id": id_}
    if intake.connection.execute(_sql.is_configuration_name_taken, taken).fetchone() is not None:
        raise Refusal(ErrorCode.PARAMETER, f"There is a parameter group {name} already; choose another name.")
