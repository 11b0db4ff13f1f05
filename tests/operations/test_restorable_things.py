"""What two looks at an instance tell of the time between."""

import io

from openrds.operations.intake.restorable import Thing, Window, databases, tables, things
from openrds.operations.steps import inventories

BEFORE = [("app",), ("app", "public", "gone"), ("app", "public", "kept"), ("app", "z", "kept"), ("old",)]
AFTER = [("app",), ("app", "public", "Kept"), ("app", "public", "kept"), ("app", "z", "kept"), ("new",)]


def written(places: list[tuple[str, ...]]) -> bytes:
    file = io.BytesIO()
    inventories.write(file, places)
    return file.getvalue()


def test_what_was_there_at_one_look_alone_is_marked() -> None:
    found = list(things(written(BEFORE), written(AFTER)))
    assert [one.place for one in found] == sorted({*BEFORE, *AFTER})
    assert [(one.place[-1], one.only) for one in found if one.only] == [
        ("Kept", "after"),
        ("gone", "before"),
        ("new", "after"),
        ("old", "before"),
    ]


def test_one_look_cannot_be_compared() -> None:
    for looks in ((written(BEFORE), None), (None, written(BEFORE))):
        assert list(things(*looks)) == [Thing(place, None) for place in BEFORE]


def test_a_page_of_tables_knows_how_many_there_are() -> None:
    found = tables(things(written(BEFORE), written(AFTER)), "", "KEPT", Window(1, 1))
    assert [one.place for one in found.shown] == [("app", "public", "kept")]
    assert found.tables == {(): 3, ("app",): 3, ("app", "public"): 2, ("app", "z"): 1}


def test_a_page_of_databases_knows_their_tables() -> None:
    found = databases(things(written(BEFORE), written(AFTER)), "", Window(0, 2))
    assert [(one.database, one.only) for one in found.shown] == [("app", None), ("new", "after")]
    assert found.tables[("app",)] == found.tables[()] == 4


def test_very_many_names_are_read_in_their_order() -> None:
    """More than one piece of the file."""
    places = [("app",), *(("app", "public", f"t{number:06}") for number in range(30_000))]
    assert list(inventories.read(written(places))) == places
