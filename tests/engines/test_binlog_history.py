"""The logs of several primaries as one history, in files written here: each transaction once, and no gap unseen.

Servers are letters. In MySQL each numbers its own transactions; in MariaDB they number the same domain together.
"""

import os
import time

import pytest

from openrds.engines.binlog.archive import Archive, LocalLog, goes_on_from
from openrds.engines.binlog.events import LogReader
from openrds.engines.binlog.gtids import parse, writers
from openrds.engines.binlog.history import Gap, replay
from openrds.engines.protocol import EngineError
from openrds.hosts.user import ServerUser
from support.binlogs import SERVERS, mariadb_log, mysql_log, rotated, write

END = 10**18


@pytest.fixture
def user() -> ServerUser:
    return ServerUser("tests", os.geteuid(), os.getegid())


@pytest.fixture
def archive(tmp_path, user):
    (tmp_path / "archive").mkdir()
    return Archive(tmp_path / "archive", user)


def ship(archive, folder, node, *numbers, identity="log", before=""):
    local = LocalLog.of(folder, archive.user, identity)
    files = [path for path in local.files if not numbers or int(path.name[-6:]) in numbers]
    if before:
        archive.note_before(node, identity, parse(before))
    archive.note_primary(node, identity)
    archive.ship(node, local, files)
    return local


def done(archive, start, until=END, latest=None):
    """What is replayed, as words `writer` + `number`."""
    found = replay(archive.history(latest), parse(start), until, archive.user, writers(start))
    words = []
    for piece in found.pieces:
        for begin, end in piece.parts:
            words += _words(piece.path, begin, end)
    return " ".join(words), found


def _words(path, begin, end):
    letters = {uuid: letter for letter, uuid in SERVERS.items()} | {"1": "a", "2": "b", "3": "c"}
    with path.open("rb") as file:
        for one in LogReader(file, path.name, torn=True).transactions():
            if begin <= one.begin < end:
                yield f"{letters[one.writer or one.stream]}{one.number}"


def uuid(**last):
    return ",".join(f"{SERVERS[letter]}:1-{number}" for letter, number in last.items())


# MySQL: A was the primary up to 4; what it wrote as 5 never reached B, which took over then.


@pytest.fixture
def mysql_pair(archive, tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    write(a, 1, rotated(mysql_log(100, [("a", 1, 101), ("a", 2, 102)])))
    write(a, 2, rotated(mysql_log(103, [("a", 3, 103), ("a", 4, 104), ("a", 5, 105)], {"a": (1, 2)})))
    write(b, 1, rotated(mysql_log(101, [("a", 2, 102), ("a", 3, 103), ("a", 4, 104)])))
    write(b, 2, rotated(mysql_log(106, [("b", 1, 106), ("b", 2, 107)], {"a": (2, 4)})))
    ship(archive, a, "na", identity=SERVERS["a"])
    return archive, a, b


def test_each_transaction_is_replayed_once_over_a_failover(mysql_pair):
    archive, _, b = mysql_pair
    ship(archive, b, "nb", identity=SERVERS["b"], before=uuid(a=1))
    assert done(archive, "")[0] == "a1 a2 a3 a4 b1 b2"
    assert done(archive, uuid(a=3))[0] == "a4 b1 b2"
    assert done(archive, uuid(a=4, b=2))[0] == ""


def test_what_never_reached_the_next_primary_is_no_history(mysql_pair):
    archive, _, b = mysql_pair
    assert done(archive, "")[0] == "a1 a2 a3 a4 a5"
    ship(archive, b, "nb", identity=SERVERS["b"], before=uuid(a=1))
    assert "a5" not in done(archive, "")[0]
    assert not goes_on_from(archive.folder, uuid(a=5), latest_of(archive, b, before=uuid(a=1)))


def latest_of(archive, folder, before=""):
    return LocalLog.of(folder, archive.user, "x").chain(archive.user, parse(before))


def test_a_new_primary_ships_only_what_is_new(mysql_pair, archive):
    _, _, b = mysql_pair
    ship(archive, b, "nb", identity=SERVERS["b"], before=uuid(a=1))
    names = [path.name for path in (archive.folder / "nb" / SERVERS["b"]).iterdir()]
    assert "0000000101-binlog.000001" not in names
    assert "0000000106-binlog.000002" in names


def test_a_moment_ends_before_the_first_later_transaction(mysql_pair):
    archive, _, b = mysql_pair
    ship(archive, b, "nb", identity=SERVERS["b"], before=uuid(a=1))
    words, found = done(archive, "", until=104_000_000)
    assert words == "a1 a2 a3 a4"
    assert found.is_bounded
    assert done(archive, "", until=103_999_999)[0] == "a1 a2 a3"
    assert not done(archive, "")[1].is_bounded


def test_log_that_is_missing_is_a_gap(mysql_pair):
    archive, _, b = mysql_pair
    ship(archive, b, "nb", identity=SERVERS["b"], before=uuid(a=1))
    lost = archive.folder / "na" / SERVERS["a"] / "0000000103-binlog.000002"
    lost.unlink()
    assert not goes_on_from(archive.folder, uuid(a=1))
    assert goes_on_from(archive.folder, uuid(a=4))
    with pytest.raises(Gap, match="3-4 is missing"):
        done(archive, uuid(a=1))


def test_a_primary_whose_log_is_not_there_yet_tells_what_is_missing(mysql_pair):
    """Its log begins after what the dead one has archived: nobody has a2 to a4."""
    archive, _, b = mysql_pair
    (archive.folder / "na" / SERVERS["a"] / "0000000103-binlog.000002").unlink()
    (b / "binlog.000001").unlink()
    latest = latest_of(archive, b, before=uuid(a=1))
    assert not goes_on_from(archive.folder, uuid(a=2), latest)
    assert goes_on_from(archive.folder, uuid(a=4), latest)


def test_what_a_dead_primary_left_is_cut_where_it_is_torn(archive, tmp_path):
    log = mysql_log(100, [("a", 1, 101), ("a", 2, 102)])
    write(tmp_path / "a", 1, log[:-10])
    local = LocalLog.of(tmp_path / "a", archive.user, "x")
    archive.ship("na", local, local.files, torn=True)
    assert done(archive, "")[0] == "a1"


def test_a_finished_file_that_is_damaged_is_not_archived(archive, tmp_path):
    log = bytearray(mysql_log(100, [("a", 1, 101), ("a", 2, 102)]))
    log[-30] ^= 1
    write(tmp_path / "a", 1, bytes(log))
    with pytest.raises(EngineError, match="damaged at byte"):
        ship(archive, tmp_path / "a", "na")
    assert not list(archive.folder.rglob("*binlog*"))


# MariaDB: B took over at 4, and numbers go on. A wrote a 5 of its own.


@pytest.fixture
def mariadb_pair(archive, tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    write(a, 1, rotated(mariadb_log(100, [("a", 1, 101), ("a", 2, 102)])))
    write(a, 2, rotated(mariadb_log(103, [("a", 3, 103), ("a", 4, 104), ("a", 5, 104)], {"a": (1, 2)})))
    write(b, 1, rotated(mariadb_log(101, [("a", 3, 103), ("a", 4, 104)])))
    write(b, 2, rotated(mariadb_log(106, [("b", 5, 106), ("b", 6, 107)], {"a": (1, 4)})))
    ship(archive, a, "na")
    return archive, a, b


def test_of_two_with_one_number_the_later_primarys_counts(mariadb_pair):
    archive, _, b = mariadb_pair
    ship(archive, b, "nb")
    assert done(archive, "")[0] == "a1 a2 a3 a4 b5 b6"
    assert done(archive, "0-1-3")[0] == "a4 b5 b6"
    assert done(archive, "0-2-5")[0] == "b6"


def test_what_a_dead_primary_left_is_archived_late(archive, tmp_path):
    """In the same second, and with as many transactions, as its successor wrote."""
    a, b = tmp_path / "a", tmp_path / "b"
    write(a, 1, mariadb_log(100, [("a", 1, 101), ("a", 2, 102)]))
    write(b, 1, rotated(mariadb_log(100, [("a", 1, 101), ("b", 2, 102)])))
    ship(archive, b, "nb")
    left = LocalLog.of(a, archive.user, "log")
    archive.ship("na", left, left.files, torn=True)
    assert done(archive, "")[0] == "a1 b2"


def test_a_backup_with_what_was_lost_is_on_no_history(mariadb_pair):
    archive, _, b = mariadb_pair
    ship(archive, b, "nb")
    assert not goes_on_from(archive.folder, "0-1-5")
    assert goes_on_from(archive.folder, "0-1-4")
    with pytest.raises(Gap, match="never reached the server that took over"):
        done(archive, "0-1-5")


def test_numbers_of_mariadb_that_are_missing_are_a_gap(mariadb_pair):
    archive, _, b = mariadb_pair
    (archive.folder / "na" / "log" / "0000000103-binlog.000002").unlink()
    (b / "binlog.000001").unlink()
    ship(archive, b, "nb")
    assert not goes_on_from(archive.folder, "0-1-2")
    with pytest.raises(Gap, match="3-4 is missing"):
        done(archive, "0-1-2")


def test_a_second_of_mariadb_counts_as_a_whole(mariadb_pair):
    archive, _, b = mariadb_pair
    ship(archive, b, "nb")
    assert done(archive, "", until=104_000_000)[0] == "a1 a2 a3"
    assert done(archive, "", until=104_001_000)[0] == "a1 a2 a3 a4"


def test_one_that_is_the_primary_again_goes_on_with_its_log(mariadb_pair):
    archive, a, b = mariadb_pair
    ship(archive, b, "nb")
    # It was made anew from B, so its numbers begin anew too.
    for path in a.iterdir():
        path.unlink()
    write(a, 1, rotated(mariadb_log(108, [("b", 7, 108), ("a", 8, 109)])))
    write(b, 3, rotated(mariadb_log(108, [("b", 7, 108)], {"b": (1, 6)})))
    ship(archive, b, "nb")
    ship(archive, a, "na")
    assert done(archive, "0-1-2")[0] == "a3 a4 b5 b6 b7 a8"
    assert goes_on_from(archive.folder, "0-1-2")


def test_what_another_is_to_tell_stays_until_it_has(mariadb_pair):
    """A was the primary again, its log is archived; B took over, and dies before it has archived what it got of A."""
    archive, a, b = mariadb_pair
    ship(archive, b, "nb")
    write(a, 3, rotated(mariadb_log(107, [("b", 5, 106), ("b", 6, 107)], {"a": (1, 4)})))
    write(a, 4, rotated(mariadb_log(108, [("a", 7, 108), ("a", 8, 109)], {"b": (1, 6)})))
    local = LocalLog.of(a, archive.user, "log")
    archive.ship("na", local, local.files)

    archive.prune("0-1-7")

    write(a, 5, rotated(mariadb_log(110, [("b", 9, 110), ("a", 10, 111)], {"a": (1, 8)})))
    ship(archive, a, "na")
    assert done(archive, "0-1-7")[0] == "a8 b9 a10"
    assert goes_on_from(archive.folder, "0-1-7")

    # Had B lived, it would have told that.
    write(b, 3, rotated(mariadb_log(108, [("a", 7, 108), ("a", 8, 109)], {"b": (1, 6)})))
    write(b, 4, rotated(mariadb_log(110, [("b", 9, 110)], {"a": (1, 8)})))
    ship(archive, b, "nb")
    archive.prune("0-1-8")
    assert not (archive.folder / "na" / "log" / "0000000108-binlog.000004").exists()
    assert done(archive, "0-1-8")[0] == "b9"


# Both


@pytest.mark.parametrize(("log", "position"), [(mysql_log, uuid(a=2)), (mariadb_log, "0-1-2")])
def test_the_archive_is_pruned_up_to_a_position(archive, tmp_path, log, position):
    folder = tmp_path / "a"
    write(folder, 1, rotated(log(100, [("a", 1, 101), ("a", 2, 102)])))
    write(folder, 2, rotated(log(103, [("a", 3, 103)], {"a": (1, 2)})))
    write(folder, 3, log(104, [], {"a": (1, 3)}))
    ship(archive, folder, "na", 1, 2)
    archive.prune(None)
    assert done(archive, "")[0] == "a1 a2 a3", "what was archived just now stays"
    archive.prune(position)
    ship(archive, folder, "na", 1, 2)
    names = sorted(path.name for path in (archive.folder / "na" / "log").iterdir() if "binlog" in path.name)
    assert names == ["0000000103-binlog.000002", "0000000103-binlog.000002.json"]
    assert done(archive, position)[0] == "a3"
    assert goes_on_from(archive.folder, position)


def test_what_somebody_was_archiving_when_he_was_killed_is_pruned(archive, tmp_path):
    write(tmp_path / "a", 1, rotated(mysql_log(100, [("a", 1, 101)])))
    ship(archive, tmp_path / "a", "na")
    place = archive.folder / "na" / "log"
    for name, age in (("left", 2 * 3600), ("being-written", 0)):
        draft = place / f".{name}.draft"
        draft.touch()
        os.utime(draft, (time.time() - age,) * 2)
    archive.prune(None)
    assert [path.name for path in place.glob(".*")] == [".being-written.draft"]
    assert done(archive, "")[0] == "a1"


def test_a_note_that_is_gone_is_read_from_the_file(archive, tmp_path):
    write(tmp_path / "a", 1, rotated(mysql_log(100, [("a", 1, 101), ("a", 2, 102)])))
    ship(archive, tmp_path / "a", "na")
    (note,) = (archive.folder / "na" / "log").glob("*.json")
    with_note = archive.history()
    note.unlink()
    assert archive.history() == with_note


def test_without_log_nothing_is_missing(archive, tmp_path):
    assert goes_on_from(archive.folder, uuid(a=2))
    assert goes_on_from(tmp_path / "nowhere", "0-1-3")
    assert archive.reached() == 0
    archive.note_reached(17)
    assert archive.reached() == 17
