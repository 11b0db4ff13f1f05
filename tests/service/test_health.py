"""What the service says of itself to those who run it."""

import http.client
from typing import Any
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.service import ServiceUnderTest


def fetch(service: ServiceUnderTest, path: str) -> tuple[int, str, str]:
    """Status, content type and text, without any credentials."""
    connection = http.client.HTTPConnection(urlsplit(service.endpoint).netloc, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.headers["content-type"], answer.read().decode()
    finally:
        connection.close()


def metrics(service: ServiceUnderTest) -> dict[str, list[Any]]:
    """The samples of each family by its name."""
    status, content_type, text = fetch(service, "/metrics")
    assert (status, content_type.split(";")[0]) == (200, "text/plain")
    return {family.name: family.samples for family in text_string_to_metric_families(text)}


def value(samples: list[Any], **labels: str) -> float:
    """The sum of what has these labels."""
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_running_service_is_alive_and_ready(service: ServiceUnderTest, path: str) -> None:
    status, content_type, text = fetch(service, path)
    assert (status, content_type.split(";")[0], text) == (200, "text/plain", "ok")


def test_metrics_tell_of_tasks_steps_instances_the_queue_and_requests(service: ServiceUnderTest) -> None:
    instance = service.create(name="measured")
    found = metrics(service)
    created = {"name": "CreatePostgresqlSingleHAInstance", "status": "Completed"}
    assert value(found["openrds_tasks"], **created) >= 1
    assert value(found["openrds_instances"], engine="PostgreSQL", status="ACTIVE") >= 1
    steps = {
        sample.labels["step"]
        for sample in found["openrds_step_seconds"]
        if sample.labels["operation"] == "create_instance"
    }
    listed = service.get(f"jobs/{service.get('tasklist?limit=1')['tasks'][0]['id']}/steps")["steps"]
    assert steps == {step["name"] for step in listed}
    assert all(sample.value > 0 for sample in found["openrds_step_seconds"])
    assert "openrds_queue_depth" in found
    route = "/v3/{project_id}/instances"
    assert value(found["openrds_requests"], method="POST", route=route, status="202") >= 1
    assert any(sample.name == "openrds_request_seconds_bucket" for sample in found["openrds_request_seconds"])

    worker = service.child("worker")
    worker.suspend()
    try:
        job_id = service.call("DELETE", f"instances/{instance['id']}").json()["job_id"]
        found = metrics(service)
    finally:
        worker.resume()
    deleting = {"name": "DeletePostgresqlInstance", "status": "Running"}
    assert value(found["openrds_tasks"], **deleting) == 1
    assert value(found["openrds_queue_depth"], queue="host:local") >= 1
    service.completed(job_id)
    assert value(metrics(service)["openrds_tasks"], **deleting) == 0


def test_routes_are_counted_by_their_pattern_not_by_what_was_asked(service: ServiceUnderTest) -> None:
    """A label for each id, or for each path that somebody tries, would grow without end."""
    service.call("GET", "jobs?id=11111111-2222-3333-4444-555555555555")
    fetch(service, "/no/such/path-1234567")
    routes = {sample.labels["route"] for sample in metrics(service)["openrds_requests"]}
    assert "/v3/{project_id}/jobs" in routes
    assert not any(service.project_id in route or "1234567" in route for route in routes)
