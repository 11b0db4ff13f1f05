"""Public addresses through the API: listed, bound, answering, unbound, and freed with their instance."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from openrds.hosts.addresses import is_answering
from openrds.hosts.errors import HostError
from openrds.hosts.forwarders import choose_forwarder
from openrds.hosts.user import ServerUser
from support.service import PASSWORD, ServiceUnderTest, fresh, running_service, wait_for


@pytest.fixture(scope="module", params=["nftables", "haproxy"])
def forwarding(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    try:
        choose_forwarder(request.param, tmp_path_factory.mktemp("trial"), ServerUser.choose())
    except HostError as error:
        pytest.skip(str(error))
    return str(request.param)


@pytest.fixture(scope="module")
def service(forwarding: str) -> Iterator[ServiceUnderTest]:
    with running_service(forwarding=forwarding, projects="one,two") as running:
        yield running


@pytest.fixture(scope="module")
def instance(service: ServiceUnderTest) -> dict[str, Any]:
    return service.create(name="public-db")


def public_ips(service: ServiceUnderTest) -> list[dict[str, Any]]:
    return service.get(f"/v1/{service.project_id}/publicips")["publicips"]


def set_public_ip(service: ServiceUnderTest, instance: dict[str, Any], **body: Any) -> Any:
    answer = service.call("PUT", f"instances/{instance['id']}/public-ip", body, headers=fresh())
    return answer.status_code, answer.json()


def bind(service: ServiceUnderTest, instance: dict[str, Any], public: dict[str, Any]) -> dict[str, Any]:
    given = {"public_ip": public["public_ip_address"], "public_ip_id": public["id"]}
    status, answer = set_public_ip(service, instance, is_bind=True, **given)
    assert status == 200, answer
    return service.completed(answer["job_id"])


def unbind(service: ServiceUnderTest, instance: dict[str, Any]) -> dict[str, Any]:
    status, answer = set_public_ip(service, instance, is_bind=False)
    assert status == 200, answer
    return service.completed(answer["job_id"])


def connect(instance: dict[str, Any], address: str) -> psycopg.Connection:
    return psycopg.connect(
        host=address,
        port=instance["port"],
        user="root",
        password=PASSWORD,
        dbname="postgres",
        connect_timeout=10,
        autocommit=True,
    )


def test_an_address_answers_from_its_binding_to_its_unbinding(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    public = public_ips(service)[2]
    address = public["public_ip_address"]
    assert public["status"] == "DOWN"
    assert not is_answering(address, instance["port"])

    job = bind(service, instance, public)
    assert (job["name"], job["entities"]) == ("PostgresqlBindEIP", {"public_ip": address})
    bound = service.instance(instance["id"])
    assert (bound["status"], bound["public_ips"]) == ("ACTIVE", [address])
    shown = service.get(f"/v1/{service.project_id}/publicips/{public['id']}")["publicip"]
    assert shown == {
        **public,
        "status": "ACTIVE",
        "private_ip_address": bound["private_ips"][0],
        "associate_instance_type": "RDS",
        "associate_instance_id": instance["id"],
    }
    with connect(instance, address) as through, connect(instance, bound["private_ips"][0]) as direct:
        assert through.execute("select 1").fetchone() == (1,)
        job = unbind(service, instance)
        assert (job["name"], job["entities"]) == ("PostgresqlUnbindEIP", {"public_ip": address})
        with pytest.raises(psycopg.OperationalError):
            through.execute("select 1")
        assert direct.execute("select 1").fetchone() == (1,)
    assert not is_answering(address, instance["port"])
    assert service.instance(instance["id"])["public_ips"] == []
    assert public_ips(service)[2] == public


def test_addresses_are_filtered_and_paged(service: ServiceUnderTest) -> None:
    path = f"/v1/{service.project_id}/publicips"
    found = public_ips(service)
    assert len(found) == 16
    assert {public["status"] for public in found} == {"DOWN"}
    for query, expected in (
        (f"public_ip_address={found[2]['public_ip_address']}", [found[2]]),
        ("public_ip_address=10.0.0.1", []),
        ("status=ACTIVE", []),
        ("limit=5", found[:5]),
        (f"limit=5&marker={found[4]['id']}", found[5:10]),
        ("limit=5&offset=12", found[12:]),
        (f"marker={found[15]['id']}", []),
        ("marker=unknown", []),
    ):
        assert service.get(f"{path}?{query}")["publicips"] == expected, query
    assert service.get(f"{path}/{found[2]['id']}") == {"publicip": found[2]}
    assert service.call("GET", f"{path}/{found[2]['public_ip_address']}").status_code == 404


def test_what_cannot_be_bound_is_refused(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    first, second = public_ips(service)[:2]
    known = {"public_ip": first["public_ip_address"], "public_ip_id": first["id"]}
    for body, said in (
        ({"is_bind": True}, "public_ip and public_ip_id are required"),
        ({"is_bind": True, "public_ip": known["public_ip"]}, "public_ip_id are required"),
        ({**known, "is_bind": True, "public_ip": "10.1.2.3"}, "10.1.2.3 is not a public address"),
        ({**known, "is_bind": True, "public_ip": "elsewhere"}, "elsewhere is not a public address"),
        ({**known, "is_bind": True, "public_ip_id": second["id"]}, f"is {first['id']}"),
        ({"is_bind": False}, "No public address is bound"),
        ({**known}, "is_bind"),
    ):
        status, answer = set_public_ip(service, instance, **body)
        assert (status, answer["error_code"]) == (400, "DBS.200001"), answer
        assert said in answer["error_msg"]
    assert service.instance(instance["id"])["public_ips"] == []


def test_an_address_has_one_instance_and_an_instance_one_address(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    first, second = public_ips(service)[:2]
    given = {"public_ip": first["public_ip_address"], "public_ip_id": first["id"]}
    other = service.create(name="other-db")
    bind(service, other, first)
    status, answer = set_public_ip(service, instance, is_bind=True, **given)
    assert (status, answer["error_code"]) == (400, "DBS.200001")
    assert f"is bound to instance {other['id']}" in answer["error_msg"]
    more = {"public_ip": second["public_ip_address"], "public_ip_id": second["id"]}
    for body, said in (
        ({"is_bind": True, **more}, "unbind it before you bind another"),
        ({"is_bind": False, **more}, f"{first['public_ip_address']} is bound to the instance, not"),
    ):
        status, answer = set_public_ip(service, other, **body)
        assert (status, answer["error_code"]) == (400, "DBS.200001")
        assert said in answer["error_msg"]

    # Another project shares the pool, with ids of its own: what is bound elsewhere is not on offer there.
    two = ServiceUnderTest(service.data_dir, service.options, project="two")
    assert first["public_ip_address"] not in [public["public_ip_address"] for public in public_ips(two)]

    # It is freed with its instance.
    service.delete(other["id"])
    assert not is_answering(first["public_ip_address"], other["port"])
    bind(service, instance, first)
    with connect(instance, first["public_ip_address"]) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    unbind(service, instance)


def test_an_address_where_somebody_else_answers_is_left_to_them(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    public = public_ips(service)[5]
    given = {"public_ip": public["public_ip_address"], "public_ip_id": public["id"]}
    with socket.create_server((public["public_ip_address"], instance["port"])):
        _, answer = set_public_ip(service, instance, is_bind=True, **given)
        job = service.ended(answer["job_id"])
    assert job["status"] == "Failed"
    assert "another program answers on" in job["fail_reason"]
    after = service.instance(instance["id"])
    assert (after["status"], after["public_ips"]) == ("ACTIVE", [])
    bind(service, instance, public)
    unbind(service, instance)


def test_it_goes_with_the_port_the_stop_and_the_service(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    public = public_ips(service)[7]
    address = public["public_ip_address"]
    bind(service, instance, public)
    answer = service.call("PUT", f"instances/{instance['id']}/port", {"port": 5444})
    service.completed(answer.json()["workflowId"])
    moved = service.instance(instance["id"])
    assert not is_answering(address, instance["port"])
    with connect(moved, address) as connection:
        assert connection.execute("select 1").fetchone() == (1,)

    service.completed(service.call("POST", f"instances/{instance['id']}/action/shutdown").json()["job_id"])
    wait_for(lambda: not is_answering(address, 5444), 10, "the stopped instance is gone from its address")
    service.completed(service.call("POST", f"instances/{instance['id']}/action/startup").json()["job_id"])
    with connect(moved, address) as connection:
        assert connection.execute("select 1").fetchone() == (1,)

    assert service.down().returncode == 0
    assert not is_answering(address, 5444)
    service.start()
    wait_for(lambda: can_connect(moved, address), 30, "the address answers again")
    running = f"tasklist?instance_id={moved['id']}&status=Running"
    wait_for(lambda: not service.get(running)["total_count"], 30, "the end of who has brought it back")
    unbind(service, moved)


def can_connect(instance: dict[str, Any], address: str) -> bool:
    try:
        with connect(instance, address):
            return True
    except psycopg.OperationalError:
        return False


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="for root, with setpriv")
def test_a_means_that_cannot_be_used_stops_the_start() -> None:
    """As in a container that has root, but not the right to change the network."""
    with running_service(start=False, forwarding="nftables") as service:
        service.data_dir.mkdir()
        done = subprocess.run(
            [
                "setpriv",
                "--bounding-set=-net_admin",
                *service.command("serve", "--data-dir", str(service.data_dir)),
            ],
            env=service.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert "openrds: The setting forwarding is nftables, but nftables cannot be used: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_host_without_means_refuses() -> None:
    with running_service(forwarding="none") as service:
        instance = service.create(name="without-db")
        public = public_ips(service)[0]
        given = {"public_ip": public["public_ip_address"], "public_ip_id": public["id"]}
        status, answer = set_public_ip(service, instance, is_bind=True, **given)
        assert (status, answer["error_code"]) == (400, "DBS.200001")
        assert "cannot pass connections on" in answer["error_msg"]
        assert public_ips(service)[0]["status"] == "DOWN"
        pair: dict[str, Any] = {
            "flavor_ref": "rds.pg.n1.medium.2.ha",
            "availability_zone": "local-1a,local-1a",
            "ha": {"mode": "Ha", "replication_mode": "sync"},
        }
        refused = service.call("POST", "instances", service.create_body(**pair), headers=fresh())
        assert (refused.status_code, refused.json()["error_code"]) == (400, "DBS.200051")
        assert "HAProxy" in refused.json()["error_msg"]
