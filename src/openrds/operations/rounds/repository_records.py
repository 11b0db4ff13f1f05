"""What must be known to have the service again, in the backup repository: projects, accounts, keys, and each instance.

Whoever has the repository and its key needs nothing else.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from pathlib import Path

import msgspec

from openrds.operations.steps.resources import Resources
from openrds.repository import place
from openrds.repository.records import InstanceRecord, Row, ServiceRecord
from openrds.repository.repository import Repository
from openrds.store.queries import Queries
from openrds.store.records import Belonging

_sql = Queries("repository")

#: What is heard of where the service itself has changed, among the ids of instances. The store's triggers name it.
SERVICE = "service"

#: What is said of backups that are in the repository.
_OUTSIDE = ("whole", "found")

#: Instances that are read in one go.
_AT_ONCE = 200


#: What tells a file from the one that had its name before.
Stamps = Mapping[str, tuple[int, int, int]]


#: What is written of an instance to a repository, and None where nothing is to be there.
Shape = Callable[[Repository, InstanceRecord], InstanceRecord | None]


def as_it_is(_repository: Repository, record: InstanceRecord) -> InstanceRecord | None:
    """With those backups that are in the repository, and not in its copy alone."""
    backups = [row for row in record.backups if row["outside"] in _OUTSIDE]
    return msgspec.structs.replace(record, backups=backups) if record.instance or backups else None


class RecordSending:
    """Writes what has changed since it was last written; what is gone here goes there too."""

    def __init__(self, resources: Resources, shape: Shape = as_it_is) -> None:
        self._resources = resources
        self._shape = shape
        #: Digests by names; None before it is known what is there.
        self._written: dict[str, bytes] | None = None
        #: The instances to look at, None for all: whoever was not heard of may have changed, at the beginning.
        self._changed: set[str] | None = None
        #: The files of the service as they were last recorded, which nobody tells of.
        self._seen: Stamps | None = None

    def send(self, repository: Repository, heard: Collection[str] | None) -> None:
        """One round, for the instances that were heard of since the last, or SERVICE; None where that may be any.

        Of the service itself nothing is read where nothing was heard, and none of its files is another.

        Raises:
            RepositoryError: it cannot be used. What was heard is not forgotten.
        """
        self._changed = None if heard is None or self._changed is None else self._changed | set(heard)
        if self._written is None:
            there = repository.sizes(place.INSTANCE_RECORDS)
            self._written = dict.fromkeys((name.split(".")[0] for name, _ in there), b"")
        stamps = self._stamps()
        if self._changed is not None and stamps != self._seen:
            self._changed.add(SERVICE)
        changed = self._changed
        if changed is None or SERVICE in changed:
            self._write(repository, place.SERVICE_RECORD, msgspec.json.encode(self._service()))
        for record in self._records(changed):
            name, shaped = place.record(record.id), self._shape(repository, record)
            if shaped is not None:
                self._write(repository, name, msgspec.json.encode(shaped))
            elif name in self._written:
                repository.remove_large(name)
                del self._written[name]
        self._changed, self._seen = set(), stamps

    def _write(self, repository: Repository, name: str, content: bytes) -> None:
        assert self._written is not None
        digest = hashlib.sha256(content).digest()
        if self._written.get(name) != digest:
            repository.write_large(name, content)
            self._written[name] = digest

    def _records(self, changed: Set[str] | None) -> Iterator[InstanceRecord]:
        """Of those that have changed, also of one that is gone, which has nothing in it."""
        store, written = self._resources.store, self._written or {}
        if changed is None:
            known = {row["id"] for row in store.rows(_sql.recorded_instances)}
            names = written.keys() - {place.SERVICE_RECORD}
            ids = sorted(known | {name.rpartition("/")[2] for name in names})
        else:
            ids = sorted(changed - {SERVICE})
        for begin in range(0, len(ids), _AT_ONCE):
            some = ids[begin : begin + _AT_ONCE]
            rows = store.rows(_sql.records, {"ids": some})
            found = {one.id: one for one in (msgspec.convert(row, InstanceRecord) for row in rows)}
            yield from (found.get(id_) or InstanceRecord(id_, None, [], [], [], None) for id_ in some)

    def _service(self) -> ServiceRecord:
        store = self._resources.store
        return ServiceRecord(
            projects=[row["project"] for row in store.rows(_sql.projects)],
            accounts=[row["account"] for row in store.rows(_sql.accounts)],
            belongings=self._belongings(),
            files={path.name: path.read_text() for path in self._files()},
        )

    def _belongings(self) -> dict[Belonging, list[Row]]:
        found: dict[Belonging, list[Row]] = {}
        for row in self._resources.store.rows(_sql.belongings):
            found.setdefault(row["of"], []).append(row["record"])
        return found

    def _stamps(self) -> Stamps:
        """Each is written anew as a whole, so another one has another inode or time."""
        stats = [(path.name, path.stat()) for path in self._files()]
        return {name: (stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in stats}

    def _files(self) -> list[Path]:
        settings = self._resources.settings
        found = [settings.authority_file, *settings.data_dir.glob("credentials*.json")]
        return sorted(path for path in found if path.is_file())
