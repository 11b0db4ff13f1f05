"""Tables and databases of MySQL and MariaDB under new names, as they were at a moment, and what is refused of them.

What a tenant wrote comes back as the tenant's: nothing of it runs with the rights of the service.
"""

import pymysql
import pytest

from openrds.engines.binlog.loading import loader
from openrds.engines.binlog.sessions import execute, named, rows, scalar, session
from openrds.engines.protocol import DatabaseCopy, EngineError, NameTaken, NotThere, TableCopy
from openrds.hosts.processes import wait_until
from support.restored import backed_up, moment, needs_lasting_imports, restored

pytestmark = [pytest.mark.grouped_by("installed"), pytest.mark.of_engines("MariaDB", "MySQL")]

BEFORE = """
CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL);
INSERT INTO customers VALUES (1, 'a');
CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer INT, note VARCHAR(50) UNIQUE,
    kept INT AS (CHAR_LENGTH(note)) STORED, seen INT AS (CHAR_LENGTH(note) + 1) VIRTUAL, CHECK (note <> ''),
    INDEX by_customer (customer), FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE)
    COMMENT 'it''s a `table`; -- DROP';
INSERT INTO orders (customer, note) WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 900)
    SELECT 1, CONCAT('n', x) FROM n;
CREATE TABLE `odd näme` (x INT PRIMARY KEY, t TEXT, FULLTEXT (t));
INSERT INTO `odd näme` VALUES (1, 'hello world');
CREATE TABLE parted (x INT PRIMARY KEY) PARTITION BY HASH (x) PARTITIONS 3;
INSERT INTO parted VALUES (1), (2), (3);
CREATE TABLE `dash-ed` (x INT PRIMARY KEY, b BLOB);
INSERT INTO `dash-ed` VALUES (1, 'x'), (2, NULL);
CREATE VIEW once AS SELECT id, note FROM orders;
CREATE VIEW again AS SELECT id FROM once;
CREATE TRIGGER louder BEFORE INSERT ON orders FOR EACH ROW SET NEW.note = CONCAT(NEW.note, '!');
CREATE PROCEDURE counted() SELECT COUNT(*) FROM orders;
CREATE FUNCTION next_of(a INT) RETURNS INT DETERMINISTIC RETURN a + 1;
CREATE EVENT cleaning ON SCHEDULE EVERY 1 HOUR STARTS '2037-01-01 00:00:00' DO DELETE FROM customers WHERE id > 5;
CREATE DATABASE other;
CREATE TABLE other.parents (id INT PRIMARY KEY);
CREATE DATABASE children;
CREATE TABLE children.child (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES other.parents (id));
CREATE DATABASE viewing;
CREATE TABLE viewing.near (id INT PRIMARY KEY);
CREATE VIEW viewing.far AS SELECT near.id FROM viewing.near JOIN app.orders ON orders.id = near.id;
CREATE DATABASE strange;
CREATE TABLE strange.plain (x INT);
CREATE DATABASE tampered;
CREATE TABLE tampered.plain (x INT);
CREATE VIEW tampered.mine AS SELECT x FROM tampered.plain
"""
TABLES = ("orders", "odd näme", "parted", "dash-ed")


@pytest.fixture(scope="module")
def accident(module_trial):
    """A trial with a server, what it was at a moment, in a scratch server, and a backup of before."""
    trial = module_trial
    server = trial.started()
    folder, _ = backed_up(trial, server)
    with trial.client(server) as client:
        for statement in BEFORE.split(";\n"):
            client.execute(statement)
    then = moment(trial, server)
    trial.query(server, "DELETE FROM orders WHERE id > 10")
    trial.query(server, "DROP EVENT cleaning")
    trial.engine.backups.archive_log(server.node)
    return trial, server, restored(trial, server, folder, then), folder


def copied(trial, server, scratch, copies, mark):
    copying = trial.engine.copying
    copying.check_names(server.node, copies)
    copying.copy(scratch, server.node, copies, mark)
    copying.copy(scratch, server.node, copies, mark)
    copying.publish(server.node, copies, mark)
    copying.publish(server.node, copies, mark)


def ours(server):
    """What is left of the service's work where a tenant may see it."""
    with session(server.node) as connection:
        databases = [name for row in rows(connection, "SHOW DATABASES") for name in row.values()]
        users = [row["name"] for row in rows(connection, "SELECT User AS name FROM mysql.user")]
    return [name for name in (*databases, *users) if "openrds" in name]


def test_a_restored_server_has_what_there_was(accident):
    _, _, scratch, _ = accident
    with session(scratch) as connection:
        assert scalar(connection, "SELECT COUNT(*) FROM app.orders") == 900
        asked = "SELECT status AS status, definer AS definer FROM information_schema.events"
        (event,) = rows(connection, asked)
        assert (event["status"], event["definer"]) == ("ENABLED", "root@%")


def test_tables_come_back_under_new_names_with_all_that_is_their_own(accident):
    trial, server, scratch, _ = accident
    copies = [TableCopy("app", "", name, f"{name}_old") for name in TABLES]

    copied(trial, server, scratch, copies, "a" * 32)

    with trial.client(server) as client:
        counted = "SELECT COUNT(*), SUM(kept), SUM(seen), MAX(note) FROM orders_old"
        assert client.execute(counted) == [(900, 3492, 4392, "n99")]
        ((_, definition),) = client.execute("SHOW CREATE TABLE orders_old")
        for words in (
            "`by_customer`",
            "UNIQUE KEY",
            "STORED",
            "VIRTUAL",
            "CHECK",
            "AUTO_INCREMENT=901",
            "-- DROP",
        ):
            assert words in definition
        assert "FOREIGN KEY" not in definition, "a copy does not act on others"
        assert client.execute("SHOW TRIGGERS LIKE 'orders_old'") == []
        found = "SELECT x FROM `odd näme_old` WHERE MATCH(t) AGAINST ('hello')"
        assert client.execute(found) == [(1,)]
        assert client.execute("SELECT COUNT(*) FROM parted_old") == [(3,)]
        assert client.execute("SELECT * FROM `dash-ed_old`") == [(1, b"x"), (2, None)]
        client.execute("INSERT INTO orders_old (note) VALUES ('more')")
        assert client.execute("SELECT MAX(id) FROM orders_old") == [(901,)]
    assert ours(server) == []
    with pytest.raises(NameTaken, match="is taken"):
        trial.engine.copying.check_names(server.node, copies)


def test_tables_survive_a_crash_at_once(accident):
    """Whether they came as files or by the log: recovery begins before, and goes over what was done to them since."""
    trial, server, scratch, _ = accident
    names = ("orders", "odd näme", "dash-ed")
    copied(
        trial, server, scratch, [TableCopy("app", "", name, f"{name}_crashed") for name in names], "9" * 32
    )
    trial.query(server, "INSERT INTO orders_crashed (note) VALUES ('since')")

    trial.kill(server)
    server.start()

    with trial.client(server) as client:
        assert client.execute("SELECT COUNT(*), MAX(id) FROM orders_crashed") == [(901, 901)]
        assert client.execute("SELECT COUNT(*) FROM `odd näme_crashed`") == [(1,)]
        assert client.execute("SELECT COUNT(*) FROM `dash-ed_crashed`") == [(2,)]
        for name in names:
            assert client.execute(f"CHECK TABLE `{name}_crashed` EXTENDED")[0][-1] == "OK"
            client.execute(f"DROP TABLE `{name}_crashed`")


def test_a_crash_right_after_a_table_was_imported_leaves_a_server_that_can_have_it_again(
    accident, monkeypatch
):
    """Nothing says yet that recovery begins after the import."""
    trial, server, scratch, _ = accident
    needs_lasting_imports(server)
    copies = [TableCopy("app", "", "orders", "orders_again")]

    def crash(*_: object) -> None:
        trial.kill(server)
        raise EngineError("the server is gone")

    with monkeypatch.context() as patched:
        patched.setattr(type(server.flavour), "make_imports_last", crash)
        with pytest.raises(EngineError):
            trial.engine.copying.copy(scratch, server.node, copies, "8" * 32)
    server.start()
    copied(trial, server, scratch, copies, "8" * 32)

    trial.kill(server)
    server.start()
    with trial.client(server) as client:
        assert client.execute("SELECT COUNT(*) FROM orders_again") == [(900,)]
        assert client.execute("CHECK TABLE orders_again EXTENDED")[0][-1] == "OK"
        client.execute("DROP TABLE orders_again")
    assert ours(server) == []


def test_a_database_comes_back_under_a_new_name_and_does_not_act_beside_the_old(accident):
    trial, server, scratch, _ = accident

    copied(trial, server, scratch, [DatabaseCopy("app", "before the accident")], "b" * 32)

    with trial.client(server) as client:
        client.execute("USE `before the accident`")
        assert client.execute("SELECT COUNT(*) FROM again") == [(900,)]
        ((_, definition),) = client.execute("SHOW CREATE TABLE orders")
        assert "REFERENCES `customers`" in definition
        assert client.execute("CALL counted()") == [(900,)]
        assert client.execute("SELECT next_of(3)") == [(4,)]
        client.execute("INSERT INTO orders (customer, note) VALUES (1, 'quiet')")
        assert client.execute("SELECT note FROM orders WHERE id = 901") == [("quiet!",)]
        with pytest.raises(pymysql.IntegrityError):
            client.execute("INSERT INTO orders (customer, note) VALUES (2, 'nobody')")
        definers = client.execute(
            "SELECT definer FROM information_schema.views WHERE table_schema = DATABASE() UNION "
            "SELECT definer FROM information_schema.routines WHERE routine_schema = DATABASE() UNION "
            "SELECT definer FROM information_schema.triggers WHERE trigger_schema = DATABASE() UNION "
            "SELECT definer FROM information_schema.events WHERE event_schema = DATABASE()"
        )
        assert definers == [("root@%",)]
        asked = "SELECT status FROM information_schema.events WHERE event_schema = DATABASE()"
        assert client.execute(asked) == [("DISABLED",)]
    assert ours(server) == []


def test_what_was_copied_is_in_the_log(accident):
    """So that whoever restores later, or follows, has it too."""
    trial, server, scratch, folder = accident
    copied(trial, server, scratch, [TableCopy("app", "", "orders", "logged")], "c" * 32)
    then = moment(trial, server)
    trial.engine.backups.archive_log(server.node)

    later = restored(trial, server, folder, then, "later")

    with session(later) as connection:
        assert scalar(connection, "SELECT COUNT(*) FROM app.logged") == 900
        assert not rows(connection, "SHOW DATABASES LIKE 'openrds%%'")
    trial.engine.backups.drop(later)
    assert not later.folder.exists()


def test_what_is_not_there_is_an_error_and_leaves_nothing(accident):
    trial, server, scratch, _ = accident
    copying = trial.engine.copying
    copies = [TableCopy("app", "", "orders", "gone"), TableCopy("app", "", "never_was", "never_is")]

    with pytest.raises(NotThere, match=r"no table app\.never_was at that moment"):
        copying.copy(scratch, server.node, copies, "d" * 32)
    copying.discard(server.node, copies, "d" * 32)

    assert ours(server) == []
    for wrong in (TableCopy("nowhere", "", "a", "b"), TableCopy("mysql", "", "user", "users")):
        with pytest.raises(NotThere, match="there is no database"):
            copying.check_names(server.node, [wrong])
    with pytest.raises(NotThere, match=r"no table app\.never_was"):
        copying.check_present(server.node, [copies[1]])
    with pytest.raises(NameTaken, match="app is taken"):
        copying.check_names(server.node, [DatabaseCopy("other", "app")])
    for name in ("x" * 65, "blank ", "\N{PILE OF POO}"):
        with pytest.raises(EngineError, match="is no name"):
            copying.check_names(server.node, [DatabaseCopy("app", name)])
    with pytest.raises(NotThere, match="no database mysql"):
        copying.copy(scratch, server.node, [DatabaseCopy("mysql", "rights")], "d" * 32)
    copying.discard(server.node, [DatabaseCopy("mysql", "rights")], "d" * 32)


@pytest.mark.of_engines("MariaDB")
def test_what_leads_out_of_a_database_is_refused(accident):
    trial, server, scratch, _ = accident
    for database, problem in (
        ("children", "leads to another database"),
        ("viewing", "tables of several databases"),
    ):
        copies = [DatabaseCopy(database, f"{database}_again")]
        with pytest.raises(EngineError, match=problem):
            trial.engine.copying.copy(scratch, server.node, copies, "e" * 32)
        trial.engine.copying.discard(server.node, copies, "e" * 32)
    assert ours(server) == []


@pytest.mark.of_engines("MariaDB")
def test_a_name_that_is_taken_meanwhile_leaves_nothing(accident):
    trial, server, scratch, _ = accident
    copying = trial.engine.copying
    tables, databases = [TableCopy("app", "", "parted", "met")], [DatabaseCopy("other", "met")]
    copying.copy(scratch, server.node, tables, "f" * 32)
    copying.copy(scratch, server.node, databases, "0" * 32)
    with trial.client(server) as client:
        client.execute("CREATE TABLE met (own INT)")
        client.execute("CREATE DATABASE met")
    with pytest.raises(EngineError, match="already exists"):
        copying.publish(server.node, tables, "f" * 32)
    with pytest.raises(EngineError, match="exists"):
        copying.publish(server.node, databases, "0" * 32)
    copying.discard(server.node, tables, "f" * 32)
    copying.discard(server.node, databases, "0" * 32)
    with trial.client(server) as client:
        assert client.execute("SELECT COUNT(own) FROM met") == [(0,)]
        assert client.execute("SHOW TABLES FROM met") == []
    assert ours(server) == []


# Nothing of a tenant's runs with rights of the service's


def test_nothing_becomes_the_services(accident):
    """No tenant can say that; but if one could, a restore would not be the way."""
    trial, server, scratch, _ = accident
    with session(scratch) as connection:
        execute(connection, "CREATE DEFINER = 'rdsAdmin'@'localhost' VIEW strange.powerful AS SELECT 1")
    copies = [DatabaseCopy("strange", "strange_again")]
    with pytest.raises(EngineError, match=r"strange\.powerful has the definer rdsAdmin@localhost"):
        trial.engine.copying.copy(scratch, server.node, copies, "1" * 32)
    trial.engine.copying.discard(server.node, copies, "1" * 32)
    assert ours(server) == []


@pytest.mark.of_engines("MariaDB")
def test_what_a_tenant_changed_meanwhile_is_not_made(accident):
    trial, server, scratch, _ = accident
    copies, mark = [DatabaseCopy("tampered", "tampered_again")], "2" * 32
    trial.engine.copying.copy(scratch, server.node, copies, mark)
    evil = "CREATE DEFINER = 'rdsAdmin'@'localhost' VIEW mine AS SELECT * FROM mysql.user"
    trial.query(server, f'UPDATE `openrds_{mark}_0`.`openrds objects` SET statement = "{evil}"')
    with pytest.raises(EngineError, match="was changed while it was restored"):
        trial.engine.copying.publish(server.node, copies, mark)
    trial.engine.copying.discard(server.node, copies, mark)
    assert ours(server) == []
    assert trial.query(server, "SELECT COUNT(*) FROM information_schema.views WHERE definer LIKE 'rds%'") == 0


def test_who_loads_can_do_nothing_else(accident):
    _, server, _, _ = accident
    with session(server.node, logged=True) as connection:
        execute(connection, "CREATE DATABASE IF NOT EXISTS openrds_place")
    with loader(server.node, "3" * 32, ("openrds_place",)) as connection:
        execute(connection, "CREATE TABLE openrds_place.own (x INT)")
        for forbidden in (
            "SELECT * FROM mysql.user",
            "INSERT INTO app.customers VALUES (7, 'x')",
            "SELECT * FROM app.customers",
            "SET GLOBAL max_connections = 10",
            "SET SESSION sql_log_bin = 0",
            "CREATE USER somebody",
            "GRANT ALL ON openrds_place.* TO root",
            "CREATE DEFINER = 'rdsAdmin'@'localhost' VIEW openrds_place.v AS SELECT 1",
            "SELECT 1 INTO OUTFILE '/tmp/openrds-of-a-test'",
            "LOAD DATA INFILE '/etc/passwd' INTO TABLE openrds_place.own",
        ):
            with pytest.raises(pymysql.Error):
                execute(connection, forbidden)
        assert scalar(connection, "SELECT LOAD_FILE('/etc/passwd')") is None
    with session(server.node, logged=True) as connection:
        execute(connection, f"DROP DATABASE {named('openrds_place')}")
    assert ours(server) == []


@pytest.mark.of_engines("MariaDB")
def test_a_loader_that_was_left_at_work_is_cut_off(accident):
    trial, server, _, _ = accident
    mark = "4" * 32
    with session(server.node) as connection:
        execute(connection, "CREATE USER 'openrds_4444444444444444'@'localhost' IDENTIFIED BY 'x'")
    trial.engine.copying.discard(server.node, [TableCopy("app", "", "orders", "x")], mark)
    assert wait_until(lambda: ours(server) == [], 10)
