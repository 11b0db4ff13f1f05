"""The address of an instance, changed through the API."""

import contextlib
import ipaddress
import socket
from typing import Any

import psycopg
import pytest

from openrds.hosts.addresses import is_answering
from support.service import ServiceUnderTest, fresh, session


@pytest.fixture(scope="module")
def instance(service: ServiceUnderTest) -> dict[str, Any]:
    return service.create(name="address-db")


def change_address(service: ServiceUnderTest, instance: dict[str, Any], address: Any) -> Any:
    answer = service.call("PUT", f"instances/{instance['id']}/ip", {"new_ip": address}, headers=fresh())
    return answer.status_code, answer.json()


def test_an_instance_moves(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    (old,) = instance["private_ips"]
    new = str(ipaddress.IPv4Address(old) + 9)
    with contextlib.closing(session(instance)) as before:
        before.execute("create table kept as select 42 as answer")
        status, answer = change_address(service, instance, new)
        assert status == 200
        job = service.completed(answer["workflowId"])
        assert (job["name"], job["entities"]) == ("ModifyPostgresqlDataIP", {})
        with pytest.raises(psycopg.OperationalError):
            before.execute("select 1")
    after = service.instance(instance["id"])
    assert (after["status"], after["port"], after["private_ips"]) == ("ACTIVE", instance["port"], [new])
    with contextlib.closing(session(after)) as connection:
        assert connection.execute("select answer from kept")
    assert not is_answering(old, instance["port"])
    other = service.create(name="its-old-address")
    assert other["private_ips"] == [old]
    status, answer = change_address(service, other, new)
    assert (status, answer["error_code"]) == (400, "DBS.200001")
    assert "in use" in answer["error_msg"] or "taken" in answer["error_msg"]


def test_an_address_that_cannot_be_is_refused(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    (now,) = service.instance(instance["id"])["private_ips"]
    network = ipaddress.IPv4Network(f"{now}/24", strict=False)
    for wrong, said in (
        (now, f"has the address {now} already"),
        ("10.1.2.3", "none that instances are given"),
        ("0.0.0.0", "none that instances are given"),
        (str(network.network_address), "none that instances are given"),
        (str(network.broadcast_address), "none that instances are given"),
        ("::1", "must be an IPv4 address"),
        ("127.0.0.1 or so", "must be an IPv4 address"),
        ("", "new_ip"),
        (None, "new_ip"),
    ):
        status, answer = change_address(service, instance, wrong)
        assert (status, answer["error_code"]) == (400, "DBS.200001"), answer
        assert said in answer["error_msg"]
    used = str(ipaddress.IPv4Address(now) + 20)
    with socket.create_server((used, instance["port"])):
        status, answer = change_address(service, instance, used)
    assert (status, answer["error_code"]) == (400, "DBS.200001")
    assert f"{used}:{instance['port']} is in use" in answer["error_msg"]
    assert service.instance(instance["id"])["private_ips"] == [now]
