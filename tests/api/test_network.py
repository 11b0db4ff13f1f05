import dataclasses

import pytest
from iam_app import BASE, OTHER, PROJECT, SETTINGS, build
from litestar.testing import TestClient

from openrds.api.cloud.neutron_bodies import subnet_body
from openrds.domain.network import default_network, public_addresses

NETWORK = default_network(PROJECT.id, SETTINGS)


@pytest.fixture(scope="module")
def client():
    with TestClient(build(), base_url=BASE) as client:
        yield client


def test_ids_are_stable_and_differ():
    assert default_network(PROJECT.id, SETTINGS) == NETWORK
    ids = {NETWORK.vpc.id, NETWORK.subnet.id, NETWORK.subnet.neutron_subnet_id, NETWORK.security_group.id}
    assert len(ids) == 4
    assert NETWORK.vpc.id == "3c48451b-bf84-591d-bcb1-cf7b7906f375"
    assert default_network(OTHER.project.id, SETTINGS).vpc.id not in ids


def test_the_network_is_the_private_pool():
    assert NETWORK.vpc.cidr == NETWORK.subnet.cidr == "127.64.0.0/16"
    assert NETWORK.subnet.gateway_ip == "127.64.0.1"
    assert NETWORK.subnet.availability_zone == "local-1a"


def test_public_addresses_are_the_first_of_the_pool():
    addresses = public_addresses(PROJECT.id, SETTINGS)
    assert [str(found.address) for found in addresses[:2]] == ["127.200.0.1", "127.200.0.2"]
    assert len({found.id for found in addresses}) == 16
    small = dataclasses.replace(SETTINGS, public_cidr="10.0.0.0/30")
    assert len(public_addresses(PROJECT.id, small)) == 2


@pytest.mark.parametrize("length", [30, 31, 32])
def test_a_pool_may_be_small(length):
    small = dataclasses.replace(SETTINGS, private_cidr=f"10.0.0.0/{length}")
    subnet = default_network(PROJECT.id, small).subnet
    assert subnet_body(subnet).cidr == subnet.cidr == small.private_cidr


def test_version_discovery_needs_no_caller(client):
    versions = client.get("/").json()["versions"]
    assert {version["id"]: [link["href"] for link in version["links"]] for version in versions} == {
        "v3.14": [f"{BASE}/v3/"],
        "v2.0": [f"{BASE}/v2.0/"],
        "v3": [],
    }
    assert client.get("/v2.0").json()["version"] == versions[1]
    assert client.get("/v2.0/").json()["version"] == versions[1]


def test_the_versions_of_the_rds_api_need_no_caller(client):
    (version,) = client.get("/rds").json()["versions"]
    assert version == {"id": "v3", "links": [], "status": "CURRENT", "updated": "2019-01-15T12:00:00Z"}
    assert client.get("/rds/v3").json() == {"version": version, "versions": version}
    missing = client.get("/rds/v2")
    assert (missing.status_code, missing.json()["error_code"]) == (404, "APIGW.0101")


@pytest.mark.parametrize(
    "path",
    [
        "/v2.0/networks",
        "/v2.0/ports",
        f"/v1/{PROJECT.id}/vpcs",
        f"/v3/{PROJECT.id}/vpc/security-groups",
        f"/v2.1/{PROJECT.id}/os-availability-zone",
        "/v2/nameservers",
    ],
)
def test_look_ups_need_a_caller(client, path):
    assert client.get(path).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"/v1/{PROJECT.id}/vpcs/statistic", 404),
        ("POST", f"/v1/{PROJECT.id}/vpcs/{NETWORK.vpc.id}", 405),
        ("PUT", f"/v3/{PROJECT.id}/vpc/security-group-rules/batch-create", 404),
        ("PUT", f"/v3/{PROJECT.id}/vpc/security-group-rules/{NETWORK.vpc.id}", 405),
        ("PATCH", "/v2.0/routers/x", 404),
        ("PATCH", "/v2.0/routers", 405),
        ("DELETE", f"/v3/{PROJECT.id}/vpc/vpcs", 405),
    ],
)
def test_what_no_id_can_be_is_not_found(client, method, path, status):
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error_code"]) == (status, "APIGW.0101")
