"""Make, change and delete a webhook, and have something delivered. Done when it is answered."""

from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from openrds.domain import webhooks as rules
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import is_instance_id
from openrds.domain.lengths import Several, Text
from openrds.domain.texts import uuid_in
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.quotas import check_webhooks
from openrds.store.database import Row
from openrds.store.queries import Queries
from openrds.tasks.events import Subject

_sql = Queries("webhooks")


class CreateWebhook(msgspec.Struct):
    """What is left out of `subjects` and `instance_id` does not filter."""

    url: Text
    description: Text = ""
    subjects: Several[Text] = []
    instance_id: Text = ""
    enabled: bool = True


class UpdateWebhook(msgspec.Struct):
    """What is left out stays."""

    url: Text | None = None
    description: Text | None = None
    subjects: Several[Text] | None = None
    instance_id: Text | None = None
    enabled: bool | None = None


def create(intake: Intake, asked: CreateWebhook) -> Row:
    """Its row, with the secret.

    Raises:
        Refusal: PARAMETER, QUOTA.
    """
    values = _checked(intake, asked.url, asked.description, asked.subjects, asked.instance_id)
    check_webhooks(intake.connection, intake.project_id, intake.settings)
    row = {
        **values,
        "id": rules.new_webhook_id(),
        "project_id": intake.project_id,
        "enabled": asked.enabled,
        "secret": rules.new_secret(),
    }
    (made,) = intake.connection.execute(_sql.insert, row).fetchall()
    return made


def change(intake: Intake, webhook_id: str, asked: UpdateWebhook) -> Row:
    """What waits to be delivered is given up where it is disabled, and goes to the new address where that is another.

    Raises:
        Refusal: PARAMETER, WEBHOOK_NOT_FOUND.
    """
    found = _lock(intake, webhook_id)
    given = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not None}
    wanted = {**found, **given}
    values = _checked(intake, wanted["url"], wanted["description"], wanted["subjects"], wanted["instance_id"])
    (changed,) = intake.connection.execute(
        _sql.change, {**values, "id": webhook_id, "enabled": wanted["enabled"]}
    ).fetchall()
    if not changed["enabled"]:
        intake.connection.execute(_sql.end_deliveries, {"webhook_id": webhook_id})
    return changed


def delete(intake: Intake, webhook_id: str) -> None:
    """With all its deliveries.

    Raises:
        Refusal: WEBHOOK_NOT_FOUND.
    """
    _lock(intake, webhook_id)
    intake.connection.execute(_sql.delete, {"id": webhook_id})


def test(intake: Intake, webhook_id: str) -> Row:
    """Have something delivered that did not happen.

    Raises:
        Refusal: WEBHOOK_NOT_FOUND, PARAMETER: it is disabled.
    """
    _lock_enabled(intake, webhook_id)
    row = {
        "webhook_id": webhook_id,
        "type": "webhook.test",
        "data": Jsonb({"webhook_id": webhook_id, "project_id": intake.project_id}),
    }
    (made,) = intake.connection.execute(_sql.insert_delivery, row).fetchall()
    intake.connection.execute(_sql.tell)
    return made


def replay(intake: Intake, webhook_id: str, delivery_id: str) -> Row:
    """Have one delivered again, as often as a new one, and under the same id.

    Raises:
        Refusal: WEBHOOK_NOT_FOUND, PARAMETER: it is disabled.
    """
    _lock_enabled(intake, webhook_id)
    key = {"webhook_id": webhook_id, "id": _delivery_id(delivery_id)}
    found = intake.connection.execute(_sql.replay, key).fetchall()
    if not found:
        raise _no_delivery()
    intake.connection.execute(_sql.tell)
    return found[0]


def _checked(
    intake: Intake, url: str, description: str, subjects: list[str], instance_id: str
) -> dict[str, object]:
    if unknown := set(subjects) - set(Subject):
        raise Refusal(
            ErrorCode.PARAMETER,
            f"subjects must be of {', '.join(Subject)}; {len(unknown)} are not.",
        )
    if instance_id and not is_instance_id(instance_id):
        raise Refusal(
            ErrorCode.INSTANCE_ID_FORMAT, "An instance id is 32 hexadecimal digits, `in` and 2 digits."
        )
    return {
        "url": rules.check_url(url, intake.settings.webhook_networks),
        "description": rules.check_description(description),
        "subjects": sorted(set(subjects)),
        "instance_id": instance_id,
    }


def _lock(intake: Intake, webhook_id: str) -> Row:
    key = {"id": webhook_id, "project_id": intake.project_id}
    found = intake.connection.execute(_sql.lock, key).fetchall()
    if not found:
        raise no_webhook()
    return found[0]


def _lock_enabled(intake: Intake, webhook_id: str) -> None:
    if not _lock(intake, webhook_id)["enabled"]:
        raise Refusal(ErrorCode.PARAMETER, "The webhook is disabled; enable it first.")


def no_webhook() -> Refusal:
    return Refusal(ErrorCode.WEBHOOK_NOT_FOUND, "The project has no such webhook.")


def _delivery_id(text: str) -> UUID:
    found = uuid_in(text.removeprefix("msg_"))
    if found is None:
        raise _no_delivery()
    return found


def _no_delivery() -> Refusal:
    return Refusal(ErrorCode.WEBHOOK_NOT_FOUND, "The webhook has no such delivery; they are kept for a day.")
