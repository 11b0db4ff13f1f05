import dataclasses
import ipaddress

import pytest
from iam_app import BASE, OTHER, PROJECT, SETTINGS, build, signed_headers
from litestar.testing import TestClient

from openrds.domain.network import default_network, public_addresses

NETWORK = default_network(PROJECT.id, SETTINGS)


@pytest.fixture(scope="module")
def client():
    with TestClient(build(), base_url=BASE) as client:
        yield client


def call(client, path, **options):
    return client.get(path, headers=signed_headers("GET", path, **options))


def fetch(client, path):
    answer = call(client, path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_ids_are_stable_and_differ():
    assert default_network(PROJECT.id, SETTINGS) == NETWORK
    ids = {NETWORK.vpc_id, NETWORK.subnet_id, NETWORK.neutron_subnet_id, NETWORK.security_group_id}
    assert len(ids) == 4
    assert NETWORK.vpc_id == "3c48451b-bf84-591d-bcb1-cf7b7906f375"
    assert default_network(OTHER.project.id, SETTINGS).vpc_id not in ids


def test_the_network_is_the_private_pool():
    assert NETWORK.cidr == ipaddress.IPv4Network("127.64.0.0/16")
    assert str(NETWORK.gateway) == "127.64.0.1"
    assert NETWORK.availability_zones == ("local-1a",)


def test_public_addresses_are_the_first_of_the_pool():
    addresses = public_addresses(PROJECT.id, SETTINGS)
    assert [str(found.address) for found in addresses[:2]] == ["127.200.0.1", "127.200.0.2"]
    assert len({found.id for found in addresses}) == 16
    small = dataclasses.replace(SETTINGS, public_cidr="10.0.0.0/30")
    assert len(public_addresses(PROJECT.id, small)) == 2


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


V1 = f"/v1/{PROJECT.id}"
LOOK_UPS = [
    ("/v2.0/networks", "networks", "network", NETWORK.subnet_id, "default-subnet"),
    ("/v2.0/subnets", "subnets", "subnet", NETWORK.neutron_subnet_id, "default-subnet"),
    ("/v2.0/routers", "routers", "router", NETWORK.vpc_id, "default-vpc"),
    ("/v2.0/security-groups", "security_groups", "security_group", NETWORK.security_group_id, "default"),
    (f"{V1}/vpcs", "vpcs", "vpc", NETWORK.vpc_id, "default-vpc"),
    (f"{V1}/subnets", "subnets", "subnet", NETWORK.subnet_id, "default-subnet"),
    (
        *(f"/v3/{PROJECT.id}/vpc/security-groups", "security_groups", "security_group"),
        *(NETWORK.security_group_id, "default"),
    ),
]


@pytest.mark.parametrize(("path", "plural", "singular", "id_", "name"), LOOK_UPS)
def test_look_ups_by_id_and_name(client, *, path, plural, singular, id_, name):
    (found,) = fetch(client, path)[plural]
    assert (found["id"], found["name"], found["tenant_id"]) == (id_, name, PROJECT.id)
    assert fetch(client, f"{path}/{id_}") == {singular: found}
    assert fetch(client, f"{path}?name={name}&skip_cache=True&limit=10")[plural] == [found]
    assert fetch(client, f"{path}?id={id_}")[plural] == [found]
    assert fetch(client, f"{path}?id=x&id={id_}")[plural] == [found]
    assert fetch(client, f"{path}?name=other")[plural] == []
    assert fetch(client, f"{path}?marker={id_}")[plural] == []
    assert fetch(client, f"{path}?offset=1")[plural] == []
    assert fetch(client, f"{path}?limit=0")[plural] == []


@pytest.mark.parametrize(("path", "plural", "singular", "id_", "name"), LOOK_UPS)
def test_a_name_is_no_id(client, *, path, plural, singular, id_, name):
    answer = call(client, f"{path}/{name}")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "APIGW.0101")
    assert answer.json()["error_msg"] == f"{name} does not exist."


@pytest.mark.parametrize("path", [look_up[0] for look_up in LOOK_UPS] + ["/v2.0/ports"])
def test_look_ups_need_a_caller(client, path):
    assert client.get(path).status_code == 401


def test_the_pieces_refer_to_each_other(client):
    (network,) = fetch(client, "/v2.0/networks")["networks"]
    assert network["subnets"] == [NETWORK.neutron_subnet_id]
    (neutron_subnet,) = fetch(client, "/v2.0/subnets")["subnets"]
    assert neutron_subnet["network_id"] == network["id"]
    assert neutron_subnet["cidr"] == "127.64.0.0/16"
    assert neutron_subnet["allocation_pools"] == [{"start": "127.64.0.2", "end": "127.64.255.254"}]
    (subnet,) = fetch(client, f"{V1}/subnets?vpc_id={NETWORK.vpc_id}")["subnets"]
    assert (subnet["vpc_id"], subnet["neutron_network_id"]) == (NETWORK.vpc_id, NETWORK.subnet_id)
    assert subnet["dnsList"] == []
    assert fetch(client, f"{V1}/subnets?vpc_id=x")["subnets"] == []


def test_filters_by_flags(client):
    assert len(fetch(client, "/v2.0/networks?admin_state_up=True")["networks"]) == 1
    assert fetch(client, "/v2.0/networks?router%3Aexternal=True")["networks"] == []


def test_ports(client):
    assert fetch(client, "/v2.0/ports?device_id=x") == {"ports": []}


def test_security_group_pages(client):
    body = fetch(client, f"/v3/{PROJECT.id}/vpc/security-groups")
    assert body["page_info"] == {"current_count": 1}
    assert len(body["request_id"]) == 32


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "offset=1.5"])
def test_bad_pages_are_refused(client, query):
    answer = call(client, f"{V1}/vpcs?{query}")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200001")
    assert answer.json()["error_msg"].endswith("expected a number that is not negative.")


def test_another_project_is_refused(client):
    assert call(client, f"{V1}/vpcs", account=OTHER).status_code == 403
    assert (
        call(client, "/v2.0/networks", account=OTHER).json()["networks"][0]["tenant_id"] == OTHER.project.id
    )
