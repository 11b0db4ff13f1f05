"""Sets of transactions, as MySQL and MariaDB number them.

A *stream* numbers its transactions one by one: in MySQL each server is one, by its UUID, in MariaDB each domain. So
`0-7-130` of MariaDB, where server 7 wrote transaction 130 of domain 0, is read as all of domain 0 up to there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

#: First and last transaction, both within.
Interval = tuple[int, int]

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
#: Of MariaDB.
_DOMAIN = re.compile(r"\d+", re.ASCII)
_POSITION = re.compile(r"(\d+)-(\d+)-(\d+)", re.ASCII)
_INTERVAL = re.compile(r"(\d+)(?:-(\d+))?", re.ASCII)


@dataclass(frozen=True)
class GtidSet:
    """Of each stream the intervals that are in it: in order, apart from each other, none of them empty."""

    streams: Mapping[str, tuple[Interval, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, streams: Mapping[str, Iterable[Interval]]) -> "GtidSet":
        """From intervals in any order, which may overlap."""
        joined = {stream: _joined(intervals) for stream, intervals in streams.items()}
        return cls(MappingProxyType({stream: found for stream, found in joined.items() if found}))

    def __bool__(self) -> bool:
        return bool(self.streams)

    def __or__(self, other: "GtidSet") -> "GtidSet":
        return GtidSet.of(
            {stream: (*self.of_stream(stream), *other.of_stream(stream)) for stream in self._and_of(other)}
        )

    def __sub__(self, other: "GtidSet") -> "GtidSet":
        return GtidSet.of(
            {
                stream: _without(intervals, other.of_stream(stream))
                for stream, intervals in self.streams.items()
            }
        )

    def __and__(self, other: "GtidSet") -> "GtidSet":
        return self - (self - other)

    def __le__(self, other: "GtidSet") -> bool:
        """Whether all of it is in the other."""
        return not self - other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GtidSet) and dict(self.streams) == dict(other.streams)

    def __hash__(self) -> int:
        return hash(frozenset(self.streams.items()))

    def __str__(self) -> str:
        """As MySQL writes it."""
        return ",".join(
            ":".join((stream, *(str(a) if a == b else f"{a}-{b}" for a, b in intervals)))
            for stream, intervals in sorted(self.streams.items())
        )

    def holds(self, stream: str, number: int) -> bool:
        return any(first <= number <= last for first, last in self.of_stream(stream))

    def of_stream(self, stream: str) -> tuple[Interval, ...]:
        return self.streams.get(stream, ())

    def _and_of(self, other: "GtidSet") -> dict[str, None]:
        return dict.fromkeys((*self.streams, *other.streams))


def parse(text: str) -> GtidSet:
    """What either engine says: `uuid:1-5:7,...`, of MariaDB positions `0-1-5,...`; or what `str` of a set has made.

    Raises:
        ValueError: it is neither.
    """
    streams: dict[str, list[Interval]] = {}
    for word in filter(None, (word.strip() for word in text.split(","))):
        stream, intervals = _parse_word(word)
        streams.setdefault(stream, []).extend(intervals)
    return GtidSet.of(streams)


def writers(text: str) -> dict[str, str]:
    """Of each domain in positions of MariaDB, which server wrote the last transaction of it."""
    return {match[1]: match[2] for match in _POSITION.finditer(text)} if ":" not in text else {}


def _parse_word(word: str) -> tuple[str, list[Interval]]:
    if match := _POSITION.fullmatch(word):
        return match[1], [(1, int(match[3]))]
    stream, *intervals = word.split(":")
    if not intervals or not (_UUID.fullmatch(stream) or _DOMAIN.fullmatch(stream)):
        raise ValueError(f"{word!r} names no transactions that are known here")
    return stream.lower(), [_parse_interval(interval) for interval in intervals]


def _parse_interval(text: str) -> Interval:
    match = _INTERVAL.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no interval of transactions")
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last:
        raise ValueError(f"{text!r} is no interval of transactions")
    return first, last


def _joined(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    joined: list[Interval] = []
    for first, last in sorted(interval for interval in intervals if interval[0] <= interval[1]):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def _without(intervals: Iterable[Interval], others: Iterable[Interval]) -> Iterator[Interval]:
    for first, last in intervals:
        begin = first
        for other_first, other_last in others:
            if other_last < begin:
                continue
            if other_first > last:
                break
            if begin < other_first:
                yield begin, other_first - 1
            begin = other_last + 1
        if begin <= last:
            yield begin, last
