"""What happens, as clients are told of it: streams of events, and requests that wait for a task."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from support.service import ServiceUnderTest, fresh, running_service, wait_for
from support.streams import Listener, Message, messages, open_stream


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(projects="local-1,other") as running:
        yield running


def ordered(service: ServiceUnderTest, **changes: Any) -> tuple[str, str]:
    """A new instance, and the task that makes it."""
    answer = service.call("POST", "instances", service.create_body(**changes), headers=fresh())
    assert answer.status_code == 202, answer.text
    return answer.json()["instance"]["id"], answer.json()["job_id"]


def position(message: Message) -> tuple[int, ...]:
    return tuple(int(part) for part in message.id.split("-"))


def states(events: list[Message], subject: str) -> list[dict[str, Any]]:
    return [message.data["state"] for message in events if message.event == subject]


def test_a_task_is_followed_from_its_first_step_to_its_end(service: ServiceUnderTest) -> None:
    with Listener(service) as listener:
        instance_id, task_id = ordered(service, name="followed")
        service.completed(task_id)
        wait_for(lambda: [one for one in states(listener.events, "task") if one["status"] == "Completed"])
    events = [message for message in listener.events if message.data["instance_id"] == instance_id]
    tasks, steps = states(events, "task"), states(events, "step")
    assert tasks[0] | {"progress": 0} == tasks[0] | {"status": "Running"}
    progress = [task["progress"] for task in tasks if task["status"] == "Running"]
    assert progress == sorted(progress)
    shown = service.get(f"jobs/{task_id}/steps")["steps"]
    for status in ("Running", "Completed"):
        assert [one["name"] for one in steps if one["status"] == status] == [one["name"] for one in shown]
    found = [one["status"] for one in states(events, "instance")]
    assert (found[0], found[-1]) == ("BUILD", "ACTIVE")
    positions = [position(message) for message in events]
    assert positions == sorted(set(positions))
    # Who reads on from the middle gets the rest, and who filters gets nothing else.
    middle = len(events) // 2
    with open_stream(service, f"?instance_id={instance_id}", last=events[middle].id) as answer:
        again = [next(stream) for stream in [messages(answer)] for _ in events[middle + 1 :]]
    assert again == events[middle + 1 :]
    with open_stream(service, f"?subject=task,backup&task_id={task_id}&since={events[0].id}") as answer:
        (first,) = [next(stream) for stream in [messages(answer)]]
    assert (first.event, first.data["task_id"]) == ("task", task_id)


def test_nothing_is_missed_where_the_api_dies(service: ServiceUnderTest) -> None:
    with Listener(service, "?subject=instance") as listener:
        instance_id, task_id = ordered(service, name="survivor")
        service.completed(task_id)
        for n in range(3):
            service.child("api").kill()
            wait_for(lambda: ready(service))
            service.call("PUT", f"instances/{instance_id}/name", {"name": f"survivor-{n}"}, headers=fresh())
        wait_for(lambda: states(listener.events, "instance")[-1]["name"] == "survivor-2")
    names = [one["name"] for one in states(listener.events, "instance") if one["id"] == instance_id]
    assert list(dict.fromkeys(names)) == ["survivor", "survivor-0", "survivor-1", "survivor-2"]
    positions = [position(message) for message in listener.events]
    assert positions == sorted(set(positions))


def ready(service: ServiceUnderTest) -> bool:
    try:
        return service.call("GET", "tasklist?limit=1").status_code == 200
    except httpx.HTTPError:
        return False


def test_who_waits_is_answered_at_the_end_of_the_task(service: ServiceUnderTest) -> None:
    """Also where the store is started anew meanwhile."""
    _, task_id = ordered(service, name="awaited")
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(service.call, "GET", f"jobs?id={task_id}&wait=30") for _ in range(8)]
        for answer in waiting:
            assert answer.result(40).json()["job"]["status"] == "Completed"
    assert service.call("GET", f"jobs?id={task_id}&wait=30").json()["job"]["status"] == "Completed"


def test_who_waits_for_a_change_is_answered_before_the_end(service: ServiceUnderTest) -> None:
    _, task_id = ordered(service, name="changing")
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["status"] == "Running":
        seen.append(service.get(f"jobs?id={task_id}&wait=30&until=changed")["job"])
    assert [one["status"] for one in seen][-1] == "Completed"
    assert len(seen) > 2


def test_waiting_survives_a_store_that_is_started_anew(service: ServiceUnderTest) -> None:
    worker = service.child("worker")
    worker.suspend()
    try:
        _, task_id = ordered(service, name="outlasting")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(service.call, "GET", f"jobs?id={task_id}&wait=25")
            with psycopg.connect(service.store_dsn) as store:
                found = store.execute("select pid from pg_stat_activity where backend_type = 'checkpointer'")
                (checkpointer,) = found.fetchone() or ()
            psutil.Process(checkpointer).parent().kill()
            wait_for(lambda: not psutil.pid_exists(checkpointer))
            worker.resume()
            answer = waiting.result(40)
    finally:
        worker.resume()
    assert answer.status_code == 200, answer.text
    assert answer.json()["job"]["status"] == "Completed"


def test_streams_end_when_their_token_is_revoked(service: ServiceUnderTest) -> None:
    keys = service.credentials
    user = {"name": keys["user"], "password": keys["password"]}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "local-1"}},
        }
    }
    token = httpx.post(f"{service.endpoint}/v3/auth/tokens", json=body).headers["x-subject-token"]
    with open_stream(service, token=token) as answer:
        assert answer.status_code == 200
        stream = messages(answer)
        next(stream)
        revoked = httpx.delete(
            f"{service.endpoint}/v3/auth/tokens", headers={"x-auth-token": token, "x-subject-token": token}
        )
        assert revoked.status_code == 204, revoked.text
        _, task_id = ordered(service, name="watched")
        service.completed(task_id)
        assert [message for message in stream if message.event] == []
    with open_stream(service, token=token) as answer:
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("?subject=tasks", "subject must be of"),
        ("?since=yesterday", "must be the id of an event"),
        ("?since=-1--1", "must be the id of an event"),
    ],
)
def test_bad_streams_are_refused(service: ServiceUnderTest, query: str, says: str) -> None:
    with open_stream(service, query) as answer:
        assert answer.status_code == 400
        assert says in answer.read().decode()


def test_bad_waits_are_refused(service: ServiceUnderTest) -> None:
    unknown = "0190a0c0-0000-7000-8000-000000000000"
    for wait in ("-1", "61", "soon", "nan"):
        assert service.call("GET", f"jobs?id={unknown}&wait={wait}").status_code == 400, wait
    assert service.call("GET", f"jobs?id={unknown}&wait=1&until=noon").status_code == 400
    begun = time.monotonic()
    plain = service.call("GET", f"jobs?id={unknown}")
    assert service.call("GET", f"jobs?id={unknown}&wait=20").json() == plain.json()
    assert time.monotonic() - begun < 10


def test_projects_hear_nothing_of_each_other(service: ServiceUnderTest) -> None:
    other = ServiceUnderTest(service.data_dir, service.options, service.process, project="other")
    with open_stream(service, project_id=other.project_id) as answer:
        assert answer.status_code in {401, 403}
    with Listener(other) as stranger, Listener(service) as own:
        _, task_id = ordered(service, name="private")
        service.completed(task_id)
        wait_for(lambda: [one for one in states(own.events, "task") if one["status"] == "Completed"])
        assert stranger.events == []


def test_who_has_seen_what_is_no_more_is_told_to_read_anew(service: ServiceUnderTest) -> None:
    for last in ("1-1", f"{2**62}-1"):
        with open_stream(service, last=last) as answer:
            assert next(messages(answer)).event == "reset"


def test_the_command_line_follows_what_happens(service: ServiceUnderTest) -> None:
    """Also across the death of the API."""
    with open_stream(service) as answer:
        now = next(messages(answer)).id
    where = ("--data-dir", str(service.data_dir))
    command = service.command("events", *where, "--subject", "instance", "--since", now, "-o", "json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=service.environment()) as shown:
        try:
            assert shown.stdout is not None
            names: list[str] = []
            reading = threading.Thread(
                target=lambda: names.extend(json.loads(line)["state"]["name"] for line in shown.stdout or ())
            )
            reading.start()
            instance_id, task_id = ordered(service, name="shown")
            service.completed(task_id)
            wait_for(lambda: "shown" in names)
            service.child("api").kill()
            wait_for(lambda: ready(service))
            service.call("PUT", f"instances/{instance_id}/name", {"name": "shown-again"}, headers=fresh())
            wait_for(lambda: "shown-again" in names)
        finally:
            # Not as Ctrl-C would: what was begun in the background of a shell ignores that.
            shown.terminate()
            reading.join(20)
