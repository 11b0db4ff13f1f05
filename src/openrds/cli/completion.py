"""What a shell is offered behind `openrds instance show <TAB>`."""

import os

import typer

from openrds.cli.client import Client
from openrds.cli.credentials import find_credentials
from openrds.cli.errors import CommandError, UsageError


def instance_names(context: typer.Context, incomplete: str) -> list[str]:
    """Those of the project that begin so; none where nobody answers, as a shell cannot show why."""
    given = context.params
    try:
        credentials = find_credentials(given.get("credentials"), given.get("data_dir"), os.environ)
        listed = Client(credentials).get("instances")["instances"]
    except (CommandError, UsageError, OSError):
        return []
    return sorted({str(one["name"]) for one in listed if one["name"].startswith(incomplete)})
