"""`openrds instance to-ha|switchover|replication-mode|switch-strategy`: instances with a standby."""

from typing import Annotated

import typer

from openrds.cli import lookups
from openrds.cli.instances import IdOrName, Wait
from openrds.cli.session import Session, client_command
from openrds.domain.engine import EngineName
from openrds.domain.instance import SwitchStrategy

app = typer.Typer()


@client_command(app, "to-ha")
def to_ha(
    session: Session,
    instance: IdOrName,
    zone: Annotated[str | None, typer.Option(help="Of the standby. Default: the first.")] = None,
    wait: Wait = True,
) -> None:
    """Give a single instance a standby; it serves meanwhile."""
    found = lookups.find_instance(session.client, instance)
    engine = EngineName(found["datastore"]["type"])
    body = {"single_to_ha": {"az_code_new_node": zone or lookups.first_zone(session.client, engine)}}
    session.finish(session.client.post(f"instances/{found['id']}/action", body), wait=wait)


@client_command(app, "switchover")
def switchover(
    session: Session,
    instance: IdOrName,
    force: Annotated[
        bool, typer.Option("--force", help="Also to a standby that lacks something, which is lost then.")
    ] = False,
    wait: Wait = True,
) -> None:
    """Make the standby of an instance its primary."""
    id_ = lookups.find_instance_id(session.client, instance)
    body = {"force": True} if force else {}
    session.finish(session.client.put(f"instances/{id_}/failover", body), wait=wait)


@client_command(app, "replication-mode")
def replication_mode(
    session: Session,
    instance: IdOrName,
    mode: Annotated[str, typer.Argument(metavar="MODE", help="async or sync; for MySQL async or semisync.")],
    wait: Wait = True,
) -> None:
    """Have commits wait for the standby, or not."""
    id_ = lookups.find_instance_id(session.client, instance)
    session.finish(session.client.put(f"instances/{id_}/failover/mode", {"mode": mode}), wait=wait)


@client_command(app, "switch-strategy")
def switch_strategy(
    session: Session, instance: IdOrName, strategy: Annotated[SwitchStrategy, typer.Argument()]
) -> None:
    """Say what goes first when roles change: to lose nothing, or to be back soon."""
    id_ = lookups.find_instance_id(session.client, instance)
    answer = session.client.put(f"instances/{id_}/failover/strategy", {"repairStrategy": strategy})
    session.output.said(answer, f"{instance} goes by {strategy}")
