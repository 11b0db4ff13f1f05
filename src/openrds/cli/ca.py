"""`openrds ca`: the certificate with which clients verify instances."""

from pathlib import Path
from typing import Annotated

import typer

from openrds.cli.errors import UsageError
from openrds.cli.session import Session, client_command

app = typer.Typer()


@client_command(app, "ca")
def ca(
    session: Session,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Where to write it; default: standard output.", metavar="FILE"),
    ] = None,
) -> None:
    """Get the CA certificate with which clients verify the service's instances."""
    pem = session.client.ca()
    if file is None:
        session.output.said({"ca": pem}, pem.rstrip())
        return
    try:
        file.write_text(pem)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.") from None
    session.output.said({"file": str(file)}, f"{file} is written.")
