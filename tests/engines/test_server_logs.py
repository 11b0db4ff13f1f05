"""What servers write down of themselves is read, whatever clients have put there."""

import contextlib
import datetime as dt
import os
import time

import pytest

from openrds.domain.logs import LogKind, moment_of
from openrds.domain.statements import LONGEST
from openrds.engines.binlog.server_logs import BinlogServerLogs
from openrds.engines.postgresql.server_logs import PostgreSQLServerLogs
from openrds.engines.protocol import LogFile

pytestmark = pytest.mark.grouped_by("installed")

POSTGRESQL, BINLOG = PostgreSQLServerLogs(), BinlogServerLogs()


def record(
    message: str, *, user: str = "root", severity: str = "ERROR", statement: str = "", more: str = ""
) -> bytes:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if text else ""

    fields = [
        *("2026-02-03 04:05:06.789 UTC", quoted(user), quoted("shop"), "77", quoted("10.0.0.9:5000")),
        *("6981.1", "3", quoted("SELECT"), "2026-02-03 04:00:00 UTC", "3/0", "0", severity, "22012"),
        *(quoted(message), quoted("a detail"), "", "", "", quoted("a context"), quoted(statement), "", ""),
        quoted("an application"),
    ]
    return f"{','.join(fields)}{more}\n".encode()


@pytest.mark.parametrize("more", ["", ',"client backend"', ',"client backend",,0'])
def test_errors_of_postgresql_of_any_version(more: str) -> None:
    text = record('he said "no"\nand left', statement="select 1/0", more=more)
    (entry,) = POSTGRESQL.errors(text)
    assert (entry.level, entry.statement) == ("ERROR", "select 1/0")
    assert entry.content == 'he said "no"\nand left\nDETAIL: a detail'
    assert moment_of(entry.at) == dt.datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=dt.UTC)


def test_slow_statements_of_postgresql() -> None:
    text = b"".join(
        [
            record("duration: 1500.250 ms  statement: select 'a\nb', \"c\"", severity="LOG"),
            record("duration: 1001.000 ms  execute S_1: select $1", severity="LOG"),
            record("duration: 5.000 ms", severity="LOG"),
            record("duration: 2000.000 ms  statement: vacuum", user="rdsAdmin", severity="LOG"),
        ]
    )
    assert list(POSTGRESQL.errors(text)) == []
    first, second = POSTGRESQL.slow(text)
    assert (first.seconds, first.statement) == (1.50025, "select 'a\nb', \"c\"")
    assert (first.database, first.user, first.client) == ("shop", "root", "10.0.0.9")
    assert (second.seconds, second.statement) == (1.001, "select $1")


def test_a_client_makes_no_entry_of_postgresql_that_is_not_its_own() -> None:
    """Nor does it hide others, also where a file is read from the middle on."""
    forged = record("forged").decode()
    text = record(f"x\n{forged}", user=f'y"\n{forged}', statement=forged) + record("after")
    assert [entry.content.split("\n")[0] for entry in POSTGRESQL.errors(text)] == ["x", "after"]
    for cut in range(0, len(text), 7):
        contents = [entry.content.split("\n")[0] for entry in POSTGRESQL.errors(text[cut:])]
        assert "after" in contents or len(text) - cut < len(record("after"))


SLOW = b"""/usr/sbin/mysqld, Version: 9.1 (source). started with:
Tcp port: 3306  Unix socket: /x
Time                 Id Command    Argument
# Time: 2026-02-03T04:05:06.789000Z
# User@Host: root[root] @  [10.0.0.9]  Id:     8
# Query_time: 1.500250  Lock_time: 0.000100 Rows_sent: 1  Rows_examined: 20
use shop;
SET timestamp=1770091505;
select 'a
b';
# Time: 2026-02-03T04:05:08.000000Z
# User@Host: rdsAdmin[rdsAdmin] @ localhost []  Id:     9
# Query_time: 2.0  Lock_time: 0.0 Rows_sent: 0  Rows_examined: 0
SET timestamp=1770091505;
FLUSH ERROR LOGS;
# User@Host: root[root] @ localhost []  Id:     8
# Query_time: 2.0  Lock_time: 0.0 Rows_sent: 0  Rows_examined: 0
SET timestamp=1770091506;
select 2;
"""


def test_slow_statements_of_mysql() -> None:
    first, second = BINLOG.slow(SLOW)
    assert moment_of(first.at) == dt.datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=dt.UTC)
    assert (first.seconds, first.lock_seconds, first.rows_sent, first.rows_examined) == (
        1.50025,
        0.0001,
        1,
        20,
    )
    assert (first.database, first.user, first.client) == ("shop", "root", "10.0.0.9")
    assert first.statement == "select 'a\nb';"
    assert (second.database, second.client, second.statement) == ("shop", "localhost", "select 2;")
    (alone,) = BINLOG.slow(SLOW[SLOW.rindex(b"# User@Host") :])
    assert moment_of(alone.at) == dt.datetime(2026, 2, 3, 4, 5, 8, tzinfo=dt.UTC)


def test_slow_statements_of_mariadb() -> None:
    text = b"""# Time: 260203  4:05:06
# User@Host: root[root] @  [10.0.0.9]
# Thread_id: 31  Schema: shop  QC_hit: No
# Query_time: 1.5  Lock_time: 0.0  Rows_sent: 1  Rows_examined: 0
# Rows_affected: 0  Bytes_sent: 65
SET timestamp=1770091506;
select sleep(1);
# User@Host: root[root] @  [10.0.0.9]
# Thread_id: 32  Schema:   QC_hit: No
# Query_time: 1.5  Lock_time: 0.0  Rows_sent: 1  Rows_examined: 0
# Rows_affected: 0  Bytes_sent: 65
SET timestamp=1770091506;
select sleep(2);
"""
    entry, nowhere = BINLOG.slow(text)
    assert (nowhere.database, nowhere.statement) == ("", "select sleep(2);")
    assert moment_of(entry.at) == dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    assert (entry.database, entry.statement) == ("shop", "select sleep(1);")


def test_errors_of_mysql_and_mariadb() -> None:
    text = b"""not an entry
2026-02-03T04:05:06.000001Z 0 [System] [MY-010931] [Server] ready
2026-02-03T04:05:07.000001Z 8 [ERROR] [MY-010045] [Server] it failed
because of that
2026-02-03  4:05:08 0 [Note] InnoDB: fine
260203  4:05:09 [ERROR] mariadbd got signal 11 ;
2026-99-99  4:05:08 0 [Note] no such day
"""
    entries = list(BINLOG.errors(text))
    assert [entry.level for entry in entries] == ["INFO", "ERROR", "NOTE", "ERROR"]
    assert entries[1].content == "[MY-010045] [Server] it failed\nbecause of that"
    times = [moment_of(entry.at).time() for entry in entries]
    assert times == sorted(times) and times[-1] == dt.time(4, 5, 9)


@pytest.mark.parametrize("logs", [POSTGRESQL, BINLOG], ids=["postgresql", "binlog"])
@pytest.mark.parametrize(
    "piece",
    [
        b'2026-02-03 04:05:06.789 UTC,"',
        b'2026-02-03 04:05:06.789 UTC,""\n',
        b"2026-02-03 04:05:06.789 UTC," + b"," * 30 + b"\n",
        b"# Time: 2026-02-03T04:05:06.789000Z\n",
        b"# User@Host: a[b] @ c [d]\n# Query_time: 1e999 Lock_time: nan\nSET timestamp=99999999999;\n",
        b"# User@Host: [[[[[ @ \n#\n",
        b"2026-02-03T04:05:06.000001Z 0 [ERROR] ",
        b"\xff\xfe\x00\n",
        b'"',
        b",\n",
    ],
)
def test_whatever_is_in_a_file_is_read_in_a_moment(
    logs: PostgreSQLServerLogs | BinlogServerLogs, piece: bytes
) -> None:
    text = piece * (2**20 // len(piece))
    begun = time.process_time()
    for entry in (*logs.errors(text), *logs.slow(text)):
        assert len(getattr(entry, "content", "")) <= LONGEST + 4
        assert len(getattr(entry, "statement", "")) <= LONGEST + 4
        assert "\x00" not in str(entry)
    assert time.process_time() - begun < 5


@pytest.mark.every_engine
def test_logs_that_grow_large_are_closed_while_the_server_writes_on(trial, eventually):
    """PostgreSQL closes them itself, when it next has something to write."""
    server = trial.started()
    for kind in LogKind:
        os.truncate(trial.engine.logs.files(server.node, kind)[-1].path, 5 * 2**20)
    server.bound_logs()

    def current(kind: LogKind) -> LogFile | None:
        """The one that is written to, if another was closed."""
        with contextlib.suppress(trial.dialect.Error):
            trial.query(server, "SELECT nothing FROM nowhere")
        *closed, newest = trial.engine.logs.files(server.node, kind)
        return newest if any(file.size >= 5 * 2**20 for file in closed) else None

    for kind in LogKind:
        eventually(lambda kind=kind: current(kind))
        newest = current(kind)
        assert newest is not None and newest.size < 2**20


def test_what_is_no_file_of_the_server_is_not_read(trial, tmp_path):
    server = trial.started()
    (file,) = trial.engine.logs.files(server.node, LogKind.ERROR)
    secret = tmp_path / file.path.name
    secret.write_bytes(trial.engine.logs.read_end(server.node, file, 2**20))
    planted = {name: file.path.with_stem(f"{file.path.stem}-{name}") for name in ("link", "fifo", "folder")}
    planted["link"].symlink_to(secret)
    os.mkfifo(planted["fifo"])
    planted["folder"].mkdir()
    assert [one.path for one in trial.engine.logs.files(server.node, LogKind.ERROR)] == [file.path]
    for path in planted.values():
        assert trial.engine.logs.read_end(server.node, LogFile(path, 100, time.time()), 100) == b""
