"""`openrds engine list` and `install`: which database servers there are, and how to get the others."""

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openrds.cli.client import Client
from openrds.cli.credentials import DATA_DIR_VARIABLE, find_credentials
from openrds.cli.errors import CommandError, UsageError
from openrds.cli.output import Format, Output, note
from openrds.cli.serve import ConfigFile, DataDir, load_settings
from openrds.cli.session import CredentialsOption, DataDirOption, FormatOption, Session, client_session
from openrds.domain.engine import EngineName

if TYPE_CHECKING:
    from openrds.engines.protocol import Installation

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Engines, their versions and servers.")

#: Seconds in which a service finds a server, and between looks whether it has.
_FOUND_SECONDS = 15.0
_LOOK_INTERVAL = 0.2

_WANTED = re.compile(r"([a-z]+)(?:=(\d{1,3}(?:\.\d{1,3}){0,2}))?", re.ASCII)


@app.command("list")
def list_engines(
    *,
    here: Annotated[
        bool, typer.Option("--here", help="Look at this machine itself: which servers it has, and where.")
    ] = False,
    credentials: CredentialsOption = None,
    data_dir: DataDirOption = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """List the engines, which versions of each this service can create, and how to get others."""
    if here:
        _list_here(data_dir, Output(output))
    else:
        _list_of_service(client_session(credentials, data_dir, output))


@app.command("install")
def install(
    wanted: Annotated[
        str, typer.Argument(metavar="ENGINE[=VERSION]", help="Such as mysql or mariadb=10.11.")
    ],
    *,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    into: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Another folder, to be named in the setting engine_dirs."),
    ] = None,
) -> None:
    """Fetch a database server from this machine's package archives, for openrds alone.

    Nothing is installed on the machine, and no right of root is needed. A service that runs finds what is in its data
    directory by itself.
    """
    from openrds.engines import registry  # noqa: PLC0415
    from openrds.hosts.errors import HostError  # noqa: PLC0415

    engine, version = _parse(wanted, registry.FETCHED)
    folder = into.absolute() if into else registry.fetched_dir(_data_dir(data_dir, config))
    try:
        found = registry.fetch(engine, version, folder, note)
    except HostError as error:
        raise CommandError(str(error)) from None
    typer.echo(f"{engine} {found.complete_version}: {found.bin_dir}")
    if not into:
        _await_service(_data_dir(data_dir, config), found)


def _await_service(data_dir: Path, found: "Installation") -> None:
    """Whoever goes on wants a service that runs to know the server."""
    try:
        client = Client(find_credentials(None, data_dir, {}))
        deadline = time.monotonic() + _FOUND_SECONDS
        while time.monotonic() < deadline:
            offered = client.get(f"datastores/{found.engine}")["dataStores"]
            if any(one["name"] == found.version for one in offered):
                return
            time.sleep(_LOOK_INTERVAL)
    except CommandError:
        return  # none runs
    note("The service does not know it yet.")


def _list_of_service(session: Session) -> None:
    answers = {engine: session.client.get(f"datastores/{engine}")["dataStores"] for engine in EngineName}
    rows = [
        (engine, ", ".join(one["name"] for one in found) or "none here", _way_to_get(engine))
        for engine, found in answers.items()
    ]
    session.output.rows(answers, ("ENGINE", "VERSIONS", "TO GET OTHERS"), rows)


def _list_here(data_dir: Path | None, output: Output) -> None:
    from openrds.engines import registry  # noqa: PLC0415

    given = data_dir or os.environ.get(DATA_DIR_VARIABLE)
    settings = load_settings({"data_dir": given}, None) if given else None
    place = settings.data_dir if settings else None
    dirs = settings.engine_dirs if settings else ()
    found = [one for engine in EngineName for one in registry.found_on_host(engine, place, dirs)]
    header = ("ENGINE", "VERSION", "COMPLETE VERSION", "FOLDER")
    output.rows([_as_json(one) for one in found], header, [tuple(_as_json(one).values()) for one in found])


def _as_json(found: "Installation") -> dict[str, Any]:
    return {
        "engine": found.engine.value,
        "version": found.version,
        "complete_version": found.complete_version,
        "folder": str(found.bin_dir),
    }


def _way_to_get(engine: EngineName) -> str:
    """SQL Server's is in no archive, and cannot be handed on."""
    return "" if engine is EngineName.SQLSERVER else f"openrds engine install {engine.lower()}"


def _parse(wanted: str, fetched: Sequence[EngineName]) -> tuple[EngineName, str | None]:
    match = _WANTED.fullmatch(wanted.lower())
    engine = EngineName.parse(match[1]) if match else None
    if match is None or engine is None or engine not in fetched:
        names = ", ".join(name.lower() for name in fetched)
        raise UsageError(
            f"{wanted!r} cannot be fetched: it is ENGINE or ENGINE=VERSION, and ENGINE one of {names}."
        )
    return engine, match[2]


def _data_dir(data_dir: Path | None, config: Path | None) -> Path:
    try:
        return load_settings({"data_dir": data_dir}, config).data_dir
    except UsageError as error:
        raise UsageError(f"{error} Or name another folder: --into DIR.") from None
