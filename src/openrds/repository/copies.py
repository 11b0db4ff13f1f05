"""Copies of folders that do not change any more, such as base backups.

All files of the folder, one behind the other, are cut into parts, each of which is an object: `PREFIX/part/NUMBER`.
What a cut-off transfer left is found there by the next. `PREFIX/manifest`, which is written last, lists the files and
the parts; without it there is no copy.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import msgspec

from openrds.hosts.errors import HostError
from openrds.hosts.user import ServerUser
from openrds.repository.errors import NotInRepositoryError, StrangeObjectError
from openrds.repository.repository import Repository
from openrds.repository.sealing import MOST_BYTES
from openrds.repository.transfers import in_order
from openrds.repository.trees import Entry, Tree

_PART = "part"
_MANIFEST = "manifest"
#: Of some two million files.
_MOST_MANIFEST_BYTES = 2**28


class Part(msgspec.Struct, frozen=True):
    """`size` is what it holds, `stored` what it takes there, in bytes."""

    size: int
    stored: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    entries: tuple[Entry, ...]
    parts: tuple[Part, ...]


def send(
    repository: Repository, prefix: str, home: Path, owner: ServerUser, check_wanted: Callable[[], None]
) -> dict[str, int]:
    """
    Copy a folder of ours, in which the folders are the owner's, and return once all of it was read back.

    The objects that the copy is made of, with what they take there, in bytes. What is there is not sent again.
    `check_wanted` is called between parts; what it raises ends the transfer.

    Raises:
        RepositoryError: it cannot be written there.
        HostError: there is something in the folder that is not copied.
        OSError: the folder cannot be read.
    """
    tree = Tree(home, owner)
    entries = tuple(tree.entries())
    there = dict(repository.sizes(f"{prefix}/{_PART}"))

    def send_part(numbered: tuple[int, bytearray]) -> Part:
        number, content = numbered
        name = part_name(prefix, number)
        stored = there.get(name)
        if stored is None or not _is_there(repository, name, content):
            stored = repository.write(name, memoryview(content))
        return Part(len(content), stored, hashlib.sha256(content).hexdigest())

    def wanted() -> Iterator[tuple[int, bytearray]]:
        for numbered in enumerate(_cut(_pieces(tree, entries))):
            check_wanted()
            yield numbered

    manifest = Manifest(entries, tuple(in_order(send_part, wanted())))
    check_wanted()
    written = {part_name(prefix, number): part.stored for number, part in enumerate(manifest.parts)}
    return written | repository.write_large(f"{prefix}/{_MANIFEST}", msgspec.json.encode(manifest))


def fetch(
    repository: Repository,
    prefix: str,
    home: Path,
    owner: ServerUser,
    got_on: Callable[[], None],
    manifest: Manifest | None = None,
) -> None:
    """
    Make the files of a copy in a folder of ours that is empty. They are whole when this returns, but not yet on disk.

    `got_on` is called between parts; what it raises ends the transfer.

    Raises:
        NotInRepositoryError: there is no such copy.
        RepositoryError: what is there is not what was sent.
        OSError: a file cannot be written.
    """
    manifest = manifest or read_manifest(repository, prefix)
    if sum(entry.size or 0 for entry in manifest.entries) != sum(part.size for part in manifest.parts):
        raise StrangeObjectError(f"The manifest of {prefix} does not agree with itself.")

    def fetch_part(numbered: tuple[int, Part]) -> bytes:
        number, part = numbered
        name = part_name(prefix, number)
        content = repository.read(name)
        if len(content) != part.size or hashlib.sha256(content).hexdigest() != part.sha256:
            raise StrangeObjectError(f"{name} in the backup repository is not what its manifest says.")
        return content

    def wanted() -> Iterator[tuple[int, Part]]:
        for numbered in enumerate(manifest.parts):
            got_on()
            yield numbered

    with closing(_Source(in_order(fetch_part, wanted()))) as source:
        tree = Tree(home, owner)
        for entry in manifest.entries:
            file = tree.make(entry)
            if file is not None:
                with file:
                    source.write_to(file, entry.size or 0)


def read_manifest(repository: Repository, prefix: str) -> Manifest:
    """
    Raises:
        NotInRepositoryError: there is no such copy.
        RepositoryError: it cannot be read.
    """
    return msgspec.json.decode(
        repository.read_large(f"{prefix}/{_MANIFEST}", _MOST_MANIFEST_BYTES), type=Manifest
    )


def objects_of(repository: Repository, prefix: str) -> dict[str, int | None]:
    """All objects that a copy is made of, in the order in which they are written, the one that makes it whole last.

    With what they take there, in bytes, where that is known. What else is below the prefix is none of it.

    Raises:
        NotInRepositoryError: there is no such copy.
        RepositoryError: it cannot be read.
    """
    manifest = read_manifest(repository, prefix)
    found: dict[str, int | None] = {
        part_name(prefix, number): part.stored for number, part in enumerate(manifest.parts)
    }
    return found | dict.fromkeys([*repository.pieces(manifest_name(prefix)), manifest_name(prefix)])


def manifest_name(prefix: str) -> str:
    return f"{prefix}/{_MANIFEST}"


def part_name(prefix: str, number: int) -> str:
    return f"{prefix}/{_PART}/{number:08d}"


def _is_there(repository: Repository, name: str, content: bytearray) -> bool:
    """A transfer that was cut off may be of a copy that was made anew since."""
    try:
        return repository.read(name) == content
    except (NotInRepositoryError, StrangeObjectError):
        return False


def _pieces(tree: Tree, entries: Iterable[Entry]) -> Iterator[tuple[BinaryIO, int]]:
    """Each file with what it has, in bytes.

    Raises:
        OSError: one cannot be read.
    """
    for entry in entries:
        if entry.size:
            with tree.open(entry) as file:
                yield file, entry.size


def _cut(files: Iterable[tuple[BinaryIO, int]]) -> Iterator[bytearray]:
    part = bytearray()
    for file, size in files:
        left = size
        while left:
            piece = file.read(min(left, MOST_BYTES - len(part)))
            if not piece:
                raise HostError(f"{file.name} became shorter while it was copied.")
            part += piece
            left -= len(piece)
            if len(part) == MOST_BYTES:
                yield part
                part = bytearray()
    if part:
        yield part


class _Source:
    """The contents of parts, one behind the other."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._left = memoryview(b"")

    def write_to(self, file: BinaryIO, size: int) -> None:
        while size:
            if not self._left:
                self._left = memoryview(next(self._parts))
            piece, self._left = self._left[:size], self._left[size:]
            file.write(piece)
            size -= len(piece)

    def close(self) -> None:
        close = getattr(self._parts, "close", None)
        if close is not None:
            close()
