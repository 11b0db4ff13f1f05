"""What there was to be restored at a moment, as far as that is known.

It is known by two looks at the instance: one by the backup that a restore to the moment starts from, and one after the
moment, by the next backup or at the server as it is now. What was there at both may be taken to have been there
between; what was there at one of them was made or dropped between. What was both, nobody saw.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Literal, NamedTuple, TypeAlias

from openrds.engines.protocol import Place
from openrds.operations.steps import inventories

Side: TypeAlias = Literal["before", "after"]


class Thing(NamedTuple):
    """A database or a table. `only` is the one of two looks at which it was there; None for both, and for one look."""

    place: Place
    only: Side | None

    @property
    def database(self) -> str:
        return self.place[0]

    @property
    def is_table(self) -> bool:
        return len(self.place) > 1


@dataclass(frozen=True)
class Window:
    """Which of a list are shown: so many, beginning behind so many."""

    offset: int
    limit: int

    def has(self, number: int) -> bool:
        return self.offset <= number < self.offset + self.limit


@dataclass
class Found:
    """`shown` are those of the window. `tables` are the numbers of all tables that match: in all, as `()`, and by
    database and by schema.
    """

    shown: list[Thing] = field(default_factory=list)
    tables: Counter[Place] = field(default_factory=Counter)

    def count(self, *within: Place) -> None:
        """One table more."""
        for place in ((), *within):
            self.tables[place] += 1


def things(before: bytes | None, after: bytes | None) -> Iterator[Thing]:
    """All that was there at one of the looks, of which these are the inventories, in the order of names."""
    if before is None or after is None or before == after:  # most often nothing has changed
        for place in inventories.read(before or after or b""):
            yield Thing(place, None)
        return
    merged = heapq.merge(_marked("before", before), _marked("after", after), key=itemgetter(0))
    for place, group in groupby(merged, key=itemgetter(0)):
        sides = [side for _, side in group]
        yield Thing(place, sides[0] if len(sides) == 1 else None)


def databases(found: Iterable[Thing], name: str, window: Window) -> Found:
    """Those whose names have a text in them, whatever its letters' case."""
    answer, number = Found(), 0
    for thing in found:
        if not _fits(thing.database, name):
            continue
        if thing.is_table:
            answer.count(thing.place[:1])
        else:
            if window.has(number):
                answer.shown.append(thing)
            number += 1
    return answer


def tables(found: Iterable[Thing], database: str, name: str, window: Window) -> Found:
    """The same of tables; a database without any is not there."""
    answer = Found()
    for thing in found:
        if thing.is_table and _fits(thing.database, database) and _fits(thing.place[-1], name):
            if window.has(answer.tables[()]):
                answer.shown.append(thing)
            answer.count(thing.place[:1], thing.place[:2])
    return answer


def _marked(side: Side, content: bytes) -> Iterator[tuple[Place, Side]]:
    for place in inventories.read(content):
        yield place, side


def _fits(name: str, part: str) -> bool:
    return not part or part.casefold() in name.casefold()
