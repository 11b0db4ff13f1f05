"""The command `openrds`."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from openrds import __version__
from openrds.cli import (
    backups,
    bench,
    ca,
    catalogue,
    check,
    connect,
    console,
    database_users,
    databases,
    demo,
    engines,
    events,
    extensions,
    freezing,
    instance_ha,
    instance_metrics,
    instance_network,
    instance_replicas,
    instance_settings,
    instance_size,
    instance_upgrade,
    instances,
    logs,
    parameters,
    recycle,
    restore,
    restore_service,
    serve,
    tasks,
    wait,
    webhooks,
)
from openrds.cli.errors import CommandError
from openrds.cli.output import note

# Without rich, whose import alone takes longer than `--help` should.
app = typer.Typer(
    name="openrds",
    help="A self-hosted relational database service behind the Huawei Cloud RDS v3 API.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("down")(serve.down)
app.command("demo")(demo.demo)
app.command("check")(check.check)
app.command("restore-service")(restore_service.restore_service)
instances.app.add_typer(restore.app, name="restore")
for part in (
    freezing,
    instance_ha,
    instance_metrics,
    instance_network,
    instance_replicas,
    instance_settings,
    instance_size,
    instance_upgrade,
):
    instances.app.add_typer(part.app)
app.add_typer(instances.app, name="instance")
app.add_typer(instance_network.public_ips, name="public-ip")
app.add_typer(connect.app)
app.add_typer(ca.app)
app.add_typer(logs.app)
app.add_typer(backups.app, name="backup")
app.add_typer(recycle.app, name="recycle")
app.add_typer(databases.app, name="database")
app.add_typer(extensions.app, name="extension")
app.add_typer(database_users.app, name="user")
app.add_typer(parameters.parameters, name="parameter")
app.add_typer(parameters.configurations, name="configuration")
app.add_typer(engines.app, name="engine")
app.add_typer(catalogue.flavors, name="flavor")
app.add_typer(catalogue.quotas, name="quota")
app.add_typer(tasks.app, name="task")
app.add_typer(events.app)
app.add_typer(webhooks.app, name="webhook")
app.add_typer(console.app)
app.add_typer(wait.app, name="wait")
app.add_typer(bench.app, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"openrds {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command; exit code 2 for what the caller got wrong, 1 for what did not work."""
    try:
        app(list(arguments) if arguments is not None else None, prog_name="openrds")
    except CommandError as error:
        note(f"openrds: {error}")
        sys.exit(error.exit_code)
    except PermissionError as error:
        note(f"openrds: {error.filename or 'this'}: {error.strerror}.")
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output has left, as `head` does; python must not complain of it when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0)
