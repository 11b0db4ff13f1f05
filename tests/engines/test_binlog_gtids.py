"""Sets of transactions: what servers say is read, and one is told from another."""

import pytest

from openrds.engines.binlog.gtids import GtidSet, parse, writers

A, B = "1d337a75-ec12-11f1-90ff-02fc00000001", "2d337a75-ec12-11f1-90ff-02fc00000001"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", ""),
        (f"{A}:1-5", f"{A}:1-5"),
        (f"{A.upper()}:1-5:7", f"{A}:1-5:7"),
        (f"{A}:3:1-2:4", f"{A}:1-4"),
        (f"{B}:1,\n{A}:2-3", f"{A}:2-3,{B}:1"),
        ("0-1-130", "0:1-130"),
        ("0-1-104,0-2-130,7-1-3", "0:1-130,7:1-3"),
        ("0:1-130", "0:1-130"),
    ],
)
def test_what_servers_say_is_read(text, read):
    assert str(parse(text)) == read
    assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize(
    "text", ["x", f"{A}", f"{A}:", f"{A}:5-3", f"{A}:0-3", "0-1", f"{A}:tag:1", "a:1", f"{A}:1-2-3"]
)
def test_what_is_no_set_is_refused(text):
    with pytest.raises(ValueError, match=r"is no interval|names no transactions"):
        parse(text)


@pytest.mark.parametrize(
    ("one", "other", "union", "rest", "shared"),
    [
        (f"{A}:1-5", f"{A}:4-9", f"{A}:1-9", f"{A}:1-3", f"{A}:4-5"),
        (f"{A}:1-5", f"{A}:6-9", f"{A}:1-9", f"{A}:1-5", ""),
        (f"{A}:1-9", f"{A}:3:5-6", f"{A}:1-9", f"{A}:1-2:4:7-9", f"{A}:3:5-6"),
        (f"{A}:3:5-6", f"{A}:1-9", f"{A}:1-9", "", f"{A}:3:5-6"),
        (f"{A}:1-5", f"{B}:1-5", f"{A}:1-5,{B}:1-5", f"{A}:1-5", ""),
        (f"{A}:1-5,{B}:7", f"{B}:7", f"{A}:1-5,{B}:7", f"{A}:1-5", f"{B}:7"),
        ("0-1-10", "0-2-7", "0:1-10", "0:8-10", "0:1-7"),
        ("", "0-2-7", "0:1-7", "", ""),
    ],
)
def test_sets_are_put_together_and_taken_apart(one, other, union, rest, shared):
    assert parse(one) | parse(other) == parse(union)
    assert parse(one) - parse(other) == parse(rest)
    assert parse(one) & parse(other) == parse(shared)
    assert (parse(one) <= parse(other)) is (not rest)


def test_a_set_says_whether_it_holds_a_transaction():
    found = parse(f"{A}:1-5:9")
    assert [number for number in range(11) if found.holds(A, number)] == [1, 2, 3, 4, 5, 9]
    assert not found.holds(B, 1)
    assert not GtidSet()
    assert hash(parse(f"{A}:1-2:3")) == hash(parse(f"{A}:1-3"))


def test_positions_of_mariadb_say_who_wrote_last():
    assert writers("0-7-130,2-1-4") == {"0": "7", "2": "1"}
    assert writers(f"{A}:1-5") == {}
    assert writers("0:1-5") == {}
