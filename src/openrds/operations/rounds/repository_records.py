"""What must be known to have the service again, in the backup repository: projects, accounts, keys, and each instance.

Whoever has the repository and its key needs nothing else.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from openrds.operations.steps.resources import Resources
from openrds.repository import place
from openrds.repository.records import InstanceRecord, ServiceRecord
from openrds.repository.repository import Repository
from openrds.store.queries import Queries

_sql = Queries("repository")


class RecordSending:
    """Writes what has changed since it was last written; what is gone here goes there too."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._written: dict[str, bytes] | None = None

    def send(self, repository: Repository) -> None:
        """One round.

        Raises:
            RepositoryError: it cannot be used.
        """
        if self._written is None:
            there = repository.sizes(place.INSTANCE_RECORDS)
            self._written = dict.fromkeys((name.split(".")[0] for name, _ in there), b"")
        records = self._records()
        for name, content in records.items():
            digest = hashlib.sha256(content).digest()
            if self._written.get(name) != digest:
                repository.write_large(name, content)
                self._written[name] = digest
        for name in self._written.keys() - records.keys():
            repository.remove([name, f"{name}.0"])
            del self._written[name]

    def _records(self) -> Mapping[str, bytes]:
        store = self._resources.store
        service = ServiceRecord(
            projects=[row["project"] for row in store.rows(_sql.projects)],
            accounts=[row["account"] for row in store.rows(_sql.accounts)],
            files={path.name: path.read_text() for path in self._files()},
        )
        records = {place.SERVICE_RECORD: msgspec.json.encode(service)}
        for row in store.rows(_sql.records):
            one = msgspec.convert(row, InstanceRecord)
            records[place.record(one.id)] = msgspec.json.encode(one)
        return records

    def _files(self) -> list[Path]:
        settings = self._resources.settings
        found = [settings.authority_file, *settings.data_dir.glob("credentials*.json")]
        return sorted(path for path in found if path.is_file())
