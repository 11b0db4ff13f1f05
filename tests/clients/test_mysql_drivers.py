"""Drivers of MySQL and MariaDB, as an application uses them with an instance's endpoint."""

import datetime as dt
from decimal import Decimal
from typing import Any

import mysql.connector
import pymysql
import pymysql.cursors
import pytest

from openrds.domain.engine import EngineName
from support.pairs import BINLOG_ENGINES, Pair, each_engine
from support.service import PASSWORD

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

ROW = (1, "naïve 数据库 🐬", Decimal("12345.67"), dt.datetime(2026, 2, 3, 4, 5, 6, 789000), b"\x00\xff", None)
TABLE = (
    "CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(40), price DECIMAL(10, 2), "
    "at DATETIME(3), raw VARBINARY(10), nothing INT)"
)
INSERT = "INSERT INTO orders (id, note, price, at, raw, nothing) VALUES (%s, %s, %s, %s, %s, %s)"


def by_pymysql(pair: Pair, **options: Any) -> Any:
    host, port = pair.endpoint
    return pymysql.connect(host=host, port=port, user="root", password=PASSWORD, **options)


def by_connector(pair: Pair, **options: Any) -> Any:
    """Its default collation is one that MariaDB lacks."""
    host, port = pair.endpoint
    return mysql.connector.connect(
        host=host, port=port, user="root", password=PASSWORD, collation="utf8mb4_general_ci", **options
    )


@pytest.mark.parametrize("connect", [by_pymysql, by_connector])
@each_engine(*BINLOG_ENGINES)
def test_a_driver_reads_what_it_has_written(pair: Pair, connect: Any) -> None:
    name = f"drivers_{connect.__name__}"
    with connect(pair) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    with connect(pair, database=name) as connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
        cursor.execute(INSERT, ROW)
        connection.commit()
        cursor.executemany(INSERT, [(None, f"n{number}", number, None, b"", 0) for number in range(100)])
        connection.rollback()
        cursor.execute("SELECT * FROM orders")
        assert list(cursor.fetchall()) == [ROW]
    with connect(pair, database=name) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orders WHERE note = %s", [ROW[1]])
        assert cursor.fetchone() == (1,)
        cursor.execute(f"DROP DATABASE {name}")


@each_engine(*BINLOG_ENGINES)
def test_statements_are_prepared_on_the_server(pair: Pair) -> None:
    with by_connector(pair) as connection, connection.cursor(prepared=True) as cursor:
        for number in (3, 4):
            cursor.execute("SELECT %s * %s", (number, 1000))
            assert [int(value) for value in cursor.fetchone()] == [1000 * number]


@each_engine(*BINLOG_ENGINES)
def test_rows_are_streamed(pair: Pair) -> None:
    numbers = (
        "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 1000) SELECT x FROM n"
    )
    with (
        by_pymysql(pair, cursorclass=pymysql.cursors.SSDictCursor) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(numbers)
        assert sum(row["x"] for row in cursor) == 500500


@pytest.mark.parametrize("connect", [by_pymysql, by_connector])
@each_engine(EngineName.MYSQL)
def test_a_driver_comes_in_encrypted_by_default(pair: Pair, connect: Any) -> None:
    with connect(pair) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        assert cursor.fetchone()[1]


@pytest.mark.parametrize("connect", [by_pymysql, by_connector])
@each_engine(*BINLOG_ENGINES)
def test_a_wrong_password_is_refused(pair: Pair, connect: Any) -> None:
    host, port = pair.endpoint
    driver = pymysql if connect is by_pymysql else mysql.connector
    with pytest.raises(driver.Error, match="Access denied"):
        driver.connect(host=host, port=port, user="root", password="wrong")
