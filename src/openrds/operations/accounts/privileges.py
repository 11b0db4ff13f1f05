"""What callers may ask of the privileges and roles of accounts. Source: reads.md 4, and the cloud's SDK."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from openrds.domain import account_rules as rules
from openrds.domain.accounts import (
    Grantee,
    GrantPrivileges,
    GrantRoles,
    RevokePrivileges,
    RevokeRoles,
    SetAccountAttributes,
)
from openrds.domain.engine import RULES
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import Instance
from openrds.domain.lengths import Several, Text
from openrds.domain.rules import check_one_of
from openrds.operations.accounts.changing import submit
from openrds.operations.accounts.databases import check_has_schemas
from openrds.operations.intake.intake import Intake

#: REPLICATION is no account's: who has it may copy the whole server, with the passwords of all.
_ATTRIBUTES = ("CREATEDB", "CREATEROLE", "LOGIN")
_SYSTEM_ROLES = ("pg_monitor", "pg_signal_backend", "root")
_KINDS = ("ROLE", "RECYCLING_ROLE", "SYSTEM_ROLE", "RECYCLING_SYSTEM_ROLE")


class GrantedUser(msgspec.Struct):
    """`schema_name` is for PostgreSQL, and must be said there."""

    name: Text
    readonly: bool
    schema_name: Text | None = None


class Grant(msgspec.Struct):
    db_name: Text
    users: Several[GrantedUser]


class RevokedUser(msgspec.Struct):
    name: Text
    schema_name: Text | None = None


class Revocation(msgspec.Struct):
    db_name: Text
    users: Several[RevokedUser]


class RolesOfUser(msgspec.Struct):
    user: Text
    roles: Several[Text]


class UserPrivileges(msgspec.Struct):
    """What `privileges` may be depends on `authorization_type`: attributes of a role, or roles of the system."""

    user_name: Text
    authorization_type: Text
    privileges: Several[Text]


def grant(intake: Intake, instance_id: str, request: Grant) -> UUID:
    instance = intake.instance(instance_id)
    _check(instance, request.db_name, request.users)
    grantees = tuple(Grantee(one.name, one.schema_name or "", one.readonly) for one in request.users)
    return submit(intake, instance, GrantPrivileges(request.db_name, grantees))


def revoke(intake: Intake, instance_id: str, request: Revocation) -> UUID:
    instance = intake.instance(instance_id)
    _check(instance, request.db_name, request.users)
    grantees = tuple(Grantee(one.name, one.schema_name or "") for one in request.users)
    return submit(intake, instance, RevokePrivileges(request.db_name, grantees))


def grant_roles(intake: Intake, instance_id: str, request: RolesOfUser) -> UUID:
    instance = intake.instance(instance_id)
    _check_roles(instance, request)
    return submit(intake, instance, GrantRoles(request.user, tuple(request.roles)))


def revoke_roles(intake: Intake, instance_id: str, request: RolesOfUser) -> UUID:
    instance = intake.instance(instance_id)
    _check_roles(instance, request)
    return submit(intake, instance, RevokeRoles(request.user, tuple(request.roles)))


def set_privileges(intake: Intake, instance_id: str, request: UserPrivileges) -> UUID:
    """Attributes of a role are set, or taken; or roles of the system are."""
    instance = intake.instance(instance_id)
    check_has_schemas(instance)
    rules.check_account(request.user_name, instance.engine, field="user_name")
    check_one_of("authorization_type", request.authorization_type, _KINDS)
    takes = request.authorization_type.startswith("RECYCLING_")
    is_role = request.authorization_type.endswith("SYSTEM_ROLE")
    allowed = _SYSTEM_ROLES if is_role else [f"NO{word}" if takes else word for word in _ATTRIBUTES]
    rules.check_count("privileges", request.privileges, len(allowed))
    rules.check_each_once("privileges", request.privileges)
    for word in request.privileges:
        check_one_of("privileges", word, allowed)
    words = tuple(request.privileges)
    if not is_role:
        return submit(intake, instance, SetAccountAttributes(request.user_name, words))
    change = RevokeRoles(request.user_name, words) if takes else GrantRoles(request.user_name, words)
    return submit(intake, instance, change)


def _check(instance: Instance, database: str, users: Sequence[GrantedUser | RevokedUser]) -> None:
    rules.check_database(database, instance.engine, field="db_name")
    rules.check_count("users", users, rules.MOST_USERS)
    rules.check_each_once("users", [(one.name, one.schema_name) for one in users])
    has_schemas = RULES[instance.engine].has_schemas
    for one in users:
        rules.check_account(one.name, instance.engine, field="users.name")
        if bool(one.schema_name) is not has_schemas:
            raise Refusal(
                ErrorCode.PARAMETER,
                "users.schema_name is missing." if has_schemas else "users.schema_name is for PostgreSQL.",
            )
        if one.schema_name:
            rules.check_database(one.schema_name, instance.engine, field="users.schema_name")


def _check_roles(instance: Instance, request: RolesOfUser) -> None:
    check_has_schemas(instance)
    rules.check_account(request.user, instance.engine, field="user")
    rules.check_count("roles", request.roles, rules.MOST_USERS)
    rules.check_each_once("roles", request.roles)
    for role in request.roles:
        rules.check_database(role, instance.engine, field="roles")
