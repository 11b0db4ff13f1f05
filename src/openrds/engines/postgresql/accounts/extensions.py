"""Extensions of a database: made, updated and dropped by the superuser, from a list that leaves a tenant a tenant.

The script of an extension runs as the superuser, and looks names up where the extension is to be. Somebody may have
made a function, an operator or a type there that it would call. So it runs in a schema that is new, empty and the
superuser's, which nobody else sees, and what it has made is moved from there: that names objects by their ids and
calls nothing. All of it is one transaction.

What PostgreSQL lets the owner of a database make by SQL too ("trusted") becomes that owner's, any other the
superuser's.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from openrds.domain.accounts import (
    CreateExtension,
    DropExtension,
    Extension,
    ExtensionChange,
    Page,
    UpdateExtension,
)
from openrds.engines.postgresql import catalog
from openrds.engines.postgresql.accounts import tenants
from openrds.engines.postgresql.sessions import Connection, superuser_session
from openrds.engines.protocol import NameTaken, NodeSpec, NotThere, Unfit

#: What acts on what its caller may act on anyway, or shows figures to those who may see figures. None of them reads or
#: writes files, reaches other servers, runs programs, or brings a language; each can be moved, and needs no other one.
#: `dblink` and `postgres_fdw` are not here: they would connect from the server's machine, past all security groups,
#: and to the socket at which the superuser needs no password.
_NAMES = """
bloom btree_gin btree_gist citext cube dict_int fuzzystrmatch hstore intarray isn lo ltree moddatetime
pg_buffercache pg_freespacemap pg_prewarm pg_stat_statements pg_trgm pg_visibility pgcrypto pgrowlocks pgstattuple
seg sslinfo tablefunc tcn tsm_system_rows tsm_system_time unaccent uuid-ossp vector
"""
OFFERED = tuple(_NAMES.split())
#: Those that do nothing unless their library is loaded when the server starts, of which it has the same name.
PRELOADED = ("pg_stat_statements",)

_SCHEMA = "public"
#: How schemas begin that are there as long as a transaction.
_ASIDE = "openrds_extension_"
_TRUSTED = 130000
_LONG_SECONDS = 55.0
#: The superuser's own are in no such row: the server needs that role anyway.
_FOREIGN_MEMBERS = """
SELECT pg_describe_object(member.classid, member.objid, 0) FROM pg_depend AS member
JOIN pg_extension ON refclassid = 'pg_extension'::regclass AND refobjid = pg_extension.oid
JOIN pg_shdepend AS owned USING (classid, objid)
JOIN pg_database ON dbid = pg_database.oid AND datname = current_database()
WHERE extname = %s AND member.deptype = 'e' AND owned.deptype = 'o' LIMIT 1
"""


def listed(node: NodeSpec, database: str, page: Page) -> tuple[list[Extension], int]:
    with superuser_session(node) as connection:
        tenants.check_database(connection, database)
    with superuser_session(node, database) as connection:
        found = catalog.rows(
            connection,
            "SELECT name, default_version, installed_version, coalesce(comment, '') FROM pg_available_extensions "
            "WHERE name = ANY(%s) OR installed_version IS NOT NULL ORDER BY name",
            list(OFFERED),
        )
    entries = [_entry(*row) for row in found]
    return entries[page.offset : page.offset + page.limit], len(entries)


def _entry(name: str, newest: str, installed: str | None, description: str) -> Extension:
    is_behind = installed is not None and installed != newest and name in OFFERED
    return Extension(
        name=name,
        version=installed or newest,
        newest=newest if is_behind else "",
        preloaded_as=name if name in PRELOADED else "",
        is_created=installed is not None,
        description=description,
    )


def check(node: NodeSpec, change: ExtensionChange) -> None:
    """
    Raises:
        NoSuchDatabase: there is none.
        NameTaken: it is to be created, and is there.
        NotThere: it is to be updated or dropped, and is not.
        Unfit: the server does not have it, it is not offered, or its library is not loaded.
    """
    with _session(node, change) as connection:
        is_there = _version(connection, change.name) is not None
        if isinstance(change, CreateExtension):
            if is_there:
                raise NameTaken(f"database {change.database} has the extension {change.name}")
            _check_can_be_made(connection, change.name)
        elif not is_there:
            raise NotThere(f"database {change.database} has no extension {change.name}")
        elif isinstance(change, UpdateExtension):
            _check_is_as_made(connection, change.name)
        else:
            _check_is_not_needed(connection, change)


def create(node: NodeSpec, change: CreateExtension) -> None:
    """One that was made by an attempt before, or by somebody a moment ago, is taken as it is."""
    name = sql.Identifier(change.name)
    with _session(node, change) as connection:
        if _version(connection, change.name) is not None:
            return
        _check_can_be_made(connection, change.name)
        with connection.transaction(), _aside(connection) as aside:
            with _owning(connection, change.name, aside):
                connection.execute(sql.SQL("CREATE EXTENSION {} SCHEMA {}").format(name, aside))
            _move(connection, name, sql.Identifier(_SCHEMA))


def update(node: NodeSpec, change: UpdateExtension) -> None:
    """It is where it was, afterwards."""
    name = sql.Identifier(change.name)
    with _session(node, change) as connection, connection.transaction(), _aside(connection) as aside:
        ((schema,),) = catalog.rows(
            connection,
            "SELECT nspname FROM pg_extension JOIN pg_namespace AS place ON place.oid = extnamespace "
            "WHERE extname = %s",
            change.name,
        )
        _move(connection, name, aside)
        # Only now: whatever was moved is seen here, and what is added later is not where the script looks.
        _check_is_as_made(connection, change.name)
        connection.execute(sql.SQL("ALTER EXTENSION {} UPDATE").format(name))
        _move(connection, name, sql.Identifier(schema))


def drop(node: NodeSpec, change: DropExtension) -> None:
    with _session(node, change) as connection:
        connection.execute(sql.SQL("DROP EXTENSION IF EXISTS {}").format(sql.Identifier(change.name)))


def _check_is_not_needed(connection: Connection, change: DropExtension) -> None:
    """By dropping it, and taking that back: what needs it may do so by way of what else it has.

    Raises:
        Unfit: something else of the database needs it.
    """
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL("DROP EXTENSION {}").format(sql.Identifier(change.name)))
    except psycopg.errors.DependentObjectsStillExist as error:
        needed_by, *_ = (error.diag.message_detail or "by something else").splitlines()
        raise Unfit(f"extension {change.name} is still needed ({needed_by}): drop that first") from None


@contextmanager
def _session(node: NodeSpec, change: ExtensionChange) -> Iterator[Connection]:
    """In the database, if it is a tenant's and the extension is offered.

    Raises:
        Unfit: it is not.
        NoSuchDatabase: nor is there such a database.
    """
    if change.name not in OFFERED:
        raise Unfit(f"extension {change.name} is not offered; these are: {', '.join(OFFERED)}")
    with superuser_session(node) as connection:
        tenants.check_database(connection, change.database)
    with superuser_session(node, change.database, statement_seconds=_LONG_SECONDS) as connection:
        yield connection


@contextmanager
def _aside(connection: Connection) -> Iterator[sql.Identifier]:
    """A schema into which nobody else can have put anything, as nobody else sees it before it is gone again."""
    schema = sql.Identifier(_ASIDE + secrets.token_hex(8))
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    yield schema
    connection.execute(sql.SQL("DROP SCHEMA {}").format(schema))


@contextmanager
def _owning(connection: Connection, name: str, aside: sql.Identifier) -> Iterator[None]:
    """Have a trusted extension made by the owner of the database; its script is run by the server's superuser then."""
    owner = _owner(connection) if _is_trusted(connection, name) else ""
    if not owner:
        yield
        return
    role = sql.Identifier(owner)
    connection.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {}").format(aside, role))
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(role))
    yield
    connection.execute("SET LOCAL ROLE none")


def _move(connection: Connection, name: sql.Identifier, schema: sql.Identifier) -> None:
    connection.execute(sql.SQL("ALTER EXTENSION {} SET SCHEMA {}").format(name, schema))


def _check_can_be_made(connection: Connection, name: str) -> None:
    if not catalog.rows(connection, "SELECT FROM pg_available_extensions WHERE name = %s", name):
        raise Unfit(f"the host's server has no extension {name}")
    if not catalog.rows(connection, "SELECT FROM pg_namespace WHERE nspname = %s", _SCHEMA):
        raise Unfit(f"the database has no schema {_SCHEMA}, where extensions are made; create it first")
    if name in PRELOADED and name not in _loaded(connection):
        raise Unfit(
            f"extension {name} needs its library: add {name} to the parameter shared_preload_libraries, and restart "
            "the instance"
        )


def _check_is_as_made(connection: Connection, name: str) -> None:
    """Who owns an extension may have added to it what its next script would call."""
    for (member,) in catalog.rows(connection, _FOREIGN_MEMBERS, name):
        raise Unfit(
            f"somebody has added {member} to the extension; take it out by ALTER EXTENSION ... DROP first"
        )


def _version(connection: Connection, name: str) -> str | None:
    found = catalog.rows(connection, "SELECT extversion FROM pg_extension WHERE extname = %s", name)
    return found[0][0] if found else None


def _is_trusted(connection: Connection, name: str) -> bool:
    if connection.info.server_version < _TRUSTED:
        return False
    statement = "SELECT FROM pg_available_extension_versions WHERE name = %s AND trusted"
    return bool(catalog.rows(connection, statement, name))


def _owner(connection: Connection) -> str:
    """Of this database; empty where it is no tenant."""
    of_database = "pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE datname = current_database()"
    statement = f"SELECT rolname FROM {of_database} AND {tenants.IS_TENANT}"  # noqa: S608
    found = catalog.rows(connection, statement)
    return found[0][0] if found else ""


def _loaded(connection: Connection) -> set[str]:
    ((value,),) = catalog.rows(connection, "SELECT current_setting('shared_preload_libraries')")
    return {word.strip(' "') for word in value.split(",")}
