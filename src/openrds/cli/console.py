"""`openrds console`: where the web console is."""

import webbrowser
from typing import Annotated

import typer

from openrds.cli.errors import CommandError
from openrds.cli.session import Session, client_command

app = typer.Typer(rich_markup_mode=None)


@client_command(app, "console")
def console(
    session: Session,
    open_: Annotated[bool, typer.Option("--open", help="Open it in this machine's browser.")] = False,
) -> None:
    """Say where the web console is; user and password are in the credentials file."""
    address = f"{session.client.credentials.endpoint}/console"
    session.output.said({"url": address}, address)
    if open_ and not webbrowser.open(address):
        raise CommandError(f"This machine has no browser to open; go to {address} with one.")
