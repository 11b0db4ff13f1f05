"""What the administrator of a MySQL instance may do. Source: what Huawei Cloud and AWS grant, less what leads further.

With `partial_revokes` a right on all databases can be taken back on the server's own. Every account of the service
has SYSTEM_USER, which nobody can grant who has it not: so no account of a tenant can change, end or become one.
"""

from collections.abc import Sequence

#: What a tenant may do with databases, and hand on.
_OBJECT_RIGHTS = (
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


def administrator_rights(account: str, version: tuple[int, ...]) -> Sequence[str]:
    """Statements that give an account exactly these rights. While it has more, for an instant, nobody can log in."""
    dynamic = f"{_DYNAMIC_RIGHTS}, {_SINCE_8_4}" if version >= (8, 4) else _DYNAMIC_RIGHTS
    return (
        f"GRANT {_OBJECT_RIGHTS}, {_SERVER_RIGHTS} ON *.* TO {account} WITH GRANT OPTION",
        f"GRANT {dynamic} ON *.* TO {account} WITH GRANT OPTION",
        *(f"REVOKE {_WRITING} ON `{database}`.* FROM {account}" for database in _OWN_DATABASES),
    )
