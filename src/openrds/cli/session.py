"""What every client command has: credentials, an output format, and the options that choose them."""

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import typer

from openrds.cli.client import Client
from openrds.cli.credentials import DATA_DIR_VARIABLE, FILE_VARIABLE, find_credentials
from openrds.cli.output import Format, Output
from openrds.cli.watch import follow

Command = TypeVar("Command", bound=Callable[..., None])

CredentialsOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--credentials", metavar="FILE", help=f"Credentials file [env: {FILE_VARIABLE}]."),
]
DataDirOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", metavar="DIR", help=f"Data directory of the service [env: {DATA_DIR_VARIABLE}]."
    ),
]
FormatOption: TypeAlias = Annotated[Format, typer.Option("--output", "-o", help="Output format.")]


@dataclass(frozen=True)
class Session:
    """What a command works with."""

    client: Client
    output: Output

    def finish(self, answer: dict[str, Any], *, wait: bool) -> None:
        """Print what a call that began a task answered, or follow the task and print how it ended.

        Raises:
            TaskFailed: it was waited for and failed.
        """
        task_id = answer.get("job_id") or answer["workflowId"]
        if wait:
            follow(self.client, task_id, self.output)
        else:
            self.output.said(answer, f"Task {task_id}")


def client_session(
    credentials: CredentialsOption = None, data_dir: DataDirOption = None, output: FormatOption = Format.TABLE
) -> Session:
    """
    Raises:
        UsageError: there are no credentials, or no sound ones.
    """
    return Session(Client(find_credentials(credentials, data_dir, os.environ)), Output(output))


def client_command(app: typer.Typer, name: str) -> Callable[[Command], Command]:
    """Register a function as a command that gets a Session, whose options come after the function's own."""

    def register(function: Command) -> Command:
        app.command(name)(_with_shared_options(function))
        return function

    return register


def _with_shared_options(function: Callable[..., None]) -> Callable[..., None]:
    shared = inspect.signature(client_session).parameters
    own = list(inspect.signature(function).parameters.values())[1:]

    @functools.wraps(function)
    def command(**given: Any) -> None:
        session = client_session(**{option: given.pop(option) for option in shared})
        function(session, **given)

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *shared.values())
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command
