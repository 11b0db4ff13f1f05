"""What MySQL servers say of their parameters, and what is found out by trying on one that is thrown away.

Versions before 9 have no table of types and words. All of them tell what a number may be, refuse to change what is
fixed until the next start, and take the number of a word for the word.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pymysql

from openrds.domain.parameters import Parameter
from openrds.engines.binlog.offered import OFFERED, SHOWN, bounds
from openrds.engines.binlog.sessions import Connection, execute, rows, scalar

_VARIABLES = """
SELECT LOWER(global.variable_name) AS name, COALESCE(global.variable_value, '') AS value,
       info.min_value AS low, info.max_value AS high
FROM performance_schema.global_variables AS global
JOIN performance_schema.variables_info AS info ON info.variable_name = global.variable_name
WHERE LOWER(global.variable_name) IN %s ORDER BY 1
"""
_OPTION = re.compile(r"^  (?:-\w, )?--([a-z][a-z0-9-]*)\S* *(.*)$", re.ASCII)
_HOW_TO_DISABLE = re.compile(r"\s*\(use --skip-\S+ to disable\.\)", re.ASCII)
_COLUMN = 22
#: Some have sentences that are made for a terminal.
_LONGEST_DESCRIPTION = 1000
_FIXED = 1238
_MOST_WORDS = 64
#: Sets of words, of which there is more than one at a time: by trying they cannot be told from single words.
_SETS = frozenset({"sql_mode"})
_SWITCHES = frozenset({"optimizer_switch"})


def catalogue(connection: Connection, help_text: str) -> Iterator[Parameter]:
    """`help_text` is what `mysqld --verbose --help` prints: it says which variables are options, and what each does."""
    options = dict(_options(help_text))
    for row in rows(connection, _VARIABLES, tuple(OFFERED | SHOWN)):
        name = row["name"]
        if name in options or name in SHOWN:
            yield _parameter(connection, row, options.get(name, ""))


def _options(help_text: str) -> Iterator[tuple[str, str]]:
    """Each option, with what is said of it."""
    name, lines = "", [""]
    for line in help_text.splitlines():
        if found := _OPTION.match(line):
            yield name, _sentences(lines)
            name, lines = found[1].replace("-", "_"), [found[2]]
        elif line.startswith(" " * _COLUMN):
            lines.append(line.strip())
        elif line.startswith("Variables (--"):
            break
    yield name, _sentences(lines)


def _sentences(lines: list[str]) -> str:
    text = " ".join(filter(None, lines)).replace("(Defaults to on; use", "(use")
    return _HOW_TO_DISABLE.sub("", text)[:_LONGEST_DESCRIPTION]


def _parameter(connection: Connection, row: Mapping[str, Any], description: str) -> Parameter:
    name, value = row["name"], row["value"]
    is_dynamic = _can_be_set(connection, name)
    is_number = (row["low"], row["high"]) != ("0", "0")
    words: tuple[str, ...] = ()
    if is_number:
        type_ = "float" if "." in value else "integer"
    elif name in _SETS:
        type_, words = "list", _words_of_set(connection, name)
    else:
        words = _words(connection, name) if is_dynamic and name not in _SWITCHES else ()
        type_ = "string"
        if set(words) == {"ON", "OFF"} or (not is_dynamic and value in ("ON", "OFF")):
            type_, words = "boolean", ("ON", "OFF")
    low, high = bounds(name, row["low"], row["high"]) if is_number else ("", "")
    return Parameter(
        name=name,
        type=type_,
        value=value,
        description=description,
        minimum=low,
        maximum=high,
        choices=words,
        restart=not is_dynamic,
        readonly=name not in OFFERED,
    )


def _can_be_set(connection: Connection, name: str) -> bool:
    """Whether it can be while the server runs; what it is set to is what it is."""
    try:
        execute(connection, f"SET GLOBAL {name} = @@GLOBAL.{name}")
    except pymysql.Error as error:
        return bool(error.args[0] != _FIXED)
    return True


def _words(connection: Connection, name: str) -> tuple[str, ...]:
    """Its words by their numbers; none where a number is not taken for one, as with a text, or there are too many."""
    before, found = scalar(connection, f"SELECT @@GLOBAL.{name}"), []
    try:
        for number in range(_MOST_WORDS):
            execute(connection, f"SET GLOBAL {name} = {number}")
            found.append(_spelled(connection, name))
    except pymysql.Error:
        pass
    execute(connection, f"SET GLOBAL {name} = %s", before)
    return tuple(dict.fromkeys(found)) if len(found) < _MOST_WORDS else ()


def _words_of_set(connection: Connection, name: str) -> tuple[str, ...]:
    """A word for each bit. Those that stand for several others are left to these."""
    before, found = scalar(connection, f"SELECT @@GLOBAL.{name}"), []
    for bit in range(_MOST_WORDS):
        try:
            execute(connection, f"SET GLOBAL {name} = {1 << bit}")
        except pymysql.Error:
            continue
        found += [word for word in _spelled(connection, name).split(",") if word]
    execute(connection, f"SET GLOBAL {name} = %s", before)
    return tuple(dict.fromkeys(found))


def _spelled(connection: Connection, name: str) -> str:
    found = rows(connection, "SHOW GLOBAL VARIABLES LIKE %s", name.replace("_", "\\_"))
    return str(found[0]["Value"])
