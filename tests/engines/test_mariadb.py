"""What MariaDB alone promises: what its administrator cannot get, how it follows, and what it needs."""

import contextlib
import os
import threading
import time
from dataclasses import replace

import psutil
import pymysql
import pytest

from openrds.domain.engine import RULES, EngineName
from openrds.engines.binlog import replication, sessions
from openrds.engines.family import password_of
from openrds.engines.protocol import EngineError
from openrds.hosts.processes import wait_until
from support.dialects.dialect import PASSWORD

pytestmark = [pytest.mark.grouped_by("installed"), pytest.mark.of_engines("MariaDB")]

FORGED = "'{\"access\":18446744073709551615}'"
#: What would make an administrator more than that, each by another way.
ESCALATIONS = (
    f"UPDATE mysql.global_priv SET priv = {FORGED} WHERE user = 'root'",
    f"INSERT INTO mysql.global_priv VALUES ('%', 'evil', {FORGED})",
    f"REPLACE INTO mysql.global_priv VALUES ('%', 'evil', {FORGED})",
    f"SET STATEMENT max_statement_time = 9 FOR UPDATE mysql.global_priv SET priv = {FORGED}",
    f'EXECUTE IMMEDIATE "UPDATE mysql.global_priv SET priv = {FORGED}"',
    f'CALL sys.execute_prepared_stmt("UPDATE mysql.global_priv SET priv = {FORGED}")',
    "DELETE FROM mysql.global_priv",
    "UPDATE mysql.db SET insert_priv = 'Y'",
    "UPDATE mysql.user SET super_priv = 'Y'",
    "TRUNCATE mysql.global_priv",
    "ALTER TABLE mysql.global_priv ADD x INT",
    "RENAME TABLE mysql.global_priv TO app.taken",
    "RENAME TABLE app.kept TO mysql.kept",
    "CREATE TABLE mysql.evil (x INT)",
    "CREATE OR REPLACE TABLE mysql.proc (x INT)",
    "CREATE TEMPORARY TABLE mysql.evil (x INT)",
    "CREATE VIEW mysql.evil AS SELECT 1",
    "CREATE PROCEDURE mysql.evil() SELECT 1",
    "CREATE EVENT mysql.evil ON SCHEDULE EVERY 1 DAY DO SELECT 1",
    "LOCK TABLES mysql.global_priv WRITE",
    "CREATE TABLE app.merged (x INT) ENGINE = MRG_MyISAM UNION = (mysql.proc)",
    "DROP DATABASE mysql",
    "DROP DATABASE sys",
    "DELETE FROM sys.sys_config",
    "CREATE VIEW sys.evil AS SELECT 1",
    "ALTER USER rdsAdmin@localhost IDENTIFIED BY 'x'",
    "SET PASSWORD FOR rdsAdmin@localhost = PASSWORD('x')",
    "SET PASSWORD FOR rdsRepl@'%' = PASSWORD('x')",
    "DROP USER rdsAdmin@localhost",
    "RENAME USER rdsAdmin@localhost TO mine@localhost",
    "SET DEFAULT ROLE NONE FOR rdsAdmin@localhost",
    "GRANT USAGE ON app.* TO rdsAdmin@localhost IDENTIFIED BY 'x'",
    "GRANT SELECT ON app.* TO rdsRepl@'%' IDENTIFIED BY 'x'",
    "GRANT PROXY ON rdsAdmin@localhost TO root@'%'",
    "GRANT rdsAdmin TO root@'%'",
    "SET ROLE rdsAdmin",
    "REVOKE ALL PRIVILEGES, GRANT OPTION FROM rdsAdmin@localhost",
    "CREATE USER evil@'%' IDENTIFIED BY 'x'",
    "CREATE ROLE evil",
    "GRANT SUPER ON *.* TO root@'%'",
    "GRANT FILE ON *.* TO root@'%'",
    "GRANT CREATE USER ON *.* TO root@'%'",
    "GRANT RELOAD ON *.* TO root@'%'",
    "GRANT ALL ON *.* TO root@'%'",
    "GRANT INSERT ON mysql.* TO root@'%'",
    "GRANT INSERT ON mysql.* TO PUBLIC",
    "GRANT INSERT ON mysql.global_priv TO PUBLIC",
    "REVOKE SELECT ON mysql.* FROM root@'%'",
    "REVOKE ALL ON mysql.* FROM root@'%'",
    "REVOKE ALL ON mysql.* FROM PUBLIC",
    "REVOKE ALL ON sys.* FROM root@'%'",
    "CREATE DEFINER = rdsAdmin@localhost VIEW app.evil AS SELECT * FROM mysql.global_priv",
    "CREATE DEFINER = rdsAdmin@localhost PROCEDURE app.evil() DELETE FROM mysql.global_priv",
    "CREATE DEFINER = rdsAdmin@localhost FUNCTION app.evil() RETURNS INT RETURN 1",
    "CREATE DEFINER = rdsAdmin@localhost TRIGGER app.evil BEFORE INSERT ON app.kept FOR EACH ROW SET @a = 1",
    "CREATE DEFINER = rdsAdmin@localhost EVENT app.evil ON SCHEDULE EVERY 1 SECOND DO SELECT 1",
    "CREATE DEFINER = `mariadb.sys`@localhost VIEW app.evil AS SELECT 1",
    "SET GLOBAL read_only = OFF",
    "SET GLOBAL require_secure_transport = OFF",
    "SET GLOBAL event_scheduler = ON",
    "SET GLOBAL general_log_file = '/tmp/evil'",
    "SET GLOBAL init_connect = 'SELECT 1'",
    "SET GLOBAL max_connections = 10",
    "SET SESSION sql_log_bin = 0",
    "SET SESSION binlog_format = STATEMENT",
    "SET SESSION gtid_domain_id = 7",
    "SET SESSION gtid_seq_no = 1000000",
    "SET SESSION server_id = 7",
    "SELECT 1 INTO OUTFILE '/tmp/openrds-evil'",
    "SELECT 1 INTO DUMPFILE '/tmp/openrds-evil'",
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE app.kept",
    "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE app.kept",
    "LOAD XML INFILE '/etc/passwd' INTO TABLE app.kept",
    "INSTALL SONAME 'ha_federatedx'",
    "INSTALL PLUGIN archive SONAME 'ha_archive.so'",
    "CREATE FUNCTION sys_exec RETURNS INT SONAME 'lib_mysqludf_sys.so'",
    "CREATE SERVER other FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'x')",
    "CREATE TABLE app.other (x INT) ENGINE = FEDERATED CONNECTION = 'mysql://x@y/z'",
    "CREATE TABLE app.other (x INT) ENGINE = CONNECT TABLE_TYPE = DOS FILE_NAME = '/etc/passwd'",
    "SHUTDOWN",
    "RESET MASTER",
    "RESET SLAVE ALL",
    "STOP SLAVE",
    "CHANGE MASTER TO MASTER_HOST = '127.0.0.1'",
    "PURGE BINARY LOGS BEFORE NOW()",
    "FLUSH PRIVILEGES",
    "FLUSH TABLES WITH READ LOCK",
    "BACKUP STAGE START",
)


@pytest.fixture(scope="module")
def target(shared):
    """A server with two accounts beside the administrator: each start bounds those that are there."""
    trial, server = shared
    trial.query(server, "CREATE TABLE kept (x INT)")
    with sessions.session(server.node) as connection:
        for name in ("app", "other"):
            sessions.execute(connection, f"CREATE USER {name} IDENTIFIED BY '{PASSWORD}'")
    server.stop()
    server.start()
    return trial, server


@pytest.mark.parametrize("statement", ESCALATIONS)
def test_the_administrator_gets_no_more_rights_than_it_has(target, statement):
    trial, server = target

    with pytest.raises(trial.dialect.Error):
        trial.query(server, statement)

    with pytest.raises(trial.dialect.Error):
        trial.query(server, f"UPDATE mysql.global_priv SET priv = {FORGED} WHERE user = 'root'")


@pytest.mark.parametrize("place", ["`%`", "`mysq_`", "`my%`", "`%sql`", "`sy_`"])
@pytest.mark.parametrize("account", ["root@'%'", "PUBLIC", "app", "rdsRepl@'%'"])
def test_what_is_granted_by_a_pattern_is_not_granted_on_the_servers_own_databases(target, place, account):
    trial, server = target
    with contextlib.suppress(trial.dialect.Error):  # what is granted to PUBLIC holds for `root` too
        trial.query(server, f"GRANT ALL ON {place}.* TO {account}")

    for user in ("root", "app", "other"):
        for statement in (
            f"UPDATE mysql.global_priv SET priv = {FORGED} WHERE user = 'root'",
            "DROP DATABASE sys",
        ):
            with pytest.raises(trial.dialect.Error, match="denied"):
                trial.query(server, statement, user=user)


def test_what_a_tenant_wrote_runs_with_the_tenants_rights(target):
    """Definers and invokers alike, also where somebody else calls it."""
    trial, server = target
    trial.query(server, f"CREATE PROCEDURE by_definer() UPDATE mysql.global_priv SET priv = {FORGED}")
    trial.query(
        server,
        f"CREATE PROCEDURE by_invoker() SQL SECURITY INVOKER UPDATE mysql.global_priv SET priv = {FORGED}",
    )
    trial.query(server, "CREATE VIEW seen AS SELECT priv FROM mysql.global_priv")
    trial.query(server, "CREATE TABLE watched (x INT)")
    trial.query(
        server,
        f"CREATE TRIGGER onward BEFORE INSERT ON watched FOR EACH ROW UPDATE mysql.global_priv SET priv = {FORGED}",
    )
    for statement in (
        "CALL by_definer()",
        "CALL by_invoker()",
        f"UPDATE seen SET priv = {FORGED}",
        "INSERT INTO watched VALUES (1)",
    ):
        with pytest.raises(trial.dialect.Error, match=r"denied|lack rights"):
            trial.query(server, statement)


def test_nothing_is_read_from_the_host_or_written_outside_of_the_volume(target, tmp_path):
    trial, server = target
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o001)
    for number, engine in enumerate(("InnoDB", "MyISAM", "Aria")):
        with contextlib.suppress(trial.dialect.Error):
            trial.query(
                server,
                f"CREATE TABLE outside_{number} (x INT) ENGINE = {engine} DATA DIRECTORY = '{tmp_path}'",
            )
    trial.query(server, "CREATE DATABASE `../outside`")
    trial.query(server, "CREATE TABLE `../outside`.`../../outside` (x INT)")

    assert list(tmp_path.iterdir()) == []
    assert not list(server.node.folder.glob("outside*"))
    assert trial.query(server, "SELECT LOAD_FILE('/etc/passwd')") is None
    assert trial.query(server, "SELECT @@secure_file_priv") == f"{server.node.folder}/none/"
    assert trial.query(server, "SELECT @@tmpdir").startswith(str(server.node.folder))


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
        "GRANT SELECT ON shop.* TO app",
        "SHOW BINARY LOGS",
        "SHOW PROCESSLIST",
        "SELECT * FROM mysql.proc",
        "SELECT sys.format_bytes(1024)",
    ):
        trial.query(server, statement)

    assert trial.query(server, "SELECT y FROM shop.items", user="app", database="shop") == 1
    trial.query(server, "DROP DATABASE shop")


def test_the_services_accounts_are_reached_as_they_are_meant(target):
    trial, server = target
    node = server.node
    passwords = {name: password_of(node.secret, name) for name in ("rdsAdmin", "rdsRepl")}
    assert len(set(passwords.values())) == 2

    with pytest.raises(trial.dialect.Refused, match="denied"):
        trial.query(server, "SELECT 1", user="rdsAdmin", password=passwords["rdsAdmin"])
    with pytest.raises(trial.dialect.Error, match="denied"):
        trial.query(server, "SELECT user FROM mysql.user", user="rdsRepl", password=passwords["rdsRepl"])
    process = psutil.Process(trial.pid(server))
    shown = " ".join((*process.cmdline(), *process.environ().values()))
    written = [path for path in node.folder.glob("*") if path.is_file()]
    logs = "".join(path.read_text() for path in (node.folder / "log").glob("*"))
    for secret in (node.secret, *passwords.values()):
        assert secret not in shown + logs
        assert not any(secret in path.read_text() for path in written)
    assert all(path.stat().st_mode & 0o077 == 0 for path in written if path.suffix in (".cnf", ".sql"))


def test_accounts_are_the_familys_whatever_the_data_says(trial):
    """As after a restore of another instance's backup."""
    server = trial.started()
    server.stop()
    other = trial.engine.server(replace(server.node, secret="another family's"))
    other.configure()
    other.start()

    assert other.answers()
    assert not server.answers()
    assert trial.query(server, "SELECT 1") == 1  # the administrator is the data's


def test_a_server_without_an_address_listens_on_its_socket_alone(trial):
    server = trial.initialised(address="")
    server.start()

    assert server.answers()
    assert not [
        one for one in psutil.Process(trial.pid(server)).net_connections() if one.family.name == "AF_INET"
    ]


def test_what_the_creation_fixed_is_so(trial):
    options = {"character_set": "latin2", "collation": "latin2_czech_cs", "lower_case_table_names": "1"}
    server = trial.started(options=options, time_zone="UTC+08:00")

    assert trial.query(server, "SELECT @@character_set_server") == "latin2"
    assert trial.query(server, "SELECT @@collation_server") == "latin2_czech_cs"
    assert trial.query(server, "SELECT @@lower_case_table_names") == 1
    assert trial.query(server, "SELECT TIMEDIFF(NOW(), UTC_TIMESTAMP()) = '08:00:00'") == 1


def test_what_is_committed_is_on_disk_and_in_the_log(target):
    trial, server = target
    wanted = {
        "sync_binlog": 1,
        "innodb_flush_log_at_trx_commit": 1,
        "log_bin": 1,
        "binlog_format": "ROW",
        "gtid_strict_mode": 1,
        "log_slave_updates": 1,
        "local_infile": 0,
    }

    assert {name: trial.query(server, f"SELECT @@{name}") for name in wanted} == wanted


def test_an_idle_server_of_the_smallest_flavor_takes_less_than_100_mb(trial):
    server = trial.started()

    assert psutil.Process(trial.pid(server)).memory_full_info().pss < 100 * 2**20


def test_idle_sessions_do_not_slow_a_stop(trial):
    server = trial.started()
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(trial.client(server))
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 10


def test_the_administrator_is_let_in_from_everywhere_or_from_nearby_alone(trial):
    """What it made before, as somebody from everywhere, it still has; and so is its password one."""
    server = trial.started()
    trial.query(server, "CREATE TABLE kept AS SELECT 1 AS x")
    trial.query(server, "CREATE VIEW seen AS SELECT x FROM kept")

    for _ in range(2):
        server.set_remote_access("root", False)
    assert trial.query(server, "SELECT x FROM seen") == 1
    assert trial.query(server, "SELECT CURRENT_USER()") == "root@127.0.0.0/255.0.0.0"
    with sessions.session(server.node) as connection:
        locked = "SELECT json_value(priv, '$.account_locked') FROM mysql.global_priv WHERE user = 'root' AND host = '%'"
        assert sessions.scalar(connection, locked) == "1"
        server.set_administrator("root", trial.engine.seal_password("Another#Word_1"))
        assert trial.query(server, "SELECT 1", password="Another#Word_1") == 1
        server.set_remote_access("root", True)
        assert sessions.scalar(connection, locked) == "0"
    assert trial.query(server, "SELECT x FROM seen", password="Another#Word_1") == 1
    with pytest.raises(trial.dialect.Error, match="denied"):
        trial.query(server, "CREATE USER evil", password="Another#Word_1")


# Replication


def changed(trial, server, **changes):
    return trial.engine.server(replace(server.node, **changes))


@pytest.fixture
def pair(trial):
    primary = trial.started()
    trial.query(primary, "CREATE TABLE kept (x INT PRIMARY KEY)")
    return primary, trial.standby_of(primary)


def put(trial, server, *values):
    for value in values:
        trial.query(server, f"INSERT INTO kept VALUES ({value})")


def count(trial, server):
    return trial.query(server, "SELECT count(*) FROM kept")


def apply_nothing(standby):
    with sessions.session(standby.node) as connection:
        sessions.execute(connection, "STOP SLAVE SQL_THREAD")


def received(standby):
    with sessions.session(standby.node) as connection:
        return sessions.rows(connection, "SHOW SLAVE STATUS")[0]["Gtid_IO_Pos"]


def position(primary):
    with sessions.session(primary.node) as connection:
        return sessions.scalar(connection, "SELECT @@gtid_binlog_pos")


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_what_a_standby_had_received_is_not_lost_when_both_servers_die(trial, pair, eventually, end):
    """It was acknowledged; and MariaDB drops it where it is told to follow, to fetch it again."""
    primary, standby = pair
    apply_nothing(standby)
    put(trial, primary, 1, 2, 3)
    eventually(lambda: received(standby) == position(primary))
    primary.kill()
    getattr(standby, end)()

    standby.start()
    standby.replication.promote()

    assert count(trial, standby) == 3
    put(trial, standby, 4)


def test_what_a_standby_had_received_is_not_lost_when_it_had_stopped_to_apply(trial, pair, eventually):
    primary, standby = pair
    apply_nothing(standby)
    put(trial, primary, 1, 2, 3)
    eventually(lambda: received(standby) == position(primary))
    primary.kill()

    standby.replication.promote()

    assert count(trial, standby) == 3


def test_what_a_standby_had_received_is_not_lost_when_it_is_attached_anew(
    trial, pair, eventually, monkeypatch
):
    """To a primary that died meanwhile: it streams from nobody, and still is the one to take over."""
    monkeypatch.setattr(replication, "_STREAMING_SECONDS", 0.2)
    primary, standby = pair
    apply_nothing(standby)
    put(trial, primary, 1, 2, 3)
    eventually(lambda: received(standby) == position(primary))
    primary.kill()

    with pytest.raises(EngineError):
        standby.replication.rejoin()
    standby.replication.promote()

    assert count(trial, standby) == 3


def test_what_was_applied_and_not_noted_is_not_applied_again(trial, pair, eventually):
    """Where it is in what it received, MariaDB writes down now and then."""
    primary, standby = pair
    note = standby.node.data_dir / "relay-log.info"
    put(trial, primary, 1)
    standby.replication.catch_up(10)
    old = note.read_bytes()
    put(trial, primary, 2, 3)
    standby.replication.catch_up(10)
    apply_nothing(standby)
    put(trial, primary, 4, 5)
    eventually(lambda: received(standby) == position(primary))
    primary.kill()
    standby.kill()
    note.write_bytes(old)

    standby.start()
    standby.replication.promote()

    assert count(trial, standby) == 5
    assert "out-of-order" not in (standby.node.folder / "log" / "error.log").read_text()


@pytest.mark.parametrize("ahead", [True, False])
def test_who_has_what_its_upstream_lacks_is_copied_anew(trial, pair, ahead):
    primary, standby = pair
    put(trial, primary, 1)
    standby.replication.catch_up(10)
    with sessions.session(standby.node, logged=True) as connection:
        sessions.execute(connection, "INSERT INTO app.kept VALUES (100)")
    standby.stop()
    if not ahead:
        put(trial, primary, 2, 3)

    assert standby.replication.rejoin() == "copied"

    standby.replication.catch_up(10)
    assert trial.query(standby, "SELECT count(*) FROM kept WHERE x = 100") == 0
    put(trial, primary, 4)
    standby.replication.catch_up(10)
    assert count(trial, standby) == count(trial, primary)


def test_a_copy_of_data_that_the_log_no_longer_has_follows_and_is_followed(trial, pair):
    """By mariadb-backup: its log begins where the copy ends, and others may follow from there on."""
    primary, standby = pair
    put(trial, primary, 1)
    standby.replication.catch_up(10)
    with sessions.session(primary.node) as connection:
        sessions.execute(connection, "FLUSH BINARY LOGS")
        (*_, last) = sessions.rows(connection, "SHOW BINARY LOGS")
        assert wait_until(lambda: purged(connection, last["Log_name"]), 20)

    third = trial.standby_of(primary)
    assert count(trial, third) == 1
    put(trial, primary, 2)
    end = primary.replication.demote()
    for server in (standby, third):
        server.replication.await_position(end, 10)
    third.replication.promote()
    upstream = third.node.as_upstream(is_equal=True)
    changed(trial, standby, upstream=upstream).replication.follow()
    assert changed(trial, primary, upstream=upstream).replication.rejoin() == "attached"

    put(trial, third, 3)
    for server in (primary, standby):
        changed(trial, server, upstream=upstream).replication.catch_up(10)
        assert count(trial, server) == 3


def purged(connection, name):
    """A log is not removed while a follower reads it."""
    sessions.execute(connection, "PURGE BINARY LOGS TO %s", name)
    return sessions.rows(connection, "SHOW BINARY LOGS")[0]["Log_name"] == name


def test_whose_log_is_gone_is_copied_anew(trial, pair):
    primary, standby = pair
    standby.stop()
    put(trial, primary, 1)
    with sessions.session(primary.node) as connection:
        sessions.execute(connection, "FLUSH BINARY LOGS")
        (*_, last) = sessions.rows(connection, "SHOW BINARY LOGS")
        assert wait_until(lambda: purged(connection, last["Log_name"]), 20)

    assert standby.replication.rejoin() == "copied"

    assert count(trial, standby) == 1


def test_a_demoted_primary_stays_closed_until_it_resumes(trial):
    server = trial.started()
    trial.query(server, "CREATE TABLE kept (x INT PRIMARY KEY)")
    with trial.client(server) as holder:
        holder.execute("LOCK TABLES kept WRITE")
        first = server.replication.demote()
    assert server.replication.is_primary() and server.answers()
    server.kill()
    server.start()
    with trial.refused_writing():
        put(trial, server, 1)
    server.stop()
    assert server.replication.demote() == first

    for _ in range(2):
        server.replication.resume()

    put(trial, server, 1)
    server.stop()
    server.replication.resume()
    put(trial, server, 2)


def test_a_primary_that_crashed_is_not_waited_for(trial, pair):
    """What it has is not known, and to start it would take as long as its recovery."""
    primary, _ = pair
    primary.kill()

    with pytest.raises(EngineError, match="cleanly"):
        primary.replication.demote()

    assert not primary.is_running()
    primary.start()
    put(trial, primary, 1)


def test_a_full_volume_stays_closed_whoever_serves(trial, pair):
    primary, standby = pair
    full = changed(trial, standby, read_only=True)
    standby.replication.await_position(primary.replication.demote(), 10)
    full.replication.promote()
    full.replication.resume()
    with trial.refused_writing():
        put(trial, full, 1)

    changed(trial, full, upstream=None).set_read_only(False)

    put(trial, full, 1)


def test_a_server_that_lapsed_says_that_nobody_confirms(trial, pair):
    primary, standby = pair
    waiting = changed(trial, primary, confirmed_by=(standby.node.node_id,))
    waiting.replication.await_confirmation(10)
    assert [one.confirms for one in primary.replication.followers()] == [True]

    with sessions.session(primary.node) as connection:
        sessions.execute(connection, "SET GLOBAL rpl_semi_sync_master_enabled = OFF")

    assert [one.confirms for one in primary.replication.followers()] == [False]


def test_read_replicas_confirm_nothing(trial, pair):
    """A commit that only one of them had would be lost when the standby takes over."""
    primary, standby = pair
    replica = trial.engine.server(trial.node(upstream=primary.node.as_upstream(is_equal=False)))
    replica.replication.copy_upstream()
    replica.replication.follow()
    waiting = changed(trial, primary, confirmed_by=(standby.node.node_id,))
    waiting.replication.await_confirmation(10)
    standby.kill()

    with pytest.raises(EngineError, match="confirms"):
        waiting.replication.await_confirmation(0.5)

    assert replica.replication.state().streaming


def test_a_commit_that_waits_keeps_no_server_from_stopping(trial, pair):
    primary, standby = pair
    changed(trial, primary, confirmed_by=(standby.node.node_id,)).replication.await_confirmation(10)
    standby.kill()
    client = pymysql.connect(host=primary.node.address, user="root", password=PASSWORD, autocommit=True)
    waits = threading.Thread(
        target=lambda: ignoring(lambda: client.cursor().execute("INSERT INTO app.kept VALUES (1)"))
    )
    waits.start()
    with sessions.session(primary.node) as connection:
        waiting = "SELECT count(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for semi-sync ACK%'"
        assert wait_until(lambda: sessions.scalar(connection, waiting) == 1, 20)

    begun = time.monotonic()
    primary.stop()

    assert time.monotonic() - begun < 20
    waits.join(20)
    assert not waits.is_alive()


def ignoring(call):
    with contextlib.suppress(pymysql.MySQLError):
        call()


def test_a_hanging_upstream_is_noticed(trial, pair, eventually):
    primary, standby = pair
    process = psutil.Process(trial.pid(primary))
    process.suspend()
    try:
        eventually(lambda: not standby.replication.state().streaming)
        assert standby.answers()
    finally:
        process.resume()
    eventually(lambda: standby.replication.state().streaming)


def demand_tls(monkeypatch, since=(10, 6)):
    """As those versions do that no machine of the tests needs to have; with `since` None as those that do not."""
    rules = replace(RULES[EngineName.MARIADB], tls_demanded_from=since)
    monkeypatch.setitem(RULES, EngineName.MARIADB, rules)


def comes_over_tls(follower):
    with sessions.session(follower.node) as connection:
        return sessions.rows(connection, "SHOW SLAVE STATUS")[0]["Master_SSL_Allowed"] == "Yes"


def test_a_pair_serves_and_replicates_where_tls_is_demanded(trial, monkeypatch, eventually):
    demand_tls(monkeypatch)
    primary = trial.initialised()
    primary.start()
    primary.set_administrator("root", trial.engine.seal_password(PASSWORD))
    where, ca = primary.node.address, trial.settings.ca_file
    with pytest.raises(trial.dialect.Refused, match=r"Access denied|insecure transport"):
        trial.dialect.connect(where, plain=True)
    with trial.dialect.connect(where, ca=ca) as client:
        client.execute("CREATE TABLE kept (x INT)")
        standby = trial.standby_of(primary)
        client.execute("INSERT INTO kept VALUES (1)")
    assert comes_over_tls(standby)
    with trial.dialect.connect(standby.node.address, ca=ca) as reader:
        eventually(lambda: reader.execute("SELECT x FROM kept") == [(1,)])
    standby.replication.promote()
    back = trial.engine.server(
        replace(primary.node, upstream=standby.node.as_upstream(is_equal=True), confirmed_by=())
    )
    back.replication.demote()
    back.replication.follow()
    assert comes_over_tls(back)


def test_who_followed_before_tls_was_demanded_is_attached_again(trial, monkeypatch):
    """Also once it is demanded no more: the upstream is restarted for that."""
    demand_tls(monkeypatch, since=None)
    primary = trial.started()
    standby = trial.standby_of(primary)
    assert not comes_over_tls(standby)
    demand_tls(monkeypatch)
    for tls in (primary.node.tls, None):
        node = replace(primary.node, tls=tls)
        server = trial.engine.server(node)
        server.stop()
        server.configure()
        server.start()
        follower = trial.engine.server(replace(standby.node, upstream=node.as_upstream(is_equal=True)))
        assert follower.replication.rejoin() == "attached"
        assert comes_over_tls(follower) is (tls is not None)


def test_a_large_error_log_is_closed_and_an_old_one_removed(trial):
    server = trial.started()
    log = server.node.folder / "log" / "error.log"
    os.truncate(log, 11 * 2**20)

    server.tidy()

    (closed,) = log.parent.glob("error-*.log")
    assert log.stat().st_size < closed.stat().st_size == 11 * 2**20
    past = time.time() - 32 * 86400
    os.utime(closed, (past, past))
    server.tidy()
    assert not closed.exists() and log.exists()
