"""The docs and the program say the same, and what the docs point to is there."""

import ast
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import typer
from generated_tables import ROOT, TABLES, drawn, pages, tables_in
from litestar.routes import HTTPRoute

from openrds.api import health, instance_metrics
from openrds.api.rds.not_offered import NOT_OFFERED
from openrds.cli.main import app as cli
from openrds.domain.instance import InstanceStatus
from openrds.domain.settings import Settings
from openrds.operations.registry import OPERATIONS
from openrds.store.migrate import migrations
from support.application import unstarted_application

DOCS = ROOT / "docs"
PAGES = [str(page.relative_to(ROOT)) for page in pages()]

#: Hosts that the docs may name. Where packages come from is the machine's to say, and no page's.
_HOSTS = {
    "keepachangelog.com",
    "semver.org",
    "db.example.com",
    "hooks.example.com",
    "www.standardwebhooks.com",
}
_HOST = re.compile(r"\b(?:[a-z0-9-]+\.)+(?:com|org|net|io|dev|cn|de)\b", re.IGNORECASE)

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_SOURCE_FILE = re.compile(r"`((?:[\w.]+/)+[\w.-]+\.(?:py|sql|sh|toml))`")
_ROUTE = re.compile(r"^\| `([A-Z]+) (/[^` ]*)` \|", re.MULTILINE)


def read(page: str) -> str:
    return (ROOT / page).read_text()


def prose(text: str) -> str:
    """The page without its code."""
    return _FENCED.sub("", text)


# --- Settings ---


def documented_settings() -> dict[str, tuple[str, str]]:
    """Variable and default of each setting, as the table has them."""
    row = re.compile(r"^\| `(\w+)` \| `(\w+)` \| (.+?) \| .+ \|$", re.MULTILINE)
    return {
        name: (variable, default) for name, variable, default in row.findall(read("docs/configuration.md"))
    }


def default_of(setting: Any) -> str:
    if setting.default is MISSING:
        return "required"
    values = setting.default if isinstance(setting.default, tuple) else (setting.default,)
    text = ",".join(str(value) for value in values if value is not None)
    return f"`{text}`" if text else "empty"


def test_every_setting_is_documented_with_its_variable_and_default() -> None:
    settings = {
        setting.name: (f"OPENRDS_{setting.name.upper()}", default_of(setting)) for setting in fields(Settings)
    }
    assert documented_settings() == settings


# --- Tables drawn from the code ---


@pytest.mark.parametrize("page", PAGES)
def test_generated_tables_are_as_the_code_has_them(page: str) -> None:
    text = read(page)
    assert text == drawn(text), "run .venv/bin/python tests/docs/generated_tables.py"


def test_every_generated_table_is_in_the_docs() -> None:
    """So every error code, task name, operation and status is."""
    found = [table for page in PAGES for table in tables_in(read(page))]
    assert sorted(found) == sorted(TABLES)


# --- The API ---


def routes() -> set[tuple[str, str]]:
    return {
        (method, route.path_format)
        for route in unstarted_application().routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method not in {"OPTIONS", "HEAD"}
    }


def of_the_page(path: str) -> bool:
    """Whether a path only serves the parts of the page that shows the API."""
    return path.startswith("/schema/") and path != "/schema/openapi.json"


def test_every_route_is_documented() -> None:
    """Those that are refused have a table, which is drawn."""
    refused = {(call.method, call.path) for call in NOT_OFFERED}
    served = {(method, path) for method, path in routes() - refused if not of_the_page(path)}
    assert set(_ROUTE.findall(read("docs/api.md"))) == served


# --- Metrics, commands, tables ---


def metric_names() -> set[str]:
    """As a scrape shows them: a counter's name ends with `_total`."""
    source = Path(health.__file__).read_text()
    defined = re.findall(r"(Counter|Gauge|Histogram)\(\s*\"(openrds_\w+)\"", source)
    of_service = {f"{name}_total" if kind == "Counter" else name for kind, name in defined}
    return of_service | instance_metrics.NAMES


def test_every_metric_is_documented() -> None:
    row = re.compile(r"^\| `(openrds_\w+)` \|", re.MULTILINE)
    assert set(row.findall(read("docs/operations.md"))) == metric_names()


def commands() -> dict[str, Any]:
    """Every command by its full name, such as `openrds instance create`."""

    def below(command: Any, name: str) -> dict[str, Any]:
        if not hasattr(command, "commands"):
            return {name: command}
        return {
            full: leaf
            for part, child in command.commands.items()
            for full, leaf in below(child, f"{name} {part}").items()
        }

    return below(typer.main.get_command(cli), "openrds")


def test_every_command_is_documented() -> None:
    rows = re.findall(r"^\| `(openrds [a-z -]+?)(?: [A-Z-][^`]*)?` \|", read("docs/cli.md"), re.MULTILINE)
    assert set(rows) == set(commands())


def test_every_table_of_the_store_is_documented() -> None:
    tables = {
        table for _, _, text in migrations() for table in re.findall(r"^create table (\w+)", text, re.M)
    }
    row = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \|", re.MULTILINE)
    section = read("docs/architecture.md").partition("## The store\n")[2].partition("\n## ")[0]
    assert {name for names in row.findall(section) for name in re.findall(r"\w+", names)} == tables


def test_every_status_that_an_instance_may_have_is_documented() -> None:
    section = read("docs/statuses.md").partition("## Which statuses there are now\n")[2]
    endings = [ending for one in OPERATIONS.values() for ending in (one.on_completed, one.on_failed)]
    given = {one.status for one in OPERATIONS.values() if one.status}.union(
        *(one.statuses for one in endings)
    )
    assert set(re.findall(r"^\| ([A-Z ]+) \|", section, re.MULTILINE)) == given | {
        InstanceStatus.STORAGE_FULL
    }


# --- Messages ---


def texts_of(tree: ast.AST) -> list[str]:
    """Every text in a program; dots stand for what is filled in."""
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(re.sub(r"%[sd]", "...", node.value))
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "..." for part in node.values)
            texts.append("".join(map(str, parts)))
    return texts


def troubles() -> list[str]:
    section = read("docs/operations.md").partition("## Troubleshooting\n")[2]
    return re.findall(r"^\| `(.+?)`[^|]* \|", section, re.MULTILINE)


@pytest.fixture(scope="module")
def program_texts() -> str:
    sources = (ROOT / "src/openrds").rglob("*.py")
    return "\n".join(text for source in sources for text in texts_of(ast.parse(source.read_text())))


#: What the operating system or PostgreSQL adds, or a path that stands for others.
_NOT_OURS = {": Cannot assign requested address.", "/root is 0700: the user ", " permission denied for "}


@pytest.mark.parametrize("message", troubles())
def test_messages_to_look_up_are_those_of_the_program(message: str, program_texts: str) -> None:
    for part in set(message.split("...")) - _NOT_OURS:
        assert part in program_texts.replace("`", ""), part


# --- What the docs point to ---


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = _HEADING.findall(prose(page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in _LINK.findall(prose(read(page))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    for file in _SOURCE_FILE.findall(read(page)):
        assert any((place / file).exists() for place in (ROOT, ROOT / "src/openrds")), file


@pytest.mark.parametrize("page", PAGES)
def test_no_page_names_a_host_where_packages_come_from(page: str) -> None:
    assert {host.lower() for host in _HOST.findall(read(page))} <= _HOSTS


def test_every_page_of_the_docs_is_in_the_readme() -> None:
    linked = {link.partition("#")[0] for link in _LINK.findall(read("README.md"))}
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md")} - {"docs/benchmarks.md"} <= linked


# --- Commands in examples ---


def example_commands() -> list[tuple[str, str]]:
    return [
        (page, line.removeprefix("$ "))
        for page in PAGES
        for language, text in _FENCED.findall(read(page))
        if language in {"sh", "console"}
        for line in text.splitlines()
        if line.removeprefix("$ ").startswith("openrds ") and not line.startswith("openrds ready")
    ]


@pytest.mark.parametrize(("page", "line"), example_commands())
def test_commands_in_examples_can_be_given_so(page: str, line: str) -> None:
    """The names and options exist; those that run in an example run in `test_examples.py`."""
    known = commands()
    name = max((one for one in known if line.startswith(one)), key=len, default="")
    assert name, f"{page}: there is no such command: {line}"
    known[name].make_context(name, line.removeprefix(name).partition(" #")[0].split())
