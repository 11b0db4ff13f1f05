"""Databases, accounts and privileges in a server that serves."""

from typing import Protocol

from openrds.domain.accounts import Account, Change, Database, DatabaseRight, Extension, Page, Schema
from openrds.engines.protocol.errors import EngineError, NameTaken, NotThere
from openrds.engines.protocol.node import NodeSpec


class NoSuchDatabase(NotThere):
    """There is no database of the name, or it is the server's own."""


class NoSuchAccount(NotThere):
    """There is no account or role of the name, or it is not the tenant's."""


class DatabaseTaken(NameTaken):
    """There is such a database."""


class AccountTaken(NameTaken):
    """There is such an account."""


class Unfit(EngineError):  # noqa: N818 - says what is wrong with what was asked
    """The server has not what is asked for, or what is to go is still in use; the message says which."""


class Accounts(Protocol):
    """What is a tenant's to have in a server: its databases, its accounts, and what these may do.

    The server's own databases, the service's accounts and the administrator are as if not there. Nothing is done with
    more rights than a tenant has that calls what a tenant wrote. An account gets no right that the administrator of the
    instance has not. Lists are in the order of names, and come with the count of all.
    """

    def databases(self, node: NodeSpec, page: Page, name: str = "") -> tuple[list[Database], int]:
        """All, or the one of the name."""

    def schemas(self, node: NodeSpec, database: str, page: Page) -> tuple[list[Schema], int]:
        """
        Raises:
            NoSuchDatabase: there is none.
            EngineError: the engine has no schemas.
        """

    def extensions(self, node: NodeSpec, database: str, page: Page) -> tuple[list[Extension], int]:
        """What a database has, or may be given.

        Raises:
            NoSuchDatabase: there is none.
            EngineError: the engine has no extensions.
        """

    def accounts(self, node: NodeSpec, page: Page) -> tuple[list[Account], int]: ...

    def rights_of(self, node: NodeSpec, account: str, page: Page) -> tuple[list[DatabaseRight], int]:
        """What an account may do, by database.

        Raises:
            NoSuchAccount: there is none.
            EngineError: rights are not by database in this engine.
        """

    def rights_in(self, node: NodeSpec, database: str, page: Page) -> tuple[list[tuple[str, bool]], int]:
        """The accounts that have rights in a database, and whether each may only read.

        Raises:
            NoSuchDatabase: there is none.
            EngineError: as above.
        """

    def roles(self, node: NodeSpec, account: str = "") -> list[str]:
        """The roles that accounts, or this one, may be given.

        Raises:
            NoSuchAccount: there is none.
            EngineError: the engine has no such roles.
        """

    def load_access(self, node: NodeSpec) -> None:
        """Have the server of a node, if it runs, go by its `access`. The next start does anyway.

        Raises:
            EngineError: it does not take it, and goes on as before; or the engine has no such rows.
        """

    def check(self, node: NodeSpec, change: Change) -> None:
        """Whether a change could be made now. Nothing is changed.

        Raises:
            NameTaken: what it would make is there.
            NotThere: what it is about is not.
            Unfit: the server cannot have it so.
        """

    def apply(self, node: NodeSpec, change: Change) -> None:
        """Make a change, on a primary. It may be made again, also after it was cut off at any point.

        Raises:
            EngineError: as above, or the server did not take it; what it would have made is not there then.
            LockedError: a client holds a lock on what it changes.
        """
