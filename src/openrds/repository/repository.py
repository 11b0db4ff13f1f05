"""A repository: sealed objects by name. What is written is read back, what is read is authenticated."""

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from openrds.repository import sealing
from openrds.repository.errors import NotInRepositoryError, RepositoryError, StrangeObjectError
from openrds.repository.keys import make_key, read_key
from openrds.repository.objects import Objects
from openrds.repository.sealing import MOST_BYTES

#: Whose the repository is.
_MARK = "repository"


class Mark(msgspec.Struct, frozen=True):
    """`service` is the one that writes here: each restoring of a service on another machine makes a new one of it."""

    format: int
    service: str


class _Large(msgspec.Struct, frozen=True):
    """In bytes."""

    pieces: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Repository:
    objects: Objects
    key: bytes = field(repr=False)

    @property
    def address(self) -> str:
        return self.objects.address

    def write(self, name: str, content: bytes | memoryview) -> int:
        """Returns how many bytes it takes there, once these were read back.

        Raises:
            RepositoryError: it cannot be written, or is not there as it was written.
        """
        sealed = sealing.seal(name, content, self.key)
        self.objects.put(name, sealed)
        if self.objects.get(name) != sealed:
            raise RepositoryError(f"{name} in {self.address} is not what was written.")
        return len(sealed)

    def read(self, name: str) -> bytes:
        """
        Raises:
            NotInRepositoryError: there is no such object.
            StrangeObjectError: it is not what was written under this name.
            RepositoryError: it cannot be read.
        """
        return sealing.unseal(name, self.objects.get(name), self.key)

    def write_large(self, name: str, content: bytes) -> dict[str, int]:
        """What may be more than an object holds: it is there once `name` is, which says what belongs to it.

        The objects that it was written to, with what they take there, in bytes.
        """
        pieces = [content[begin : begin + MOST_BYTES] for begin in range(0, len(content), MOST_BYTES)]
        named = {f"{name}.{number}": piece for number, piece in enumerate(pieces)}
        large = _Large(len(pieces), len(content), hashlib.sha256(content).hexdigest())
        return {
            at: self.write(at, piece) for at, piece in (*named.items(), (name, msgspec.json.encode(large)))
        }

    def read_large(self, name: str, most: int) -> bytes:
        """
        Raises:
            RepositoryError: it is not there, not what was written, or more than `most` bytes.
        """
        large = msgspec.json.decode(self.read(name), type=_Large)
        if large.size > most:
            raise RepositoryError(f"{name} in {self.address} has more than {most} bytes.")
        content = b"".join(self.read(f"{name}.{number}") for number in range(large.pieces))
        if hashlib.sha256(content).hexdigest() != large.sha256:
            raise StrangeObjectError(f"{name} in {self.address} is of different times.")
        return content

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        return self.objects.sizes(prefix)

    def remove(self, names: Iterable[str]) -> None:
        self.objects.remove(names)

    def remove_below(self, prefix: str) -> None:
        self.objects.remove([name for name, _ in self.objects.sizes(prefix)])

    def service(self) -> str | None:
        """Which service writes here; None where there is nothing yet.

        Raises:
            RepositoryError: it cannot be read, or the key is another's.
        """
        try:
            found = self.read(_MARK)
        except NotInRepositoryError:
            return None
        except StrangeObjectError:
            raise RepositoryError(f"The key is not that of the backup repository {self.address}.") from None
        mark = msgspec.json.decode(found, type=Mark)
        if mark.format != 1:
            raise RepositoryError(f"{self.address} was written by a newer openrds (format {mark.format}).")
        return mark.service

    def claim(self) -> str:
        """Make it that of a new service, whose mark is returned: who wrote here before finds that, and stops."""
        service = secrets.token_hex(16)
        self.write(_MARK, msgspec.json.encode(Mark(1, service)))
        return service


def open_repository(url: str, options: Path | None, key_file: Path, *, may_make_key: bool) -> Repository:
    """A repository that can be reached and whose key is the one of the file; one is made for a new repository.

    Raises:
        RepositoryError: it is not so; the message says what to do.
    """
    objects = Objects.at(url, options)
    if not key_file.exists() and may_make_key:
        try:
            objects.get(_MARK)
        except NotInRepositoryError:
            return Repository(objects, make_key(key_file))
        raise RepositoryError(
            f"{url} has backups already, and their key is missing: put it into {key_file}, or choose another place."
        )
    repository = Repository(objects, read_key(key_file))
    repository.service()
    return repository
