"""What a restore can choose: the databases and tables that an instance had at a moment."""

from collections.abc import Iterator

from openrds.cli.client import Client, Json
from openrds.cli.output import note
from openrds.cli.session import Session

_SEEN = {"before": "only before", "after": "only after", "": ""}
#: As many as the service tells at once.
_PAGE = 10_000


def list_databases(session: Session, instance: Json, moment: int, like: str | None) -> None:
    pages = list(_pages(session.client, instance, "databases", moment, {"database_name_like": like}))
    found = [one for page in pages for one in page["databases"]]
    rows = [(one["name"], one["total_tables"], _SEEN[one.get("only", "")]) for one in found]
    session.output.rows(pages[0] | {"databases": found}, ("DATABASE", "TABLES", "SEEN"), rows)
    _say_when(pages[0])


def list_tables(session: Session, instance: Json, moment: int, like: str | None) -> None:
    pages = list(_pages(session.client, instance, "tables", moment, {"table_name_like": like}))
    found = [one for page in pages for database in page["databases"] for one in _tables(database)]
    rows = [(".".join(filter(None, names)), _SEEN[only]) for *names, only in found]
    keys = ("database", "schema", "table", "only")
    listed = {"tables": [dict(zip(keys, one, strict=True)) for one in found]}
    known = {key: value for key, value in pages[0].items() if key != "databases"}
    session.output.rows(known | listed, ("TABLE", "SEEN"), rows)
    _say_when(pages[0])


def _pages(
    client: Client, instance: Json, kind: str, moment: int, wanted: dict[str, str | None]
) -> Iterator[Json]:
    """The first, and those after it that have something."""
    path = f"{instance['datastore']['type'].lower()}/instances/history/{kind}"
    body = {"instance_ids": [instance["id"]], "restore_time": moment}
    body |= {name: text for name, text in wanted.items() if text}
    offset = 0
    while True:
        answer = client.post(path, body, {"offset": offset, "limit": _PAGE})
        (page,) = answer["instances"]
        if page["databases"] or not offset:
            yield page
        if not page["databases"]:
            return
        offset += _PAGE


def _tables(database: Json) -> Iterator[tuple[str, str, str, str]]:
    for schema in database.get("schemas") or [{"name": "", "tables": database.get("tables", [])}]:
        for table in schema["tables"]:
            yield database["name"], schema["name"], table["name"], table.get("only", "")


def _say_when(page: Json) -> None:
    looks = [page[side] for side in ("seen_before", "seen_after") if page[side]]
    note(f"Seen at {' and at '.join(looks)}; what was made and dropped between is not known.")
