"""`openrds instance enlarge` and `resize`: how large an instance is."""

from typing import Annotated

import typer

from openrds.cli import lookups
from openrds.cli.client import Json
from openrds.cli.instances import IdOrName, Wait
from openrds.cli.session import Session, client_command

app = typer.Typer()


@client_command(app, "enlarge")
def enlarge(
    session: Session,
    instance: IdOrName,
    size: Annotated[int, typer.Argument(metavar="GB", help="What its volume shall have.")],
    wait: Wait = True,
) -> None:
    """Enlarge the volume of an instance while it serves."""
    session.finish(_act(session, instance, {"enlarge_volume": {"size": size}}), wait=wait)


@client_command(app, "read-only")
def read_only(
    session: Session,
    instance: IdOrName,
    *,
    on: Annotated[bool, typer.Option("--on/--off", help="Whether its clients may change nothing.")],
    wait: Wait = True,
) -> None:
    """Keep the clients of an instance from changing anything, or let them again."""
    id_ = lookups.find_instance_id(session.client, instance)
    answer = session.client.put(f"instances/{id_}/readonly-status", {"readonly": on})
    session.finish(answer, wait=wait)


@client_command(app, "unlock")
def unlock(
    session: Session,
    instance: IdOrName,
    *,
    minutes: Annotated[int, typer.Option(help="0 to 1440; 0 ends it.")] = 30,
) -> None:
    """Let clients write for some minutes although the volume is full, so that they can delete something."""
    id_ = lookups.find_instance_id(session.client, instance)
    path = f"instances/{id_}/unlock-node-readonly-status"
    answer = session.client.put(path, {"status_preservation_time": minutes})
    session.output.said(answer, f"{instance} takes writes for {minutes} minutes, from within seconds on")


@client_command(app, "resize")
def resize(
    session: Session,
    instance: IdOrName,
    flavor: Annotated[str, typer.Argument(metavar="FLAVOR", help="Such as rds.pg.n1.large.4.")],
    delay: Annotated[bool, typer.Option("--delay", help="In its maintenance window.")] = False,
    wait: Wait = True,
) -> None:
    """Give an instance another flavor; its server is restarted."""
    change: Json = {"spec_code": flavor, **({"is_delay": True} if delay else {})}
    answer = _act(session, instance, {"resize_flavor": change})
    if delay:
        session.output.said(answer, f"scheduled task {answer['job_id']} waits for the maintenance window")
    else:
        session.finish(answer, wait=wait)


def _act(session: Session, instance: str, action: Json) -> Json:
    id_ = lookups.find_instance_id(session.client, instance)
    return session.client.post(f"instances/{id_}/action", action)
