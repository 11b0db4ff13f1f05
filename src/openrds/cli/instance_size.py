"""`openrds instance enlarge` and `resize`: how large an instance is."""

from typing import Annotated

import typer

from openrds.cli import lookups
from openrds.cli.client import Json
from openrds.cli.instances import IdOrName, Wait, app
from openrds.cli.session import Session, client_command


@client_command(app, "enlarge")
def enlarge(
    session: Session,
    instance: IdOrName,
    size: Annotated[int, typer.Argument(metavar="GB", help="What its volume shall have.")],
    wait: Wait = True,
) -> None:
    """Enlarge the volume of an instance while it serves."""
    _act(session, instance, {"enlarge_volume": {"size": size}}, wait=wait)


@client_command(app, "resize")
def resize(
    session: Session,
    instance: IdOrName,
    flavor: Annotated[str, typer.Argument(metavar="FLAVOR", help="Such as rds.pg.n1.large.4.")],
    wait: Wait = True,
) -> None:
    """Give an instance another flavor; its server is restarted."""
    _act(session, instance, {"resize_flavor": {"spec_code": flavor}}, wait=wait)


def _act(session: Session, instance: str, action: Json, *, wait: bool) -> None:
    id_ = lookups.find_instance_id(session.client, instance)
    session.finish(session.client.post(f"instances/{id_}/action", action), wait=wait)
