"""What callers may ask of accounts, which the API calls users. Source: reads.md 4."""

from uuid import UUID

import msgspec

from openrds.domain import account_rules as rules
from openrds.domain.accounts import (
    CommentAccount,
    CreateAccount,
    DatabaseRight,
    DropAccount,
    SetAccountHosts,
    SetAccountPassword,
)
from openrds.domain.engine import RULES
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import Instance
from openrds.domain.lengths import Several, Text
from openrds.engines.registry import seal_password
from openrds.operations.accounts.changing import submit
from openrds.operations.accounts.databases import check_has_none
from openrds.operations.intake.intake import Intake

_EVERYWHERE = ("%",)


class Right(msgspec.Struct):
    name: Text
    readonly: bool


class NewUser(msgspec.Struct):
    """`hosts` and `databases` are for MySQL and MariaDB; without hosts it may log in from everywhere."""

    name: Text
    password: Text
    comment: Text | None = None
    hosts: Several[Text] | None = None
    databases: Several[Right] | None = None
    is_privilege: bool | None = None


class UserPassword(msgspec.Struct):
    name: Text
    password: Text


class UserComment(msgspec.Struct):
    comment: Text | None = None


class UserHosts(msgspec.Struct):
    user_name: Text
    hosts: Several[Text]


def create(intake: Intake, instance_id: str, request: NewUser) -> UUID:
    instance = intake.instance(instance_id)
    rules.check_new_account(request.name, instance.engine)
    rules.check_account_password(request.password, instance.engine, user=request.name)
    rules.check_comment(request.comment or "")
    if request.is_privilege:
        raise Refusal(ErrorCode.PARAMETER, "is_privilege must be false: the administrator is the only one.")
    hosts, rights = _hosts(instance, request), _rights(instance, request)
    sealed = seal_password(instance.engine, request.password)
    change = CreateAccount(request.name, sealed, request.comment or "", hosts, rights)
    return submit(intake, instance, change)


def set_password(intake: Intake, instance_id: str, request: UserPassword) -> UUID:
    instance = intake.instance(instance_id)
    rules.check_account(request.name, instance.engine)
    rules.check_account_password(request.password, instance.engine, user=request.name)
    sealed = seal_password(instance.engine, request.password)
    return submit(intake, instance, SetAccountPassword(request.name, sealed))


def describe(intake: Intake, instance_id: str, name: str, request: UserComment) -> UUID:
    instance = intake.instance(instance_id)
    rules.check_account(name, instance.engine)
    rules.check_comment(request.comment or "")
    return submit(intake, instance, CommentAccount(name, request.comment or ""))


def set_hosts(intake: Intake, instance_id: str, request: UserHosts) -> UUID:
    instance = intake.instance(instance_id)
    check_has_none(instance)
    rules.check_account(request.user_name, instance.engine, field="user_name")
    rules.check_hosts(request.hosts, instance.engine)
    return submit(intake, instance, SetAccountHosts(request.user_name, _each_once(request.hosts)))


def drop(intake: Intake, instance_id: str, name: str) -> UUID:
    instance = intake.instance(instance_id)
    rules.check_account(name, instance.engine)
    return submit(intake, instance, DropAccount(name))


def _hosts(instance: Instance, request: NewUser) -> tuple[str, ...]:
    if request.hosts:
        check_has_none(instance)
        rules.check_hosts(request.hosts, instance.engine)
        return _each_once(request.hosts)
    return _EVERYWHERE if RULES[instance.engine].accounts_have_hosts else ()


def _rights(instance: Instance, request: NewUser) -> tuple[DatabaseRight, ...]:
    if not request.databases:
        return ()
    check_has_none(instance)
    rules.check_count("databases", request.databases, rules.MOST_USERS)
    rules.check_each_once("databases", [right.name for right in request.databases])
    for right in request.databases:
        rules.check_database(right.name, instance.engine, field="databases.name")
    return tuple(DatabaseRight(right.name, right.readonly) for right in request.databases)


def _each_once(hosts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(hosts))
