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
