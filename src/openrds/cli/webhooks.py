"""`openrds webhook`: have events posted to a URL, and see what became of them."""

from typing import Annotated

import typer

from openrds.cli import lookups
from openrds.cli.client import Json
from openrds.cli.output import note
from openrds.cli.session import Session, client_command

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Events, posted to a URL of yours.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The id of a webhook.")]

_HEADER = ("ID", "URL", "SUBJECTS", "STATE")
_DELIVERIES = ("ID", "TYPE", "STATUS", "ATTEMPTS", "HTTP", "MS", "NEXT", "ERROR")


@client_command(app, "create")
def create(
    session: Session,
    url: Annotated[str, typer.Argument(metavar="URL")],
    *,
    subject: Annotated[
        list[str] | None,
        typer.Option(help="task, step, instance or backup; may be given again. Default: all."),
    ] = None,
    instance: Annotated[str | None, typer.Option(metavar="ID_OR_NAME", help="Only of this one.")] = None,
    description: Annotated[str, typer.Option()] = "",
    disabled: Annotated[bool, typer.Option("--disabled", help="Deliver nothing yet.")] = False,
) -> None:
    """Have events posted to a URL, and show the secret with which their signatures are verified."""
    client = session.client
    body = {
        "url": url,
        "subjects": subject or [],
        "instance_id": lookups.find_instance_id(client, instance) if instance else "",
        "description": description,
        "enabled": not disabled,
    }
    answer = client.post("webhooks", body)
    made = answer["webhook"]
    session.output.facts(answer, {"id": made["id"], "url": made["url"], "secret": made["secret"]})
    note("Keep the secret: it is not shown again.")


@client_command(app, "list")
def list_(session: Session) -> None:
    """List the webhooks of the project, the oldest first."""
    answer = session.client.get("webhooks")
    rows = (
        (one["id"], one["url"], ",".join(one["subjects"]) or "all", _state(one)) for one in answer["webhooks"]
    )
    session.output.rows(answer, _HEADER, rows)


@client_command(app, "show")
def show(session: Session, webhook: Id) -> None:
    """One webhook, and whether it works."""
    answer = session.client.get(f"webhooks/{webhook}")
    session.output.facts(answer, _facts(answer["webhook"]))


@client_command(app, "enable")
def enable(session: Session, webhook: Id) -> None:
    """Deliver again from now on; what was not delivered meanwhile can be replayed."""
    answer = session.client.put(f"webhooks/{webhook}", {"enabled": True})
    session.output.said(answer, f"Webhook {webhook} is enabled.")


@client_command(app, "disable")
def disable(session: Session, webhook: Id) -> None:
    """Deliver nothing any more; what waits is given up."""
    answer = session.client.put(f"webhooks/{webhook}", {"enabled": False})
    session.output.said(answer, f"Webhook {webhook} is disabled.")


@client_command(app, "delete")
def delete(session: Session, webhook: Id) -> None:
    """Delete a webhook with its deliveries."""
    answer = session.client.delete(f"webhooks/{webhook}")
    session.output.said(answer, f"Webhook {webhook} is deleted.")


@client_command(app, "test")
def test(session: Session, webhook: Id) -> None:
    """Have a `webhook.test` delivered; `openrds webhook deliveries` shows what became of it."""
    answer = session.client.post(f"webhooks/{webhook}/test", {})
    session.output.said(answer, f"Delivery {answer['delivery']['id']} is on its way.")


@client_command(app, "deliveries")
def deliveries(
    session: Session,
    webhook: Id,
    *,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
) -> None:
    """What was and is to be delivered, the latest first."""
    query = {"offset": offset, "limit": limit}
    answer = session.client.get(f"webhooks/{webhook}/deliveries", query)
    session.output.rows(answer, _DELIVERIES, map(_delivery, answer["deliveries"]))


@client_command(app, "replay")
def replay(
    session: Session,
    webhook: Id,
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="The id of a delivery.")],
) -> None:
    """Deliver one again, under the same id."""
    answer = session.client.post(f"webhooks/{webhook}/deliveries/{delivery}/replay", {})
    session.output.said(answer, f"Delivery {answer['delivery']['id']} is on its way.")


def _state(one: Json) -> str:
    if not one["enabled"]:
        return "disabled"
    return f"failing since {one['failing_since']}" if one["failing_since"] else "enabled"


def _facts(one: Json) -> dict[str, object]:
    return {
        "id": one["id"],
        "url": one["url"],
        "description": one["description"],
        "subjects": ", ".join(one["subjects"]) or "all",
        "instance": one["instance_id"],
        "state": _state(one),
        "reason": one["disabled_reason"],
        "created": one["created_at"],
    }


def _delivery(one: Json) -> tuple[object, ...]:
    return (
        one["id"],
        one["type"],
        one["status"],
        one["attempts"],
        one["http_status"] or "",
        "" if one["duration_ms"] is None else one["duration_ms"],
        one["next_attempt_at"] or "",
        one["error"],
    )
