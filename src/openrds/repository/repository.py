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


#: Of the services that wrote here before.
_MOST_FORMER = 100


class Mark(msgspec.Struct, frozen=True):
    """`service` is the one that writes here: each restoring of a service on another machine makes a new one of it.

    `former` are those that it has taken over from, the last of them last. A `copy` is of that service's repository.
    """

    format: int
    service: str
    former: tuple[str, ...] = ()
    copy: bool = False


class _Large(msgspec.Struct, frozen=True):
    """`size` is in bytes. What is written anew has its pieces in the other slot: until then what was there is whole."""

    pieces: int
    size: int
    sha256: str
    slot: str = ""

    def names(self, name: str) -> list[str]:
        return [f"{name}.{self.slot}{number}" for number in range(self.pieces)]


#: By what slot comes next.
_OTHER_SLOT = {"": "b", "b": ""}


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
        return self.write_sealed(name, sealing.seal(name, content, self.key))

    def write_sealed(self, name: str, sealed: bytes) -> int:
        """The same with what `read_sealed` gave, of a repository with the same key."""
        self.objects.put(name, sealed)
        if self.objects.get(name) != sealed:
            raise RepositoryError(f"{name} in {self.address} is not what was written.")
        return len(sealed)

    def read_sealed(self, name: str) -> bytes:
        """An object as it is there, once it was seen that it is what was written under this name.

        Raises:
            As `read`.
        """
        sealed = self.objects.get(name)
        sealing.unseal(name, sealed, self.key)
        return sealed

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
        before = self._large(name)
        slot = "" if before is None else _OTHER_SLOT[before.slot]
        pieces = [content[begin : begin + MOST_BYTES] for begin in range(0, len(content), MOST_BYTES)]
        large = _Large(len(pieces), len(content), hashlib.sha256(content).hexdigest(), slot)
        named = [*zip(large.names(name), pieces, strict=True), (name, msgspec.json.encode(large))]
        written = {at: self.write(at, piece) for at, piece in named}
        if before is not None:
            self.objects.remove(before.names(name))
        return written

    def remove_large(self, name: str) -> None:
        """Whether it is whole or not."""
        large = self._large(name) or _Large(1, 0, "")
        self.objects.remove([name, *large.names(name), f"{name}.0", f"{name}.b0"])

    def _large(self, name: str) -> _Large | None:
        """None where there is none that can be read."""
        try:
            return msgspec.json.decode(self.read(name), type=_Large)
        except (NotInRepositoryError, StrangeObjectError):
            return None

    def read_large(self, name: str, most: int) -> bytes:
        """
        Raises:
            RepositoryError: it is not there, not what was written, or more than `most` bytes.
        """
        large = msgspec.json.decode(self.read(name), type=_Large)
        if large.size > most:
            raise RepositoryError(f"{name} in {self.address} has more than {most} bytes.")
        content = b"".join(map(self.read, large.names(name)))
        if hashlib.sha256(content).hexdigest() != large.sha256:
            raise StrangeObjectError(f"{name} in {self.address} is of different times.")
        return content

    def pieces(self, name: str) -> list[str]:
        """Beside `name` itself, the objects that something large was written to."""
        return msgspec.json.decode(self.read(name), type=_Large).names(name)

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
        mark = self.mark()
        return None if mark is None else mark.service

    def mark(self) -> Mark | None:
        """
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
        return mark

    def claim(self) -> str:
        """Make it that of a new service, whose mark is returned: who wrote here before finds that, and stops."""
        before, service = self.mark(), secrets.token_hex(16)
        former = () if before is None else (*before.former, before.service)
        self.write_mark(Mark(1, service, former[-_MOST_FORMER:]))
        return service

    def write_mark(self, mark: Mark) -> None:
        self.write(_MARK, msgspec.json.encode(mark))


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
