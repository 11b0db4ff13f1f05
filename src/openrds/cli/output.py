"""What a command prints on stdout: a table for people, or the API's own JSON for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TextIO

import typer


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"


class Output:
    """Prints in the format that was asked for."""

    def __init__(self, format_: Format) -> None:
        self.is_json = format_ is Format.JSON

    def rows(self, answer: Any, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A list of things: `answer` as JSON, or `rows` under `header`."""
        typer.echo(pretty(answer) if self.is_json else table(header, rows))

    def facts(self, answer: Any, facts: Mapping[str, object]) -> None:
        """One thing: `answer` as JSON, or its facts one to a line."""
        typer.echo(pretty(answer) if self.is_json else fact_lines(facts))

    def said(self, answer: Any, sentence: str) -> None:
        """What was done: `answer` as JSON, or a sentence."""
        typer.echo(pretty(answer) if self.is_json else sentence)

    @property
    def progress(self) -> TextIO:
        """Where the course of a task is shown."""
        return sys.stderr if self.is_json else sys.stdout


def note(text: str) -> None:
    """Something to know beside the output."""
    typer.echo(text, err=True)


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns parted by two blanks; an empty cell is `-`, so that columns can be counted."""
    lines = [list(header), *([str(cell) or "-" for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def fact_lines(facts: Mapping[str, object]) -> str:
    """`name  value` lines; facts without a value are left out."""
    known = {name: str(value) for name, value in facts.items() if str(value)}
    width = max(map(len, known), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in known.items())
