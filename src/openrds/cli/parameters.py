"""`openrds parameter` and `openrds configuration`: what servers are set to, of an instance or by a group."""

from typing import Annotated

import typer

from openrds.cli import lookups
from openrds.cli.client import Client, Json
from openrds.cli.errors import CommandError, UsageError
from openrds.cli.instances import IdOrName
from openrds.cli.output import note
from openrds.cli.session import Session, client_command
from openrds.domain.engine import EngineName

parameters = typer.Typer(no_args_is_help=True, help="What the servers of an instance are set to.")
configurations = typer.Typer(no_args_is_help=True, help="Parameter groups: values for many instances.")

Assignments = Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="Such as work_mem=64MB.")]
Group = Annotated[str, typer.Argument(metavar="GROUP", help="The id or the name of a parameter group.")]
_HEADER = ("NAME", "VALUE", "RANGE", "RESTART", "DESCRIPTION")


@client_command(parameters, "list")
def list_parameters(
    session: Session,
    instance: IdOrName,
    name: Annotated[str | None, typer.Argument(help="Only those with this in their names.")] = None,
) -> None:
    """Show the parameters of an instance."""
    path = f"instances/{lookups.find_instance_id(session.client, instance)}/configurations"
    _show(session, session.client.get(path), name)


@client_command(parameters, "set")
def set_parameters(session: Session, instance: IdOrName, values: Assignments) -> None:
    """Set parameters; what needs a restart is in force after `openrds instance restart`."""
    path = f"instances/{lookups.find_instance_id(session.client, instance)}/configurations"
    answer = session.client.put(path, {"values": _parsed(values)})
    session.output.said(answer, f"{len(values)} set.")
    _tell_of_restart(instance, required=answer["restart_required"])


@client_command(configurations, "list")
def list_groups(session: Session) -> None:
    """List the parameter groups, the default ones first."""
    answer = session.client.get("configurations")
    rows = (
        (
            one["id"],
            one["name"],
            one["datastore_name"],
            one["datastore_version_name"],
            "own" if one["user_defined"] else "default",
        )
        for one in answer["configurations"]
    )
    session.output.rows(answer, ("ID", "NAME", "ENGINE", "VERSION", "KIND"), rows)


@client_command(configurations, "show")
def show_group(
    session: Session,
    group: Group,
    name: Annotated[str | None, typer.Argument(help="Only those with this in their names.")] = None,
) -> None:
    """Show the parameters of a group."""
    _show(session, session.client.get(f"configurations/{_find(session.client, group)['id']}"), name)


@client_command(configurations, "create")
def create_group(
    session: Session,
    name: Annotated[str, typer.Argument()],
    values: Assignments,
    *,
    engine: Annotated[EngineName, typer.Option(case_sensitive=False)] = EngineName.POSTGRESQL,
    version: Annotated[str | None, typer.Option(help="The newest there is, if not given.")] = None,
) -> None:
    """Make a parameter group."""
    client = session.client
    datastore = {"type": engine, "version": version or lookups.newest_version(client, engine)}
    answer = client.post("configurations", {"name": name, "datastore": datastore, "values": _parsed(values)})
    session.output.said(answer, answer["configuration"]["id"])


@client_command(configurations, "apply")
def apply_group(session: Session, group: Group, instance: IdOrName) -> None:
    """Have an instance have the parameters of a group, and no others be set."""
    client = session.client
    ids = [lookups.find_instance_id(client, instance)]
    answer = client.put(f"configurations/{_find(client, group)['id']}/apply", {"instance_ids": ids})
    if not answer["success"]:
        raise CommandError("It was not applied; `openrds task list` says why.")
    session.output.said(answer, f"{answer['configuration_name']} is applied.")
    _tell_of_restart(instance, required=answer["apply_results"][0]["restart_required"])


@client_command(configurations, "delete")
def delete_group(session: Session, group: Group) -> None:
    """Delete a parameter group that no instance has."""
    found = _find(session.client, group)
    answer = session.client.delete(f"configurations/{found['id']}")
    session.output.said(answer, f"{found['name']} is deleted.")


def _show(session: Session, answer: Json, part: str | None) -> None:
    rows = (
        (
            one["name"],
            one["value"],
            one["value_range"] if len(one["value_range"]) <= 60 else one["type"],
            "yes" if one["restart_required"] else "no",
            "(read-only) " * one["readonly"] + one["description"],
        )
        for one in answer["configuration_parameters"]
        if part is None or part in one["name"]
    )
    session.output.rows(answer, _HEADER, rows)


def _find(client: Client, id_or_name: str) -> Json:
    """
    Raises:
        CommandError: there is none.
    """
    for one in client.get("configurations")["configurations"]:
        if id_or_name in (one["id"], one["name"]):
            found: Json = one
            return found
    raise CommandError(f"There is no parameter group {id_or_name}.")


def _parsed(values: list[str]) -> dict[str, str]:
    """
    Raises:
        UsageError: one has no `=`.
    """
    pairs = [value.partition("=") for value in values]
    for (name, sign, _), given in zip(pairs, values, strict=True):
        if not name or not sign:
            raise UsageError(f"A parameter is set by NAME=VALUE, not by {given}.")
    return {name: value for name, _, value in pairs}


def _tell_of_restart(instance: str, *, required: bool) -> None:
    if required:
        note(f"Some is in force only after `openrds instance restart {instance}`.")
