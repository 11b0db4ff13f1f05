"""Parameter groups, catalogues and what became of parameters, as the store has them."""

import datetime as dt
from collections.abc import Mapping

import msgspec

from openrds.domain.engine import EngineName
from openrds.domain.parameters import Catalogue, Parameter, by_name, changed
from openrds.store.database import Row, Writer
from openrds.store.queries import Queries

_sql = Queries("parameters")

#: Changes when the lists of what is offered do, so that what an older openrds found out is not taken for whole.
EDITION = 1
#: Of the history of an instance, and of a group.
_KEPT = 1000


class ParameterGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Values by name, for one version of an engine. Of a default group, which nobody made, there are none."""

    id: str
    name: str
    description: str
    engine: EngineName
    version: str
    parameters: Mapping[str, str]
    created_at: dt.datetime
    updated_at: dt.datetime
    user_defined: bool = True


def group_of(row: Row) -> ParameterGroup:
    return msgspec.convert(row, ParameterGroup)


def catalogue_of(row: Row) -> Catalogue:
    return by_name(msgspec.convert(row["parameters"], list[Parameter]))


def note_changes(
    connection: Writer,
    instance_id: str,
    before: Mapping[str, str],
    after: Mapping[str, str],
    *,
    succeeded: bool,
) -> None:
    """Into the history of an instance, of which only the latest is kept."""
    for name in changed(before, after):
        connection.execute(
            _sql.note_change,
            {
                "instance_id": instance_id,
                "name": name,
                "old_value": before.get(name),
                "new_value": after.get(name),
                "succeeded": succeeded,
            },
        )
    connection.execute(_sql.forget_changes, {"id": instance_id, "kept": _KEPT})


def note_application(
    connection: Writer, project_id: str, configuration_id: str, instance: tuple[str, str], *, succeeded: bool
) -> None:
    """That a group was applied to an instance, which is told by its id and its name."""
    key = {"project_id": project_id, "configuration_id": configuration_id}
    instance_id, name = instance
    connection.execute(
        _sql.note_application,
        {**key, "instance_id": instance_id, "instance_name": name, "succeeded": succeeded},
    )
    connection.execute(_sql.forget_applications, {**key, "kept": _KEPT})
