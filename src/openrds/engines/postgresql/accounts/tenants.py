"""Which databases, roles and schemas of a server are a tenant's to name."""

from collections.abc import Collection

from openrds.domain.engine import RULES, EngineName
from openrds.engines.postgresql import catalog
from openrds.engines.postgresql.configuration import FOLLOWER
from openrds.engines.postgresql.sessions import HARMLESS_ROLES, Connection
from openrds.engines.protocol import NoSuchAccount, NoSuchDatabase, NotThere

ADMINISTRATOR = RULES[EngineName.POSTGRESQL].administrator

#: Of `pg_roles`. Names that begin so are those of copies while they are made.
IS_TENANT = (
    f"NOT pg_roles.rolsuper AND pg_roles.oid >= 16384 AND pg_roles.rolname <> '{FOLLOWER}' "
    "AND NOT starts_with(pg_roles.rolname, 'openrds_')"
)
IS_ACCOUNT = f"{IS_TENANT} AND pg_roles.rolname <> '{ADMINISTRATOR}'"
#: Of `pg_database`.
IS_DATABASE = "NOT datistemplate AND NOT starts_with(datname, 'openrds_')"
#: Of `pg_namespace`.
IS_SCHEMA = "nspname <> 'information_schema' AND nspname !~ '^(pg|openrds)_'"
#: Nobody can be a member of the last.
_GRANTABLE = tuple(name for name in HARMLESS_ROLES if name != "pg_database_owner")


def check_database(connection: Connection, name: str) -> None:
    """
    Raises:
        NoSuchDatabase: there is none of this name that is a tenant's.
    """
    if not catalog.rows(connection, f"SELECT FROM pg_database WHERE datname = %s AND {IS_DATABASE}", name):
        raise NoSuchDatabase(f"there is no database {name}")


def check_accounts(connection: Connection, names: Collection[str]) -> None:
    """
    Raises:
        NoSuchAccount: there is none of one of these names.
    """
    _check_roles(connection, names, IS_ACCOUNT, "account")


def check_owners(connection: Connection, names: Collection[str]) -> None:
    """The same, where the administrator will do too."""
    _check_roles(connection, names, IS_TENANT, "account")


def check_grantable(connection: Connection, names: Collection[str]) -> None:
    """The same of roles that may be given to accounts."""
    found = set(grantable(connection))
    for name in names:
        if name not in found:
            raise NoSuchAccount(f"there is no role {name} that an account may be given")


def grantable(connection: Connection) -> list[str]:
    statement = f"SELECT rolname FROM pg_roles WHERE {IS_TENANT} OR rolname = ANY(%s) ORDER BY rolname"  # noqa: S608
    return [name for (name,) in catalog.rows(connection, statement, list(_GRANTABLE))]


def check_schemas(connection: Connection, database: str, names: Collection[str]) -> None:
    """
    Raises:
        NotThere: this database has no such schema of a tenant's.
    """
    statement = f"SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s) AND {IS_SCHEMA}"  # noqa: S608
    found = {name for (name,) in catalog.rows(connection, statement, list(names))}
    for name in names:
        if name not in found:
            raise NotThere(f"database {database} has no schema {name}")


def _check_roles(connection: Connection, names: Collection[str], which: str, kind: str) -> None:
    statement = f"SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND {which}"  # noqa: S608
    found = {name for (name,) in catalog.rows(connection, statement, list(names))}
    for name in names:
        if name not in found:
            raise NoSuchAccount(f"there is no {kind} {name}")
