"""`openrds flavor list` and `quota list`: what there is to have."""

from typing import Annotated

import typer

from openrds.cli.client import Json
from openrds.cli.instances import EngineOption
from openrds.cli.session import Session, client_command
from openrds.domain.engine import EngineName

flavors = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Flavors: CPU and memory of an instance."
)


quotas = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What a project may have.")


@quotas.callback()
@flavors.callback()
def _group() -> None:
    """Without it, a group of one command would be that command."""


@client_command(flavors, "list")
def list_flavors(
    session: Session,
    *,
    engine: EngineOption = EngineName.POSTGRESQL,
    version: Annotated[str | None, typer.Option(help="Of this version only.")] = None,
    mode: Annotated[str | None, typer.Option(help="single, ha or replica.")] = None,
) -> None:
    """List the flavors of an engine."""
    answer = session.client.get(f"flavors/{engine}", {"version_name": version})
    listed = [flavor for flavor in answer["flavors"] if mode in (None, flavor["instance_mode"])]
    header = ("FLAVOR", "VCPU", "MEMORY", "FOR", "ZONES")
    session.output.rows({"flavors": listed}, header, map(_flavor_row, listed))


@client_command(quotas, "list")
def list_quotas(session: Session) -> None:
    """List what the project may have, and has."""
    answer = session.client.get("quotas")
    rows = [(one["type"], one["used"], one["quota"]) for one in answer["quotas"]["resources"]]
    session.output.rows(answer, ("WHAT", "USED", "QUOTA"), rows)


def _flavor_row(flavor: Json) -> tuple[object, ...]:
    """A zone that cannot have it says why not, as sold out."""
    zones = (
        zone if status == "normal" else f"{zone} ({status})" for zone, status in flavor["az_status"].items()
    )
    memory = f"{flavor['ram']} GB"
    return flavor["spec_code"], flavor["vcpus"], memory, flavor["instance_mode"], ", ".join(zones)
