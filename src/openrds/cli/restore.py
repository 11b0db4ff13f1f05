"""`openrds instance restore`: to a new instance, onto another one, or tables and databases under new names."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeAlias

import typer

from openrds.cli import lookups, restorable
from openrds.cli.backups import find_backup
from openrds.cli.client import Client, Json
from openrds.cli.errors import CommandError, UsageError
from openrds.cli.instances import PasswordStdin, Standby, Wait, Zone
from openrds.cli.passwords import read_password
from openrds.cli.session import Session, client_command
from openrds.cli.tasks import milliseconds
from openrds.domain.engine import EngineName
from openrds.domain.flavor import counterpart
from openrds.domain.instance import InstanceType, is_instance_id

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Restore what was backed up.")

Source: TypeAlias = Annotated[
    str, typer.Option("--from", metavar="INSTANCE", help="What to restore: its id or name.")
]
Backup: TypeAlias = Annotated[
    str | None, typer.Option(metavar="ID", help="Restore this backup; else a moment.")
]
Time: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="ISO 8601, or Unix milliseconds. Default: the latest there is."),
]
Target: TypeAlias = Annotated[str, typer.Argument(metavar="INSTANCE", help="Its id or name.")]
Listing: TypeAlias = Annotated[
    bool, typer.Option("--list", help="Restore nothing: list what there was then.")
]
Like: TypeAlias = Annotated[
    str | None, typer.Option(metavar="TEXT", help="With --list: only those with this in their names.")
]


@client_command(app, "times")
def times(
    session: Session,
    instance: Target,
    date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Of this day only, UTC.")] = None,
) -> None:
    """Show which moments an instance can be restored to."""
    id_ = lookups.find_instance_id(session.client, instance)
    answer = session.client.get(f"instances/{id_}/restore-time", {"date": date})
    rows = [(_time(one["start_time"]), _time(one["end_time"])) for one in answer["restore_time"]]
    session.output.rows(answer, ("FROM", "UNTIL"), rows)


@client_command(app, "new")
def new(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    *,
    source: Source,
    backup: Backup = None,
    time: Time = None,
    flavor: Annotated[str | None, typer.Option(help="Default: that of the source.")] = None,
    size: Annotated[int | None, typer.Option(help="Of the volume, in GB. Default: as the source.")] = None,
    port: int | None = None,
    zone: Zone = None,
    ha: Standby = None,
    password_stdin: PasswordStdin = False,
    wait: Wait = True,
) -> None:
    """Restore to a new instance; its administrator keeps the password, unless another is given."""
    client = session.client
    source_id = lookups.find_instance_id(client, source)
    origin = _origin(client, source_id, backup)
    engine = EngineName(origin["datastore"]["type"])
    password = read_password() if password_stdin else None
    body: dict[str, Any] = {
        "name": name,
        "restore_point": _restore_point(client, source_id, backup, time),
        "flavor_ref": flavor or _flavor(origin, engine, with_standby=ha is not None),
        "volume": {"type": "CLOUDSSD", "size": size or origin.get("volume", {}).get("size", 40)},
        "region": client.credentials.region,
        "availability_zone": lookups.choose_zones(client, engine, zone, with_standby=ha is not None),
        **lookups.default_network(client),
    }
    optional = {
        "password": password,
        "port": None if port is None else str(port),
        "ha": lookups.standby(ha),
    }
    given = {field: value for field, value in optional.items() if value is not None}
    session.finish(client.post("instances", body | given), wait=wait)


@client_command(app, "onto")
def onto(
    session: Session,
    instance: Target,
    *,
    source: Source,
    backup: Backup = None,
    time: Time = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Wait = True,
) -> None:
    """Replace the data of an instance by that of another one, passwords included."""
    client = session.client
    target_id = lookups.find_instance_id(client, instance)
    source_id = lookups.find_instance_id(client, source)
    if not yes:
        lookups.confirm(f"Replace all data of instance {instance}?")
    body = {
        "source": _restore_point(client, source_id, backup, time),
        "target": {"instance_id": target_id},
    }
    session.finish(client.post("instances/recovery", body), wait=wait)


@client_command(app, "tables")
def tables(
    session: Session,
    instance: Target,
    table: Annotated[
        list[str] | None, typer.Argument(metavar="DATABASE[.SCHEMA].TABLE=NEW_NAME...", help="One or more.")
    ] = None,
    *,
    time: Time = None,
    list_: Listing = False,
    like: Like = None,
    wait: Wait = True,
) -> None:
    """Restore tables under new names, beside those there are; or list which there were."""
    if _lists(table, like, list_=list_):
        _list(session, instance, time, like, restorable.list_tables)
        return
    id_ = lookups.find_instance_id(session.client, instance)
    databases = [_table(word) for word in table or ()]
    wanted = {"instance_id": id_, "restore_time": _moment(session.client, id_, time), "databases": databases}
    _finish_copies(session, "tables", wanted, wait=wait)


@client_command(app, "databases")
def databases(
    session: Session,
    instance: Target,
    database: Annotated[
        list[str] | None, typer.Argument(metavar="DATABASE=NEW_NAME...", help="One or more.")
    ] = None,
    *,
    time: Time = None,
    list_: Listing = False,
    like: Like = None,
    wait: Wait = True,
) -> None:
    """Restore databases under new names, beside those there are; or list which there were."""
    if _lists(database, like, list_=list_):
        _list(session, instance, time, like, restorable.list_databases)
        return
    id_ = lookups.find_instance_id(session.client, instance)
    pairs = [_pair(word, "DATABASE=NEW_NAME") for word in database or ()]
    wanted = {
        "instance_id": id_,
        "restore_time": _moment(session.client, id_, time),
        "databases": [{"old_name": old, "new_name": new_name} for old, new_name in pairs],
    }
    _finish_copies(session, "databases", wanted, wait=wait)


def _lists(named: Sequence[str] | None, like: str | None, *, list_: bool) -> bool:
    """
    Raises:
        UsageError: something is to be restored and listed, or neither.
    """
    if bool(named) is list_ or (like and not list_):
        raise UsageError(
            "Name what to restore, or give --list, with or without --like, to see what there was."
        )
    return list_


def _list(
    session: Session,
    instance: str,
    time: str | None,
    like: str | None,
    show: Callable[[Session, Json, int, str | None], None],
) -> None:
    found = lookups.find_instance(session.client, instance)
    show(session, found, _moment(session.client, found["id"], time), like)


def _finish_copies(session: Session, kind: str, wanted: Json, *, wait: bool) -> None:
    answer = session.client.post(f"instances/batch/restore/{kind}", {"instances": [wanted]})
    if wait:
        session.finish(answer["restore_result"][0], wait=True)
    else:
        session.output.said(answer, f"Task {answer['restore_result'][0]['job_id']}")


def _restore_point(client: Client, source_id: str, backup: str | None, time: str | None) -> Json:
    if backup and time:
        raise UsageError("Give --backup or --time, not both.")
    if backup:
        return {"instance_id": source_id, "type": "backup", "backup_id": backup}
    moment = _moment(client, source_id, time)
    return {"instance_id": source_id, "type": "timestamp", "restore_time": moment}


def _moment(client: Client, instance_id: str, time: str | None) -> int:
    """What was given, or the latest moment there is."""
    if time:
        return milliseconds(time)
    ranges = client.get(f"instances/{instance_id}/restore-time")["restore_time"]
    if not ranges:
        raise CommandError(f"Instance {instance_id} cannot be restored yet: it has no finished backup.")
    return int(ranges[-1]["end_time"])


def _origin(client: Client, source_id: str, backup: str | None) -> Json:
    """What a new instance takes after: the source; of one that is gone, what its backup tells."""
    if is_instance_id(source_id):
        listed: list[Json] = client.get("instances", {"id": source_id})["instances"]
        if listed:
            return listed[0]
    if backup is None:
        raise CommandError(f"There is no instance {source_id}; of one that is gone, name a --backup.")
    return find_backup(client, source_id, backup)


def _flavor(origin: Json, engine: EngineName, *, with_standby: bool) -> str:
    """The source's, of the kind that is for the new one; the smallest where the source is not known any more."""
    kind = InstanceType.HA if with_standby else InstanceType.SINGLE
    found = counterpart(engine, origin.get("flavor_ref", ""), kind)
    return found.spec_code if found else lookups.default_flavor(engine, with_standby=with_standby)


def _table(word: str) -> Json:
    """With a schema where there are any; the service says where it is too much or missing."""
    old, new_name = _pair(word, "DATABASE[.SCHEMA].TABLE=NEW_NAME")
    parts = old.split(".")
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise UsageError(f"A table must be given as DATABASE[.SCHEMA].TABLE=NEW_NAME, not {word}.")
    database, *schema, name = parts
    listed = [{"old_name": name, "new_name": new_name}]
    if not schema:
        return {"database": database, "tables": listed}
    return {"database": database, "schemas": [{"schema": schema[0], "tables": listed}]}


def _pair(word: str, form: str) -> tuple[str, str]:
    old, _, new_name = word.partition("=")
    if not old or not new_name:
        raise UsageError(f"It must be given as {form}, not {word}.")
    return old, new_name


def _time(milliseconds: int) -> str:
    """To be given to `--time`."""
    return dt.datetime.fromtimestamp(milliseconds / 1000, tz=dt.UTC).isoformat(timespec="milliseconds")
