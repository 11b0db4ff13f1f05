"""The tables in `docs/` that are drawn from the code.

Each stands between `<!-- generated: NAME -->` and `<!-- end -->`. To draw them anew:

    .venv/bin/python tests/docs/generated_tables.py
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from openrds.api.rds.not_offered import NOT_OFFERED
from openrds.domain.engine import EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.instance import InstanceStatus
from openrds.domain.statuses import ALLOWED, Action, check_allowed
from openrds.domain.task import TaskName
from openrds.operations.registry import OPERATIONS
from openrds.tasks.operation import Operation

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def errors() -> str:
    rows = ((f"`{error.code}`", str(error.status), error.meaning) for error in ErrorCode)
    return _table(("`error_code`", "HTTP", "meaning"), rows)


def task_names() -> str:
    rows = ((name.name.lower().replace("_", " "), f"`{name.on(EngineName.POSTGRESQL)}`") for name in TaskName)
    return _table(("what", "`name` of its task, for PostgreSQL"), rows)


def operations() -> str:
    header = (
        "operation",
        "`name` of its task",
        "asked for in",
        "status meanwhile",
        "its steps, in their order",
    )
    return _table(header, map(_operation, OPERATIONS.values()))


def _operation(operation: Operation[Any, Any]) -> tuple[str, ...]:
    names = (name.on(EngineName.POSTGRESQL) for name in (operation.name, *operation.also_named))
    asked_for_in = sorted(ALLOWED[operation.action]) if operation.action else ()
    steps = (f"**{step.name}**" if step.final else step.name for step in operation.steps)
    return (
        f"`{operation.key}`",
        ", ".join(f"`{name}`" for name in names),
        ", ".join(asked_for_in),
        operation.status or "",
        ", ".join(steps),
    )


def statuses() -> str:
    rows = ((status.value, *(_verdict(action, status) for action in ALLOWED)) for status in InstanceStatus)
    return _table(("status", *ALLOWED), rows)


def _verdict(action: Action, status: InstanceStatus) -> str:
    try:
        check_allowed(action, status)
    except Refusal as refusal:
        return f"`{refusal.error.code}`"
    return "**yes**"


def not_offered() -> str:
    """A row for each reason, with the paths below `/v3/{project_id}/`."""
    calls = defaultdict(list)
    for call in NOT_OFFERED:
        calls[call.reason].append(f"`{call.method} {call.path.removeprefix('/v3/{project_id}/')}`")
    return _table(("why", "calls"), ((reason, "<br>".join(found)) for reason, found in calls.items()))


TABLES: dict[str, Callable[[], str]] = {
    "errors": errors,
    "task-names": task_names,
    "operations": operations,
    "not-offered": not_offered,
    "statuses": statuses,
}


def drawn(text: str) -> str:
    """The page with every generated table as the code has it now."""
    return _BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]]()}{block[3]}", text)


def tables_in(text: str) -> list[str]:
    return [block[2] for block in _BLOCK.finditer(text)]


def pages() -> list[Path]:
    """Every page that a reader of the repository is meant to read."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for page in pages():
        page.write_text(drawn(page.read_text()))
