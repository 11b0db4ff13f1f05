"""Tables and databases as copies in a server that serves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from openrds.engines.protocol.node import NodeSpec


@dataclass(frozen=True)
class TableCopy:
    """A table that is to be had again under another name. `schema` is empty for an engine without schemas."""

    database: str
    schema: str
    table: str
    new_name: str


@dataclass(frozen=True)
class DatabaseCopy:
    """A whole database that is to be had again under another name."""

    database: str
    new_name: str


Copies = Sequence[TableCopy] | Sequence[DatabaseCopy]

#: Names of what can be had again: `(database,)`, or `(database, schema, table)` with an empty schema for an engine
#: without schemas.
Place: TypeAlias = tuple[str, ...]


class Copying(Protocol):
    """How tables and databases get from one server into another that serves, under new names.

    They are copied out of the clients' sight first. `mark` is a word of letters and digits that tells the copies
    of one restore from those of others; all but `check_names` may be called again.
    """

    def inventory(self, source: NodeSpec, most: int) -> Iterator[Place]:
        """All that clients could name of a server, as it is now: in the order of their names, letter by letter, so
        that a database comes before its tables. Nothing of a tenant is evaluated.

        Raises:
            EngineError: the server does not answer, or has more than `most` of them.
        """

    def check_names(self, target: NodeSpec, copies: Copies) -> None:
        """
        Raises:
            NameTaken: so is a new name.
            NotThere: the place of one is not.
        """

    def check_present(self, target: NodeSpec, copies: Copies) -> None:
        """
        Raises:
            NotThere: what is to be had again is not in the target, as it is now.
        """

    def copy(self, source: NodeSpec, target: NodeSpec, copies: Copies, mark: str) -> None:
        """Copy with all that belongs to each: indexes, sequences, constraints, owner and rights.

        Raises:
            EngineError: the source does not have one of them, or the target cannot take it.
        """

    def publish(self, target: NodeSpec, copies: Copies, mark: str) -> None:
        """Let the copies appear under their new names.

        Raises:
            EngineError: a name was taken meanwhile.
        """

    def discard(self, target: NodeSpec, copies: Copies, mark: str) -> None:
        """Remove the copies, also those of a `publish` that stopped half-way."""
