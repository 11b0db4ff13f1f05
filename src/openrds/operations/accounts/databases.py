"""What callers may ask of databases and schemas. Source: reads.md 4."""

from uuid import UUID

import msgspec

from openrds.domain import account_rules as rules
from openrds.domain.accounts import (
    CommentDatabase,
    CreateDatabase,
    CreateSchemas,
    DropDatabase,
    NewSchema,
    SetDatabaseOwner,
)
from openrds.domain.engine import RULES
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance_values import Instance
from openrds.domain.lengths import Several, Text
from openrds.domain.rules import check_one_of
from openrds.operations.accounts.changing import submit
from openrds.operations.intake.intake import Intake


class NewDatabase(msgspec.Struct):
    """`character_set` must be said for MySQL and MariaDB; what follows it, but for `comment`, is for PostgreSQL."""

    name: Text
    character_set: Text | None = None
    owner: Text | None = None
    template: Text | None = None
    lc_collate: Text | None = None
    lc_ctype: Text | None = None
    is_revoke_public_privilege: bool | None = None
    comment: Text | None = None


class DescribedDatabase(msgspec.Struct):
    """Without a comment it has none from then on."""

    name: Text
    comment: Text | None = None


class OwnedDatabase(msgspec.Struct):
    database: Text
    owner: Text


class SchemaOfDatabase(msgspec.Struct):
    schema_name: Text
    owner: Text


class SchemasOfDatabase(msgspec.Struct):
    db_name: Text
    schemas: Several[SchemaOfDatabase]


def create(intake: Intake, instance_id: str, request: NewDatabase) -> UUID:
    instance = intake.instance(instance_id)
    rules.check_new_database(request.name, instance.engine)
    rules.check_comment(request.comment or "")
    if not RULES[instance.engine].has_schemas:
        if not request.character_set:
            raise Refusal(ErrorCode.PARAMETER, "character_set is missing; utf8mb4 holds all of Unicode.")
        change = CreateDatabase(request.name, request.character_set, comment=request.comment or "")
        return submit(intake, instance, change)
    if request.owner:
        rules.check_owner(request.owner, instance.engine)
    if request.template:
        check_one_of("template", request.template, ("template0", "template1"))
    change = CreateDatabase(
        name=request.name,
        character_set=request.character_set or "",
        owner=request.owner or RULES[instance.engine].administrator,
        template=request.template or "",
        collation=request.lc_collate or "",
        character_type=request.lc_ctype or "",
        closed=bool(request.is_revoke_public_privilege),
        comment=request.comment or "",
    )
    return submit(intake, instance, change)


def describe(intake: Intake, instance_id: str, request: DescribedDatabase) -> UUID:
    instance = intake.instance(instance_id)
    rules.check_database(request.name, instance.engine)
    rules.check_comment(request.comment or "")
    return submit(intake, instance, CommentDatabase(request.name, request.comment or ""))


def give(intake: Intake, instance_id: str, request: OwnedDatabase) -> UUID:
    instance = intake.instance(instance_id)
    check_has_schemas(instance)
    rules.check_database(request.database, instance.engine, field="database")
    rules.check_owner(request.owner, instance.engine)
    return submit(intake, instance, SetDatabaseOwner(request.database, request.owner))


def drop(intake: Intake, instance_id: str, name: str) -> UUID:
    instance = intake.instance(instance_id)
    rules.check_dropped_database(name, instance.engine)
    return submit(intake, instance, DropDatabase(name))


def create_schemas(intake: Intake, instance_id: str, request: SchemasOfDatabase) -> UUID:
    instance = intake.instance(instance_id)
    check_has_schemas(instance)
    rules.check_database(request.db_name, instance.engine, field="db_name")
    rules.check_count("schemas", request.schemas, rules.MOST_SCHEMAS)
    rules.check_each_once("schemas", [schema.schema_name for schema in request.schemas])
    for schema in request.schemas:
        rules.check_new_schema(schema.schema_name, instance.engine)
        rules.check_owner(schema.owner, instance.engine)
    schemas = tuple(NewSchema(schema.schema_name, schema.owner) for schema in request.schemas)
    return submit(intake, instance, CreateSchemas(request.db_name, schemas))


def check_has_schemas(instance: Instance) -> None:
    """
    Raises:
        Refusal: INSTANCE_TYPE, its engine has neither schemas, nor owners, nor roles like PostgreSQL's.
    """
    if not RULES[instance.engine].has_schemas:
        raise Refusal(ErrorCode.INSTANCE_TYPE, f"This is for PostgreSQL; the instance is {instance.engine}.")


def check_has_none(instance: Instance) -> None:
    """
    Raises:
        Refusal: INSTANCE_TYPE, its engine is PostgreSQL.
    """
    if RULES[instance.engine].has_schemas:
        raise Refusal(
            ErrorCode.INSTANCE_TYPE, f"This is for MySQL and MariaDB; the instance is {instance.engine}."
        )
