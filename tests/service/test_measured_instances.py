"""What was measured of instances, for who runs the service and for who has them."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.service import ServiceUnderTest, running_service, wait_for

TOKEN = "a-token-for-those-who-run-it"


@pytest.fixture(scope="module")
def measured() -> Iterator[ServiceUnderTest]:
    with running_service(metrics_token=TOKEN, projects="local-1,other") as running:
        yield running


@pytest.fixture(scope="module")
def instance(measured: ServiceUnderTest) -> dict[str, Any]:
    """One that was measured: a worker that begins does at once."""
    made = measured.create(name="measured")
    measured.child("worker").kill()
    wait_for(lambda: measured.get(f"instances/{made['id']}/metrics")["samples"], 60, "a sample")
    return made


@pytest.mark.parametrize("authorization", [None, "", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer"])
def test_nobody_reads_metrics_without_the_token(
    measured: ServiceUnderTest, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    answer = httpx.get(f"{measured.endpoint}/metrics", headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "APIGW.0301")
    assert TOKEN not in answer.text


def test_who_has_the_token_reads_of_each_node(measured: ServiceUnderTest, instance: dict[str, Any]) -> None:
    answer = httpx.get(f"{measured.endpoint}/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    samples = {
        (sample.name, sample.labels.get("state")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.labels.get("node") == instance["nodes"][0]["id"]
    }
    assert samples["openrds_node_cpu_seconds_total", None] > 0
    assert samples["openrds_node_memory_bytes", None] > 10 * 2**20
    assert samples["openrds_node_volume_size_bytes", None] == instance["volume"]["size"] * 2**30
    assert samples["openrds_node_transactions_total", None] > 0
    assert samples["openrds_node_connections", "idle"] >= 0
    assert ("openrds_node_replication_lag_bytes", None) not in samples


def test_a_project_reads_of_its_own_instances(measured: ServiceUnderTest, instance: dict[str, Any]) -> None:
    path = f"instances/{instance['id']}/metrics"
    (sample, *_) = measured.get(path)["samples"]
    assert (sample["node_id"], sample["instance_id"]) == (instance["nodes"][0]["id"], instance["id"])
    assert abs(time.time() * 1000 - sample["time"]) < 600_000 and sample["time"] % 60_000 == 0
    assert sample["cpu_seconds"] > 0 and sample["lag_bytes"] is None
    assert (
        measured.get(f"{path}?start_time={sample['time'] + 1}&end_time={sample['time'] + 2}")["samples"] == []
    )
    assert measured.call("GET", f"{path}?start_time=2&end_time=1").status_code == 400
    other = replace(measured, project="other").call("GET", path)
    assert (other.status_code, other.json()["error_code"]) == (404, "DBS.200002")


def test_with_the_switch_on_there_is_a_sample_each_second(
    measured: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    path = f"instances/{instance['id']}"
    switched = measured.call("PUT", f"{path}/second-level-monitor", {"switch_option": True, "interval": 1})
    assert switched.status_code == 200

    def samples() -> list[dict[str, Any]]:
        found = measured.get(f"{path}/metrics?resolution=second")["samples"]
        return found if len(found) >= 4 else []

    found = wait_for(samples, 30, "samples of four seconds")
    times = [sample["time"] for sample in found]
    assert times == sorted(set(times)) and all(time % 1000 == 0 for time in times)
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) == 1000
    assert found[-1]["memory_bytes"] > 10 * 2**20 and found[-1]["transactions"] > 0
    assert measured.call("GET", f"{path}/metrics?resolution=hour").status_code == 400
    switched = measured.call("PUT", f"{path}/second-level-monitor", {"switch_option": False})
    assert switched.status_code == 200
