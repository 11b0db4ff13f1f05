"""Every SQL statement of openrds, by name, from the files in `sql/`."""

import re
from importlib import resources

_NAME = re.compile(rb"^-- name: (\w+)\s*$", re.MULTILINE)


class Queries:
    """The statements of one file: `load("tasks").insert_task` is the text below `-- name: insert_task`."""

    def __init__(self, noun: str) -> None:
        text = (resources.files("openrds.store") / "sql" / f"{noun}.sql").read_bytes()
        parts = _NAME.split(text)[1:]
        self._statements = {
            name.decode(): statement.strip() for name, statement in zip(parts[::2], parts[1::2], strict=True)
        }

    def __getattr__(self, name: str) -> bytes:
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(f"no statement is named {name}") from None

    def names(self) -> list[str]:
        return list(self._statements)
