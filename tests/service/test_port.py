"""The port of an instance, changed through the API, and whether it speaks TLS."""

import contextlib
import socket
from typing import Any

import httpx
import psycopg
import pytest

from openrds.domain.engine import EngineName
from openrds.hosts.addresses import is_answering
from support.engines import found
from support.service import PASSWORD, ServiceUnderTest, fresh


@pytest.fixture(scope="module")
def instance(service: ServiceUnderTest) -> dict[str, Any]:
    return service.create(name="port-db")


def change_port(service: ServiceUnderTest, instance: dict[str, Any], port: Any) -> Any:
    answer = service.call("PUT", f"instances/{instance['id']}/port", {"port": port}, headers=fresh())
    return answer.status_code, answer.json()


def connect(address: str, port: int) -> psycopg.Connection:
    return psycopg.connect(
        host=address, port=port, user="root", password=PASSWORD, dbname="postgres", connect_timeout=10
    )


def test_a_port_is_changed(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    (address,) = instance["private_ips"]
    with contextlib.closing(connect(address, 5432)) as before:
        before.execute("create table kept as select 42 as answer")
        before.commit()
        status, answer = change_port(service, instance, 6543)
        assert status == 200
        job = service.job(answer["workflowId"])
        if job["status"] == "Running":
            assert service.instance(instance["id"])["status"] == "MODIFYING DATABASE PORT"
        job = service.completed(answer["workflowId"])
        assert (job["name"], job["entities"]) == ("ModifyPostgresqlPort", {})
        with pytest.raises(psycopg.OperationalError):
            before.execute("select 1")
    after = service.instance(instance["id"])
    assert (after["status"], after["port"], after["private_ips"]) == ("ACTIVE", 6543, [address])
    with connect(address, 6543) as connection:
        assert connection.execute("select answer from kept").fetchone() == (42,)
    assert not is_answering(address, 5432)


def test_a_port_that_cannot_be_is_refused(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    (address,) = instance["private_ips"]
    port = service.instance(instance["id"])["port"]
    for wrong, said in (
        (port, f"has the port {port} already"),
        (2099, "2100 to 9500"),
        (9501, "2100 to 9500"),
        ("many", "port"),
        (None, "port"),
    ):
        status, answer = change_port(service, instance, wrong)
        assert (status, answer["error_code"]) == (400, "DBS.200001"), answer
        assert said in answer["error_msg"]
    with socket.create_server((address, 7777)):
        status, answer = change_port(service, instance, 7777)
    assert (status, answer["error_code"]) == (400, "DBS.200001")
    assert f"{address}:7777 is in use" in answer["error_msg"]
    assert service.instance(instance["id"])["port"] == port


def test_remote_connections_are_not_for_postgresql(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    answer = service.call("PUT", f"instances/{instance['id']}/remote-connection", {"is_open": True})
    assert (answer.status_code, answer.json()["error_code"]) == (409, "DBS.280406")
    assert "PostgreSQL has no remote connection" in answer.json()["error_msg"]


def test_a_policy_of_binary_log_is_not_for_postgresql(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    path = f"instances/{instance['id']}/binlog/clear-policy"
    for answer in (
        service.call("GET", path),
        service.call("PUT", path, {"binlog_retention_hours": 24}),
    ):
        assert (answer.status_code, answer.json()["error_code"]) == (409, "DBS.280406")
        assert "PostgreSQL has no binary log" in answer.json()["error_msg"]


def test_tls_is_for_servers_that_have_it(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    """Those of the wheel have not."""
    (installed,) = (one for one in found(EngineName.POSTGRESQL) if one.version == service.newest_version())
    path = f"instances/{instance['id']}/ssl"
    assert service.instance(instance["id"])["enable_ssl"] is installed.speaks_tls
    answer = service.call("PUT", path, {"ssl_option": True}, headers=fresh())
    if installed.speaks_tls:
        assert service.completed(answer.json()["job_id"])["name"] == "PostgresqlSwitchSSL"
    else:
        assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200001")
        assert "was built without TLS" in answer.json()["error_msg"]
    off = service.call("PUT", path, {"ssl_option": False}, headers=fresh())
    assert service.completed(off.json()["job_id"])["entities"] == {}
    assert service.instance(instance["id"])["enable_ssl"] is False


def test_the_ca_is_for_everybody(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    link = service.get(f"instances/{instance['id']}/ssl-cert/download-link")["cert_info_list"][0]
    answer = httpx.get(link["download_link"])
    assert answer.text == (service.data_dir / "ca.crt").read_text()
    nobody = f"instances/{'0' * 32}in03/ssl-cert/download-link"
    assert service.call("GET", nobody).status_code == 404
