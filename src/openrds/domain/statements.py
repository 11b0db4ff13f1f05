"""SQL statements as they may be shown: without the values in them, and none that can hold a password.

Who reads a log need not be who sent a statement. A statement may be cut off anywhere and wrong in any way, so it is not
parsed: what may be a value is replaced, and in doubt too much of it.
"""

import re

#: Characters of a statement that are looked at and shown.
LONGEST = 4096

_HIDDEN = "(not shown: it may hold a password)"

_COMMENT = r"/\*M?!\d* | /\*.*?(?:\*/|\Z) | --(?:(?=\s)[^\n]*|\Z)"
_NUMBER = r"(?<![\w$@.])(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)\b"
_ESCAPED = r"'(?:[^'\\]|\\.?|'')*+(?:'|\Z)"
_PLAIN = r"'(?:[^']|'')*+(?:'|\Z)"
_DOUBLE = r'"(?:[^"\\]|\\.?|"")*+(?:"|\Z)'
_BACKTICKED = r"`(?:[^`]|``)*+(?:`|\Z)"


def _pattern(comment: str, value: str, name: str) -> re.Pattern[str]:
    """What begins and does not end goes to the end."""
    return re.compile(
        rf"(?P<comment>{comment}) | (?P<value>{value}) | {name} | [$@]?[^\W\d][\w$]*",
        re.VERBOSE | re.DOTALL | re.ASCII,
    )


#: Where double quotes are around names, with the texts between dollars of PostgreSQL.
_WITH_NAMES = _pattern(
    rf"{_COMMENT} | --[^\n]*",
    rf"\b[eE]{_ESCAPED} | (?:\b[nNxXbB]|\b[uU]&)?{_PLAIN} | {_NUMBER}"
    r" | (?P<tag>\$(?:[^\x00-@\[-^`{-\x7f][^\x00-/:-@\[-^`{-\x7f]*)?\$).*?(?:(?P=tag)|\Z)",
    r'"(?:[^"]|"")*+(?:"|\Z)',
)
#: Where double quotes are around values, as in MySQL and MariaDB.
_WITH_VALUES = _pattern(
    rf"{_COMMENT} | \#[^\n]*",
    rf"\b(?:[nNxXbB]|_[a-z0-9]+)?{_ESCAPED} | {_ESCAPED} | {_DOUBLE} | {_NUMBER}",
    _BACKTICKED,
)
_LISTS = re.compile(r"\(\s*\?(?:\s*,\s*\?)+\s*\)", re.ASCII)
_ROWS = re.compile(r"(\(\?(?:, \.\.\.)?\))(?:\s*,\s*\(\?(?:, \.\.\.)?\))+", re.ASCII)
_BLANKS = re.compile(r"\s+", re.ASCII)

#: Statements about accounts, and about others to log in to.
_ABOUT_ACCOUNTS = re.compile(
    r"\b(?:(?:create|alter)\s+(?:or\s+replace\s+)?(?:user|role|group|server|subscription)|set\s+(?:\w+\s+)?password"
    r"|identified\s+(?:by|via|with|as)|change\s+(?:master|replication)|start\s+(?:slave|replica|group_replication))\b",
    re.IGNORECASE | re.ASCII,
)
#: In whatever place they stand, such a statement is shown without its values.
_DELICATE = re.compile(
    r"passw|pwd|secret|identified|credential|token|encrypt|decrypt|crypt\s*\(|dblink|conninfo",
    re.IGNORECASE | re.ASCII,
)
_QUOTED = re.compile(
    r"'(?:[^'\\]|\\.?|'')*+(?:'|\Z)|\"(?:[^\"\\]|\\.?|\"\")*+(?:\"|\Z)", re.DOTALL | re.ASCII
)
_NAMED_PASSWORD = re.compile(
    r"(\b(?:identified\s+(?:by|as|via|with)(?:\s+(?:password|\w+\s+(?:using|as|by)))?|password)\s*[(=]?\s*)"
    r"(?:'(?:[^'\\]|\\.?|'')*+(?:'|\Z)|\"(?:[^\"\\]|\\.?|\"\")*+(?:\"|\Z))",
    re.IGNORECASE | re.DOTALL | re.ASCII,
)
_WORD = re.compile(r"[a-z]+", re.IGNORECASE | re.ASCII)
_MAIN_WORDS = re.compile(r"\b(?:select|insert|update|delete|merge|replace)\b|[()]", re.IGNORECASE | re.ASCII)


def normalised(statement: str, *, double_quotes_values: bool) -> str:
    """The statement with `?` in the place of each value, on one line and without comments.

    `double_quotes_values`: what stands in double quotes is a value, as in MySQL and MariaDB, and else a name.
    """

    def replaced(found: re.Match[str]) -> str:
        if found["comment"] is not None:
            return " "
        return found[0] if found["value"] is None else "?"

    pattern = _WITH_VALUES if double_quotes_values else _WITH_NAMES
    text = pattern.sub(replaced, statement[:LONGEST])
    text = _LISTS.sub("(?, ...)", text)
    text = _ROWS.sub(r"\1, ...", text)
    return _BLANKS.sub(" ", text).strip(" ;")


def shown(statement: str, *, double_quotes_values: bool, with_values: bool = False) -> str:
    """What may be shown of a statement, at most 4096 characters: with the values in it only where they may be, too."""
    text = normalised(statement, double_quotes_values=double_quotes_values)
    if is_about_accounts(text):
        return f"{' '.join(text.split()[:2])} ... {_HIDDEN}"
    if with_values and not _DELICATE.search(statement[:LONGEST]):
        text = statement.strip().removesuffix(";")
    return text if len(statement) <= LONGEST else f"{text[:LONGEST]}..."


def is_about_accounts(statement: str) -> bool:
    """Whether a normalised statement may hold a password."""
    return _ABOUT_ACCOUNTS.search(statement) is not None


def without_quoted(message: str) -> str:
    """A message that may quote from a statement."""
    return _QUOTED.sub('"..."', message)


def without_passwords(message: str) -> str:
    """A message of a server with what it quotes as somebody's password taken out."""
    return _NAMED_PASSWORD.sub(r"\1?", message)


def verb_of(normalised_statement: str) -> str:
    """What it does, such as SELECT; of one that begins with WITH, what comes of it."""
    word = _WORD.search(normalised_statement)
    verb = word[0].upper() if word else ""
    return verb if verb != "WITH" else _main_verb(normalised_statement)


def _main_verb(statement: str) -> str:
    depth = 0
    for found in _MAIN_WORDS.finditer(statement):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0 and found[0] not in "()":
            return found[0].upper()
    return "WITH"
