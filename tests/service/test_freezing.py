"""Instances that the operator freezes on the host of the service, and what is left to their project."""

import subprocess
from typing import Any

import pytest

from openrds.hosts.addresses import is_answering
from support.service import ServiceUnderTest, fresh, wait_for


def operator(service: ServiceUnderTest, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = service.command("instance", *arguments, "--data-dir", str(service.data_dir))
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def answers(instance: dict[str, Any]) -> bool:
    return is_answering(instance["private_ips"][0], instance["port"])


@pytest.fixture(scope="module")
def frozen(service: ServiceUnderTest) -> dict[str, Any]:
    instance = service.create(name="in-arrears")
    run = operator(service, "freeze", "in-arrears")
    assert (run.returncode, run.stderr) == (0, ""), run
    assert "is frozen" in run.stdout
    return instance


def test_a_frozen_instance_serves_nobody(service: ServiceUnderTest, frozen: dict[str, Any]) -> None:
    assert service.instance(frozen["id"])["status"] == "FROZEN"
    assert not answers(frozen)
    other = service.create(name="paid-up")
    wait_for(lambda: answers(other), what="the monitor has had time for a round")
    assert not answers(frozen)
    service.delete(other["id"])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "instances/{}/action", {"restart": {}}),
        ("POST", "instances/{}/action", {"enlarge_volume": {"size": 100}}),
        ("POST", "instances/{}/action/startup", {}),
        ("POST", "instances/{}/action/shutdown", {}),
        ("POST", "instances/{}/password", {"db_user_pwd": "An0ther-Secret"}),
        ("PUT", "instances/{}/name", {"name": "another-name"}),
        ("PUT", "instances/{}/alias", {"alias": "another"}),
        ("PUT", "instances/{}/port", {"port": 5433}),
        ("PUT", "instances/{}/ssl", {"ssl_option": False}),
        ("PUT", "instances/{}/ops-window", {"start_time": "02:00", "end_time": "06:00"}),
        ("PUT", "instances/{}/backups/policy", {"backup_policy": {"keep_days": 0}}),
        ("POST", "instances/{}/tags/action", {"action": "create", "tags": [{"key": "a", "value": "b"}]}),
    ],
)
def test_nothing_of_it_can_be_changed(
    service: ServiceUnderTest, frozen: dict[str, Any], method: str, path: str, body: dict[str, Any]
) -> None:
    refused = service.call(method, path.format(frozen["id"]), body, headers=fresh())
    assert (refused.status_code, refused.json()["error_code"]) == (400, "DBS.280449"), refused.text


def test_its_data_goes_nowhere(service: ServiceUnderTest, frozen: dict[str, Any]) -> None:
    source = {"instance_id": frozen["id"], "type": "timestamp", "restore_time": 1}
    body = {"name": "way-out", "flavor_ref": "rds.pg.n1.medium.2", "restore_point": source} | {
        key: frozen[key] for key in ("vpc_id", "subnet_id", "security_group_id")
    }
    body |= {"availability_zone": "local-1a", "volume": {"type": "CLOUDSSD", "size": 40}}
    refused = service.call("POST", "instances", body, headers=fresh())
    assert (refused.status_code, refused.json()["error_code"]) == (400, "DBS.280449"), refused.text


def test_it_serves_again_once_it_is_unfrozen_and_may_be_deleted_frozen(
    service: ServiceUnderTest, frozen: dict[str, Any]
) -> None:
    again = operator(service, "freeze", frozen["id"])
    assert again.returncode == 1
    assert "frozen" in again.stderr
    run = operator(service, "unfreeze", frozen["id"])
    assert (run.returncode, run.stderr) == (0, ""), run
    assert service.instance(frozen["id"])["status"] == "ACTIVE"
    assert answers(frozen)

    assert operator(service, "unfreeze", frozen["id"]).returncode == 1
    assert operator(service, "freeze", frozen["id"]).returncode == 0
    service.delete(frozen["id"])
    assert service.get(f"instances?id={frozen['id']}")["total_count"] == 0


def test_what_there_is_not_is_said(service: ServiceUnderTest) -> None:
    run = operator(service, "freeze", "nobody")
    assert (run.returncode, run.stdout) == (1, "")
    assert "no instance nobody" in run.stderr
