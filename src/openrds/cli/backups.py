"""`openrds backup`: make, stop, list and delete backups of instances."""

from typing import Annotated

import typer

from openrds.cli import lookups
from openrds.cli.client import Client, Json
from openrds.cli.errors import CommandError
from openrds.cli.session import Session, client_command
from openrds.cli.watch import watch

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Backups of instances.")

IdOrName = Annotated[str, typer.Argument(metavar="INSTANCE", help="Its id or name.")]

_HEADER = ("ID", "NAME", "TYPE", "STATUS", "SIZE", "BEGUN", "ENDED")


@client_command(app, "create")
def create(
    session: Session,
    instance: IdOrName,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    *,
    description: str = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the backup to its end.")] = True,
) -> None:
    """Back up an instance."""
    client = session.client
    id_ = lookups.find_instance_id(client, instance)
    body = {"instance_id": id_, "name": name, "description": description}
    backup: Json = client.post("backups", body)["backup"]
    if wait:
        # The answer names no task; while it runs, no other begins on the instance.
        task = client.get("tasklist", {"instance_id": id_, "limit": 1})["tasks"][0]
        job = watch(client, task["id"], session.output.progress)
        if job["status"] == "Failed":
            raise CommandError(f"Backup {name} failed: {job.get('fail_reason')}")
        backup = find_backup(client, id_, backup["id"])
    session.output.said({"backup": backup}, f"Backup {name} ({backup['id']}) is {backup['status']}")


@client_command(app, "stop")
def stop(session: Session, instance: IdOrName) -> None:
    """Stop the backup of an instance that is running; it is FAILED then."""
    id_ = lookups.find_instance_id(session.client, instance)
    answer = session.client.post(f"instances/{id_}/backups/stop", {})
    session.output.said(answer, f"The backup of {instance} is being stopped: task {answer['job_id']}")


@client_command(app, "list")
def list_(
    session: Session,
    instance: IdOrName,
    *,
    type: Annotated[str | None, typer.Option(help="auto or manual.")] = None,
    offset: int = 0,
    limit: Annotated[int, typer.Option(help="At most 100.")] = 100,
) -> None:
    """List the backups of an instance, newest first; of one that is gone by its id."""
    id_ = lookups.find_instance_id(session.client, instance)
    query = {"instance_id": id_, "backup_type": type, "offset": offset, "limit": limit}
    answer = session.client.get("backups", query)
    session.output.rows(answer, _HEADER, map(_row, answer["backups"]))


@client_command(app, "delete")
def delete(session: Session, backup: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Delete a manual backup."""
    session.output.said(session.client.delete(f"backups/{backup}"), f"Backup {backup} is deleted")


def find_backup(client: Client, instance_id: str, backup_id: str) -> Json:
    """
    Raises:
        CommandError: the instance has no such backup.
    """
    query = {"instance_id": instance_id, "backup_id": backup_id}
    found: list[Json] = client.get("backups", query)["backups"]
    if not found:
        raise CommandError(f"Instance {instance_id} has no backup {backup_id}.")
    return found[0]


def _row(backup: Json) -> tuple[object, ...]:
    return (
        backup["id"],
        backup["name"],
        backup["type"],
        backup["status"],
        f"{backup['size'] // 1024} MB",
        backup["begin_time"],
        backup["end_time"],
    )
