"""What must be known to have a service again, as it is in the repository. Rows are those of the store's tables."""

import re
from typing import Any

import msgspec

from openrds.domain.instance import is_instance_id
from openrds.repository import place
from openrds.repository.errors import RepositoryError
from openrds.repository.repository import Repository
from openrds.store.records import Belonging

_MOST_BYTES = 2**26
#: Of the data directory: nothing else is ever written from a record.
_FILE = re.compile(r"authority\.pem|credentials(-[A-Za-z0-9._-]{1,64})?\.json", re.ASCII)

Row = dict[str, Any]


class ServiceRecord(msgspec.Struct, frozen=True):
    """`files` are those of the data directory with keys, by their names; `belongings` are rows by their tables."""

    projects: list[Row]
    accounts: list[Row]
    files: dict[str, str]
    belongings: dict[Belonging, list[Row]] = {}


class InstanceRecord(msgspec.Struct, frozen=True):
    """`instance` is None where only backups are left of it; `generation` is that of its log archive, if any.

    So is `public_address`, which it had bound. `deleted` are backups that are deleted and still there, in a copy.
    """

    id: str
    instance: Row | None
    nodes: list[Row]
    addresses: list[Row]
    backups: list[Row]
    generation: str | None
    public_address: str | None = None
    deleted: list[Row] = []


def read_service(repository: Repository) -> ServiceRecord:
    """
    Raises:
        RepositoryError: it cannot be read, or names files that are none of its.
    """
    found = msgspec.json.decode(repository.read_large(place.SERVICE_RECORD, _MOST_BYTES), type=ServiceRecord)
    for name in found.files:
        if not _FILE.fullmatch(name):
            raise RepositoryError(
                f"The record of the service has a file {name!r}, which is not one of its files."
            )
    return found


def read_instances(repository: Repository) -> list[InstanceRecord]:
    """All there are, by their ids.

    Raises:
        RepositoryError: one cannot be read.
    """
    names = {name.rpartition("/")[2] for name, _ in repository.sizes(place.INSTANCE_RECORDS)}
    ids = sorted(name for name in names if is_instance_id(name))
    return [read_instance(repository, id_) for id_ in ids]


def read_instance(repository: Repository, instance_id: str) -> InstanceRecord:
    """
    Raises:
        NotInRepositoryError: there is none of it.
        RepositoryError: it cannot be read.
    """
    content = repository.read_large(place.record(instance_id), _MOST_BYTES)
    record = msgspec.json.decode(content, type=InstanceRecord)
    if record.id != instance_id:
        raise RepositoryError(f"The record of {instance_id} is that of {record.id}.")
    return record
