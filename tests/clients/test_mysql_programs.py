"""The programs that come with MySQL and MariaDB: the command-line client, dumps, and readers of the binary log."""

import pytest

from openrds.domain.engine import EngineName
from support.mysql_programs import database, replication_account, run, said
from support.pairs import BINLOG_ENGINES, Pair, each_engine

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

#: What a dump must bring along, of all kinds that an administrator can make.
CONTENTS = (
    "CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL)",
    "CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, price DECIMAL(10, 2), "
    "gross DECIMAL(10, 2) AS (price * 2) STORED, FOREIGN KEY (customer) REFERENCES customers (id))",
    "CREATE TABLE seen (customer INT)",
    "CREATE TRIGGER sees AFTER INSERT ON orders FOR EACH ROW INSERT INTO seen VALUES (NEW.customer)",
    "CREATE VIEW totals AS SELECT customer, sum(gross) AS total FROM orders GROUP BY customer",
    "CREATE PROCEDURE ordered(who INT) INSERT INTO orders (customer, price) VALUES (who, 10)",
    "CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN 2 * x",
    "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS CURRENT_TIMESTAMP + INTERVAL 1 DAY DO DELETE FROM seen",
    "INSERT INTO customers VALUES (1, 'naïve 数据库 🐬')",
    "CALL ordered(1)",
)
#: What the servers give each other no account of is left out; the others know no such word.
OF_DUMPS = {"MySQL": ["--set-gtid-purged=OFF"], "MariaDB": []}


def typed(pair: Pair, statements: str, *words: str) -> str:
    words = ("--batch", "--skip-column-names", "--default-character-set=utf8mb4", *words)
    return said(run(pair, ("mariadb", "mysql"), *words, typed=statements))


@each_engine(*BINLOG_ENGINES)
def test_the_command_line_client_comes_in(pair: Pair) -> None:
    assert typed(pair, "SELECT current_user(); SELECT '🐬';") == "root@%\n🐬\n"
    refused = run(pair, ("mariadb", "mysql"), typed="SELECT * FROM nowhere.nothing")
    assert refused.returncode == 1 and "nowhere" in refused.stderr


@each_engine(*BINLOG_ENGINES)
def test_a_dump_goes_out_and_comes_back(pair: Pair) -> None:
    options = ["--single-transaction", "--routines", "--events", "--triggers"]
    options += OF_DUMPS[pair.dialect.engine.value]
    with database(pair, "dumped"), database(pair, "loaded"):
        typed(pair, "".join(f"{statement};\n" for statement in CONTENTS), "dumped")
        dump = said(run(pair, ("mariadb-dump", "mysqldump"), *options, "dumped"))
        typed(pair, dump, "loaded")
        same = "SELECT * FROM {0}.customers; SELECT * FROM {0}.orders; SELECT * FROM {0}.totals;"
        assert typed(pair, same.format("loaded")) == typed(pair, same.format("dumped")) != ""
        # All that is in it works, on its own tables.
        assert typed(pair, "CALL ordered(1); SELECT twice(count(*)) FROM seen", "loaded") == "4\n"
        assert typed(pair, "SELECT count(*) FROM seen", "dumped") == "1\n"
        assert "nightly" in typed(pair, "SHOW EVENTS", "loaded")


@each_engine(EngineName.MYSQL)
def test_a_dump_with_positions_is_not_for_an_administrator_to_load(pair: Pair) -> None:
    with database(pair, "placed"):
        dump = run(pair, ("mysqldump",), "--single-transaction", "placed")
        assert dump.returncode == 0 and "GTID_PURGED" in dump.stdout
        refused = run(pair, ("mysql",), "placed", typed=dump.stdout)
        assert refused.returncode == 1 and "Access denied" in refused.stderr


@each_engine(*BINLOG_ENGINES)
def test_the_binary_log_is_read_from_afar(pair: Pair) -> None:
    """By an account that can do nothing else, where the administrator can make one, and by the administrator."""
    with database(pair, "logged"), replication_account(pair) as user:
        names = [line.split()[0] for line in typed(pair, "SHOW BINARY LOGS").splitlines()]
        typed(pair, "CREATE TABLE t (x INT); INSERT INTO t VALUES (4711)", "logged")
        options = ["--read-from-remote-server", "--to-last-log", "--verbose", "--base64-output=decode-rows"]
        log = said(run(pair, ("mariadb-binlog", "mysqlbinlog"), *options, names[-1], user=user))
        assert "### INSERT INTO `logged`.`t`\n### SET\n###   @1=4711" in log
