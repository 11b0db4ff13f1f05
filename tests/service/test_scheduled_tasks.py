"""Work that waits for an instance's maintenance window."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from support.service import ServiceUnderTest, fresh, running_service, wait_for
from support.windows import set_window


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service() as running:
        yield running


@pytest.fixture(scope="module")
def shared(service: ServiceUnderTest) -> dict[str, Any]:
    return service.create(name="waits-for-night")


def restart_later(service: ServiceUnderTest, instance: dict[str, Any]) -> str:
    body = {"restart": {"delay": True}}
    answer = service.call("POST", f"instances/{instance['id']}/action", body, headers=fresh())
    assert answer.status_code == 202, answer.text
    return answer.json()["job_id"]


def scheduled(service: ServiceUnderTest, id_: str, **filters: str) -> Any:
    query = "&".join(f"{name}={value}" for name, value in {"limit": "50", **filters}.items())
    answer = service.get(f"schedule-tasks?{query}")
    assert answer["total_count"] == len(answer["schedule_tasks"])
    return next((task for task in answer["schedule_tasks"] if task["id"] == id_), None)


def cancel(service: ServiceUnderTest, id_: str) -> Any:
    return service.call("DELETE", f"schedule-tasks/{id_}", headers=fresh())


def test_a_delayed_restart_waits_and_can_be_canceled(
    service: ServiceUnderTest, shared: dict[str, Any]
) -> None:
    begins, ends = set_window(service, shared, begins_in_hours=2)
    id_ = restart_later(service, shared)

    task = scheduled(service, id_, instance_id=shared["id"])
    assert task is not None
    assert task == {
        "id": id_,
        "name": "REBOOT",
        "instance_id": shared["id"],
        "instance_name": "waits-for-night",
        "instance_status": "ACTIVE",
        "project_id": service.project_id,
        "create_time": task["create_time"],
        "start_time": begins,
        "end_time": ends,
        "order": "1",
        "status": "Pending",
        "datastore_type": "postgresql",
        "volume_type": "CLOUDSSD",
        "target_config": {},
    }
    job = service.job(id_)
    assert (job["name"], job["status"], job["process"]) == ("RestartPostgresqlInstance", "Running", "0%")
    assert service.get(f"tasklist?name=RestartPostgresqlInstance&instance_id={shared['id']}")["tasks"] == []

    assert cancel(service, id_).status_code == 200
    assert scheduled(service, id_, status="Pending") is None
    assert scheduled(service, id_, status="Canceled") is not None
    assert service.job(id_)["status"] == "Failed" and "canceled" in service.job(id_)["fail_reason"]
    again = cancel(service, id_)
    assert (again.status_code, again.json()["error_code"]) == (400, "DBS.200001")
    assert "Canceled" in again.json()["error_msg"]


def test_it_starts_when_the_window_opens_and_ends_as_its_task_does(
    service: ServiceUnderTest, shared: dict[str, Any]
) -> None:
    set_window(service, shared, begins_in_hours=2)
    id_ = restart_later(service, shared)
    assert scheduled(service, id_)["status"] == "Pending"

    set_window(service, shared, begins_in_hours=-1)
    wait_for(lambda: scheduled(service, id_, status="Completed"), 40, "the scheduled restart")
    (task,) = service.get(f"tasklist?name=RestartPostgresqlInstance&instance_id={shared['id']}")["tasks"]
    assert task["status"] == "Completed" and task["id"] != id_
    job = service.job(id_)
    assert (job["id"], job["status"]) == (id_, "Completed")
    assert cancel(service, id_).status_code == 400


def test_what_is_refused(service: ServiceUnderTest, shared: dict[str, Any]) -> None:
    for id_ in ("nonsense", "00000000-0000-7000-8000-000000000000"):
        answer = cancel(service, id_)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200543")
    for query in ("limit=51", "limit=0", "status=Waiting", "start_time=5", "offset=-1"):
        answer = service.call("GET", f"schedule-tasks?{query}")
        assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200001"), query


def test_filters_and_pages(service: ServiceUnderTest, shared: dict[str, Any]) -> None:
    set_window(service, shared, begins_in_hours=2)
    ids = [restart_later(service, shared) for _ in range(3)]
    pending = service.get("schedule-tasks?instance_name=waits-for-night&status=Pending")
    assert [task["id"] for task in pending["schedule_tasks"]] == ids[::-1]
    page = service.get("schedule-tasks?status=Pending&offset=1&limit=1")
    assert ([task["id"] for task in page["schedule_tasks"]], page["total_count"]) == ([ids[1]], 3)
    assert service.get("schedule-tasks?status=Pending&offset=9") == {"schedule_tasks": [], "total_count": 3}
    assert service.get("schedule-tasks?start_time=1&end_time=2")["total_count"] == 0
    for id_ in ids:
        assert cancel(service, id_).status_code == 200


def test_an_instance_takes_what_waits_with_it(service: ServiceUnderTest) -> None:
    instance = service.create(name="goes-away")
    set_window(service, instance, begins_in_hours=2)
    id_ = restart_later(service, instance)
    service.delete(instance["id"])
    task = scheduled(service, id_)
    assert task is not None and (task["status"], task["instance_status"]) == ("Canceled", "")


# --- as planned events --------------------------------------------------------------------------------------------


def events(service: ServiceUnderTest, instance: dict[str, Any], **filters: str) -> Any:
    query = "&".join(f"{name}={value}" for name, value in {"instance_id": instance["id"], **filters}.items())
    return service.get(f"schedule-events?{query}")


def operate(service: ServiceUnderTest, how: str, *pairs: tuple[str, str], **more: Any) -> Any:
    listed = [{"event_id": id_, "instance_id": instance_id} for id_, instance_id in pairs]
    body = {"event_instances": listed, "operation_type": how, **more}
    return service.call("POST", "schedule-events", body, headers=fresh())


def test_planned_events_are_begun_moved_and_called_off(service: ServiceUnderTest) -> None:
    instance = service.create(name="has-events")
    begins, _ = set_window(service, instance, begins_in_hours=2)
    ids = [restart_later(service, instance) for _ in range(3)]
    found = events(service, instance, order="ASC")
    assert [event["id"] for event in found["events"]] == ids
    assert (found["total_count"], found["schedule_count"], found["executing_count"]) == (3, 3, 0)
    event = found["events"][0]
    assert (event["type"], event["status"], event["level"]) == ("RESTAT_NODE", "SCHEDULED", "MINOR")
    assert (event["execute_time"], event["db_type"]) == (begins, "postgresql")
    assert "latest_execution_time" not in event and "restart" in event["reason"]

    first, second, third = ((id_, instance["id"]) for id_ in ids)
    day = (dt.datetime.now(dt.UTC) + dt.timedelta(days=3)).date()
    window = {"planned_day": str(day), "start_time": "23:00", "end_time": "01:00"}
    answer = operate(service, "reservation", second, event_schedule_window=window)
    assert answer.json() == {"results": [{"id": ids[1], "instance_id": instance["id"], "success": True}]}
    set_window(service, instance, begins_in_hours=4)
    (moved,) = events(service, instance, id=ids[1])["events"]
    assert moved["execute_time"] == f"{day}T23:00:00+0000", "it has a window of its own"

    stranger = (ids[2], "0" * 32 + "in03")
    answer = operate(service, "cancel", third, third, stranger, ("nonsense", instance["id"]))
    results = answer.json()["results"]
    assert [one["success"] for one in results] == [True, False, False, False]
    assert [one.get("error_code") for one in results[1:]] == ["DBS.200001", "DBS.200543", "DBS.200543"]

    (executed, refused) = operate(service, "execute", first, second).json()["results"]
    assert executed["success"] and refused["error_code"] == "DBS.200019", "one at a time"
    service.completed(executed["job_id"])
    (done,) = events(service, instance, status="COMPLETED")["events"]
    assert done["id"] == ids[0] and done["latest_execution_time"]
    assert service.job(ids[0])["status"] == "Completed"
    left = events(service, instance)
    assert (left["total_count"], left["schedule_count"], left["failed_count"]) == (3, 1, 0)
    assert events(service, instance, level="MAJOR")["events"] == []


def test_what_is_refused_of_planned_events(service: ServiceUnderTest, shared: dict[str, Any]) -> None:
    set_window(service, shared, begins_in_hours=2)
    planned = (restart_later(service, shared), shared["id"])
    assert operate(service, "reservation", planned).status_code == 400
    assert operate(service, "postpone", planned).status_code == 400
    assert operate(service, "cancel").status_code == 400
    today = dt.datetime.now(dt.UTC).date()
    for day, start, end in (
        (today - dt.timedelta(days=2), "01:00", "02:00"),
        (today + dt.timedelta(days=40), "01:00", "02:00"),
        (today + dt.timedelta(days=2), "01:00", "09:00"),
        ("soon", "01:00", "02:00"),
    ):
        window = {"planned_day": str(day), "start_time": start, "end_time": end}
        answer = operate(service, "reservation", planned, event_schedule_window=window)
        (result,) = answer.json()["results"]
        assert (result["success"], result["error_code"]) == (False, "DBS.200001"), window
    for query in ("type=REBOOT", "level=LOW", "sort_field=name", "order=UP", "status=Pending", "limit=101"):
        answer = service.call("GET", f"schedule-events?{query}")
        assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200001"), query
    assert operate(service, "cancel", planned).json()["results"][0]["success"]
