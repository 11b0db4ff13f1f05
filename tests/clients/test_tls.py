"""Clients that want to know with whom they speak, on each engine, and through a switchover."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import mysql.connector
import psycopg
import pymysql
import pytest
from huaweicloudsdkrds.v3 import RdsClient
from huaweicloudsdkrds.v3 import model as m

from openrds.domain.engine import EngineName
from openrds.domain.settings import Settings
from openrds.service.authority import open_authority
from support.dialects import DIALECTS
from support.engines import found
from support.means import WHY_NO_FORWARDING
from support.mysql_programs import run
from support.pairs import BINLOG_ENGINES, Pair, each_engine
from support.sdk import LONG, completed, creation, listed, next_second, switch_over
from support.service import PASSWORD, ServiceUnderTest

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

#: PostgreSQL's last ones may be those of the wheel, which have no TLS.
ENCRYPTING = [one for one in found(EngineName.POSTGRESQL) if one.speaks_tls]


@pytest.fixture
def ca(sdk: RdsClient, pair: Pair, tmp_path: Path) -> Path:
    return downloaded(sdk, pair.id, tmp_path)


@pytest.fixture
def strange_ca(tmp_path: Path) -> Path:
    """Of another service."""
    (tmp_path / "other").mkdir()
    settings = Settings(data_dir=tmp_path / "other")
    open_authority(settings)
    return settings.ca_file


def downloaded(sdk: RdsClient, instance_id: str, folder: Path) -> Path:
    """As the SDK says where it is: whoever has the link needs no key."""
    links = sdk.list_ssl_cert_download_link(m.ListSslCertDownloadLinkRequest(instance_id=instance_id))
    (one,) = links.cert_info_list
    assert one.category == "international"
    answer = httpx.get(one.download_link)
    assert answer.text.startswith("-----BEGIN CERTIFICATE-----") and "PRIVATE" not in answer.text
    file = folder / "downloaded.crt"
    file.write_text(answer.text)
    return file


def by_pymysql(pair: Pair, ca: Path) -> Any:
    host, port = pair.endpoint
    return pymysql.connect(
        host=host, port=port, user="root", password=PASSWORD, ssl={"ca": str(ca), "check_hostname": True}
    )


def by_connector(pair: Pair, ca: Path) -> Any:
    host, port = pair.endpoint
    return mysql.connector.connect(
        host=host,
        port=port,
        user="root",
        password=PASSWORD,
        collation="utf8mb4_general_ci",
        ssl_ca=str(ca),
        ssl_verify_cert=True,
        ssl_verify_identity=True,
    )


def by_program(pair: Pair, ca: Path) -> str:
    """What the one that came with the server prints, or complains of."""
    verify = {
        EngineName.MYSQL: ("--ssl-mode=VERIFY_IDENTITY",),
        EngineName.MARIADB: ("--ssl-verify-server-cert",),
    }[pair.dialect.engine]
    words = (*verify, f"--ssl-ca={ca}", "--batch", "--skip-column-names")
    done = run(pair, ("mariadb", "mysql"), *words, typed="SHOW STATUS LIKE 'Ssl_version'")
    return done.stdout + done.stderr


def plainly(driver: Any, pair: Pair, user: str = "root") -> Any:
    """MySQL's passwords then need its public key, which drivers ask for."""
    host, port = pair.endpoint
    return driver.connect(host=host, port=port, user=user, password=PASSWORD, ssl_disabled=True)


def demands_tls(pair: Pair) -> bool:
    return pair.dialect.rules.demands_tls(pair.shown["datastore"]["complete_version"])


def check_plain(pair: Pair) -> None:
    with plainly(pymysql, pair) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        assert cursor.fetchall()[0][1] == ""


def check_account_held_to_tls(pair: Pair) -> None:
    """While nobody is offered TLS, nobody can log in to such an account."""
    with pair.session() as client:
        client.execute(f"CREATE USER careful IDENTIFIED BY '{PASSWORD}'")
        plainly(pymysql, pair, "careful").close()
        client.execute("ALTER USER careful REQUIRE SSL")
        with pytest.raises(pymysql.OperationalError, match="Access denied"):
            plainly(pymysql, pair, "careful")
        client.execute("DROP USER careful")


def check_drivers(pair: Pair, ca: Path) -> None:
    for connect in (by_pymysql, by_connector):
        with connect(pair, ca) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
            assert cursor.fetchone()[1] in {"TLSv1.2", "TLSv1.3"}
    assert "TLSv1." in by_program(pair, ca)


def switch_ssl(sdk: RdsClient, id_: str, *, on: bool) -> m.GetJobInfoResponseBodyJob:
    next_second()
    body = m.SslOptionRequest(ssl_option=on)
    answer = sdk.switch_ssl(m.SwitchSslRequest(instance_id=id_, body=body))
    return completed(sdk, answer.job_id, LONG)


@each_engine(*BINLOG_ENGINES)
def test_drivers_and_programs_know_the_server_also_after_a_switchover(
    sdk: RdsClient, pair: Pair, ca: Path
) -> None:
    (one,) = listed(sdk, id=pair.id)
    assert one.enable_ssl is True
    check_drivers(pair, ca)
    completed(sdk, switch_over(sdk, pair.id).workflow_id, LONG)
    check_drivers(pair, ca)


@each_engine(*BINLOG_ENGINES)
def test_they_leave_who_is_not_vouched_for(pair: Pair, strange_ca: Path) -> None:
    with pytest.raises(pymysql.OperationalError, match="certificate verify failed"):
        by_pymysql(pair, strange_ca)
    with pytest.raises(mysql.connector.Error, match=r"(?i)certificate|ssl"):
        by_connector(pair, strange_ca)
    assert "ERROR 2026" in by_program(pair, strange_ca)


@each_engine(*BINLOG_ENGINES)
def test_who_does_not_ask_is_let_in_unless_the_version_demands_it(pair: Pair) -> None:
    if not demands_tls(pair):
        check_plain(pair)
        return
    for driver in (pymysql, mysql.connector):
        with pytest.raises(driver.Error, match=r"3159.*insecure transport"):
            plainly(driver, pair)
    plain = {
        EngineName.MYSQL: ("--ssl-mode=DISABLED", "--get-server-public-key"),
        EngineName.MARIADB: ("--skip-ssl",),
    }[pair.dialect.engine]
    done = run(pair, ("mariadb", "mysql"), *plain, typed="SELECT 1")
    assert "ERROR 3159" in done.stderr


@each_engine(*BINLOG_ENGINES)
def test_tls_is_switched_off_and_on(sdk: RdsClient, pair: Pair, ca: Path) -> None:
    assert switch_ssl(sdk, pair.id, on=True).name == pair.dialect.task_name("{}SwitchSSL")  # it is on
    switch_ssl(sdk, pair.id, on=False)
    (one,) = listed(sdk, id=pair.id)
    assert (one.status, one.enable_ssl) == ("ACTIVE", False)
    with pytest.raises(pymysql.OperationalError, match="SSL"):
        by_pymysql(pair, ca)
    check_plain(pair)
    if pair.dialect.engine is EngineName.MYSQL:
        check_account_held_to_tls(pair)
    switch_ssl(sdk, pair.id, on=True)
    check_drivers(pair, ca)


@pytest.fixture(scope="module")
def postgresql(all_engines: ServiceUnderTest, sdk: RdsClient) -> Iterator[str]:
    """A pair of the newest that has TLS."""
    if WHY_NO_FORWARDING or not ENCRYPTING:
        pytest.skip(WHY_NO_FORWARDING or "this host has no PostgreSQL with TLS")
    dialect = DIALECTS[EngineName.POSTGRESQL]
    body = all_engines.create_body(
        dialect,
        name="encrypted-pair",
        datastore={"type": "PostgreSQL", "version": ENCRYPTING[-1].version},
        flavor_ref=dialect.flavor(kind="ha"),
        availability_zone="local-1a,local-1a",
        ha={"mode": "Ha", "replication_mode": "sync"},
    )
    answer = sdk.create_instance(m.CreateInstanceRequest(body=creation(body)))
    completed(sdk, answer.job_id, LONG)
    yield answer.instance.id
    completed(sdk, sdk.delete_instance(m.DeleteInstanceRequest(instance_id=answer.instance.id)).job_id, LONG)


def by_psycopg(sdk: RdsClient, id_: str, **options: Any) -> psycopg.Connection:
    (one,) = listed(sdk, id=id_)
    host, port = one.private_ips[0], one.port
    return psycopg.connect(
        host=host, port=port, user="root", password=PASSWORD, dbname="postgres", connect_timeout=10, **options
    )


def check_libpq(sdk: RdsClient, id_: str, ca: Path) -> None:
    """By a driver, and by `psql` of the same installation."""
    with by_psycopg(sdk, id_, sslmode="verify-full", sslrootcert=str(ca)) as connection:
        row = connection.execute(
            "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
        ).fetchone()
        assert row in {(True, "TLSv1.2"), (True, "TLSv1.3")}
        host, port = connection.info.host, connection.info.port
    done = subprocess.run(
        [
            ENCRYPTING[-1].bin_dir / "psql",
            "-h",
            host,
            "-p",
            str(port),
            "-U",
            "root",
            "-Atc",
            "select 1",
            "postgres",
        ],
        env={**os.environ, "PGPASSWORD": PASSWORD, "PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(ca)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr


def test_libpq_knows_the_server_also_after_a_switchover(
    sdk: RdsClient, postgresql: str, tmp_path: Path, strange_ca: Path
) -> None:
    ca = downloaded(sdk, postgresql, tmp_path)
    check_libpq(sdk, postgresql, ca)
    completed(sdk, switch_over(sdk, postgresql).workflow_id, LONG)
    check_libpq(sdk, postgresql, ca)
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        by_psycopg(sdk, postgresql, sslmode="verify-full", sslrootcert=str(strange_ca))
    with by_psycopg(sdk, postgresql, sslmode="disable") as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_tls_of_postgresql_is_switched_off_and_on(sdk: RdsClient, postgresql: str, tmp_path: Path) -> None:
    assert switch_ssl(sdk, postgresql, on=False).name == "PostgresqlSwitchSSL"
    assert listed(sdk, id=postgresql)[0].enable_ssl is False
    with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
        by_psycopg(sdk, postgresql, sslmode="require")
    switch_ssl(sdk, postgresql, on=True)
    check_libpq(sdk, postgresql, downloaded(sdk, postgresql, tmp_path))
