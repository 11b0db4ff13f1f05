"""What callers are told of parameters and of groups of them. Source: reads.md 5."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import UNSET, UnsetType

from openrds.domain.lengths import Several, Text
from openrds.domain.parameters import Catalogue, as_shown
from openrds.domain.task import format_time
from openrds.store.parameters import ParameterGroup


class SetValues(msgspec.Struct):
    values: dict[Text, Text]


class SetValue(msgspec.Struct):
    value: Text


class ApplyGroup(msgspec.Struct):
    instance_ids: Several[Text]


class Compare(msgspec.Struct):
    source_id: Text
    target_id: Text


class Group(msgspec.Struct):
    id: str
    name: str
    description: str
    datastore_version_name: str
    datastore_name: str
    created: str
    updated: str


class ListedGroup(Group):
    user_defined: bool


class GroupsAnswer(msgspec.Struct):
    configurations: list[ListedGroup]
    total_count: int


class CreatedGroupAnswer(msgspec.Struct):
    configuration: Group


class ShownParameter(msgspec.Struct):
    """`type` is `string`, `integer`, `boolean`, `list` or `float`."""

    name: str
    value: str
    restart_required: bool
    readonly: bool
    value_range: str
    type: str
    description: str


class ShownGroup(Group):
    configuration_parameters: list[ShownParameter]


class InstanceParametersAnswer(msgspec.Struct):
    datastore_version_name: str
    datastore_name: str
    created: str
    updated: str
    configuration_parameters: list[ShownParameter]


class UpdatedGroup(msgspec.Struct):
    id: str
    name: str
    ignored_params: list[str]


class UpdatedGroupAnswer(msgspec.Struct):
    configuration: UpdatedGroup


class CopiedGroup(msgspec.Struct):
    id: str
    name: str
    description: str
    datastore_version_name: str
    datastore_name: str
    create_time: str
    update_time: str


class ResetAnswer(msgspec.Struct):
    """`need_restart`: instances that have it would have to be restarted, were it applied to them."""

    config_name: str
    need_restart: bool


class Difference(msgspec.Struct):
    name: str
    source_value: str
    target_value: str


class DifferenceAnswer(msgspec.Struct):
    source_id: str
    target_id: str
    source_name: str
    target_name: str
    parameters: list[Difference]


class ApplyResult(msgspec.Struct, omit_defaults=True):
    """`job_id` is an extension, of 3.1: each instance has a task of its own."""

    instance_id: str
    instance_name: str
    restart_required: bool
    success: bool
    job_id: str | UnsetType = UNSET


class ApplyAnswer(msgspec.Struct, omit_defaults=True):
    """`success` is that of all; `job_id`, of 3.1, that of the first."""

    configuration_id: str
    configuration_name: str
    success: bool
    apply_results: list[ApplyResult]
    job_id: str | UnsetType = UNSET

    def summed_up(self) -> "ApplyAnswer":
        return ApplyAnswer(
            self.configuration_id,
            self.configuration_name,
            all(result.success for result in self.apply_results),
            self.apply_results,
            next((result.job_id for result in self.apply_results if result.job_id), UNSET),
        )


class RestartAnswer(msgspec.Struct):
    restart_required: bool


class RestartJobAnswer(msgspec.Struct):
    job_id: str
    restart_required: bool


class Application(msgspec.Struct):
    instance_id: str
    instance_name: str
    apply_result: str
    apply_time: str
    error_code: str


class ApplicationsAnswer(msgspec.Struct):
    total_count: int
    histories: list[Application]


class Candidate(msgspec.Struct):
    entity_id: str
    entity_name: str


class CandidatesAnswer(msgspec.Struct):
    entities: list[Candidate]
    instance_count_limit: int
    total_count: int


class ParameterChange(msgspec.Struct):
    """Values are empty where the parameter was not set."""

    parameter_name: str
    old_value: str
    new_value: str
    update_result: str
    applied: bool
    update_time: str
    apply_time: str


class ParameterChangesAnswer(msgspec.Struct):
    total_count: int
    histories: list[ParameterChange]


def of_group(group: ParameterGroup) -> dict[str, str]:
    """The fields of a `Group`."""
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "datastore_version_name": group.version,
        "datastore_name": group.engine.lower(),
        "created": format_time(group.created_at),
        "updated": format_time(group.updated_at),
    }


def values_of(catalogue: Catalogue, *layers: Mapping[str, str]) -> dict[str, str]:
    """What each parameter is: of the layers the first that has it counts, and without any the server's own value."""
    return {
        name: next((as_shown(one, layer[name]) for layer in layers if name in layer), one.value)
        for name, one in catalogue.items()
    }


def shown(catalogue: Catalogue, values: Mapping[str, str]) -> list[ShownParameter]:
    return [
        ShownParameter(
            name=one.name,
            value=values[one.name],
            restart_required=one.restart,
            readonly=one.readonly,
            value_range=one.value_range,
            type=one.type,
            description=one.description,
        )
        for one in catalogue.values()
    ]


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> Iterable[Difference]:
    """Also of what only one of them has."""
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            yield Difference(name, here.get(name, ""), there.get(name, ""))
