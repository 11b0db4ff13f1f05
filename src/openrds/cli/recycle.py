"""`openrds recycle`: deleted instances that can be had back, and for how long instances are kept."""

from typing import Annotated, Any

import typer

from openrds.cli import lookups
from openrds.cli.client import Client, Json
from openrds.cli.errors import CommandError, UsageError
from openrds.cli.instances import Standby, Wait, Zone
from openrds.cli.session import Session, client_command
from openrds.domain.engine import EngineName

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The recycle bin: deleted instances, to be had back."
)

Recycled = Annotated[
    str, typer.Argument(metavar="INSTANCE", help="The id of a deleted instance, or the name it had.")
]

_HEADER = ("ID", "NAME", "ENGINE", "SIZE", "DELETED", "KEPT UNTIL", "BACKUP")
_PAGE = 50


@client_command(app, "policy")
def policy(
    session: Session,
    *,
    days: Annotated[
        int | None,
        typer.Option(min=0, max=7, help="Keep what is deleted from now on for so long; 0: not at all."),
    ] = None,
) -> None:
    """Show for how many days deleted instances are kept, or change it."""
    client = session.client
    if days is not None:
        client.put("instances/recycle-policy", {"recycle_policy": {"retention_period_in_days": str(days)}})
    answer = client.get("instances/recycle-policy")
    session.output.facts(answer, {"days": answer["retention_period_in_days"] or "0 (off)"})


@client_command(app, "list")
def list_(session: Session, *, offset: int = 0, limit: int = _PAGE) -> None:
    """List deleted instances that can be had back, the last deleted first."""
    answer = session.client.get("recycle-instances", {"offset": offset, "limit": limit})
    session.output.rows(answer, _HEADER, map(_row, answer["instances"]))


@client_command(app, "restore")
def restore_(
    session: Session,
    instance: Recycled,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Default: the name it had.")] = None,
    *,
    flavor: Annotated[str | None, typer.Option(help="Default: the smallest.")] = None,
    zone: Zone = None,
    ha: Standby = None,
    wait: Wait = True,
) -> None:
    """Have a deleted instance back as it was last, with its passwords, as a new instance with an id of its own."""
    client = session.client
    found = _find(client, instance)
    engine = EngineName(found["engine_name"])
    body: dict[str, Any] = {
        "name": name or found["name"],
        "restore_point": {
            "instance_id": found["id"],
            "type": "backup",
            "backup_id": found["recycle_backup_id"],
        },
        "flavor_ref": flavor or lookups.default_flavor(engine, with_standby=ha is not None),
        "volume": {"type": found["volume_type"], "size": found["volume_size"]},
        "region": client.credentials.region,
        "availability_zone": lookups.choose_zones(client, engine, zone, with_standby=ha is not None),
        **lookups.default_network(client),
    }
    if ha is not None:
        body["ha"] = lookups.standby(ha)
    session.finish(client.post("instances", body), wait=wait)


@client_command(app, "delete")
def delete(
    session: Session,
    instance: Recycled,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a deleted instance from the bin, with all its automatic backups: it cannot be had back then."""
    client = session.client
    found = _find(client, instance)
    if not yes:
        lookups.confirm(
            f"Remove all that is left of instance {found['name']}, deleted {found['deleted_at']}?"
        )
    answer = client.delete(f"backups/{found['recycle_backup_id']}")
    session.output.said(
        answer, f"Nothing of instance {found['name']} ({found['id']}) is in the recycle bin any more"
    )


def _find(client: Client, id_or_name: str) -> Json:
    """
    Raises:
        CommandError: there is none in the bin.
        UsageError: several had this name.
    """
    found = [one for one in _all(client) if id_or_name in (one["id"], one["name"])]
    if not found:
        raise CommandError(f"There is no deleted instance {id_or_name} in the recycle bin.")
    if len(found) > 1:
        ids = ", ".join(f"{one['id']} (deleted {one['deleted_at']})" for one in found)
        raise UsageError(
            f"{len(found)} deleted instances had the name {id_or_name}; say which by its id: {ids}"
        )
    return found[0]


def _all(client: Client) -> list[Json]:
    found: list[Json] = []
    while True:
        page = client.get("recycle-instances", {"offset": len(found), "limit": _PAGE})["instances"]
        if not page:
            return found
        found += page


def _row(one: Json) -> tuple[object, ...]:
    return (
        one["id"],
        one["name"],
        f"{one['engine_name']} {one['engine_version']}",
        f"{one['volume_size']} GB",
        one["deleted_at"],
        one["retained_until"],
        one["recycle_backup_id"],
    )
