"""Webhooks: events of the project, posted to where it wants them. An extension of openrds."""

import datetime as dt
from typing import Annotated

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from openrds.api.changes import change
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest, service_of
from openrds.domain.errors import ErrorCode
from openrds.operations.intake.intake import Intake
from openrds.operations.webhooks import webhooks
from openrds.store.database import Row
from openrds.store.queries import Queries

_sql = Queries("webhooks")
_TAGS = ["Extensions"]
_OF_ONE = (ErrorCode.WEBHOOK_NOT_FOUND,)


class Webhook(msgspec.Struct):
    """`failing_since` is empty unless the last delivery failed, `disabled_reason` unless openrds disabled it."""

    id: str
    url: str
    description: str
    subjects: list[str]
    instance_id: str
    enabled: bool
    disabled_reason: str
    failing_since: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime


class NewWebhook(Webhook):
    """The secret is shown this once."""

    secret: str


class Delivery(msgspec.Struct):
    """`status` is pending, delivered or failed; what follows `attempts` is of the last one.

    `id` is what the receiver gets as `webhook-id`.
    """

    id: str
    type: str
    event_id: str
    status: str
    attempts: int
    attempted_at: dt.datetime | None
    next_attempt_at: dt.datetime | None
    http_status: int | None
    duration_ms: int | None
    error: str
    created_at: dt.datetime


class WebhookAnswer(msgspec.Struct):
    webhook: Webhook


class NewWebhookAnswer(msgspec.Struct):
    webhook: NewWebhook


class WebhooksAnswer(msgspec.Struct):
    webhooks: list[Webhook]


class DeliveryAnswer(msgspec.Struct):
    delivery: Delivery


class DeliveriesAnswer(msgspec.Struct):
    deliveries: list[Delivery]
    total_count: int


class Done(msgspec.Struct):
    pass


@post(
    "/v3/{project_id:str}/webhooks",
    status_code=200,
    responses=refusals(ErrorCode.QUOTA, ErrorCode.INSTANCE_ID_FORMAT, body=True),
    tags=_TAGS,
)
async def create_webhook(
    request: ApiRequest, project_id: FromPath[str], data: JSONBody[webhooks.CreateWebhook]
) -> Response[NewWebhookAnswer]:
    """Have events posted to a URL. The answer has the secret that they are signed with; it is not shown again."""

    def work(intake: Intake) -> NewWebhookAnswer:
        made = webhooks.create(intake, data)
        return NewWebhookAnswer(NewWebhook(**msgspec.structs.asdict(_webhook(made)), secret=made["secret"]))

    return await change(request, work)


@get("/v3/{project_id:str}/webhooks", responses=refusals(), tags=_TAGS)
async def list_webhooks(request: ApiRequest, project_id: FromPath[str]) -> WebhooksAnswer:
    """All of the project, the oldest first."""
    rows = await service_of(request).reads.rows(_sql.of_project, {"project_id": project_id})
    return WebhooksAnswer([_webhook(row) for row in rows])


@get("/v3/{project_id:str}/webhooks/{webhook_id:str}", responses=refusals(*_OF_ONE), tags=_TAGS)
async def show_webhook(
    request: ApiRequest, project_id: FromPath[str], webhook_id: FromPath[str]
) -> WebhookAnswer:
    """One, with whether it works."""
    return WebhookAnswer(_webhook(await _find(request, project_id, webhook_id)))


@put(
    "/v3/{project_id:str}/webhooks/{webhook_id:str}",
    responses=refusals(*_OF_ONE, ErrorCode.INSTANCE_ID_FORMAT, body=True),
    tags=_TAGS,
)
async def change_webhook(
    request: ApiRequest,
    project_id: FromPath[str],
    webhook_id: FromPath[str],
    data: JSONBody[webhooks.UpdateWebhook],
) -> Response[WebhookAnswer]:
    """Change some of it; what is left out stays."""

    def work(intake: Intake) -> WebhookAnswer:
        return WebhookAnswer(_webhook(webhooks.change(intake, webhook_id, data)))

    return await change(request, work)


@delete(
    "/v3/{project_id:str}/webhooks/{webhook_id:str}",
    status_code=200,
    responses=refusals(*_OF_ONE),
    tags=_TAGS,
)
async def delete_webhook(
    request: ApiRequest, project_id: FromPath[str], webhook_id: FromPath[str]
) -> Response[Done]:
    """Delete it with what waits to be delivered."""

    def work(intake: Intake) -> Done:
        webhooks.delete(intake, webhook_id)
        return Done()

    return await change(request, work)


@post(
    "/v3/{project_id:str}/webhooks/{webhook_id:str}/test",
    status_code=200,
    responses=refusals(*_OF_ONE),
    tags=_TAGS,
)
async def test_webhook(
    request: ApiRequest, project_id: FromPath[str], webhook_id: FromPath[str]
) -> Response[DeliveryAnswer]:
    """Have a `webhook.test` delivered."""

    def work(intake: Intake) -> DeliveryAnswer:
        return DeliveryAnswer(_delivery(webhooks.test(intake, webhook_id)))

    return await change(request, work)


@get("/v3/{project_id:str}/webhooks/{webhook_id:str}/deliveries", responses=refusals(*_OF_ONE), tags=_TAGS)
async def list_deliveries(
    request: ApiRequest,
    project_id: FromPath[str],
    webhook_id: FromPath[str],
    offset: Annotated[int, QueryParameter(ge=0, le=2**62)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> DeliveriesAnswer:
    """What was and is to be delivered, the latest first: of a day, and of what has ended the last 1000."""
    found = await _find(request, project_id, webhook_id)
    reads, key = service_of(request).reads, {"webhook_id": found["id"]}
    rows = await reads.rows(_sql.deliveries, {**key, "offset": offset, "limit": limit})
    count = await reads.row(_sql.count_deliveries, key)
    assert count is not None
    return DeliveriesAnswer([_delivery(row) for row in rows], count["deliveries"])


@post(
    "/v3/{project_id:str}/webhooks/{webhook_id:str}/deliveries/{delivery_id:str}/replay",
    status_code=200,
    responses=refusals(*_OF_ONE),
    tags=_TAGS,
)
async def replay_delivery(
    request: ApiRequest, project_id: FromPath[str], webhook_id: FromPath[str], delivery_id: FromPath[str]
) -> Response[DeliveryAnswer]:
    """Deliver one again, under the same id."""

    def work(intake: Intake) -> DeliveryAnswer:
        return DeliveryAnswer(_delivery(webhooks.replay(intake, webhook_id, delivery_id)))

    return await change(request, work)


async def _find(request: ApiRequest, project_id: str, webhook_id: str) -> Row:
    row = await service_of(request).reads.row(_sql.find, {"id": webhook_id, "project_id": project_id})
    if row is None:
        raise webhooks.no_webhook()
    return row


def _webhook(row: Row) -> Webhook:
    return Webhook(**{name: row[name] for name in Webhook.__struct_fields__})


def _delivery(row: Row) -> Delivery:
    return Delivery(
        id=f"msg_{row['id'].hex}",
        type=row["type"],
        event_id=row["data"].get("id", ""),
        status=row["status"],
        attempts=row["attempts"],
        attempted_at=row["attempted_at"],
        next_attempt_at=row["due_at"],
        http_status=row["http_status"],
        duration_ms=row["duration_ms"],
        error=row["error"],
        created_at=row["created_at"],
    )


HANDLERS = [
    create_webhook,
    list_webhooks,
    show_webhook,
    change_webhook,
    delete_webhook,
    test_webhook,
    list_deliveries,
    replay_delivery,
]
