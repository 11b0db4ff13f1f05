"""Backups, archives and restores of MySQL and MariaDB: what is theirs beside what every engine promises."""

import time
from dataclasses import replace

import pytest

from openrds.engines.binlog.sessions import rows, scalar, session
from openrds.engines.protocol import EngineError, RestorePoint, TableCopy
from openrds.hosts.folders import make_home
from support.restored import backed_up, moment, needs_lasting_imports, restored, scratch_of

pytestmark = [pytest.mark.grouped_by("installed"), pytest.mark.of_engines("MariaDB", "MySQL")]


def values(node, table="app.kept"):
    with session(node) as connection:
        return scalar(connection, f"SELECT GROUP_CONCAT(x ORDER BY x) FROM {table}")


def test_each_commit_is_restored_once_over_a_failover(trial, eventually):
    """What the dead primary did not archive is; what it alone had is no part of what was."""
    backups = trial.engine.backups
    old = trial.started()
    trial.query(old, "CREATE TABLE kept (x INT PRIMARY KEY)")
    folder, backup = backed_up(trial, old)
    trial.query(old, "INSERT INTO kept VALUES (1)")
    backups.archive_log(old.node)
    standby = trial.standby_of(old)
    trial.query(old, "INSERT INTO kept VALUES (2)")
    eventually(lambda: values(standby.node) == "1,2")
    standby.stop()
    trial.query(old, "INSERT INTO kept VALUES (66)")
    trial.kill(old)
    standby.start()
    standby.replication.promote()
    new = trial.engine.server(replace(standby.node, upstream=None))
    new.configure()
    assert backups.is_archived_since(new.node.archive, backup.log_position, new.node)
    trial.query(new, "INSERT INTO kept VALUES (3)")
    old = trial.engine.server(replace(old.node, upstream=new.node.as_upstream(is_equal=True)))
    old.replication.archive_remains()
    old.replication.archive_remains()
    backups.archive_log(new.node)

    assert backups.is_archived_since(new.node.archive, backup.log_position)
    scratch = restored(trial, new, folder, _now(trial, new))

    assert values(scratch) == "1,2,3"


def _now(trial, server):
    then = moment(trial, server)
    trial.engine.backups.archive_log(server.node)
    return then


def test_log_that_is_lost_is_seen(trial):
    backups = trial.engine.backups
    server = trial.started()
    _, backup = backed_up(trial, server)
    for number in range(3):
        trial.query(server, f"CREATE TABLE kept{number} (x INT)")
        backups.archive_log(server.node)
    archive = server.node.archive
    assert backups.is_archived_since(archive, backup.log_position, server.node)
    found = sorted(path for path in archive.rglob("*-binlog.*") if path.suffix != ".json")
    found[1].unlink()
    assert not backups.is_archived_since(archive, backup.log_position)


def test_rounds_ship_what_is_finished_once(trial):
    backups = trial.engine.backups
    server = trial.started()
    first = trial.dialect.close_log(server.node)

    backups.ship_log(server.node)
    before = {path: path.stat().st_ino for path in server.node.archive.rglob("*")}
    backups.ship_log(server.node)

    assert server.node.archive / first in before
    assert {path: path.stat().st_ino for path in server.node.archive.rglob("*")} == before
    assert {path.stat().st_uid for path in before} == {trial.user.uid}


def test_a_server_keeps_its_log_for_so_many_hours_and_until_it_is_archived(trial):
    backups = trial.engine.backups
    server = trial.started()
    name = trial.dialect.close_log(server.node).rpartition("-")[2]
    local = server.node.data_dir / name

    backups.clear_log(server.node, 1, archived=False)
    backups.clear_log(server.node, 0, archived=True)
    assert local.exists()
    backups.ship_log(server.node)
    time.sleep(1)  # its end is known by the second
    backups.clear_log(server.node, 0, archived=True)

    assert not local.exists()
    backups.archive_log(server.node)


@pytest.mark.of_engines("MariaDB")
def test_followers_have_what_was_copied(trial, eventually):
    primary = trial.started()
    trial.query(primary, "CREATE TABLE kept (x INT PRIMARY KEY)")
    trial.query(primary, "INSERT INTO kept VALUES (1), (2)")
    folder, _ = backed_up(trial, primary)
    standby = trial.standby_of(primary)
    then = _now(trial, primary)
    trial.query(primary, "DELETE FROM kept")
    scratch = restored(trial, primary, folder, then)
    copies = [TableCopy("app", "", "kept", "kept_old")]

    trial.engine.copying.copy(scratch, primary.node, copies, "a" * 32)
    trial.engine.copying.publish(primary.node, copies, "a" * 32)

    eventually(lambda: "kept_old" in tables_of(standby.node))
    assert values(standby.node, "app.kept_old") == "1,2"
    assert standby.replication.state().streaming
    assert standby.replication.rejoin() == "attached"


def tables_of(node):
    with session(node) as connection:
        return scalar(connection, "SELECT GROUP_CONCAT(table_name) FROM information_schema.tables")


def test_a_table_that_is_a_file_is_found_by_who_restores_until_a_backup_has_it(trial):
    server = trial.started()
    needs_lasting_imports(server)
    trial.query(server, "CREATE TABLE kept (x INT PRIMARY KEY)")
    trial.query(server, "INSERT INTO kept VALUES (1), (2)")
    folder, backup = backed_up(trial, server)
    then = _now(trial, server)
    scratch = restored(trial, server, folder, then)
    copies = [TableCopy("app", "", "kept", "kept_old")]
    backups, copying = trial.engine.backups, trial.engine.copying
    copying.copy(scratch, server.node, copies, "a" * 32)
    copying.publish(server.node, copies, "a" * 32)
    trial.query(server, "INSERT INTO kept_old VALUES (3)")
    files = server.node.archive / ".imports" / ("a" * 32)
    backups.prune_archive(server.node.archive, backup.log_position)
    assert files.exists()

    later = restored(trial, server, folder, _now(trial, server), "later")

    assert values(later, "app.kept_old") == "1,2,3"
    (files / "t0.ibd").rename(files / "elsewhere")  # which is not asked for where the table was not there yet
    before = restored(trial, server, folder, then, "before")
    assert "kept_old" not in tables_of(before)
    with session(before) as connection:
        assert not rows(connection, "SHOW DATABASES LIKE 'openrds%'")
    _, newer = backed_up(trial, server, "newer")
    backups.prune_archive(server.node.archive, newer.log_position)
    assert not files.exists()
    with session(server.node) as connection:
        assert not server.flavour.has_whole_log(connection), "nobody makes a follower of its log alone"


def test_a_server_that_speaks_no_tls_is_backed_up(trial):
    """MariaDB's program wants TLS by default, as its clients do."""
    server = trial.engine.server(replace(trial.started().node, tls=None))
    server.stop()
    server.configure()
    server.start()
    backed_up(trial, server)


def test_a_restored_server_has_a_log_of_its_own(trial):
    """Whoever followed what was before does not take it for that."""
    server = trial.started()
    trial.query(server, "CREATE TABLE kept (x INT PRIMARY KEY)")
    folder, _ = backed_up(trial, server)
    flavour = server.flavour
    with session(server.node) as connection:
        before = scalar(connection, flavour.position)
    scratch = restored(trial, server, folder, None)
    trial.engine.server(scratch).stop()
    node = trial.node()
    scratch.data_dir.rename(node.data_dir)
    again = trial.engine.server(node)
    again.configure()
    again.start()
    with session(node) as connection:
        position = scalar(connection, flavour.position)
        assert position
        assert before not in position
        assert not flavour.has_whole_log(connection)
    trial.query(again, "INSERT INTO kept VALUES (1)")
    standby = trial.standby_of(again)
    assert values(standby.node) == "1"


def test_a_copy_that_is_cut_off_is_no_backup(trial, monkeypatch):
    server = trial.started()
    folder = trial.folder / "backup"
    make_home(folder)
    backups = trial.engine.backups
    copy = backups._copy

    def copy_and_damage(node, folder, base):
        position = copy(node, folder, base)
        path = base / "ibdata1"
        path.write_bytes(path.read_bytes()[:-163840])
        return position

    monkeypatch.setattr(backups, "_copy", copy_and_damage)
    with pytest.raises(EngineError, match="ibdata1 is cut off"):
        backups.back_up(server.node, folder)


def test_a_backup_without_data_is_not_restored(trial):
    server = trial.initialised()
    folder = trial.folder / "nothing"
    make_home(folder)
    with pytest.raises(EngineError, match="there is no base backup"):
        trial.engine.backups.restore(scratch_of(trial, server), RestorePoint(folder, server.node.archive))
