"""Accounts: roles that may log in, what they are and of which roles they are members."""

import contextlib
from collections.abc import Iterator

from psycopg import sql

from openrds.domain.accounts import (
    AccountChange,
    CommentAccount,
    CreateAccount,
    DropAccount,
    GrantRoles,
    RevokeRoles,
    SetAccountAttributes,
    SetAccountPassword,
)
from openrds.engines.postgresql import catalog
from openrds.engines.postgresql.accounts import tenants
from openrds.engines.postgresql.sessions import CREATEROLE_IS_BOUNDED, Connection, superuser_session
from openrds.engines.protocol import AccountTaken, NodeSpec, Unfit

#: What may be said of a role here: all that the administrator may give, and no more.
_ATTRIBUTES = frozenset({"CREATEDB", "CREATEROLE", "LOGIN", "NOCREATEDB", "NOCREATEROLE", "NOLOGIN"})

_POWERLESS = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
#: What it would grant on what it makes is no thing of its own.
_OWNED_IN = """
SELECT coalesce(datname, '') FROM pg_shdepend LEFT JOIN pg_database ON pg_database.oid = dbid
WHERE refclassid = 'pg_authid'::regclass AND refobjid = %s AND deptype = 'o'
  AND classid <> 'pg_default_acl'::regclass
"""
_NAMED_IN = """
SELECT DISTINCT datname FROM pg_shdepend JOIN pg_database ON pg_database.oid = dbid
WHERE refclassid = 'pg_authid'::regclass AND refobjid = %s
"""


def check(node: NodeSpec, change: AccountChange | GrantRoles | RevokeRoles) -> None:
    with superuser_session(node) as connection:
        match change:
            case CreateAccount():
                if _oid(connection, change.name):
                    raise AccountTaken(f"there is an account {change.name}")
            case GrantRoles() | RevokeRoles():
                tenants.check_accounts(connection, [change.account])
                tenants.check_grantable(connection, change.roles)
                if isinstance(change, GrantRoles):
                    _check_makes_no_circle(connection, change)
            case DropAccount():
                tenants.check_accounts(connection, [change.name])
                _check_owns_nothing(connection, change.name)
            case _:
                tenants.check_accounts(connection, [change.name])
    if isinstance(change, SetAccountAttributes) and not _ATTRIBUTES.issuperset(change.attributes):
        raise Unfit(f"an account may be {', '.join(sorted(_ATTRIBUTES))}")


def create(node: NodeSpec, change: CreateAccount) -> None:
    """The administrator may give it to others, alter and drop it, as if it had made it.

    Raises:
        AccountTaken: there is one, and no attempt before has made it.
    """
    name = sql.Identifier(change.name)
    with superuser_session(node) as connection, connection.transaction():
        oid = _oid(connection, change.name)
        if oid:
            ours = "SELECT FROM pg_authid WHERE oid = %s AND rolpassword = %s"
            if not catalog.rows(connection, ours, oid, change.sealed_password):
                raise AccountTaken(f"there is an account {change.name}")
            return
        password = sql.Literal(change.sealed_password)
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN " + _POWERLESS + " PASSWORD {}").format(name, password)
        )
        if change.comment:
            _comment(connection, change.name, change.comment)
        _let_administrator_manage(connection, change.name)


def set_password(node: NodeSpec, change: SetAccountPassword) -> None:
    with superuser_session(node) as connection:
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
        connection.execute(statement.format(sql.Identifier(change.name), sql.Literal(change.sealed_password)))


def comment(node: NodeSpec, change: CommentAccount) -> None:
    with superuser_session(node) as connection:
        _comment(connection, change.name, change.comment)


def set_attributes(node: NodeSpec, change: SetAccountAttributes) -> None:
    attributes = sql.SQL(" ").join(sql.SQL(word) for word in sorted(_ATTRIBUTES & {*change.attributes}))
    with superuser_session(node) as connection:
        connection.execute(sql.SQL("ALTER ROLE {} {}").format(sql.Identifier(change.name), attributes))


def grant(node: NodeSpec, change: GrantRoles) -> None:
    """Who is to be a member of the administrator cannot be managed by it: that would be a circle."""
    names = _roles(change.roles)
    with superuser_session(node) as connection, connection.transaction():
        if tenants.ADMINISTRATOR in change.roles:
            _revoke(connection, change.account, tenants.ADMINISTRATOR)
        connection.execute(sql.SQL("GRANT {} TO {}").format(names, sql.Identifier(change.account)))


def revoke(node: NodeSpec, change: RevokeRoles) -> None:
    with superuser_session(node) as connection, connection.transaction():
        for role in change.roles:
            _revoke(connection, role, change.account)
        if tenants.ADMINISTRATOR in change.roles:
            _let_administrator_manage(connection, change.account)


def drop(node: NodeSpec, change: DropAccount) -> None:
    """With all that it was granted, in each database.

    Raises:
        Unfit: it owns something, which would go with it.
    """
    with superuser_session(node) as connection:
        oid = _oid(connection, change.name)
        if not oid:
            return
        tenants.check_accounts(connection, [change.name])
        _check_owns_nothing(connection, change.name)
        named_in = [name for (name,) in catalog.rows(connection, _NAMED_IN, oid)]
    with _kept_out(node, change.name):
        for database in named_in or [None]:
            with superuser_session(node, database) as connection, connection.transaction():
                _check_owns_nothing(connection, change.name)
                connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(change.name)))
        with superuser_session(node) as connection:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(change.name)))


@contextlib.contextmanager
def _kept_out(node: NodeSpec, name: str) -> Iterator[None]:
    """It makes nothing any more that would go with it; it may again if it is not dropped after all."""
    role = sql.Identifier(name)
    with superuser_session(node) as connection:
        ((could,),) = catalog.rows(connection, "SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", name)
        connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(role))
        catalog.cut_off(connection, name)
    try:
        yield
    except BaseException:
        if could:
            with superuser_session(node) as connection:
                connection.execute(sql.SQL("ALTER ROLE {} LOGIN").format(role))
        raise


def _check_owns_nothing(connection: Connection, name: str) -> None:
    """
    Raises:
        Unfit: it owns something.
    """
    found = catalog.rows(connection, _OWNED_IN, _oid(connection, name))
    if found:
        places = sorted({f"in database {place}" if place else "a database" for (place,) in found})
        raise Unfit(
            f"account {name} owns something ({', '.join(places[:5])}): give it to another account, or drop it, first"
        )


def _check_makes_no_circle(connection: Connection, change: GrantRoles) -> None:
    """The administrator, who manages the account, does so no more once that is a member of it.

    Raises:
        Unfit: it would be a member of itself.
    """
    others = [role for role in change.roles if role != tenants.ADMINISTRATOR]
    found = catalog.rows(
        connection,
        "SELECT role FROM unnest(%s::text[]) AS role WHERE pg_has_role(role::name, %s::name, 'MEMBER')",
        others,
        change.account,
    )
    for (role,) in found:
        raise Unfit(f"role {role} cannot be given to {change.account}: that would then be a member of itself")


def let_administrator_manage_all(node: NodeSpec) -> None:
    """Each account that there is, as if it had made it."""
    with superuser_session(node) as connection:
        names = catalog.rows(connection, f"SELECT rolname FROM pg_roles WHERE {tenants.IS_ACCOUNT}")  # noqa: S608
        for (name,) in names:
            _let_administrator_manage(connection, name)


def _let_administrator_manage(connection: Connection, name: str) -> None:
    """Before version 16 it may by itself. Not where it would be a circle, nor where it is gone."""
    if connection.info.server_version < CREATEROLE_IS_BOUNDED or not _oid(connection, tenants.ADMINISTRATOR):
        return
    ((is_member,),) = catalog.rows(
        connection, "SELECT pg_has_role(%s, %s, 'MEMBER')", name, tenants.ADMINISTRATOR
    )
    if not is_member:
        connection.execute(
            sql.SQL("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE").format(
                sql.Identifier(name), sql.Identifier(tenants.ADMINISTRATOR)
            )
        )


def _revoke(connection: Connection, role: str, member: str) -> None:
    """Whoever has granted it."""
    granted = catalog.rows(
        connection,
        "SELECT pg_get_userbyid(grantor) FROM pg_auth_members WHERE roleid = %s AND member = %s",
        _oid(connection, role),
        _oid(connection, member),
    )
    names = sql.Identifier(role), sql.Identifier(member)
    for (grantor,) in granted:
        statement = sql.SQL("REVOKE {} FROM {}").format(*names)
        if connection.info.server_version >= CREATEROLE_IS_BOUNDED:
            statement = sql.SQL("{} GRANTED BY {}").format(statement, sql.Identifier(grantor))
        connection.execute(statement)


def _oid(connection: Connection, name: str) -> int:
    """0 where there is none."""
    found = catalog.rows(connection, "SELECT oid FROM pg_roles WHERE rolname = %s", name)
    return int(found[0][0]) if found else 0


def _roles(names: tuple[str, ...]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _comment(connection: Connection, name: str, text: str) -> None:
    statement = sql.SQL("COMMENT ON ROLE {} IS {}")
    connection.execute(statement.format(sql.Identifier(name), sql.Literal(text or None)))
