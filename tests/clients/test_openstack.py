"""`openstack rds …`: python-openstackclient with otcextensions, unmodified, as a user types it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.openstack import OpenStack, openstack_of, told
from support.service import PASSWORD, ServiceUnderTest

# Each command takes seconds of CPU to load its plug-ins, and `--wait` sleeps 10 s before it looks.
pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

NAME = "openstack-db"
FLAVOR = "rds.pg.n1.medium.2"


@pytest.fixture(scope="module")
def openstack(service: ServiceUnderTest, tmp_path_factory: pytest.TempPathFactory) -> OpenStack:
    return openstack_of(service, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def created(openstack: OpenStack, service: ServiceUnderTest) -> Iterator[dict[str, Any]]:
    """What `instance create --wait` printed; the networks are looked up by their names."""
    done = openstack(
        *("rds", "instance", "create", NAME, FLAVOR, "--wait", "--wait-interval", "1", "-f", "json"),
        *("--size", "40", "--volume-type", "ULTRAHIGH"),
        *("--datastore-type", "PostgreSQL", "--datastore-version", service.newest_version()),
        *("--region", "local-1", "--availability-zone", "local-1a", "--password", PASSWORD),
        *("--router-id", "vpc-default", "--network-id", "subnet-default", "--security-group-id", "default"),
    )
    instance = told(done)
    yield instance
    if service.get(f"instances?id={instance['id']}")["instances"]:
        service.delete(instance["id"])


def test_datastores_are_listed(openstack: OpenStack, service: ServiceUnderTest) -> None:
    types = told(openstack("rds", "datastore", "type", "list", "-f", "json"))
    assert {"Name": "PostgreSQL"} in types
    versions = told(openstack("rds", "datastore", "version", "list", "postgresql", "-f", "json"))
    assert service.newest_version() in [version["Name"] for version in versions]
    assert all(version["ID"] for version in versions)


def test_flavors_are_listed(openstack: OpenStack, service: ServiceUnderTest) -> None:
    flavors = told(openstack("rds", "flavor", "list", "postgresql", service.newest_version(), "-f", "json"))
    assert {"name": FLAVOR, "instance_mode": "single", "vcpus": "1", "ram": 2} in flavors


def test_an_instance_is_created_and_waited_for(created: dict[str, Any], service: ServiceUnderTest) -> None:
    assert (created["name"], created["status"], created["type"]) == (NAME, "ACTIVE", "Single")
    assert created["flavor_ref"] == FLAVOR
    assert created["port"] == 5432 and len(created["private_ips"]) == 1
    assert created["volume"] == {"type": "ULTRAHIGH", "size": 40}
    assert created["datastore"]["type"] == "PostgreSQL"
    assert [node["role"] for node in created["nodes"]] == ["master"]
    network = service.instance(created["id"])
    assert (created["router_id"], created["network_id"]) == (network["vpc_id"], network["subnet_id"])


def test_instances_are_listed_and_shown(
    openstack: OpenStack, created: dict[str, Any], service: ServiceUnderTest
) -> None:
    (row,) = [
        row for row in told(openstack("rds", "instance", "list", "-f", "json")) if row["ID"] == created["id"]
    ]
    assert row == {
        "ID": created["id"],
        "Name": NAME,
        "Datastore Type": "PostgreSQL",
        "Datastore Version": service.newest_version(),
        "Status": "ACTIVE",
        "Flavor_ref": FLAVOR,
        "Type": "Single",
        "Size": 40,
        "Region": "local-1",
    }
    assert told(openstack("rds", "instance", "show", NAME, "-f", "json")) == created


def test_an_instance_is_deleted(
    openstack: OpenStack, created: dict[str, Any], service: ServiceUnderTest
) -> None:
    done = openstack("rds", "instance", "delete", NAME, "--wait", "--wait-interval", "1")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert service.get(f"instances?id={created['id']}")["instances"] == []
    gone = openstack("rds", "instance", "show", created["id"])
    assert gone.returncode == 1
    assert f"No Instance found for {created['id']}" in gone.stderr


def test_a_wrong_password_is_refused(openstack: OpenStack) -> None:
    done = openstack("rds", "instance", "list", "--os-password", "wrong")
    assert done.returncode == 1
    assert "The username or password is wrong." in done.stderr and "401" in done.stderr


def test_what_is_wrong_with_a_creation_is_said(openstack: OpenStack, service: ServiceUnderTest) -> None:
    done = openstack(
        *("rds", "instance", "create", "weak-one", FLAVOR, "--wait"),
        *("--size", "40", "--volume-type", "ULTRAHIGH"),
        *("--datastore-type", "PostgreSQL", "--datastore-version", service.newest_version()),
        *("--region", "local-1", "--availability-zone", "local-1a", "--password", "weak"),
        *("--router-id", "vpc-default", "--network-id", "subnet-default", "--security-group-id", "default"),
    )
    assert done.returncode == 1
    assert "DBS.200052" in done.stderr  # of our two strings otcextensions shows the first


def test_a_token_is_issued_and_revoked(openstack: OpenStack, service: ServiceUnderTest) -> None:
    token = told(openstack("token", "issue", "-f", "json"))["id"]

    def status() -> int:
        return httpx.get(f"{service.endpoint}/v3/auth/projects", headers={"X-Auth-Token": token}).status_code

    assert status() == 200
    done = openstack("token", "revoke", token)
    assert done.returncode == 0, done.stderr
    assert status() == 401


def test_a_network_is_made_and_deleted(openstack: OpenStack, service: ServiceUnderTest) -> None:
    """As otcextensions' own suite makes the network of its instances."""

    def made(*words: str) -> dict[str, Any]:
        created: dict[str, Any] = told(openstack(*words, "-f", "json"))
        return created

    router = made("router", "create", "os-router")
    network = made("network", "create", "os-net")
    subnet = made("subnet", "create", "os-subnet", "--network", "os-net", "--subnet-range", "192.168.0.0/24")
    assert (subnet["network_id"], subnet["cidr"]) == (network["id"], "192.168.0.0/24")
    added = openstack("router", "add", "subnet", "os-router", subnet["id"])
    assert added.returncode == 0, added.stderr
    (shown,) = service.get(f"/v1/{service.project_id}/subnets?id={network['id']}")["subnets"]
    assert (shown["vpc_id"], shown["name"]) == (router["id"], "os-net")

    group = made("security", "group", "create", "os-group", "--description", "of a test")
    rule = made(
        *("security", "group", "rule", "create", "os-group", "--protocol", "tcp"),
        *("--dst-port", "5432", "--remote-ip", "10.0.0.0/8"),
    )
    assert (rule["port_range_min"], rule["remote_ip_prefix"]) == (5432, "10.0.0.0/8")
    listed = told(openstack("security", "group", "list", "-f", "json"))
    assert {"default", "os-group"} <= {one["Name"] for one in listed}
    assert group["description"] == "of a test"

    kept = openstack("router", "delete", "os-router")
    assert kept.returncode == 1 and "409" in kept.stderr
    for words in (
        ("router", "remove", "subnet", "os-router", subnet["id"]),
        ("network", "delete", "os-net"),
        ("router", "delete", "os-router"),
        ("security", "group", "delete", "os-group"),
    ):
        done = openstack(*words)
        assert done.returncode == 0, done.stderr
