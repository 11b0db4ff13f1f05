"""A call that is seen twice, by its signature or its client token, is done once. Source: operations.md 1."""

import datetime as dt
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.service import ServiceUnderTest

#: So many at the same moment.
AT_ONCE = 8


def moments() -> Iterator[dt.datetime]:
    """Signing times, a second apart, so that calls with the same content have signatures of their own."""
    moment = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
    while True:
        yield moment
        moment += dt.timedelta(seconds=1)


times = moments()


def tasks_of(service: ServiceUnderTest, instance_id: str) -> list[dict[str, Any]]:
    return service.get(f"tasklist?instance_id={instance_id}")["tasks"]


@pytest.fixture(scope="module")
def instance_id(service: ServiceUnderTest) -> Iterator[str]:
    """Created by a call that was sent several times at once, and again afterwards."""
    body, now = service.create_body(name="replayed-create"), next(times)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: service.call("POST", "instances", body, now=now), range(AT_ONCE)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    created = answers[0].json()
    service.completed(created["job_id"])
    assert service.call("POST", "instances", body, now=now).content == answers[0].content
    yield created["instance"]["id"]
    service.delete(created["instance"]["id"])


def test_a_replayed_create_makes_one_instance(service: ServiceUnderTest, instance_id: str) -> None:
    assert service.get("instances?name=replayed-create")["total_count"] == 1
    names = [task["name"] for task in tasks_of(service, instance_id)]
    assert names.count("CreatePostgresqlSingleHAInstance") == 1


def test_a_replayed_put_changes_nothing(service: ServiceUnderTest, instance_id: str) -> None:
    path, now = f"instances/{instance_id}/alias", next(times)
    first = service.call("PUT", path, {"alias": "first"}, now=now)
    assert first.status_code == 200, first.text
    assert service.call("PUT", path, {"alias": "second"}).status_code == 200
    again = service.call("PUT", path, {"alias": "first"}, now=now)
    assert (again.status_code, again.content) == (200, first.content)
    assert service.instance(instance_id)["alias"] == "second"


def test_a_replayed_restart_restarts_once(service: ServiceUnderTest, instance_id: str) -> None:
    path, now = f"instances/{instance_id}/action", next(times)
    first = service.call("POST", path, {"restart": {}}, now=now)
    assert first.status_code == 202, first.text
    service.completed(first.json()["job_id"])
    before = len(tasks_of(service, instance_id))
    again = service.call("POST", path, {"restart": {}}, now=now)
    assert (again.status_code, again.content) == (202, first.content)
    assert len(tasks_of(service, instance_id)) == before


def test_a_replayed_delete_gets_the_first_answer(service: ServiceUnderTest, instance_id: str) -> None:
    restarted = service.call("POST", f"instances/{instance_id}/action", {"restart": {}}, now=next(times))
    job_id, now = restarted.json()["job_id"], next(times)
    service.completed(job_id)
    first = service.call("DELETE", f"jobs?id={job_id}", now=now)
    again = service.call("DELETE", f"jobs?id={job_id}", now=now)
    anew = service.call("DELETE", f"jobs?id={job_id}")
    assert (first.status_code, again.status_code, anew.status_code) == (200, 200, 400)
    assert again.content == first.content
    assert anew.json()["error_code"] == "DBS.200543"


def test_what_was_refused_stays_refused(service: ServiceUnderTest, instance_id: str) -> None:
    """Also when the cause has gone: a captured call must not come to life later."""
    path, now = f"instances/{instance_id}/action", next(times)
    body: dict[str, Any] = {"restart": {}}
    worker = service.child("worker")
    worker.suspend()
    try:
        running = service.call("POST", path, body, now=next(times))
        refused = service.call("POST", path, body, now=now)
    finally:
        worker.resume()
    assert (refused.status_code, refused.json()["error_code"]) == (409, "DBS.200019")
    service.completed(running.json()["job_id"])
    before = len(tasks_of(service, instance_id))
    again = service.call("POST", path, body, now=now)
    assert (again.status_code, again.content) == (409, refused.content)
    assert len(tasks_of(service, instance_id)) == before


def test_a_client_token_makes_a_call_the_same(service: ServiceUnderTest, instance_id: str) -> None:
    path, headers = f"instances/{instance_id}/action", {"X-Client-Token": uuid.uuid4().hex}

    def restart(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        answer = service.call("POST", path, body, headers=headers, now=next(times))
        return answer.status_code, answer.json()

    status, first = restart({"restart": {}})
    assert status == 202, first
    service.completed(first["job_id"])
    assert restart({"restart": {}}) == (202, first)
    status, other = restart({"restart": {"forcible": True}})
    assert (status, other["error_code"]) == (400, "DBS.200001")
    assert "X-Client-Token" in other["error_msg"]


def test_a_call_that_came_second_by_its_token_can_be_replayed(
    service: ServiceUnderTest, instance_id: str
) -> None:
    path, headers = f"instances/{instance_id}/alias", {"X-Client-Token": uuid.uuid4().hex}
    now = next(times)
    first = service.call("PUT", path, {"alias": "token"}, headers=headers, now=next(times))
    second = service.call("PUT", path, {"alias": "token"}, headers=headers, now=now)
    third = service.call("PUT", path, {"alias": "token"}, headers=headers, now=now)
    assert [answer.status_code for answer in (first, second, third)] == [200, 200, 200]
    assert first.content == second.content == third.content


def test_a_client_token_that_was_refused_can_be_used_again(
    service: ServiceUnderTest, instance_id: str
) -> None:
    path, headers = f"instances/{instance_id}/alias", {"X-Client-Token": uuid.uuid4().hex}
    refused = service.call("PUT", path, {"alias": "not allowed"}, headers=headers)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "DBS.200001")
    assert service.call("PUT", path, {"alias": "allowed"}, headers=headers).status_code == 200


def test_a_client_token_in_create(service: ServiceUnderTest) -> None:
    """Sent twice at once, with signatures of their own: one instance, and one answer."""
    body, headers = service.create_body(name="token-create"), {"X-Client-Token": str(uuid.uuid4())}
    signed_at = [next(times) for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(
            pool.map(lambda now: service.call("POST", "instances", body, headers=headers, now=now), signed_at)
        )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    created = answers[0].json()
    service.completed(created["job_id"])
    assert service.get("instances?name=token-create")["total_count"] == 1
    other = service.call("POST", "instances", {**body, "name": "token-other"}, headers=headers)
    assert (other.status_code, other.json()["error_code"]) == (400, "DBS.200001")
    assert service.get("instances?name=token-other")["total_count"] == 0
    service.delete(created["instance"]["id"])


@pytest.mark.parametrize("token", ["", "x" * 65])
def test_a_client_token_of_a_wrong_length_is_refused(service: ServiceUnderTest, token: str) -> None:
    answer = service.call("POST", "instances", {"name": "x"}, headers={"X-Client-Token": token})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200001")
