"""Where the password of an instance's administrator comes from."""

import os
import secrets
import string
import sys

import typer

from openrds.cli.errors import UsageError
from openrds.cli.output import note

VARIABLE = "OPENRDS_PASSWORD"

_KINDS = (string.ascii_uppercase, string.ascii_lowercase, string.digits)
_CHARACTERS = "".join(_KINDS)
_LENGTH = 20


def choose_password(*, from_stdin: bool) -> str:
    """From stdin if asked for, else the environment, else a prompt, else a new one, told once on stderr.

    Raises:
        UsageError: stdin has none, or it was not typed the same way twice.
    """
    password = _from_stdin() if from_stdin else os.environ.get(VARIABLE) or _from_terminal()
    if not password:
        password = generate_password()
        note(f"Password of the administrator, shown only now: {password}")
    return password


def generate_password() -> str:
    """Letters of both cases and digits, which every engine takes and no shell or URL has to quote."""
    while True:
        password = "".join(secrets.choice(_CHARACTERS) for _ in range(_LENGTH))
        if all(any(c in kind for c in password) for kind in _KINDS):
            return password


def _from_stdin() -> str:
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise UsageError("--password-stdin: there is no password on stdin.")
    return password


def _from_terminal() -> str:
    """Empty without a terminal, or if the person leaves the choice to us.

    Raises:
        UsageError: it was not typed the same way twice.
    """
    if not sys.stdin.isatty():
        return ""
    password = _ask("Password of the administrator (empty: make one)")
    if password and _ask("The same again") != password:
        raise UsageError("The two passwords differ.")
    return password


def _ask(question: str) -> str:
    answer = typer.prompt(question, default="", show_default=False, hide_input=True, err=True)
    return str(answer)
