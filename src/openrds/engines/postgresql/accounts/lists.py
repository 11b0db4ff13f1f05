"""What there is, as the catalogue says it, a page at a time."""

from typing import Any

from openrds.domain.accounts import Account, Database, Page, Schema
from openrds.engines.postgresql import catalog
from openrds.engines.postgresql.accounts.tenants import (
    ADMINISTRATOR,
    IS_ACCOUNT,
    IS_DATABASE,
    IS_SCHEMA,
    check_accounts,
    check_database,
    grantable,
)
from openrds.engines.postgresql.sessions import Connection, superuser_session
from openrds.engines.protocol import NodeSpec

#: Of a role, as clients know them by the catalogue's names.
_ATTRIBUTES = (
    "rolsuper",
    "rolinherit",
    "rolcreaterole",
    "rolcreatedb",
    "rolcanlogin",
    "rolconnlimit",
    "rolreplication",
    "rolbypassrls",
)


def databases(node: NodeSpec, page: Page, name: str) -> tuple[list[Database], int]:
    """A size is that of the files."""
    where = f"{IS_DATABASE} AND (%s = '' OR datname = %s)"
    with superuser_session(node) as connection:
        found, total = _page(
            connection,
            "datname, pg_encoding_to_char(encoding), coalesce(shobj_description(oid, 'pg_database'), ''), "
            "pg_get_userbyid(datdba), datcollate, pg_database_size(oid)",
            f"pg_database WHERE {where}",
            "datname",
            (name, name),
            page,
        )
    return [Database(*row) for row in found], total


def schemas(node: NodeSpec, database: str, page: Page) -> tuple[list[Schema], int]:
    with superuser_session(node) as connection:
        check_database(connection, database)
    with superuser_session(node, database) as connection:
        found, total = _page(
            connection,
            "nspname, pg_get_userbyid(nspowner)",
            f"pg_namespace WHERE {IS_SCHEMA}",
            "nspname",
            (),
            page,
        )
    return [Schema(*row) for row in found], total


def accounts(node: NodeSpec, page: Page) -> tuple[list[Account], int]:
    members = (
        "ARRAY(SELECT role.rolname::text FROM pg_auth_members JOIN pg_roles AS role ON role.oid = roleid "
        "WHERE member = pg_roles.oid ORDER BY role.rolname)"
    )
    with superuser_session(node) as connection:
        found, total = _page(
            connection,
            f"rolname, coalesce(shobj_description(oid, 'pg_authid'), ''), {members}, {', '.join(_ATTRIBUTES)}",
            f"pg_roles WHERE {IS_ACCOUNT}",
            "rolname",
            (),
            page,
        )
    return [_account(*row) for row in found], total


def roles(node: NodeSpec, account: str) -> list[str]:
    """All but itself; a role that is a member of the account can be none of its roles."""
    with superuser_session(node) as connection:
        names = grantable(connection)
        if not account:
            return names
        check_accounts(connection, [account])
        members = catalog.rows(
            connection,
            "SELECT rolname FROM pg_roles WHERE pg_has_role(rolname, %s, 'MEMBER') AND rolname <> %s",
            account,
            ADMINISTRATOR,
        )
        return [name for name in names if (name,) not in members]


def _account(name: str, comment: str, member_of: list[str], *attributes: bool | int) -> Account:
    named = dict(zip(_ATTRIBUTES, attributes, strict=True))
    return Account(name, comment, attributes=named, member_of=tuple(member_of))


def _page(
    connection: Connection, columns: str, source: str, order: str, parameters: tuple[object, ...], page: Page
) -> tuple[list[tuple[Any, ...]], int]:
    ((total,),) = catalog.rows(connection, f"SELECT count(*) FROM {source}", *parameters)  # noqa: S608
    statement = f"SELECT {columns} FROM {source} ORDER BY {order} LIMIT %s OFFSET %s"  # noqa: S608
    return catalog.rows(connection, statement, *parameters, page.limit, page.offset), int(total)
