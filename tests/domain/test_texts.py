"""What texts from outside spell, and that nothing in the package reads them in another way."""

import ast
import datetime as dt
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrds.domain import texts

PACKAGE = Path(texts.__file__).parents[1]
#: One of the digits that Python takes for digits, and no client means.
ARABIC_ONE = "\N{ARABIC-INDIC DIGIT ONE}"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("0042", 42),
        ("9" * 19, 10**19 - 1),
        ("9" * 20, None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1_0", None),
        (" 1", None),
        ("1\n", None),
        ("1.0", None),
        ("²", None),
        (ARABIC_ONE, None),
        (f"1{ARABIC_ONE}", None),
    ],
)
def test_numbers(text: str, number: int | None) -> None:
    assert texts.number_in(text) == number


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        ("019c21ac-ec65-7000-8000-0123456789ab", True),
        ("019C21AC-EC65-7000-8000-0123456789AB", True),
        ("019c21acec65700080000123456789ab", True),
        ("019c21ac-ec65-7000-8000-0123456789a", False),
        ("{019c21ac-ec65-7000-8000-0123456789ab}", False),
        ("019c21ac-ec65-7000-8000-0123456_89ab", False),
        (f"{ARABIC_ONE}19c21ac-ec65-7000-8000-0123456789ab", False),
        ("", False),
    ],
)
def test_ids(text: str, is_id: bool) -> None:
    expected = uuid.UUID("019c21ac-ec65-7000-8000-0123456789ab") if is_id else None
    assert texts.uuid_in(text) == expected


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2028-02-29", dt.date(2028, 2, 29)),
        ("2027-02-29", None),
        ("2027-2-9", None),
        ("20270209", None),
        ("2027-W01-1", None),
        (f"202{ARABIC_ONE}-01-01", None),
        ("", None),
    ],
)
def test_days(text: str, day: dt.date | None) -> None:
    assert texts.day_in(text) == day


@given(st.text())
def test_whatever_is_a_number_is_written_in_ascii(text: str) -> None:
    number = texts.number_in(text)
    assert number is None or (text.isascii() and str(number) == (text.lstrip("0") or "0"))


# --- the package ---

#: What goes by Unicode's rules, or by a pattern of Python's own that does.
_BY_SCRIPT = {"isdigit", "isdecimal", "isnumeric", "isalnum", "isalpha", "isidentifier", "strptime"}
_PATTERNS = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        yield str(file.relative_to(PACKAGE)), ast.parse(file.read_text())


def test_nothing_asks_unicode_what_a_digit_is() -> None:
    found = [
        f"{name}:{node.lineno} {node.attr}"
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in _BY_SCRIPT
    ]
    assert not found, "use openrds.domain.texts"


def test_every_pattern_is_of_ascii() -> None:
    """Where its meaning depends on that: classes such as `\\d`, and letters of any case."""
    found = [
        f"{name}:{call.lineno} {ast.unparse(call)}"
        for name, tree in sources()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and _is_unguarded_pattern(call)
    ]
    assert not found, "add re.ASCII"


def _is_unguarded_pattern(call: ast.Call) -> bool:
    function = call.func
    if not (isinstance(function, ast.Attribute) and function.attr in _PATTERNS):
        return False
    if not (isinstance(function.value, ast.Name) and function.value.id == "re"):
        return False
    pattern, *others = map(ast.unparse, (*call.args, *(keyword.value for keyword in call.keywords)))
    flags = " ".join(others)
    depends = re.search(r"\\[dDwWsSbB]", pattern) or "re.I" in flags
    is_bytes = pattern.startswith(("b'", 'b"', "rb", "br"))
    return bool(depends) and not is_bytes and "re.ASCII" not in flags
