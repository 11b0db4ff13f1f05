"""What every engine promises of backups, restores and copies under new names, asked of real servers."""

import datetime as dt
import shutil
from dataclasses import replace

import pytest

from openrds.engines.protocol import DatabaseCopy, EngineError, RestorePoint, TableCopy
from openrds.hosts.folders import make_home
from support.restored import backed_up, moment, scratch_of

pytestmark = [pytest.mark.grouped_by("installed")]

#: A scratch server serves one restore: tests that share one take a mark each, and each other tables.
MARK, OTHER_MARK, THIRD_MARK = (digit * 32 for digit in "012")


def serve(trial, server, scratch):
    """What was restored, as an instance of its own."""
    trial.engine.server(scratch).stop()
    node = trial.node(address=server.node.address)
    shutil.move(scratch.data_dir, node.data_dir)
    restored = trial.engine.server(node)
    restored.configure()
    server.stop()
    restored.start()
    return restored


def test_a_backup_alone_is_restored_to_its_end(trial):
    server = trial.started()
    trial.query(server, "CREATE TABLE kept AS SELECT 7 AS x")
    folder, backup = backed_up(trial, server)
    assert backup.begin < backup.end
    assert backup.size_bytes > 2**20
    trial.query(server, "CREATE TABLE later AS SELECT 8 AS x")
    scratch = scratch_of(trial, server)

    trial.engine.backups.restore(scratch, RestorePoint(folder, trial.folder / "no archive"))
    restored = serve(trial, server, scratch)

    assert trial.query(restored, "SELECT x FROM kept") == 7
    assert trial.query(restored, trial.dialect.count_tables("later")) == 0
    trial.query(restored, "CREATE TABLE writable AS SELECT 1 AS x")


def test_a_moment_is_restored_exactly(trial):
    server = trial.started()
    folder, _ = backed_up(trial, server)
    trial.query(server, "CREATE TABLE kept AS SELECT 7 AS x")
    then = moment(trial, server)
    trial.query(server, "UPDATE kept SET x = 8")
    trial.engine.backups.archive_log(server.node)
    scratch = scratch_of(trial, server)

    trial.engine.backups.restore(scratch, RestorePoint(folder, server.node.archive, then))
    restored = serve(trial, server, scratch)

    assert trial.query(restored, "SELECT x FROM kept") == 7


def test_the_last_commit_is_reached_where_nothing_comes_after_it(trial):
    server = trial.started()
    folder, _ = backed_up(trial, server)
    trial.query(server, "CREATE TABLE kept AS SELECT 7 AS x")
    then = moment(trial, server)
    trial.engine.backups.archive_log(server.node)
    scratch = scratch_of(trial, server)

    trial.engine.backups.restore(scratch, RestorePoint(folder, server.node.archive, then))

    assert trial.query(serve(trial, server, scratch), "SELECT x FROM kept") == 7


def test_what_a_dead_server_did_not_archive_is_read_where_it_lies(trial):
    server = trial.started()
    folder, _ = backed_up(trial, server)
    trial.query(server, "CREATE TABLE kept AS SELECT 7 AS x")
    trial.kill(server)
    scratch = scratch_of(trial, server)
    point = RestorePoint(folder, server.node.archive, dt.datetime.now(dt.UTC), remains=server.node.data_dir)

    trial.engine.backups.restore(scratch, point)

    assert trial.query(serve(trial, server, scratch), "SELECT x FROM kept") == 7


def test_a_moment_that_the_archive_does_not_reach_is_refused(trial):
    server = trial.started()
    folder, _ = backed_up(trial, server)
    scratch = scratch_of(trial, server)

    with pytest.raises(EngineError, match="archived log ends before"):
        trial.engine.backups.restore(
            scratch, RestorePoint(folder, server.node.archive, dt.datetime.now(dt.UTC))
        )

    assert not trial.engine.server(scratch).is_running()


@pytest.mark.of_engines("PostgreSQL")
def test_a_damaged_copy_is_no_backup(trial, monkeypatch):
    server = trial.started()
    run = type(trial.engine.backups.programs).run

    def run_and_damage(programs, command, user, node=None, *where, **more):
        output = run(programs, command, user, node, *where, **more)
        if node is not None:
            (folder / "data" / "global" / "pg_filenode.map").write_bytes(b"")
        return output

    folder = trial.folder / "backup"
    make_home(folder)
    if trial.installation.version == "12":
        pytest.skip("PostgreSQL 12 writes no manifest of a backup")
    monkeypatch.setattr(type(trial.engine.backups.programs), "run", run_and_damage)
    with pytest.raises(EngineError, match="pg_filenode"):
        trial.engine.backups.back_up(server.node, folder)


def test_the_archive_is_pruned_up_to_a_position(trial):
    server = trial.started()
    first = trial.dialect.close_log(server.node)
    trial.engine.backups.archive_log(server.node)
    _, backup = backed_up(trial, server)
    assert (server.node.archive / first).exists()

    trial.engine.backups.prune_archive(server.node.archive, None)
    assert (server.node.archive / first).exists(), "what was archived just now stays"
    trial.engine.backups.prune_archive(server.node.archive, backup.log_position)

    assert not (server.node.archive / first).exists()
    trial.engine.backups.archive_log(server.node)


def test_a_server_that_archives_elsewhere_is_told_where(trial):
    server = trial.started()
    moved = trial.engine.server(replace(server.node, archive=trial.folder / "moved" / "wal"))

    trial.engine.backups.archive_log(moved.node)

    assert list(moved.node.archive.iterdir())


# Tables and databases under new names


ACCIDENT = """
CREATE ROLE keeper;
CREATE TABLE customers (id int PRIMARY KEY);
INSERT INTO customers VALUES (1);
CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customers, note text UNIQUE CHECK (note <> ''));
INSERT INTO orders (customer, note) SELECT 1, 'n' || i FROM generate_series(1, 1000) AS i;
CREATE INDEX by_customer ON orders (customer);
GRANT keeper TO root;
GRANT CREATE ON SCHEMA public TO keeper;
ALTER TABLE orders OWNER TO keeper;
GRANT SELECT ON orders TO root;
GRANT USAGE ON SEQUENCE orders_id_seq TO root;
CREATE TABLE parts (id serial PRIMARY KEY);
"""


@pytest.fixture(scope="module")
def accident(module_trial):
    """A trial with a server, what is left of it at a moment before, and a scratch server of that moment."""
    trial = module_trial
    server = trial.started()
    folder, _ = backed_up(trial, server)
    trial.query(server, ACCIDENT)
    then = moment(trial, server)
    trial.query(server, "SET ROLE keeper; DELETE FROM orders WHERE id > 10")
    trial.engine.backups.archive_log(server.node)
    scratch = scratch_of(trial, server)
    trial.engine.backups.restore(scratch, RestorePoint(folder, server.node.archive, then))
    return trial, server, scratch


@pytest.mark.of_engines("PostgreSQL")
def test_a_database_comes_back_under_a_new_name(accident):
    trial, server, scratch = accident
    copying = trial.engine.copying
    copies = [DatabaseCopy("postgres", "before the accident")]

    copying.check_names(server.node, copies)
    copying.copy(scratch, server.node, copies, MARK)
    copying.copy(scratch, server.node, copies, MARK)
    copying.publish(server.node, copies, MARK)
    copying.publish(server.node, copies, MARK)

    count = trial.query(server, "SELECT count(*) FROM orders", database="before the accident")
    assert count == 1000
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'before the accident'"
    assert trial.query(server, owner) == "root"
    copying.discard(server.node, copies, MARK)
    assert trial.query(server, "SELECT count(*) FROM pg_database WHERE datname LIKE 'before%'") == 0


@pytest.mark.of_engines("PostgreSQL")
def test_a_table_that_was_not_there_is_an_error_and_leaves_nothing(accident):
    trial, server, scratch = accident
    copying = trial.engine.copying
    copies = [
        TableCopy("postgres", "public", "orders", "orders_gone"),
        TableCopy("postgres", "public", "never_was", "never_is"),
    ]

    with pytest.raises(EngineError, match=r"no table postgres\.public\.never_was at that moment"):
        copying.copy(scratch, server.node, copies, MARK)
    copying.discard(server.node, copies, MARK)

    assert trial.query(server, "SELECT to_regclass('orders_gone') IS NULL")
    assert trial.query(server, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'openrds%'") == 0


@pytest.mark.of_engines("PostgreSQL")
def test_a_name_that_is_taken_meanwhile_leaves_nothing(accident):
    trial, server, scratch = accident
    copying = trial.engine.copying
    copies = [TableCopy("postgres", "public", "parts", "parts_met")]
    copying.copy(scratch, server.node, copies, OTHER_MARK)
    trial.query(server, "CREATE TABLE parts_met ()")

    with pytest.raises(EngineError, match="already exists"):
        copying.publish(server.node, copies, OTHER_MARK)
    copying.discard(server.node, copies, OTHER_MARK)

    assert trial.query(server, "SELECT count(*) FROM pg_class WHERE relname LIKE 'parts_met%'") == 1


@pytest.mark.of_engines("PostgreSQL")
def test_a_table_comes_back_under_a_new_name_with_all_that_is_its_own(accident):
    trial, server, scratch = accident
    copying = trial.engine.copying
    copies = [TableCopy("postgres", "public", "orders", "orders_old")]

    copying.check_names(server.node, copies)
    copying.copy(scratch, server.node, copies, THIRD_MARK)
    assert trial.query(server, "SELECT to_regclass('orders_old') IS NULL"), "not before it is published"
    copying.copy(scratch, server.node, copies, THIRD_MARK)
    copying.publish(server.node, copies, THIRD_MARK)
    copying.publish(server.node, copies, THIRD_MARK)

    assert trial.query(server, "SELECT count(*) FROM orders_old") == 1000
    indexes = trial.query(
        server,
        "SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE tablename = 'orders_old'",
    )
    assert indexes == "orders_old_by_customer orders_old_note_key orders_old_pkey"
    sequence = trial.query(server, "SELECT pg_get_serial_sequence('orders_old', 'id')")
    assert sequence == "public.orders_old_id_seq"
    assert trial.query(server, "SELECT nextval('orders_old_id_seq')") > 1000
    owner = trial.query(server, "SELECT tableowner FROM pg_tables WHERE tablename = 'orders_old'")
    assert owner == "keeper"
    assert trial.query(server, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'openrds%'") == 0
    with pytest.raises(EngineError, match="is taken"):
        copying.check_names(server.node, copies)


@pytest.mark.of_engines("PostgreSQL")
def test_names_that_have_no_place_are_refused(shared):
    trial, server = shared
    for database, schema, problem in (
        ("nowhere", "public", "nowhere"),
        ("postgres", "nowhere", "no schema nowhere"),
    ):
        with pytest.raises(EngineError, match=problem):
            trial.engine.copying.check_names(server.node, [TableCopy(database, schema, "a", "b")])
    with pytest.raises(EngineError, match="postgres is taken"):
        trial.engine.copying.check_names(server.node, [DatabaseCopy("a", "postgres")])
