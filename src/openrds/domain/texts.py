"""What texts from outside spell. Digits are ASCII digits, and nothing else.

Python's `int`, `str.isdigit`, `UUID` and patterns that are not ASCII take the digits of every script, and some of them
underscores and blanks too. A test keeps them away from texts.
"""

import datetime as dt
import re
from uuid import UUID

_NUMBER = re.compile(r"\d{1,19}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def number_in(text: str) -> int | None:
    """The number that a text of at most 19 digits spells; None for any other text, such as one with a sign."""
    return int(text) if _NUMBER.fullmatch(text) else None


def uuid_in(text: str) -> UUID | None:
    """The id that 32 hexadecimal digits spell, with or without hyphens."""
    return UUID(text) if _UUID.fullmatch(text) else None


def day_in(text: str) -> dt.date | None:
    """The day that `yyyy-mm-dd` names, if there is such a day."""
    try:
        return dt.date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None
