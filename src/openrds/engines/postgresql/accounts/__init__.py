"""What is a tenant's to have in a PostgreSQL server: its databases, schemas and roles, and their privileges.

All is done by sessions of the superuser that call no code of a tenant's: statements on databases, roles, schemas and
privileges evaluate nothing. Whom they are about is looked up first: no superuser and none of the service's own is
changed, named or given to anybody. Of extensions, whose scripts run, `extensions` says how.
"""

from collections.abc import Callable, Mapping
from typing import Any

from openrds.domain.accounts import (
    Account,
    Change,
    CommentAccount,
    CommentDatabase,
    CreateAccount,
    CreateDatabase,
    CreateExtension,
    CreateSchemas,
    Database,
    DatabaseRight,
    DropAccount,
    DropDatabase,
    DropExtension,
    Extension,
    GrantPrivileges,
    GrantRoles,
    Page,
    RevokePrivileges,
    RevokeRoles,
    Schema,
    SetAccountAttributes,
    SetAccountHosts,
    SetAccountPassword,
    SetDatabaseOwner,
    UpdateExtension,
)
from openrds.engines.postgresql.accounts import databases, extensions, lists, privileges, roles
from openrds.engines.postgresql.server import PostgreSQLServer
from openrds.engines.protocol import EngineError, NodeSpec

_NOT_BY_DATABASE = "PostgreSQL has privileges by schema; its catalogue says which"
#: They find out by themselves whether an attempt before has done it.
_THERE_OR_NOT = (CreateDatabase, CreateAccount, CreateExtension, DropDatabase, DropAccount, DropExtension)
_APPLY: Mapping[type[Change], Callable[[NodeSpec, Any], None]] = {
    CreateDatabase: databases.create,
    CommentDatabase: databases.comment,
    SetDatabaseOwner: databases.give,
    DropDatabase: databases.drop,
    CreateSchemas: databases.create_schemas,
    CreateExtension: extensions.create,
    UpdateExtension: extensions.update,
    DropExtension: extensions.drop,
    CreateAccount: roles.create,
    SetAccountPassword: roles.set_password,
    CommentAccount: roles.comment,
    SetAccountAttributes: roles.set_attributes,
    DropAccount: roles.drop,
    GrantRoles: roles.grant,
    RevokeRoles: roles.revoke,
    GrantPrivileges: privileges.grant,
    RevokePrivileges: privileges.revoke,
}
_NO_HOSTS = "accounts of PostgreSQL are not bound to hosts"


class PostgreSQLAccounts:
    def databases(self, node: NodeSpec, page: Page, name: str = "") -> tuple[list[Database], int]:
        return lists.databases(node, page, name)

    def schemas(self, node: NodeSpec, database: str, page: Page) -> tuple[list[Schema], int]:
        return lists.schemas(node, database, page)

    def extensions(self, node: NodeSpec, database: str, page: Page) -> tuple[list[Extension], int]:
        return extensions.listed(node, database, page)

    def accounts(self, node: NodeSpec, page: Page) -> tuple[list[Account], int]:
        return lists.accounts(node, page)

    def rights_of(self, node: NodeSpec, account: str, page: Page) -> tuple[list[DatabaseRight], int]:
        raise EngineError(_NOT_BY_DATABASE)

    def rights_in(self, node: NodeSpec, database: str, page: Page) -> tuple[list[tuple[str, bool]], int]:
        raise EngineError(_NOT_BY_DATABASE)

    def roles(self, node: NodeSpec, account: str = "") -> list[str]:
        return lists.roles(node, account)

    def load_access(self, node: NodeSpec) -> None:
        PostgreSQLServer(node).load_access()

    def check(self, node: NodeSpec, change: Change) -> None:
        match change:
            case CreateDatabase():
                databases.check_new(node, change)
            case CommentDatabase() | SetDatabaseOwner() | DropDatabase() | CreateSchemas():
                databases.check(node, change)
            case CreateExtension() | UpdateExtension() | DropExtension():
                extensions.check(node, change)
            case GrantPrivileges() | RevokePrivileges():
                privileges.check(node, change)
            case SetAccountHosts():
                raise EngineError(_NO_HOSTS)
            case _:
                roles.check(node, change)

    def apply(self, node: NodeSpec, change: Change) -> None:
        if type(change) not in _THERE_OR_NOT:
            self.check(node, change)
        _APPLY[type(change)](node, change)
