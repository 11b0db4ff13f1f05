"""How our processes log: one line a record, whatever the text in it."""

import logging
import re
import sys

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
#: Before each further line of a record, which only a traceback has.
_FURTHER = "  | "
#: Candidates; the others are printable in any case.
_ODD = re.compile(r"[^ -~]")


class LineFormatter(logging.Formatter):
    """No text of a caller ends a line or moves the cursor: what cannot be printed is written as Python escapes it.

    Lines of a traceback are marked, so that none looks like a record of its own.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: "logging._SysExcInfoType") -> str:  # noqa: N802
        return _further(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _further(super().formatStack(stack_info))


def printable(text: str) -> str:
    return text if text.isprintable() else _ODD.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _further(text: str) -> str:
    return "\n".join(_FURTHER + printable(line) for line in text.split("\n"))


def set_up_logging(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(_FORMAT))
    logging.basicConfig(level=level, handlers=[handler])
