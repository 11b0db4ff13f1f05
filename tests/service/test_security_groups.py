"""Security groups keep connections out, and never the service's own: its sessions, and servers that follow others."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from openrds.hosts.forwarding import service_mark
from openrds.hosts.nftables import Nftables
from support.service import ServiceUnderTest, fresh, running_service, session, wait_for

#: Of a user who has no part in the service: what the service itself does is never kept out.
_STRANGER = 65534
_CONNECT_SECONDS = 1.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    refusal = Nftables(tmp_path_factory.mktemp("trial")).refusal
    if os.geteuid() != 0 or refusal or not shutil.which("bash"):
        pytest.skip(f"for root, with nftables and bash: {refusal}")
    with running_service(forwarding="nftables") as running:
        yield running


def reaches(address: str, port: int) -> bool:
    """Whether a stranger of this machine, who comes from 127.0.0.1, gets a connection."""
    connect = ["bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}"]
    try:
        done = subprocess.run(
            connect,
            user=_STRANGER,
            group=_STRANGER,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
            timeout=_CONNECT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def changed(service: ServiceUnderTest, method: str, path: str, body: Any = None) -> Any:
    answer = service.call(method, path, body, headers=fresh())
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


def new_group(service: ServiceUnderTest, name: str) -> str:
    """It lets in only its members, as in the cloud."""
    body = {"security_group": {"name": name}}
    return str(changed(service, "POST", "vpc/security-groups", body)["security_group"]["id"])


def add_rule(service: ServiceUnderTest, group_id: str, **fields: Any) -> str:
    rule = {"security_group_id": group_id, "direction": "ingress", "protocol": "tcp", **fields}
    answer = changed(service, "POST", "vpc/security-group-rules", {"security_group_rule": rule})
    return str(answer["security_group_rule"]["id"])


def test_who_is_let_in(service: ServiceUnderTest) -> None:
    group_id = new_group(service, "closed")
    instance = service.create(name="guarded", security_group_id=group_id)
    address, port = instance["private_ips"][0], instance["port"]
    assert not reaches(address, port)
    session(instance).close()  # as the service's own user, which the tests are

    elsewhere = add_rule(service, group_id, multiport="1-100", remote_ip_prefix="127.0.0.0/8")
    add_rule(service, group_id, multiport=str(port), remote_ip_prefix="10.0.0.0/8")
    here = add_rule(service, group_id, multiport=f"80,{port}", remote_ip_prefix="127.0.0.0/8", priority=9)
    wait_for(lambda: reaches(address, port), what="the rule to be in force")
    denied = add_rule(service, group_id, remote_ip_prefix="127.0.0.1", action="deny", priority=8)
    wait_for(lambda: not reaches(address, port), what="the rule that counts before it")
    for rule_id in (elsewhere, denied):
        changed(service, "DELETE", f"vpc/security-group-rules/{rule_id}")
    wait_for(lambda: reaches(address, port), what="the first rule again")

    public = service.get(f"/v1/{service.project_id}/publicips")["publicips"][0]
    bound = {"is_bind": True, "public_ip": public["public_ip_address"], "public_ip_id": public["id"]}
    job = changed(service, "PUT", f"instances/{instance['id']}/public-ip", bound)["job_id"]
    service.completed(job)
    wait_for(lambda: reaches(public["public_ip_address"], port), what="a connection to the public address")
    changed(service, "DELETE", f"vpc/security-group-rules/{here}")
    wait_for(lambda: not reaches(public["public_ip_address"], port), what="no rule for this machine")
    assert not reaches(address, port)

    default = service.get("vpc/security-groups?name=default")["security_groups"][0]["id"]
    body = {"security_group_id": default}
    moved = changed(service, "PUT", f"instances/{instance['id']}/security-group", body)
    service.completed(moved["workflowId"])
    both = (address, public["public_ip_address"])
    wait_for(lambda: all(reaches(one, port) for one in both), what="the default group")
    body = {"security_group_id": group_id}
    moved = changed(service, "PUT", f"instances/{instance['id']}/security-group", body)
    service.completed(moved["workflowId"])
    assert not reaches(address, port)

    changed_port = changed(service, "PUT", f"instances/{instance['id']}/port", {"port": port + 1})
    service.completed(changed_port["workflowId"])
    assert not reaches(address, port + 1)
    service.delete(instance["id"])


def test_who_follows_is_never_kept_out(service: ServiceUnderTest) -> None:
    """Neither is the service when it changes roles; nor do strangers reach the nodes beside the endpoint."""
    group_id = new_group(service, "closed-pair")
    pair: dict[str, Any] = {
        "flavor_ref": "rds.pg.n1.medium.2.ha",
        "availability_zone": "local-1a,local-1a",
        "ha": {"mode": "Ha", "replication_mode": "sync"},
    }
    instance = service.create(name="guarded-pair", security_group_id=group_id, **pair)
    endpoint, port = instance["private_ips"][0], instance["port"]
    job = changed(service, "PUT", f"instances/{instance['id']}/failover", {})["workflowId"]
    service.completed(job)

    def follows() -> bool:
        return bool(
            service.get(f"instances/{instance['id']}/replication/status")["replication_status"] == "normal"
        )

    wait_for(follows, 60, "a standby that follows")
    with session(instance) as client:
        client.execute("create table written as select 1 as x")  # which the standby confirms
    with service.superuser(instance["nodes"][0]["id"], port) as server:
        listens = {str(row[0]) for row in server.execute("show listen_addresses").fetchall()}
    held = {address.strip() for text in listens for address in text.split(",")} | {endpoint}
    assert len(held) > 1
    for address in held:
        assert not reaches(address, port)
    service.delete(instance["id"])


def test_nothing_is_left_behind() -> None:
    with running_service(start=True) as service:
        tables = ["nft", "list", "tables"]
        if not shutil.which("nft"):
            pytest.skip("there is no nft")
        service.create(name="guarded", security_group_id=new_group(service, "closed"))
        mark = service_mark(service.data_dir)
        assert service.down().returncode == 0
        listed = subprocess.run(tables, capture_output=True, text=True, check=False).stdout
        assert mark not in listed


def test_without_means_it_is_said() -> None:
    with running_service(forwarding="none") as service:
        assert "security groups are kept, but keep nobody out: " in service.log_text()
        instance = service.create(name="open", security_group_id=new_group(service, "closed"))
        assert "the rules of security groups keep nobody out: " in service.log_text()
        session(instance).close()
