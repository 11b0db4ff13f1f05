"""VPCs, subnets, security groups and their rules: looked up, made, changed, used by instances, and deleted."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from support.service import ServiceUnderTest, fresh, running_service

UNKNOWN = "00000000-0000-4000-8000-000000000000"
#: The network quota of the service here.
QUOTA = 6


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(projects="local-1,other", network_quota=str(QUOTA)) as running:
        yield running


@pytest.fixture(scope="module")
def other(service: ServiceUnderTest) -> ServiceUnderTest:
    """The same service, for another project."""
    return replace(service, project="other")


class Api:
    """Calls by `{p}`, the project, that answer with the JSON of what must go well."""

    def __init__(self, service: ServiceUnderTest) -> None:
        self.service = service

    def __call__(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        full = path.replace("{p}", self.service.project_id)
        answer = self.service.call(method, full, body, headers=fresh())
        assert answer.status_code == status, (method, path, answer.text)
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, body: Any, status: int, code: str, said: str) -> None:
        answer = self(method, path, body, status=status)
        assert answer["error_code"] == code, answer
        assert said in answer["error_msg"]


@pytest.fixture(scope="module")
def api(service: ServiceUnderTest) -> Api:
    return Api(service)


# --- Look-ups of the default network ---

LOOK_UPS = [
    ("/v2.0/networks", "networks", "network", "subnet-default"),
    ("/v2.0/subnets", "subnets", "subnet", "subnet-default"),
    ("/v2.0/routers", "routers", "router", "vpc-default"),
    ("/v2.0/security-groups", "security_groups", "security_group", "default"),
    ("/v1/{p}/vpcs", "vpcs", "vpc", "vpc-default"),
    ("/v1/{p}/subnets", "subnets", "subnet", "subnet-default"),
    ("/v1/{p}/security-groups", "security_groups", "security_group", "default"),
    ("/v3/{p}/vpc/vpcs", "vpcs", "vpc", "vpc-default"),
    ("/v3/{p}/vpc/security-groups", "security_groups", "security_group", "default"),
]


@pytest.mark.parametrize(("path", "plural", "singular", "name"), LOOK_UPS)
def test_look_ups_by_id_and_name(api: Api, *, path: str, plural: str, singular: str, name: str) -> None:
    found = api("GET", path)[plural][0]
    id_ = found["id"]
    assert (found["name"], found["tenant_id"]) == (name, api.service.project_id)
    assert api("GET", f"{path}/{id_}")[singular] == found
    for query in (
        f"name={name}&skip_cache=True&limit=10",
        f"id={id_}",
        f"id=x&id={id_}",
        f"name={name}&enterprise_project_id=all_granted_eps",
    ):
        assert api("GET", f"{path}?{query}")[plural] == [found], query
    for query in ("name=another", f"id={UNKNOWN}", "limit=0", "marker=nobody", "offset=99"):
        assert api("GET", f"{path}?{query}")[plural] == [], query
    api.refused("GET", f"{path}/{name}", None, 404, "APIGW.0101", f"{name} does not exist.")


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "offset=1.5"])
def test_bad_pages_are_refused(api: Api, query: str) -> None:
    api.refused("GET", f"/v1/{{p}}/vpcs?{query}", None, 400, "DBS.200001", "not negative")


def test_enterprise_projects_filter(api: Api) -> None:
    for path, plural in (("/v1/{p}/vpcs", "vpcs"), ("/v1/{p}/publicips", "publicips")):
        assert api("GET", f"{path}?enterprise_project_id=0")[plural]
        assert api("GET", f"{path}?enterprise_project_id=another")[plural] == []
        assert api("GET", f"{path}?enterprise_project_id=all_granted_eps")[plural]


def test_the_pieces_refer_to_each_other(api: Api) -> None:
    network = api("GET", "/v2.0/networks")["networks"][0]
    neutron_subnet = api("GET", "/v2.0/subnets")["subnets"][0]
    router = api("GET", "/v2.0/routers?admin_state_up=True")["routers"][0]
    assert network["subnets"] == [neutron_subnet["id"]]
    assert neutron_subnet["network_id"] == network["id"]
    subnet = api("GET", f"/v1/{{p}}/subnets?vpc_id={router['id']}")["subnets"][0]
    assert (subnet["id"], subnet["neutron_subnet_id"]) == (network["id"], neutron_subnet["id"])
    assert (subnet["cidr"], subnet["gateway_ip"]) == (neutron_subnet["cidr"], neutron_subnet["gateway_ip"])
    assert api("GET", "/v1/{p}/subnets?vpc_id=x")["subnets"] == []
    assert api("GET", "/v2.0/networks?router%3Aexternal=True")["networks"] == []
    (port,) = api("GET", f"/v2.0/ports?device_id={router['id']}")["ports"]
    assert (port["network_id"], port["fixed_ips"][0]["subnet_id"]) == (network["id"], neutron_subnet["id"])
    assert api("GET", f"/v2.0/ports/{port['id']}") == {"port": port}
    group = api("GET", "/v3/{p}/vpc/security-groups")["security_groups"][0]
    for path in ("/v1/{p}", "/v3/{p}/vpc", "/v2.0"):
        rules = api("GET", f"{path}/security-group-rules?security_group_id={group['id']}")
        assert rules["security_group_rules"] == group["security_group_rules"]


def test_what_else_is_looked_up(api: Api) -> None:
    zones = api("GET", "/v2.1/{p}/os-availability-zone")["availabilityZoneInfo"]
    assert zones == [{"zoneName": "local-1a", "zoneState": {"available": True}, "hosts": None}]
    (server,) = api("GET", "/v2/nameservers?type=private&region=local-1")["nameservers"]
    subnet = api("GET", "/v1/{p}/subnets")["subnets"][0]
    assert server["ns_records"] == [{"address": subnet["gateway_ip"], "priority": 1}]
    public = api("GET", "/v1/{p}/publicips?enterprise_project_id=all_granted_eps&public_ip_address=x")
    assert public["publicips"] == []
    address = api("GET", "/v1/{p}/publicips")["publicips"][0]
    for kind, id_ in (("publicips", address["id"]), ("subnets", subnet["id"]), ("vpcs", subnet["vpc_id"])):
        assert api("GET", f"/v2.0/{{p}}/{kind}/{id_}/tags") == {"tags": []}
        api("GET", f"/v2.0/{{p}}/{kind}/{UNKNOWN}/tags", status=404)
    instances = api("GET", "/v3/{p}/instances?eps_id=all_granted_eps")
    assert instances == api("GET", "/v3/{p}/instances")


def test_the_default_network_stays(api: Api) -> None:
    subnet = api("GET", "/v1/{p}/subnets")["subnets"][0]
    group = api("GET", "/v1/{p}/security-groups")["security_groups"][0]
    for path in (
        f"/v1/{{p}}/vpcs/{subnet['vpc_id']}",
        f"/v3/{{p}}/vpc/vpcs/{subnet['vpc_id']}",
        f"/v1/{{p}}/vpcs/{subnet['vpc_id']}/subnets/{subnet['id']}",
        f"/v2.0/networks/{subnet['id']}",
        f"/v2.0/subnets/{subnet['neutron_subnet_id']}",
        f"/v2.0/routers/{subnet['vpc_id']}",
        f"/v1/{{p}}/security-groups/{group['id']}",
        f"/v3/{{p}}/vpc/security-groups/{group['id']}",
        f"/v2.0/security-groups/{group['id']}",
        f"/v3/{{p}}/vpc/security-group-rules/{group['security_group_rules'][0]['id']}",
    ):
        api.refused("DELETE", path, None, 409, "VPC.0209", "default")
    body = {"security_group": {"name": "renamed"}}
    api.refused("PUT", f"/v3/{{p}}/vpc/security-groups/{group['id']}", body, 409, "VPC.0209", "default")


# --- Lives ---


def test_a_network_as_terraform_calls_it(api: Api) -> None:
    """`huaweicloud_vpc`, `_vpc_subnet`, `_networking_secgroup` and `_rule`: made, read, changed, and destroyed."""
    new_vpc = {"name": "tf-vpc", "cidr": "192.168.0.0/16", "enterprise_project_id": "0"}
    vpc = api("POST", "/v1/{p}/vpcs", {"vpc": new_vpc})["vpc"]
    assert api("GET", f"/v1/{{p}}/vpcs/{vpc['id']}")["vpc"]["status"] == "OK"
    shown = api("GET", f"/v3/{{p}}/vpc/vpcs/{vpc['id']}")["vpc"]
    assert (shown["status"], shown["extend_cidrs"], shown["cidr"]) == ("ACTIVE", [], "192.168.0.0/16")

    servers = api("GET", "/v2/nameservers?type=private&region=local-1")["nameservers"]
    new_subnet = {
        "name": "tf-subnet",
        "cidr": "192.168.0.0/24",
        "gateway_ip": "192.168.0.1",
        "dhcp_enable": True,
        "ipv6_enable": False,
        "vpc_id": vpc["id"],
        "dnsList": [record["address"] for record in servers[0]["ns_records"]],
    }
    subnet = api("POST", "/v1/{p}/subnets", {"subnet": new_subnet})["subnet"]
    subnet = api("GET", f"/v1/{{p}}/subnets/{subnet['id']}")["subnet"]
    assert {field: subnet[field] for field in new_subnet} == new_subnet
    assert (subnet["status"], subnet["primary_dns"]) == ("ACTIVE", new_subnet["dnsList"][0])
    assert api("GET", f"/v2.0/networks/{subnet['id']}")["network"]["subnets"] == [subnet["neutron_subnet_id"]]
    of_vpc = f"/v1/{{p}}/vpcs/{vpc['id']}/subnets/{subnet['id']}"
    changes = {"name": "tf-renamed", "dhcp_enable": False, "description": "it", "dnsList": ["10.0.0.53"]}
    changed = api("PUT", of_vpc, {"subnet": changes})["subnet"]
    assert {field: changed[field] for field in changes} == changes

    group = api("POST", "/v3/{p}/vpc/security-groups", {"security_group": {"name": "tf-group"}}, status=201)
    group = group["security_group"]
    path = f"/v3/{{p}}/vpc/security-groups/{group['id']}"
    api("PUT", path, {"security_group": {"description": "of Terraform"}})
    first = group["security_group_rules"]
    assert {(rule["direction"], rule["ethertype"], rule["remote_group_id"]) for rule in first} == {
        ("egress", "IPv4", None),
        ("egress", "IPv6", None),
        ("ingress", "IPv4", group["id"]),
        ("ingress", "IPv6", group["id"]),
    }
    for rule in first:  # delete_default_rules
        api("DELETE", f"/v3/{{p}}/vpc/security-group-rules/{rule['id']}", status=204)
    new_rule = {
        "security_group_id": group["id"],
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": "tcp",
        "remote_ip_prefix": "10.0.0.0/8",
        "description": "",
    }
    rules = "/security-group-rules"
    by_range = {**new_rule, "port_range_min": 5432, "port_range_max": 5433}
    old = api("POST", f"/v1/{{p}}{rules}", {"security_group_rule": by_range})["security_group_rule"]
    advanced = {**new_rule, "multiport": "80,8000-8080", "action": "deny", "priority": 5}
    new = api("POST", f"/v3/{{p}}/vpc{rules}", {"security_group_rule": advanced}, status=201)[
        "security_group_rule"
    ]
    shown = api("GET", f"/v3/{{p}}/vpc{rules}/{old['id']}")["security_group_rule"]
    assert (shown["multiport"], shown["action"], shown["priority"]) == ("5432-5433", "allow", 1)
    shown = api("GET", f"/v1/{{p}}{rules}/{new['id']}")["security_group_rule"]
    assert (shown["port_range_min"], shown["port_range_max"]) == (80, 8080)
    assert {field: shown[field] for field in advanced} == advanced
    group = api("GET", f"/v1/{{p}}/security-groups/{group['id']}")["security_group"]
    assert (group["description"], [rule["id"] for rule in group["security_group_rules"]]) == (
        "of Terraform",
        [old["id"], new["id"]],
    )

    changed = api("PUT", f"/v1/{{p}}/vpcs/{vpc['id']}", {"vpc": {"name": "tf-renamed", "description": ""}})
    assert changed["vpc"]["name"] == "tf-renamed"
    api.refused("DELETE", f"/v1/{{p}}/vpcs/{vpc['id']}", None, 409, "VPC.0209", f"subnet {subnet['id']}")
    for path in (
        f"/v1/{{p}}{rules}/{old['id']}",
        f"/v1/{{p}}/security-groups/{group['id']}",
        of_vpc,
        f"/v1/{{p}}/vpcs/{vpc['id']}",
    ):
        api("DELETE", path, status=204)
        api("DELETE", path, status=404)
    for path in (f"/v1/{{p}}/subnets/{subnet['id']}", f"/v3/{{p}}/vpc{rules}/{new['id']}"):
        api("GET", path, status=404)


def test_a_network_as_neutron_s_clients_call_it(api: Api) -> None:
    router = api("POST", "/v2.0/routers", {"router": {"name": "r", "admin_state_up": True}}, status=201)
    router_id = router["router"]["id"]
    network = api("POST", "/v2.0/networks", {"network": {"name": "n"}}, status=201)["network"]
    assert network["subnets"] == []
    assert network["id"] in [one["id"] for one in api("GET", "/v1/{p}/subnets?cidr=")["subnets"]]
    new = {"name": "s", "cidr": "192.168.0.0/24", "ip_version": 4, "network_id": network["id"]}
    subnet = api("POST", "/v2.0/subnets", {"subnet": new}, status=201)["subnet"]
    assert (subnet["gateway_ip"], subnet["network_id"]) == ("192.168.0.1", network["id"])
    assert subnet["allocation_pools"] == [{"start": "192.168.0.2", "end": "192.168.0.254"}]
    again = {**new, "cidr": "192.168.1.0/24"}
    api.refused("POST", "/v2.0/subnets", {"subnet": again}, 409, "VPC.0209", "can have no other")

    interface = f"/v2.0/routers/{router_id}"
    added = api("PUT", f"{interface}/add_router_interface", {"subnet_id": subnet["id"]})
    assert (added["id"], added["subnet_id"]) == (router_id, subnet["id"])
    (port,) = api("GET", f"/v2.0/ports?device_id={router_id}")["ports"]
    assert port["id"] == added["port_id"]
    assert api("GET", f"/v1/{{p}}/subnets/{network['id']}")["subnet"]["vpc_id"] == router_id
    api.refused("DELETE", f"/v2.0/subnets/{subnet['id']}", None, 409, "VPC.0209", router_id)
    api.refused("DELETE", f"/v2.0/routers/{router_id}", None, 409, "VPC.0209", network["id"])
    renamed = api("PUT", f"/v2.0/networks/{network['id']}", {"network": {"name": "m"}})["network"]
    assert renamed["name"] == "m"

    group = api("POST", "/v2.0/security-groups", {"security_group": {"name": "g"}}, status=201)
    group_id = group["security_group"]["id"]
    rule = {"security_group_id": group_id, "direction": "ingress", "protocol": None, "ethertype": "IPv4"}
    made = api("POST", "/v2.0/security-group-rules", {"security_group_rule": rule}, status=201)
    api("DELETE", f"/v2.0/security-group-rules/{made['security_group_rule']['id']}", status=204)
    api("DELETE", f"/v2.0/security-groups/{group_id}", status=204)

    api("PUT", f"{interface}/remove_router_interface", {"port_id": port["id"]})
    api("PUT", f"{interface}/remove_router_interface", {"subnet_id": subnet["id"]}, status=404)
    api("DELETE", f"/v2.0/subnets/{subnet['id']}", status=204)
    assert api("GET", f"/v2.0/networks/{network['id']}")["network"]["subnets"] == []
    api("DELETE", f"/v2.0/networks/{network['id']}", status=204)
    api("DELETE", f"/v2.0/routers/{router_id}", status=204)


@pytest.fixture(scope="module")
def place(api: Api) -> dict[str, str]:
    """A VPC with a subnet, and a security group, as the body of a new instance names them."""
    vpc = api("POST", "/v3/{p}/vpc/vpcs", {"vpc": {"name": "mine", "cidr": "10.0.0.0/16"}}, status=201)["vpc"]
    new = {"name": "mine", "cidr": "10.0.1.0/24", "vpc_id": vpc["id"]}
    subnet = api("POST", "/v1/{p}/subnets", {"subnet": new})["subnet"]
    group = api("POST", "/v1/{p}/security-groups", {"security_group": {"name": "mine"}})["security_group"]
    return {"vpc_id": vpc["id"], "subnet_id": subnet["id"], "security_group_id": group["id"]}


def test_what_an_instance_uses_is_kept(api: Api, place: dict[str, str], service: ServiceUnderTest) -> None:
    fields: dict[str, Any] = {"name": "placed", **place}
    instance = service.create(**fields)
    assert {field: instance[field] for field in place} == place
    (listed,) = api("GET", f"/v3/{{p}}/instances?vpc_id={place['vpc_id']}")["instances"]
    assert listed["id"] == instance["id"]
    subnet = f"/v1/{{p}}/vpcs/{place['vpc_id']}/subnets/{place['subnet_id']}"
    group = f"/v3/{{p}}/vpc/security-groups/{place['security_group_id']}"
    uses = f"used by the instance {instance['id']}"
    for path in (f"/v2.0/routers/{place['vpc_id']}", subnet, group):
        api.refused("DELETE", path, None, 409, "VPC.0209", uses)
    neutron_subnet = api("GET", f"/v1/{{p}}/subnets/{place['subnet_id']}")["subnet"]["neutron_subnet_id"]
    taken_out = {"subnet_id": neutron_subnet}
    path = f"/v2.0/routers/{place['vpc_id']}/remove_router_interface"
    api.refused("PUT", path, taken_out, 409, "VPC.0209", uses)

    default = api("GET", "/v2.0/security-groups?name=default")["security_groups"][0]["id"]
    moved = f"instances/{instance['id']}/security-group"
    answer = service.call("PUT", moved, {"security_group_id": default}, headers=fresh())
    assert answer.status_code == 200, answer.text
    job = service.completed(answer.json()["workflowId"])
    assert (job["name"], job["entities"]) == ("ModifyPostgresqlSecurityGroup", {})
    assert service.instance(instance["id"])["security_group_id"] == default
    api("DELETE", group, status=204)
    for unknown in (place["security_group_id"], UNKNOWN, ""):
        body = {"security_group_id": unknown}
        api.refused("PUT", f"/v3/{{p}}/{moved}", body, 404, "DBS.200050", "security_group_id")

    service.delete(instance["id"])
    api("DELETE", subnet, status=204)
    api("DELETE", f"/v1/{{p}}/vpcs/{place['vpc_id']}", status=204)


# --- Refusals ---


@pytest.fixture(scope="module")
def vpc_id(api: Api) -> Iterator[str]:
    vpc = api("POST", "/v1/{p}/vpcs", {"vpc": {"name": "small", "cidr": "172.16.0.0/24"}})["vpc"]
    yield vpc["id"]
    api("DELETE", f"/v1/{{p}}/vpcs/{vpc['id']}", status=204)


def test_subnets_are_within_their_vpc(api: Api, vpc_id: str) -> None:
    def refused(said: str, code: str = "DBS.200001", **changes: Any) -> None:
        new = {"name": "s", "cidr": "172.16.0.0/25", "vpc_id": vpc_id, **changes}
        api.refused("POST", "/v1/{p}/subnets", {"subnet": new}, 400, code, said)

    refused("that of its VPC, 172.16.0.0/24", cidr="172.16.1.0/24")
    refused("begins with its first", cidr="172.16.0.1/25")
    refused("gateway_ip", gateway_ip="172.16.0.200")
    refused("there is no VPC", "DBS.200048", vpc_id=UNKNOWN)
    refused("local-1a", "DBS.200025", availability_zone="nowhere")
    refused("ipv6_enable is not offered", ipv6_enable=True)
    refused("extra_dhcp_opts (ntp)", extra_dhcp_opts=[{"opt_name": "ntp", "opt_value": "10.0.0.1"}])
    refused("tags", tags=[{"key": "a", "value": "b"}])
    new = {"name": "s", "cidr": "172.16.0.0/25", "vpc_id": vpc_id}
    made = api("POST", "/v1/{p}/subnets", {"subnet": new})["subnet"]
    refused("overlaps", cidr="172.16.0.0/26")
    smaller = {"vpc": {"cidr": "172.16.0.128/25"}}
    api.refused("PUT", f"/v1/{{p}}/vpcs/{vpc_id}", smaller, 400, "DBS.200001", made["id"])
    elsewhere = f"/v1/{{p}}/vpcs/{UNKNOWN}/subnets/{made['id']}"
    api.refused("DELETE", elsewhere, None, 404, "VPC.0003", "in the VPC")
    api("DELETE", f"/v1/{{p}}/vpcs/{vpc_id}/subnets/{made['id']}", status=204)


def test_an_instance_is_in_a_subnet_of_its_vpc(api: Api, vpc_id: str, service: ServiceUnderTest) -> None:
    body = service.create_body(vpc_id=vpc_id)
    api.refused("POST", "/v3/{p}/instances", body, 400, "DBS.200049", f"not a subnet of the VPC {vpc_id}")
    network = api("POST", "/v2.0/networks", {"network": {"name": "bare"}}, status=201)["network"]
    body = service.create_body(vpc_id=vpc_id, subnet_id=network["id"])
    api.refused("POST", "/v3/{p}/instances", body, 400, "DBS.200049", "not a subnet")
    api("DELETE", f"/v2.0/networks/{network['id']}", status=204)


def test_rules_that_make_no_sense_are_refused(api: Api) -> None:
    group = api("GET", "/v2.0/security-groups?name=default")["security_groups"][0]["id"]

    def refused(said: str, status: int = 400, code: str = "DBS.200001", **changes: Any) -> None:
        new = {"security_group_id": group, "direction": "ingress", "protocol": "tcp", **changes}
        path = "/v3/{p}/vpc/security-group-rules"
        api.refused("POST", path, {"security_group_rule": new}, status, code, said)

    refused("direction", direction="sideways")
    refused("65535", multiport="99999")
    refused("65535", port_range_min=-1, port_range_max=-1)
    refused("tcp and udp", protocol="icmp", multiport="80")
    refused("remote_ip_prefix", remote_ip_prefix="home")
    refused("cannot both", remote_ip_prefix="10.0.0.0/8", remote_group_id=group)
    refused("not offered", remote_address_group_id=UNKNOWN)
    refused("priority", priority=1000)
    for unknown in ({"security_group_id": UNKNOWN}, {"remote_group_id": UNKNOWN}):
        refused("There is no security group", 404, "VPC.0003", **unknown)


def test_a_group_that_another_one_s_rule_names_is_kept(api: Api) -> None:
    one, two = (
        api("POST", "/v1/{p}/security-groups", {"security_group": {"name": name}})["security_group"]["id"]
        for name in ("one", "two")
    )
    new = {"security_group_id": one, "direction": "ingress", "remote_group_id": two}
    rule = api("POST", "/v1/{p}/security-group-rules", {"security_group_rule": new})["security_group_rule"]
    path = f"/v1/{{p}}/security-groups/{two}"
    api.refused("DELETE", path, None, 409, "VPC.0209", f"used by the rule {rule['id']}")
    api("DELETE", f"/v1/{{p}}/security-groups/{one}", status=204)
    api("DELETE", path, status=204)


def test_another_project_s_networks_are_as_if_not_there(
    api: Api, vpc_id: str, other: ServiceUnderTest
) -> None:
    theirs = Api(other)
    group = api("POST", "/v1/{p}/security-groups", {"security_group": {"name": "ours"}})["security_group"]
    rule_id = group["security_group_rules"][0]["id"]
    assert vpc_id not in [vpc["id"] for vpc in theirs("GET", "/v1/{p}/vpcs")["vpcs"]]
    for path in (
        f"/v1/{{p}}/vpcs/{vpc_id}",
        f"/v3/{{p}}/vpc/security-groups/{group['id']}",
        f"/v3/{{p}}/vpc/security-group-rules/{rule_id}",
    ):
        theirs("GET", path, status=404)
        theirs("DELETE", path, status=404)
    theirs("PUT", f"/v1/{{p}}/vpcs/{vpc_id}", {"vpc": {"name": "stolen"}}, status=404)
    body = other.create_body(security_group_id=group["id"])
    theirs.refused("POST", "/v3/{p}/instances", body, 404, "DBS.200050", "there is no security group")
    subnet = {"name": "s", "cidr": "172.16.0.0/25", "vpc_id": vpc_id}
    theirs.refused("POST", "/v1/{p}/subnets", {"subnet": subnet}, 400, "DBS.200048", "there is no VPC")
    assert api.service.call("GET", f"/v1/{other.project_id}/vpcs").status_code == 403
    api("DELETE", f"/v1/{{p}}/security-groups/{group['id']}", status=204)


def test_what_a_project_makes_is_bounded(other: ServiceUnderTest) -> None:
    api = Api(other)
    made = [api("POST", "/v1/{p}/vpcs", {"vpc": {"name": f"vpc-{number}"}})["vpc"] for number in range(QUOTA)]
    new = {"vpc": {"name": "one-too-many"}}
    api.refused("POST", "/v1/{p}/vpcs", new, 413, "DBS.200046", f"has made {QUOTA} of {QUOTA} vpcs")
    router = {"router": {"name": "one-too-many"}}
    api.refused("POST", "/v2.0/routers", router, 413, "DBS.200046", "network_quota")
    used = {one["type"]: (one["quota"], one["used"]) for one in other.get("quotas")["quotas"]["resources"]}
    assert (used["vpc"], used["security_group_rule"]) == ((QUOTA, QUOTA), (10 * QUOTA, 0))

    group = api("POST", "/v1/{p}/security-groups", {"security_group": {"name": "g"}})["security_group"]
    rule = {"security_group_rule": {"security_group_id": group["id"], "direction": "egress"}}
    for _ in range(10 * QUOTA - len(group["security_group_rules"])):
        api("POST", "/v1/{p}/security-group-rules", rule)
    path = "/v1/{p}/security-group-rules"
    api.refused("POST", path, rule, 413, "DBS.200046", "security group rules")
    another = {"security_group": {"name": "h"}}
    api.refused("POST", "/v1/{p}/security-groups", another, 413, "DBS.200046", "security group rules")
    api("DELETE", f"/v1/{{p}}/security-groups/{group['id']}", status=204)
    for vpc in made:
        api("DELETE", f"/v1/{{p}}/vpcs/{vpc['id']}", status=204)
