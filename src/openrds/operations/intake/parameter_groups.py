"""Parameter groups, and what a call that names parameters is checked against.

Of each version that a host has there is a default group, in which nothing is set. It is in no table.
"""

import hashlib
from collections.abc import Iterable, Mapping

from openrds.domain.engine import RULES, EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import InstanceSpec
from openrds.domain.parameter_limits import check_fit
from openrds.operations.intake.intake import Intake
from openrds.operations.steps.resources import flavor_of
from openrds.store.database import Row
from openrds.store.parameters import ParameterGroup, group_of
from openrds.store.queries import Queries

_sql = Queries("parameters")
_instances = Queries("instances")


def group_id(engine: EngineName, digits: str) -> str:
    """32 hexadecimal digits, `pr`, and the two digits of the engine."""
    return f"{digits[:32]}pr{RULES[engine].id_digits}"


def default_groups(installations: Iterable[Row]) -> list[ParameterGroup]:
    return [_default_group(row) for row in installations]


def find_group(intake: Intake, configuration_id: str) -> ParameterGroup:
    """A group of the project, which nobody else changes meanwhile, or a default group.

    Raises:
        Refusal: CONFIGURATION.
    """
    key = {"id": configuration_id, "project_id": intake.project_id}
    row = intake.connection.execute(_sql.lock_configuration, key).fetchone()
    if row is not None:
        return group_of(row)
    installations = intake.connection.execute(_sql.installations).fetchall()
    return find_default(installations, configuration_id)


def find_default(installations: Iterable[Row], configuration_id: str) -> ParameterGroup:
    """
    Raises:
        Refusal: CONFIGURATION, none of them has this id.
    """
    for group in default_groups(installations):
        if group.id == configuration_id:
            return group
    raise Refusal(ErrorCode.CONFIGURATION, f"There is no parameter group {configuration_id[:64]}.")


def find_group_for(intake: Intake, configuration_id: str, engine: EngineName, version: str) -> ParameterGroup:
    """A group that an instance may have.

    Raises:
        Refusal: CONFIGURATION; PARAMETER, it is for another engine or version.
    """
    group = find_group(intake, configuration_id)
    if (group.engine, group.version) != (engine, version):
        raise Refusal(
            ErrorCode.PARAMETER,
            f"Parameter group {group.name} is for {group.engine} {group.version}, and this is {engine} {version}.",
        )
    return group


def check_parameters(intake: Intake, instance: InstanceSpec, host: str, values: Mapping[str, str]) -> None:
    """Whether an instance may have all these values at once, each of which is allowed.

    Raises:
        Refusal: PARAMETER_RANGE, its flavor has less memory; PARAMETER_VALUE, two do not go together.
    """
    check_fit(instance.engine, values, _memory_mb(intake, instance, host))
    check_together(values)


def check_together(values: Mapping[str, str]) -> None:
    """
    Raises:
        Refusal: PARAMETER_VALUE.
    """
    character_set, collation = values.get("character_set_server"), values.get("collation_server")
    if character_set is None or collation is None or collation.startswith("uca1400_"):
        return
    if collation.partition("_")[0] != character_set:
        raise Refusal(
            ErrorCode.PARAMETER_VALUE,
            f"collation_server {collation} is none of character_set_server {character_set}: set both, or one of them.",
        )


def _memory_mb(intake: Intake, instance: InstanceSpec, host: str) -> int:
    """What it has of its host: with the setting `flavors`, one that is larger is as large as that."""
    memory_mb = flavor_of(instance).memory_mb
    if intake.settings.flavors != "scaled":
        return memory_mb
    (found,) = intake.connection.execute(_instances.host, [host]).fetchall()
    return min(memory_mb, found["memory_mb"] or memory_mb)


def _default_group(row: Row) -> ParameterGroup:
    engine, version = EngineName(row["engine"]), row["version"]
    digits = hashlib.sha256(f"default {engine} {version}".encode()).hexdigest()
    return ParameterGroup(
        id=group_id(engine, digits),
        name=f"Default-{engine}-{version}",
        description=f"What servers of {engine} {version} have where nothing is set.",
        engine=engine,
        version=version,
        parameters={},
        created_at=row["seen_at"],
        updated_at=row["seen_at"],
        user_defined=False,
    )
