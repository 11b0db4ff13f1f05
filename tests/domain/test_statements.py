"""What is shown of a statement: none of its values, and none that may hold a password."""

import time

import pytest

from openrds.domain.statements import LONGEST, normalised, shown, verb_of, without_passwords, without_quoted

NAMES, VALUES = False, True


@pytest.mark.parametrize(
    ("statement", "double_quotes_values", "expected"),
    [
        (
            "select * from t where a = 'x''y' and b=12.5 -- of mine",
            NAMES,
            "select * from t where a = ? and b=?",
        ),
        ("select * from t\nwhere c in (1, 2,\t3);", NAMES, "select * from t where c in (?, ...)"),
        ("INSERT INTO t1 VALUES (1,'a'),(2,'b')", VALUES, "INSERT INTO t1 VALUES (?, ...), ..."),
        ('select "a name" from t where x1 = $1', NAMES, 'select "a name" from t where x1 = $1'),
        ('select "a value" from `a name 1`', VALUES, "select ? from `a name 1`"),
        ("do $x$ begin perform 'hidden'; end $x$", NAMES, "do ?"),
        ("select $$hidden$$, $a$hidden$$hidden$a$, 1", NAMES, "select ?, ?, ?"),
        ("select $é1_$hidden$é1_$, $Z$ $ $Z$", NAMES, "select ?, ?"),
        ("select E'it\\'s hidden', U&'hidden', x'ab', 1e5, 0xff", NAMES, "select ?, ?, ?, ?, ?"),
        ("select 'a\\', 'hidden'", NAMES, "select ?, ?"),
        ("select 'a\\', still a value', _utf8'hidden'", VALUES, "select ?, ?"),
        ("select 'begun and cut off", NAMES, "select ?"),
        ('select "begun and cut off\\', VALUES, "select ?"),
        ("select /* begun and cut off", NAMES, "select"),
        ("select j->'a'->>'b', a #> '{c}' from t", NAMES, "select j->?->>?, a #> ? from t"),
        ("select 1 # of mine", VALUES, "select ?"),
        ("/*!50000 select 'hidden' */", VALUES, "select ? */"),
        ("", NAMES, ""),
    ],
)
def test_values_are_replaced(statement: str, double_quotes_values: bool, expected: str) -> None:
    assert normalised(statement, double_quotes_values=double_quotes_values) == expected


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE USER x IDENTIFIED BY 'hidden'",
        "create/* y */role x with login password 'hidden'",
        "alter\nuser x password 'hidden",
        "SET PASSWORD FOR x = 'hidden'",
        "SET PASSWORD = PASSWORD('hidden')",
        "GRANT ALL ON *.* TO x IDENTIFIED BY 'hidden'",
        "SELECT 1; ALTER ROLE x PASSWORD $$hidden$$",
        "/*!80000 ALTER USER x IDENTIFIED WITH y AS 'hidden' */",
        "CHANGE MASTER TO MASTER_PASSWORD = 'hidden'",
        "CREATE SUBSCRIPTION x CONNECTION 'password=hidden' PUBLICATION y",
        "SELECT dblink_connect('password=hidden')",
        "UPDATE accounts SET password_hash = 'hidden'",
    ],
)
@pytest.mark.parametrize("with_values", [True, False])
@pytest.mark.parametrize("double_quotes_values", [NAMES, VALUES])
def test_no_password_is_shown(statement: str, with_values: bool, double_quotes_values: bool) -> None:
    said = shown(statement, double_quotes_values=double_quotes_values, with_values=with_values)
    assert said and "hidden" not in said


def test_other_values_are_shown_where_they_may_be() -> None:
    statement = "SELECT *\nFROM orders WHERE id = 7;"
    assert shown(statement, double_quotes_values=NAMES, with_values=True) == statement[:-1]
    assert shown(statement, double_quotes_values=NAMES) == "SELECT * FROM orders WHERE id = ?"


@pytest.mark.parametrize(
    ("statement", "verb"),
    [
        ("select ?", "SELECT"),
        ("(select ?)", "SELECT"),
        ("with a as (select ?), b as (select ?) delete from t", "DELETE"),
        ("with a as (insert into t values (?)) select", "SELECT"),
        ("", ""),
    ],
)
def test_what_a_statement_does(statement: str, verb: str) -> None:
    assert verb_of(statement) == verb


def test_messages_are_shown_without_passwords() -> None:
    message = (
        "Query: CREATE USER x IDENTIFIED BY 'hidden', IDENTIFIED WITH y AS \"hidden\", PASSWORD 'hid\\'den'"
    )
    assert "hid" not in without_passwords(message)
    assert without_passwords('password authentication failed for user "x"').endswith('user "x"')
    assert "hidden" not in without_quoted("syntax error at or near \"'hidden'\"")


@pytest.mark.parametrize(
    "part",
    ["'", '"', "$a$", "$", "(", "(?,", "(?,?),", "/*", "--\n", "#", "1", "1.1e", "a", "grant ", "set ", "`"],
)
def test_a_long_statement_takes_a_moment(part: str) -> None:
    statement = part * (2**20 // len(part))
    begun = time.process_time()
    for double_quotes_values in (NAMES, VALUES):
        said = shown(statement, double_quotes_values=double_quotes_values)
        assert len(said) <= LONGEST + 3
    assert time.process_time() - begun < 0.5
