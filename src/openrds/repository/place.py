"""Which repository a service has, and what is where in it."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from openrds.repository.repository import Repository, open_repository
from openrds.repository.transfers import give_back_what_is_free

#: Of the service itself: its projects, accounts and keys; and below, of each instance what it is.
SERVICE_RECORD = "records/service"
INSTANCE_RECORDS = "records/instances"
#: Of each instance its backups and its log.
INSTANCES = "instances"


def record(instance_id: str) -> str:
    return f"{INSTANCE_RECORDS}/{instance_id}"


def backups(instance_id: str) -> str:
    return f"{INSTANCES}/{instance_id}/backups"


def backup(instance_id: str, backup_id: str) -> str:
    """Below it is the copy of a base backup."""
    return f"{backups(instance_id)}/{backup_id}"


def logs(instance_id: str) -> str:
    """Below it are copies of log archives, each under its generation."""
    return f"{INSTANCES}/{instance_id}/log"


def log(instance_id: str, generation: str) -> str:
    return f"{logs(instance_id)}/{generation}"


@dataclass(frozen=True)
class Place:
    """The repository of the settings, opened when it is first asked for. Others wait while one fetches a backup."""

    url: str
    options: Path | None
    key_file: Path
    fetching: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _opened: list[Repository] = field(default_factory=list, repr=False)
    _opening: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def open(self, *, may_make_key: bool = False) -> Repository:
        """
        Raises:
            RepositoryError: it cannot be reached, or has another key.
        """
        with self._opening:
            if not self._opened:
                give_back_what_is_free()
                self._opened.append(
                    open_repository(self.url, self.options, self.key_file, may_make_key=may_make_key)
                )
            return self._opened[0]
