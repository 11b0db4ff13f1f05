"""What the administrator of a MySQL instance may do. Source: what Huawei Cloud and AWS grant, less what leads further.

With `partial_revokes` a right on all databases can be taken back on the server's own. Every account of the service
has SYSTEM_USER, which nobody can grant who has it not: so no account of a tenant can change, end or become one.
"""

from collections.abc import Sequence

#: What a tenant may do with databases, and hand on.
OBJECT_RIGHTS = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES, LOCK TABLES, "
    "EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER"
)
_SERVER_RIGHTS = (
    "PROCESS, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT, CREATE USER, CREATE ROLE, DROP ROLE"
)
#: RELOAD is not among them: it would reset the log.
_DYNAMIC_RIGHTS = (
    "ROLE_ADMIN, XA_RECOVER_ADMIN, APPLICATION_PASSWORD_ADMIN, FLUSH_TABLES, FLUSH_STATUS, FLUSH_USER_RESOURCES, "
    "FLUSH_OPTIMIZER_COSTS, SHOW_ROUTINE"
)
_SINCE_8_4 = "FLUSH_PRIVILEGES"
#: Of the server's own databases nothing may be written.
_WRITING = (
    "INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES, LOCK TABLES, "
    "CREATE VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER"
)
_OWN_DATABASES = ("mysql", "sys")
#: An account in the making: from nowhere can anybody log in to it, as the server looks up no names of hosts.
_ASIDE = "'rdsMaking'@'nowhere.invalid'"


def new_account(account: str, identified: str, version: tuple[int, ...]) -> Sequence[str]:
    """Statements that make an account with exactly these rights.

    A right on all databases has to be granted before it can be bounded. Until then nobody can log in to the account,
    nor give it another name, for it is one of the system's; nor, as nobody else changes accounts meanwhile, have it as
    a role.
    """
    return (
        f"DROP USER IF EXISTS {_ASIDE}",
        f"CREATE USER {_ASIDE} {identified}",
        f"GRANT SYSTEM_USER ON *.* TO {_ASIDE}",
        *administrator_rights(_ASIDE, version),
        f"REVOKE SYSTEM_USER ON *.* FROM {_ASIDE}",
        f"RENAME USER {_ASIDE} TO {account}",
    )


def administrator_rights(account: str, version: tuple[int, ...]) -> Sequence[str]:
    """Statements that give an account these rights. For an instant it has more."""
    dynamic = f"{_DYNAMIC_RIGHTS}, {_SINCE_8_4}" if version >= (8, 4) else _DYNAMIC_RIGHTS
    return (
        f"GRANT {OBJECT_RIGHTS}, {_SERVER_RIGHTS} ON *.* TO {account} WITH GRANT OPTION",
        f"GRANT {dynamic} ON *.* TO {account} WITH GRANT OPTION",
        *(f"REVOKE {_WRITING} ON `{database}`.* FROM {account}" for database in _OWN_DATABASES),
    )
