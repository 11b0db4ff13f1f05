"""What callers may ask of the extensions of PostgreSQL. Source: reads.md, appendix, and the cloud's SDK."""

from uuid import UUID

import msgspec

from openrds.domain import account_rules as rules
from openrds.domain.accounts import CreateExtension, DropExtension, ExtensionChange, UpdateExtension
from openrds.domain.lengths import Text
from openrds.operations.accounts.changing import submit
from openrds.operations.accounts.databases import check_has_schemas
from openrds.operations.intake.intake import Intake


class ExtensionOfDatabase(msgspec.Struct):
    database_name: Text
    extension_name: Text


def create(intake: Intake, instance_id: str, request: ExtensionOfDatabase) -> UUID:
    return _submit(intake, instance_id, CreateExtension(request.database_name, request.extension_name))


def update(intake: Intake, instance_id: str, request: ExtensionOfDatabase) -> UUID:
    return _submit(intake, instance_id, UpdateExtension(request.database_name, request.extension_name))


def drop(intake: Intake, instance_id: str, request: ExtensionOfDatabase) -> UUID:
    return _submit(intake, instance_id, DropExtension(request.database_name, request.extension_name))


def _submit(intake: Intake, instance_id: str, change: ExtensionChange) -> UUID:
    instance = intake.instance(instance_id)
    check_has_schemas(instance)
    rules.check_database(change.database, instance.engine, field="database_name")
    rules.check_database(change.name, instance.engine, field="extension_name")
    return submit(intake, instance, change)
