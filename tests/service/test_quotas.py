"""What a project may have of each thing that projects share, and flavors that no host can hold."""

import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkrds.v3 import ListFlavorsRequest, RdsClient, ShowQuotasRequest

from support.service import ServiceUnderTest, fresh, running_service, wait_for
from support.windows import set_window

MEDIUM, LARGE, XLARGE = "rds.pg.n1.medium.2", "rds.pg.n1.large.2", "rds.pg.n1.xlarge.2"
HOST_MB = 4 * 1024


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(
        projects="local-1,other",
        backup_quota="1",
        public_address_quota="0",
        task_quota="1",
        memory_mb=str(HOST_MB),
        request_rate="2000",
    ) as running:
        yield running


@pytest.fixture(scope="module")
def instance(service: ServiceUnderTest) -> dict[str, Any]:
    return service.create(name="counted")


def quotas(service: ServiceUnderTest) -> dict[str, tuple[int, int]]:
    """How many of each there may be, and are."""
    resources = service.get("quotas")["quotas"]["resources"]
    return {resource["type"]: (resource["quota"], resource["used"]) for resource in resources}


def client_of(service: ServiceUnderTest) -> RdsClient:
    keys = service.credentials
    credentials = BasicCredentials(keys["access_key"], keys["secret_key"], keys["project_id"])
    return RdsClient.new_builder().with_credentials(credentials).with_endpoint(keys["endpoint"]).build()


def refused(answer: Any, status: int, code: str, said: str) -> None:
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text
    assert said in answer.json()["error_msg"]


def back_up(service: ServiceUnderTest, instance: dict[str, Any], name: str) -> Any:
    return service.call("POST", "backups", {"instance_id": instance["id"], "name": name}, headers=fresh())


def restart(service: ServiceUnderTest, instance: dict[str, Any], **options: Any) -> Any:
    path = f"instances/{instance['id']}/action"
    return service.call("POST", path, {"restart": options}, headers=fresh())


def at_rest(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    wait_for(lambda: service.instance(instance["id"])["status"] == "ACTIVE", what="the instance at rest")


def test_every_quota_is_shown(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    found = quotas(service)
    assert list(found) == [
        "instance",
        "backup",
        "backup_gb",
        "public_ip",
        "vpc",
        "subnet",
        "security_group",
        "security_group_rule",
        "webhook",
        "running_task",
        "requests_per_second",
    ]
    assert found["instance"] == (50, 1)
    assert found["backup_gb"] == (1000, 0)
    assert found["requests_per_second"][0] == 2000
    assert quotas(replace(service, project="other"))["instance"] == (50, 0)
    shown = client_of(service).show_quotas(ShowQuotasRequest()).quotas.resources
    assert {resource.type for resource in shown} == set(found)


def test_backups_by_hand_are_counted(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    made = back_up(service, instance, "first-backup")
    assert made.status_code == 200, made.text
    at_rest(service, instance)
    assert quotas(service)["backup"] == (1, 1)
    assert quotas(service)["backup_gb"] == (1000, 1)
    tasks = service.get("tasklist")["total_count"]
    refused(
        back_up(service, instance, "second-backup"),
        413,
        "DBS.200046",
        "1 of 1 backups, by hand and in the recycle bin",
    )
    assert service.get("tasklist")["total_count"] == tasks

    gone = service.call("DELETE", f"backups/{made.json()['backup']['id']}", headers=fresh())
    assert gone.status_code == 200
    assert quotas(service)["backup"] == (1, 0)


def test_public_addresses_are_counted(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    public = service.get(f"/v1/{service.project_id}/publicips")["publicips"][0]
    body = {"is_bind": True, "public_ip": public["public_ip_address"], "public_ip_id": public["id"]}
    answer = service.call("PUT", f"instances/{instance['id']}/public-ip", body, headers=fresh())
    refused(answer, 413, "DBS.200046", "0 of 0 public addresses")


def test_tasks_that_run_or_wait_are_counted(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    """Of one project; another's are its own."""
    worker = service.child("worker")
    other = replace(service, project="other")
    worker.send_signal(signal.SIGSTOP)
    try:
        running = restart(service, instance).json()["job_id"]
        assert quotas(service)["running_task"] == (1, 1)
        another = service.call("POST", "instances", service.create_body(name="another"), headers=fresh())
        refused(another, 413, "DBS.200046", "1 of 1 tasks")
        assert quotas(service)["instance"] == (50, 1)
        assert quotas(other)["running_task"] == (1, 0)
        others = other.call("POST", "instances", other.create_body(name="others"), headers=fresh())
        assert others.status_code == 202, others.text
    finally:
        worker.send_signal(signal.SIGCONT)
    service.completed(running)
    other.completed(others.json()["job_id"])

    set_window(service, instance, begins_in_hours=2)
    waiting = restart(service, instance, delay=True).json()["job_id"]
    refused(restart(service, instance), 413, "DBS.200046", "1 of 1 tasks")
    assert quotas(service)["running_task"] == (1, 1)
    cancelled = service.call("DELETE", f"schedule-tasks/{waiting}", headers=fresh())
    assert cancelled.status_code == 200, cancelled.text
    service.completed(restart(service, instance).json()["job_id"])


def test_flavors_that_no_host_can_hold_are_sold_out(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    offered = service.get("flavors/PostgreSQL")["flavors"]
    status = {flavor["spec_code"]: flavor["az_status"]["local-1a"] for flavor in offered}
    assert {flavor["spec_code"]: flavor["ram"] * 1024 <= HOST_MB for flavor in offered} == {
        code: found == "normal" for code, found in status.items()
    }
    assert (status[LARGE], status[XLARGE]) == ("normal", "sellout")
    changes = service.get(f"instances/{instance['id']}/available-flavors")["optional_flavors"]
    assert {flavor["spec_code"]: flavor["az_status"] for flavor in changes} == {
        flavor["spec_code"]: {"local-1a": status[flavor["spec_code"]]} for flavor in changes
    }
    request = ListFlavorsRequest(database_name="PostgreSQL", spec_code=XLARGE)
    (found,) = client_of(service).list_flavors(request).flavors
    assert found.az_status == {"local-1a": "sellout"}


def test_a_flavor_that_is_sold_out_is_refused_at_once(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    tasks = service.get("tasklist")["total_count"]
    action = {"resize_flavor": {"spec_code": XLARGE}}
    resized = service.call("POST", f"instances/{instance['id']}/action", action, headers=fresh())
    refused(resized, 400, "DBS.280450", f"has 8192 MB of memory, and host local has {HOST_MB} MB")
    created = service.call("POST", "instances", service.create_body(flavor_ref=XLARGE), headers=fresh())
    refused(created, 400, "DBS.280450", "choose a smaller one")
    replica = service.create_body(
        flavor_ref=f"{XLARGE}.rr", replica_of_id=instance["id"], datastore=None, port=None, password=None
    )
    refused(service.call("POST", "instances", replica, headers=fresh()), 400, "DBS.280450", "8192 MB")
    assert service.get("tasklist")["total_count"] == tasks
    assert service.instance(instance["id"])["status"] == "ACTIVE"


def test_large_flavors_may_be_scaled_down(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    """Which is for laptops: what was written for the cloud names flavors of any size."""
    service.stop()
    service.options["flavors"] = "scaled"
    service.start()
    flavors = service.get("flavors/PostgreSQL")["flavors"]
    assert {flavor["az_status"]["local-1a"] for flavor in flavors} == {"normal"}
    action = {"resize_flavor": {"spec_code": "rds.pg.n1.8xlarge.8"}}
    answer = service.call("POST", f"instances/{instance['id']}/action", action, headers=fresh())
    service.completed(answer.json()["job_id"])
    shown = service.instance(instance["id"])
    assert (shown["flavor_ref"], shown["mem"]) == ("rds.pg.n1.8xlarge.8", "256")
    with service.superuser(instance["nodes"][0]["id"], shown["port"]) as server:
        assert server.execute("show shared_buffers").fetchone() == ("1GB",)


def test_a_project_that_sends_too_much_is_throttled() -> None:
    """And no other. It is served again as soon as the bucket has filled a little."""
    with running_service(projects="local-1,other", request_rate="3") as service:
        other = replace(service, project="other")
        time_of_first = time.monotonic()
        answers = [service.call("GET", "quotas", headers=fresh()) for _ in range(20)]
        assert answers[0].status_code == 200
        if time.monotonic() - time_of_first < 5:  # else the machine is so slow that the bucket kept up
            throttled = next(answer for answer in answers if answer.status_code == 429)
            refused(throttled, 429, "APIGW.0308", "3 requests a second")
            assert throttled.headers["retry-after"] == "1"
        assert other.call("GET", "quotas", headers=fresh()).status_code == 200
        wait_for(lambda: service.call("GET", "quotas", headers=fresh()).status_code == 200)
