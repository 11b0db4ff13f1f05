"""What is in a dump, and in which runs it is loaded: each run is what one loader loads in one session."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_ENTRY = re.compile(r"([0-9]+); [0-9]+ ([0-9]+) (.*)")
_NEEDS = ";\tdepends on:"
#: What pg_restore lists and we make ourselves, or do not copy.
_NOT_LOADED = (
    "DATABASE ",
    "COMMENT - DATABASE ",
    "COMMENT - SCHEMA openrds_",
    "ACL - SCHEMA openrds_",
    "ENCODING ",
    "STDSTRINGS ",
    "SEARCHPATH ",
)


@dataclass(frozen=True)
class Entry:
    """A line of the list that `pg_restore --list` prints.

    `what` is the rest of the line: the kind of object, its schema, its name, its owner, which is none for some kinds.
    `oid` is what it had in the source's catalog, 0 where it is not an object of its own.
    """

    number: int
    oid: int
    what: str
    needs: tuple[int, ...]

    @property
    def line(self) -> str:
        """For `pg_restore --use-list`."""
        return f"{self.number};\n"

    def is_a(self, *kinds: str) -> bool:
        return self.what.startswith(tuple(f"{kind} " for kind in kinds))

    def owner(self, roles: Iterable[str]) -> str:
        """The one of these roles that the line ends with; names have blanks in them, so the longest that fits."""
        fitting = (role for role in roles if self.what.endswith(f" {_as_listed(role)}"))
        return max(fitting, key=len, default="")


@dataclass(frozen=True)
class Run:
    loader: str
    entries: tuple[Entry, ...]


def read_list(text: str) -> list[Entry]:
    """Of `pg_restore --list --verbose`, in the order in which it would restore."""
    entries: list[Entry] = []
    # Names have no newline here, but may have what else Python takes for the end of a line.
    for line in text.split("\n"):
        if line.startswith(_NEEDS) and entries:
            entries[-1] = _needing(entries[-1], map(int, line.removeprefix(_NEEDS).split()))
        elif match := _ENTRY.fullmatch(line):
            number, oid, what = match.groups()
            entries.append(Entry(int(number), int(oid), what, ()))
    return [entry for entry in entries if not entry.what.startswith(_NOT_LOADED)]


def runs(entries: Sequence[Entry], loader_of: Mapping[int, str]) -> Iterator[Run]:
    """As few as there can be while everything comes after what it needs; `loader_of` is by the entries' numbers."""
    left = list(entries)
    while left:
        loader = loader_of[left[0].number]
        missing = {entry.number for entry in left}
        taken = []
        for entry in left:
            is_next = entry is left[0] or not missing.intersection(entry.needs)
            if is_next and loader_of[entry.number] == loader:
                taken.append(entry)
                missing.discard(entry.number)
        yield Run(loader, tuple(taken))
        gone = {entry.number for entry in taken}
        left = [entry for entry in left if entry.number not in gone]


def loaders(
    entries: Iterable[Entry],
    roles: Collection[str],
    loader_of_role: Callable[[str], str],
    loader_of_object: Mapping[int, str],
) -> dict[int, str]:
    """Who loads which entry: by its owner, or by what it is, or as what it needs."""
    found: dict[int, str] = {}
    for entry in entries:
        owner = entry.owner(roles)
        needed = next((found[number] for number in entry.needs if number in found), "")
        if owner:
            found[entry.number] = loader_of_role(owner)
        else:
            found[entry.number] = loader_of_object.get(entry.oid) or needed or loader_of_role("")
    return found


def _needing(entry: Entry, needs: Iterable[int]) -> Entry:
    return Entry(entry.number, entry.oid, entry.what, tuple(needs))


def _as_listed(name: str) -> str:
    """pg_restore prints a name on one line."""
    return name.replace("\n", " ").replace("\r", " ")
