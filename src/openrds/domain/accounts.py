"""Databases, accounts and privileges of an instance: what is to be changed, and what there is.

A `Change` is what one call asks of the server: it is kept in a task's parameters until it is done, so no clear password
is in it. Names are as the server has them. `schema` is empty for an engine without schemas. Source: reads.md 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec


class _Change(msgspec.Struct, frozen=True, tag=True):
    """What all have in common: each is stored with its kind."""


class CreateDatabase(_Change, frozen=True):
    """What is empty is left to the engine. `closed`: not everybody may make things in its schema `public`."""

    name: str
    character_set: str = ""
    owner: str = ""
    template: str = ""
    collation: str = ""
    character_type: str = ""
    closed: bool = False
    comment: str = ""


class CommentDatabase(_Change, frozen=True):
    """An empty comment removes it."""

    name: str
    comment: str


class SetDatabaseOwner(_Change, frozen=True):
    name: str
    owner: str


class DropDatabase(_Change, frozen=True):
    """Whoever is in it."""

    name: str


class NewSchema(msgspec.Struct, frozen=True):
    name: str
    owner: str


class CreateSchemas(_Change, frozen=True):
    database: str
    schemas: tuple[NewSchema, ...]


class CreateExtension(_Change, frozen=True):
    """In its newest version that the server has."""

    database: str
    name: str


class UpdateExtension(_Change, frozen=True):
    """To the newest version that the server has."""

    database: str
    name: str


class DropExtension(_Change, frozen=True):
    """Unless something else of the database needs it."""

    database: str
    name: str


class DatabaseRight(msgspec.Struct, frozen=True):
    database: str
    read_only: bool


class CreateAccount(_Change, frozen=True):
    """`hosts` are those from which it may log in, for an engine whose accounts have such."""

    name: str
    sealed_password: str
    comment: str = ""
    hosts: tuple[str, ...] = ()
    rights: tuple[DatabaseRight, ...] = ()


class SetAccountPassword(_Change, frozen=True):
    name: str
    sealed_password: str


class CommentAccount(_Change, frozen=True):
    """An empty comment removes it."""

    name: str
    comment: str


class SetAccountHosts(_Change, frozen=True):
    """It may log in from these, and from no others."""

    name: str
    hosts: tuple[str, ...]


class SetAccountAttributes(_Change, frozen=True):
    """Attributes of a role, as PostgreSQL spells them: `CREATEDB`, `NOLOGIN`."""

    name: str
    attributes: tuple[str, ...]


class DropAccount(_Change, frozen=True):
    name: str


class Grantee(msgspec.Struct, frozen=True):
    """Who may read, or do all, in a database or in a schema of it."""

    account: str
    schema: str = ""
    read_only: bool = False


class GrantPrivileges(_Change, frozen=True):
    """Each gets exactly this, whatever it had there before."""

    database: str
    grantees: tuple[Grantee, ...]


class RevokePrivileges(_Change, frozen=True):
    """All that each of them has there."""

    database: str
    grantees: tuple[Grantee, ...]


class GrantRoles(_Change, frozen=True):
    account: str
    roles: tuple[str, ...]


class RevokeRoles(_Change, frozen=True):
    account: str
    roles: tuple[str, ...]


ExtensionChange: TypeAlias = CreateExtension | UpdateExtension | DropExtension
DatabaseChange: TypeAlias = (
    CreateDatabase | CommentDatabase | SetDatabaseOwner | DropDatabase | CreateSchemas | ExtensionChange
)
AccountChange: TypeAlias = (
    CreateAccount | SetAccountPassword | CommentAccount | SetAccountHosts | SetAccountAttributes | DropAccount
)
PrivilegeChange: TypeAlias = GrantPrivileges | RevokePrivileges | GrantRoles | RevokeRoles
Change: TypeAlias = DatabaseChange | AccountChange | PrivilegeChange


@dataclass(frozen=True)
class Page:
    """A part of a list: so many after so many."""

    offset: int
    limit: int


@dataclass(frozen=True)
class Database:
    """`size` is in bytes, None where the engine does not say; `owner` is empty for one without owners."""

    name: str
    character_set: str
    comment: str
    owner: str = ""
    collation: str = ""
    size: int | None = None


@dataclass(frozen=True)
class Schema:
    name: str
    owner: str


@dataclass(frozen=True)
class Extension:
    """Of a database, or what it could have. `version` is what it has, or would get.

    `newest` is what it can be updated to, empty where there is nothing newer; `preloaded_as` the library that must be
    loaded when the server starts, empty where it needs none.
    """

    name: str
    version: str
    newest: str
    preloaded_as: str
    is_created: bool
    description: str


@dataclass(frozen=True)
class Account:
    """`attributes` are those of a role, by the names of the engine's catalogue."""

    name: str
    comment: str
    hosts: tuple[str, ...] = ()
    rights: tuple[DatabaseRight, ...] = ()
    attributes: Mapping[str, bool | int] = field(default_factory=dict)
    member_of: tuple[str, ...] = ()
