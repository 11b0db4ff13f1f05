"""What MySQL alone promises: what its administrator cannot get, how it is copied and follows, and what it needs."""

import contextlib
import os
import threading
import time
from dataclasses import replace

import psutil
import pymysql
import pytest

from openrds.domain.accounts import SetAccountHosts
from openrds.engines.binlog import replication, sessions
from openrds.engines.family import password_of
from openrds.engines.mysql import cloning
from openrds.engines.mysql.passwords import sha2_hash
from openrds.engines.protocol import EngineError
from openrds.hosts.processes import RECORD, find, wait_until
from support.dialects.dialect import PASSWORD

pytestmark = [pytest.mark.grouped_by("installed"), pytest.mark.of_engines("MySQL")]

#: What would make an administrator more than that, each by another way.
ESCALATIONS = (
    "UPDATE mysql.user SET super_priv = 'Y' WHERE user = 'root'",
    "INSERT INTO mysql.global_grants VALUES ('root', '%', 'SYSTEM_USER', 'Y')",
    "DELETE FROM mysql.user",
    "TRUNCATE mysql.user",
    "ALTER TABLE mysql.user ADD x INT",
    "RENAME TABLE mysql.user TO app.taken",
    "RENAME TABLE app.kept TO mysql.kept",
    "CREATE TABLE mysql.evil (x INT)",
    "CREATE VIEW mysql.evil AS SELECT 1",
    "CREATE PROCEDURE mysql.evil() SELECT 1",
    "CREATE EVENT mysql.evil ON SCHEDULE EVERY 1 DAY DO SELECT 1",
    "LOCK TABLES mysql.user WRITE",
    "DROP DATABASE mysql",
    "DROP DATABASE sys",
    "UPDATE sys.sys_config SET value = 'ON'",
    "CREATE VIEW sys.evil AS SELECT 1",
    "CALL sys.execute_prepared_stmt('UPDATE mysql.user SET super_priv = ''Y''')",
    "ALTER USER rdsAdmin@localhost IDENTIFIED BY 'x'",
    "ALTER USER rdsRepl@'%' IDENTIFIED BY 'x'",
    "ALTER USER `mysql.session`@localhost ACCOUNT UNLOCK",
    "SET PASSWORD FOR rdsAdmin@localhost = 'x'",
    "DROP USER rdsAdmin@localhost",
    "RENAME USER rdsAdmin@localhost TO mine@'%'",
    "ALTER USER rdsAdmin@localhost DEFAULT ROLE NONE",
    "GRANT PROXY ON rdsAdmin@localhost TO root@'%'",
    "GRANT rdsAdmin@localhost TO root@'%'",
    "GRANT `mysql.session`@localhost TO root@'%'",
    "SET ROLE rdsAdmin@localhost",
    "REVOKE ALL PRIVILEGES, GRANT OPTION FROM rdsAdmin@localhost",
    "GRANT SYSTEM_USER ON *.* TO root@'%'",
    "GRANT SUPER ON *.* TO root@'%'",
    "GRANT FILE ON *.* TO root@'%'",
    "GRANT RELOAD ON *.* TO root@'%'",
    "GRANT ALL ON *.* TO root@'%'",
    "GRANT INSERT ON mysql.* TO root@'%'",
    "GRANT INSERT ON mysql.user TO root@'%'",
    "CREATE DEFINER = rdsAdmin@localhost VIEW app.evil AS SELECT * FROM mysql.user",
    "CREATE DEFINER = rdsAdmin@localhost PROCEDURE app.evil() DELETE FROM mysql.user",
    "CREATE DEFINER = rdsAdmin@localhost FUNCTION app.evil() RETURNS INT DETERMINISTIC RETURN 1",
    "CREATE DEFINER = rdsAdmin@localhost TRIGGER app.evil BEFORE INSERT ON app.kept FOR EACH ROW SET @a = 1",
    "CREATE DEFINER = rdsAdmin@localhost EVENT app.evil ON SCHEDULE EVERY 1 SECOND DO SELECT 1",
    "CREATE DEFINER = `mysql.session`@localhost VIEW app.evil AS SELECT 1",
    "SET GLOBAL read_only = OFF",
    "SET GLOBAL require_secure_transport = OFF",
    "SET PERSIST max_connections = 10",
    "SET PERSIST_ONLY plugin_load = 'x'",
    "SET GLOBAL general_log_file = '/tmp/evil'",
    "SET GLOBAL init_connect = 'SELECT 1'",
    "SET GLOBAL partial_revokes = OFF",
    "SET SESSION sql_log_bin = 0",
    "SET SESSION gtid_next = 'AUTOMATIC'",
    "SELECT 1 INTO OUTFILE '/tmp/openrds-evil'",
    "SELECT 1 INTO DUMPFILE '/tmp/openrds-evil'",
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE app.kept",
    "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE app.kept",
    "INSTALL COMPONENT 'file://component_classic_hashing'",
    "INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'",
    "UNINSTALL PLUGIN clone",
    "CREATE FUNCTION sys_exec RETURNS INT SONAME 'lib_mysqludf_sys.so'",
    "CREATE TABLE app.other (x INT) DATA DIRECTORY = '/tmp/openrds-evil'",
    "CREATE TABLESPACE evil ADD DATAFILE '/tmp/evil.ibd'",
    "CREATE SERVER other FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'x')",
    "ALTER INSTANCE DISABLE INNODB REDO_LOG",
    "CLONE LOCAL DATA DIRECTORY = '/tmp/openrds-evil'",
    "SHUTDOWN",
    "RESTART",
    "RESET BINARY LOGS AND GTIDS",
    "PURGE BINARY LOGS BEFORE NOW()",
    "STOP REPLICA",
    "RESET REPLICA ALL",
    "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1'",
    "LOCK INSTANCE FOR BACKUP",
)


@pytest.fixture(scope="module")
def target(shared):
    trial, server = shared
    trial.query(server, "CREATE TABLE kept (x INT)")
    trial.query(server, f"CREATE USER app IDENTIFIED BY '{PASSWORD}'")
    return trial, server


@pytest.mark.parametrize("statement", ESCALATIONS)
def test_the_administrator_gets_no_more_rights_than_it_has(target, statement):
    trial, server = target
    with pytest.raises(trial.dialect.Error):
        trial.query(server, statement)


def test_nobody_gets_more_from_an_administrator_than_it_has(target):
    trial, server = target
    trial.query(server, "CREATE USER other IDENTIFIED BY 'Other#Word_1'")
    trial.query(server, "CREATE ROLE everything")
    trial.query(
        server,
        "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP ON *.* TO other, everything WITH GRANT OPTION",
    )
    trial.query(server, "GRANT everything TO other")
    for statement in (
        "UPDATE mysql.user SET super_priv = 'Y'",
        "SET ROLE everything",
        "INSERT INTO mysql.db (host, db, user) VALUES ('%', 'mysql', 'other')",
        "DROP TABLE mysql.user",
    ):
        with contextlib.suppress(trial.dialect.Error):
            trial.query(server, statement, user="other", password="Other#Word_1")
        with pytest.raises(trial.dialect.Error, match="denied"):
            trial.query(server, "DELETE FROM mysql.user", user="other", password="Other#Word_1")


def test_rights_stay_bounded_when_the_password_changes(target):
    trial, server = target
    before = trial.query(server, "SELECT user_attributes FROM mysql.user WHERE user = 'root' AND host = '%'")
    server.set_administrator("root", trial.engine.seal_password(PASSWORD))
    after = trial.query(server, "SELECT user_attributes FROM mysql.user WHERE user = 'root' AND host = '%'")
    assert before == after and "Restrictions" in after
    assert trial.query(server, "SELECT count(*) FROM mysql.user WHERE user = 'rdsMaking'") == 0


def test_what_a_tenant_wrote_runs_with_the_tenants_rights(target):
    """Definers and invokers alike."""
    trial, server = target
    trial.query(server, "CREATE PROCEDURE by_definer() DELETE FROM mysql.user")
    trial.query(server, "CREATE PROCEDURE by_invoker() SQL SECURITY INVOKER DELETE FROM mysql.user")
    trial.query(server, "CREATE VIEW seen AS SELECT user, super_priv FROM mysql.user")
    for statement in ("CALL by_definer()", "CALL by_invoker()", "UPDATE seen SET super_priv = 'Y'"):
        with pytest.raises(trial.dialect.Error, match=r"denied|lack rights"):
            trial.query(server, statement)


def test_an_administrator_does_its_work(target):
    trial, server = target
    for statement in (
        "CREATE DATABASE shop",
        "CREATE TABLE shop.item (x INT PRIMARY KEY, y INT)",
        "CREATE FUNCTION shop.one() RETURNS INT DETERMINISTIC RETURN 1",
        "CREATE TRIGGER shop.before_item BEFORE INSERT ON shop.item FOR EACH ROW SET NEW.y = shop.one()",
        "CREATE EVENT shop.daily ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.item",
        "CREATE VIEW shop.items AS SELECT * FROM shop.item",
        "INSERT INTO shop.item (x) VALUES (1)",
        "CREATE USER clerk IDENTIFIED BY 'Clerk#Word_1'",
        "GRANT SELECT ON shop.* TO clerk",
        "CREATE ROLE readers",
        "GRANT readers TO clerk",
        "SHOW BINARY LOGS",
        "SHOW PROCESSLIST",
        "SELECT user FROM mysql.user",
        "SELECT sys.format_path('/x')",
        "FLUSH PRIVILEGES",
    ):
        trial.query(server, statement)
    clerk = {"user": "clerk", "password": "Clerk#Word_1", "database": "shop"}
    assert trial.query(server, "SELECT y FROM shop.items", **clerk) == 1
    trial.query(server, "DROP DATABASE shop")


def test_the_services_accounts_are_reached_as_they_are_meant(target):
    trial, server = target
    node = server.node
    passwords = {name: password_of(node.secret, name) for name in ("rdsAdmin", "rdsRepl")}
    with pytest.raises(trial.dialect.Refused, match="denied"):
        trial.query(server, "SELECT 1", user="rdsAdmin", password=passwords["rdsAdmin"])
    process = psutil.Process(trial.pid(server))
    shown = " ".join((*process.cmdline(), *process.environ().values()))
    written = [path for path in node.folder.glob("*") if path.is_file()]
    logs = "".join(path.read_text() for path in (node.folder / "log").glob("*"))
    for secret in (node.secret, *passwords.values()):
        assert secret not in shown + logs
        assert not any(secret in path.read_text() for path in written)
    assert (
        trial.query(server, "SELECT count(*) FROM mysql.user WHERE host = 'localhost' AND user = 'root'") == 0
    )


def test_connections_may_be_encrypted(target):
    _, server = target
    connection = pymysql.connect(
        host=server.node.address,
        port=server.node.port,
        user="root",
        password=PASSWORD,
        ssl={"verify_mode": "none"},
    )
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        assert dict(cursor.fetchall())["Ssl_cipher"]


def who(name):
    return {"user": name, "database": "information_schema"}


def test_an_account_in_the_making_is_nobodys_role(target):
    """It has more than it will have: who may give roles tries to give it to itself, as fast as it can."""
    trial, server = target
    trial.query(server, f"CREATE USER racer IDENTIFIED BY '{PASSWORD}'")
    trial.query(server, "GRANT CREATE USER ON *.* TO racer")
    trial.query(server, "GRANT ROLE_ADMIN ON *.* TO racer")
    over, given = threading.Event(), []

    def race(name):
        aside = f"'{name}'@'nowhere.invalid'"
        with trial.dialect.connect(server.node.address, server.node.port, **who("racer")) as racer:
            while not over.is_set():
                with contextlib.suppress(pymysql.Error):
                    racer.execute(f"GRANT {aside} TO racer")
                    given.append(aside)

    racers = [threading.Thread(target=race, args=(name,)) for name in ("rdsMaking", "app")]
    for racer in racers:
        racer.start()
    try:
        for round_ in range(10):
            with sessions.session(server.node, logged=True) as connection:
                sessions.execute(connection, "DROP USER 'root'@'%'")
            server.set_administrator("root", trial.engine.seal_password(PASSWORD))
            hosts = ("%", "10.1.%") if round_ % 2 else ("%",)
            trial.engine.accounts.apply(server.node, SetAccountHosts("app", hosts))
    finally:
        over.set()
        for racer in racers:
            racer.join()
    assert not given
    assert trial.query(server, "SELECT count(*) FROM mysql.role_edges WHERE to_user = 'racer'") == 0


def test_a_session_is_a_clients_whatever_its_account_is_called(target):
    trial, server = target
    for name in ("rdsAdmin", "event_scheduler"):
        trial.query(server, f"CREATE USER '{name}'@'127.%' IDENTIFIED BY '{PASSWORD}'")
        with trial.dialect.connect(server.node.address, server.node.port, **who(name)) as one:
            with sessions.session(server.node) as connection:
                sessions.end_clients(connection)
            with pytest.raises(trial.dialect.Error):
                one.execute("SELECT 1")
        trial.query(server, f"DROP USER '{name}'@'127.%'")


def test_tables_that_no_backup_would_have_are_refused(target):
    trial, server = target
    with pytest.raises(trial.dialect.Error, match="MyISAM"):
        trial.query(server, "CREATE TABLE lost (x int) ENGINE=MyISAM")


def test_sealed_passwords_prove_the_password_alone():
    one, two = sha2_hash("Secret#Word_1"), sha2_hash("Secret#Word_1")
    assert one != two
    assert one.startswith("$A$005$")
    assert len(one) == 70
    assert "Secret" not in one
    assert sha2_hash("Secret#Word_1", one[7:27]) == one


@pytest.mark.parametrize("password", ["x", "Geheim~!@#$%^*-_=+?,()&", "a" * 32, "b" * 70])
def test_who_knows_the_word_behind_a_seal_is_let_in(target, password):
    trial, server = target
    with sessions.session(server.node) as connection:
        sealed = trial.engine.seal_password(password)
        sessions.execute(connection, "CREATE USER IF NOT EXISTS sealed")
        sessions.execute(connection, f"ALTER USER sealed IDENTIFIED WITH caching_sha2_password AS '{sealed}'")
    assert (
        trial.query(server, "SELECT 1", user="sealed", password=password, database="information_schema") == 1
    )


def test_what_is_committed_is_on_disk_and_in_the_log(target):
    trial, server = target
    wanted = {
        "sync_binlog": 1,
        "innodb_flush_log_at_trx_commit": 1,
        "log_bin": 1,
        "gtid_mode": "ON",
        "enforce_gtid_consistency": "ON",
        "log_replica_updates": 1,
        "local_infile": 0,
        "partial_revokes": 1,
        "secure_file_priv": "NULL",
    }
    assert {name: trial.query(server, f"SELECT @@{name}") for name in wanted} == wanted


def test_an_idle_server_of_the_smallest_flavor_takes_less_than_350_mb(target):
    trial, server = target
    assert psutil.Process(trial.pid(server)).memory_full_info().pss < 350 * 2**20


def test_what_the_creation_fixed_is_so(trial):
    options = {"character_set": "latin2", "collation": "latin2_czech_cs", "lower_case_table_names": "1"}
    server = replace_copies(trial).started(options=options, time_zone="UTC+08:00")
    assert trial.query(server, "SELECT @@character_set_server") == "latin2"
    assert trial.query(server, "SELECT @@collation_server") == "latin2_czech_cs"
    assert trial.query(server, "SELECT @@lower_case_table_names") == 1
    assert trial.query(server, "SELECT TIMEDIFF(NOW(), UTC_TIMESTAMP()) = '08:00:00'") == 1


def replace_copies(trial):
    """Its data is made for it, and is no copy."""
    return replace(trial, copies=False)


def test_a_stale_lock_of_the_socket_does_not_stop_a_start_nor_idle_sessions_a_stop(trial):
    """The lock has the pid of a process that lives, as after a pid was given to another."""
    server = trial.started()
    trial.kill(server)
    lock = server.node.socket_dir / "server.sock.lock"
    assert lock.exists()
    lock.write_text(f"{os.getpid()}\n")
    server.start()
    assert server.answers()
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(trial.client(server))
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 10


# Replication


def test_a_primary_that_is_to_end_holds_no_core_until_its_followers_are_gone(trial):
    primary = trial.started()
    trial.standby_of(primary)
    before = os.times()
    primary.stop()
    after = os.times()
    # Of the children that have ended, so of all that the primary did.
    assert after.children_user - before.children_user < 3


def uuid_of(trial, server):
    return trial.query(server, "SELECT @@server_uuid")


@pytest.fixture(scope="module")
def cloned(module_trial):
    """A pair whose primary has no longer all of its log, so that its standby is a copy."""
    trial = module_trial
    primary = trial.started()
    trial.query(primary, "CREATE TABLE kept (x INT PRIMARY KEY)")
    trial.query(primary, "INSERT INTO kept VALUES (1)")
    with sessions.session(primary.node) as connection:
        sessions.execute(connection, "FLUSH BINARY LOGS")
        (last, *_) = reversed(sessions.rows(connection, "SHOW BINARY LOGS"))
        sessions.execute(connection, "PURGE BINARY LOGS TO %s", last["Log_name"])
    return trial, primary, trial.standby_of(primary)


def test_a_copy_has_all_but_the_identity_and_nothing_is_left_of_the_copier(cloned):
    trial, primary, standby = cloned
    trial.query(primary, "INSERT INTO kept VALUES (2)")
    standby.replication.catch_up(30)
    assert trial.query(standby, "SELECT count(*) FROM kept") == 2
    assert uuid_of(trial, standby) != uuid_of(trial, primary)
    assert not (standby.node.folder / "copier").exists()
    assert not list(standby.node.folder.glob(".data*"))
    assert primary.replication.followers()[0].node_id == standby.node.node_id


def test_a_follower_keeps_no_password_that_its_clients_could_read(cloned):
    trial, _, standby = cloned
    assert trial.query(standby, "SELECT user_password FROM mysql.slave_master_info") == ""


def test_followers_are_served_over_encrypted_connections(cloned):
    _, _, standby = cloned
    with sessions.session(standby.node) as connection:
        assert sessions.rows(connection, "SHOW REPLICA STATUS")[0]["Source_SSL_Allowed"] == "Yes"


def test_a_copier_that_was_left_is_ended_when_its_node_is_stopped(cloned):
    """As after the death of who copied."""
    trial, primary, _ = cloned
    server = trial.engine.server(
        trial.node(upstream=primary.node.as_upstream(is_equal=True), archive=primary.node.archive)
    )
    helper = server._helper()
    with pytest.raises(KeyboardInterrupt), cloning._running(helper):
        process = find(helper.node.folder / RECORD)
        assert process is not None
        server.stop()
        assert wait_until(lambda: not process.is_alive(), 20)
        raise KeyboardInterrupt
    assert not (server.node.folder / "copier").exists()


def test_who_has_what_its_upstream_lacks_is_copied_anew(cloned):
    """Its upstream would let it follow, as MySQL compares only what was done on the upstream itself."""
    trial, primary, standby = cloned
    with sessions.session(standby.node, logged=True) as connection:
        sessions.execute(connection, "INSERT INTO app.kept VALUES (100)")
    trial.query(primary, "INSERT INTO kept VALUES (3)")

    assert standby.replication.rejoin() == "copied"

    standby.replication.catch_up(30)
    assert trial.query(standby, "SELECT count(*) FROM kept WHERE x = 100") == 0
    assert trial.query(standby, "SELECT count(*) FROM kept WHERE x = 3") == 1
    assert standby.replication.rejoin() == "attached"


@pytest.fixture
def unapplied(trial, eventually):
    """A standby that has received three rows that it has not applied, and its primary, which has died."""
    primary = trial.started()
    trial.query(primary, "CREATE TABLE kept (x INT PRIMARY KEY)")
    standby = trial.standby_of(primary)
    with sessions.session(standby.node) as connection:
        sessions.execute(connection, "STOP REPLICA SQL_THREAD")
    trial.query(primary, "INSERT INTO kept VALUES (1), (2), (3)")
    wanted = position(primary)

    def received():
        with sessions.session(standby.node) as connection:
            row = sessions.rows(connection, "SHOW REPLICA STATUS")[0]
            has = f"{row['Executed_Gtid_Set']},{row['Retrieved_Gtid_Set']}"
            return sessions.scalar(connection, "SELECT GTID_SUBSET(%s, %s)", wanted, has) == 1

    eventually(received)
    primary.kill()
    return standby


def test_what_a_standby_had_received_is_not_lost_when_both_servers_die(trial, unapplied):
    """It was acknowledged, and may be nowhere else."""
    unapplied.kill()

    unapplied.start()
    unapplied.replication.promote()

    assert trial.query(unapplied, "SELECT count(*) FROM kept") == 3
    trial.query(unapplied, "INSERT INTO kept VALUES (4)")


def test_what_a_standby_had_received_is_not_lost_when_it_had_stopped_to_apply(trial, unapplied):
    unapplied.replication.promote()

    assert trial.query(unapplied, "SELECT count(*) FROM kept") == 3


def test_what_a_standby_had_received_is_not_lost_when_it_is_attached_anew(trial, unapplied, monkeypatch):
    """To a primary that died meanwhile: it streams from nobody, and still is the one to take over."""
    monkeypatch.setattr(replication, "_STREAMING_SECONDS", 0.2)

    with pytest.raises(EngineError):
        unapplied.replication.rejoin()
    unapplied.replication.promote()

    assert trial.query(unapplied, "SELECT count(*) FROM kept") == 3


def position(server):
    with sessions.session(server.node) as connection:
        return sessions.scalar(connection, "SELECT @@GLOBAL.gtid_executed")


def test_a_commit_waits_for_its_standby_for_ever_and_for_nobody_never(trial):
    primary = trial.started()
    trial.query(primary, "CREATE TABLE kept (x INT PRIMARY KEY)")
    standby = trial.standby_of(primary)
    waiting = trial.engine.server(replace(primary.node, confirmed_by=(standby.node.node_id,)))
    waiting.replication.await_confirmation(20)
    assert waiting.replication.followers()[0].confirms
    standby.kill()

    writer = threading.Thread(target=trial.query, args=(primary, "INSERT INTO kept VALUES (1)"))
    writer.start()
    writer.join(2)
    assert writer.is_alive()
    primary.reload()  # of a node that nobody confirms
    writer.join(20)
    assert not writer.is_alive()
    trial.query(primary, "INSERT INTO kept VALUES (2)")
