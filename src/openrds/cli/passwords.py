"""Where the password of an account comes from: of an instance's administrator, or of another."""

import os
import secrets
import string
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import typer

from openrds.cli.errors import UsageError
from openrds.cli.output import note
from openrds.domain.account_rules import check_account_password
from openrds.domain.engine import RULES, EngineName
from openrds.domain.errors import Refusal
from openrds.domain.rules import check_password, password_rules

VARIABLE = "OPENRDS_PASSWORD"

_KINDS = (string.ascii_uppercase, string.ascii_lowercase, string.digits)
_CHARACTERS = "".join(_KINDS)
_LENGTH = 20


@dataclass(frozen=True)
class Password:
    """`whose` is the name of an account; empty for the administrator."""

    text: str = field(repr=False)
    is_generated: bool = False
    whose: str = ""

    def tell(self) -> None:
        """Of one that was made up, once it is the account's: it is kept nowhere."""
        if self.is_generated:
            note(f"Password of {_called(self.whose)}, shown only now: {self.text}")


def choose_password(
    engine: EngineName, *, from_stdin: bool, before_asking: Callable[[], object], whose: str = ""
) -> Password:
    """From stdin if asked for, else the environment, else a prompt, else a new one.

    Nobody types a password for what would be refused anyway: `before_asking` finds that out, and raises.

    Raises:
        UsageError: stdin has none, or nobody managed to type one.
    """
    if from_stdin:
        return Password(read_password())
    given = os.environ.get(VARIABLE)
    if given:
        return Password(given)
    if sys.stdin.isatty():
        before_asking()
        given = _from_terminal(engine, whose)
    return Password(given) if given else Password(generate_password(), is_generated=True, whose=whose)


def generate_password() -> str:
    """Letters of both cases and digits, which every engine takes and no shell or URL has to quote."""
    while True:
        password = "".join(secrets.choice(_CHARACTERS) for _ in range(_LENGTH))
        if all(any(c in kind for c in password) for kind in _KINDS):
            return password


def read_password() -> str:
    """The first line of stdin.

    Raises:
        UsageError: there is none.
    """
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise UsageError("--password-stdin: there is no password on stdin.")
    return password


def _called(whose: str) -> str:
    return whose or "the administrator"


def _from_terminal(engine: EngineName, whose: str) -> str:
    """Asked for until it is a good one; empty if the person leaves the choice to us."""
    note(password_rules(engine))
    while True:
        password = _ask(f"Password of {_called(whose)} (empty: make one)")
        problem = _problem(password, engine, whose) if password else ""
        if not problem and password and _ask("The same again") != password:
            problem = "The two passwords differ."
        if not problem:
            return password
        note(problem)


def _problem(password: str, engine: EngineName, whose: str) -> str:
    try:
        if whose:
            check_account_password(password, engine, user=whose)
        else:
            check_password(password, engine, user=RULES[engine].administrator)
    except Refusal as refusal:
        return str(refusal)
    return ""


def _ask(question: str) -> str:
    answer = typer.prompt(question, default="", show_default=False, hide_input=True, err=True)
    return str(answer)
