"""What goes over the wire, byte for byte: the shapes of the three seeds, and the form of every refusal."""

import contextlib
import json
import re
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from support.sdk import next_second
from support.service import ServiceUnderTest, wait_for

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000")
INSTANCE_ID = re.compile(r"[0-9a-f]{32}in03")
CREATED = "CreatePostgresqlSingleHAInstance"
RESTARTED = "RestartPostgresqlInstance"
DELETED = "DeletePostgresqlInstance"
NOBODY = f"{'0' * 32}in03"


@contextlib.contextmanager
def paused_worker(service: ServiceUnderTest) -> Iterator[None]:
    """Tasks that are accepted meanwhile stay at their first step, for as long as it takes to look at them."""
    worker = service.child("worker")
    worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def listener_everywhere() -> Iterator[int]:
    """A port that PostgreSQL may have, taken on every address: no server can be created on it."""
    with socket.socket() as listener:
        for port in range(9000, 9500):
            with contextlib.suppress(OSError):
                listener.bind(("0.0.0.0", port))
                break
        listener.listen()
        yield port


@dataclass(frozen=True)
class Subject:
    """An instance that is ACTIVE, and the task that made it."""

    service: ServiceUnderTest
    id: str
    name: str
    job_id: str

    @property
    def version(self) -> str:
        return self.service.newest_version()

    def row(self, job_id: str) -> dict[str, Any]:
        (row,) = self.service.get(f"tasklist?id={job_id}")["tasks"]
        return row

    def restart(self) -> str:
        answer = self.service.call("POST", f"instances/{self.id}/action", {"restart": {}})
        assert answer.status_code == 202, answer.text
        assert answer.json().keys() == {"job_id"}
        return answer.json()["job_id"]


def make(service: ServiceUnderTest, name: str) -> Subject:
    answer = service.call("POST", "instances", service.create_body(name=name)).json()
    service.completed(answer["job_id"])
    return Subject(service, answer["instance"]["id"], name, answer["job_id"])


@pytest.fixture(scope="module")
def subject(service: ServiceUnderTest) -> Iterator[Subject]:
    subject = make(service, "wire-shapes")
    yield subject
    service.delete(subject.id)


# --- a task that runs, completes, fails --------------------------------------------------------------------


def test_a_creation_from_its_acceptance_to_its_end(service: ServiceUnderTest) -> None:
    body = service.create_body(name="wire-life")
    version = body["datastore"]["version"]
    with paused_worker(service):
        answer = service.call("POST", "instances", body)
        assert answer.status_code == 202
        created = answer.json()
        instance_id, job_id = created["instance"]["id"], created["job_id"]
        assert INSTANCE_ID.fullmatch(instance_id)
        assert created == {
            "instance": {
                "id": instance_id,
                "name": "wire-life",
                "status": "BUILD",
                "datastore": {"type": "PostgreSQL", "version": version},
                "port": "5432",
                "flavor_ref": "rds.pg.n1.medium.2",
                "volume": {"type": "CLOUDSSD", "size": 40},
                "region": "local-1",
                "availability_zone": "local-1a",
                "vpc_id": body["vpc_id"],
                "subnet_id": body["subnet_id"],
                "security_group_id": body["security_group_id"],
                "backup_strategy": {"start_time": "02:00-03:00", "keep_days": 7},
                "charge_info": {"charge_mode": "postPaid"},
            },
            "job_id": job_id,
        }

        job = service.get(f"jobs?id={job_id}")["job"]
        assert TIME.fullmatch(job["created"])
        assert job == {
            "id": job_id,
            "name": CREATED,
            "status": "Running",
            "created": job["created"],
            "process": "0%",
            "instance": {"id": instance_id, "name": "wire-life"},
            "entities": {
                "instance": {"type": "Single", "datastore": {"type": "postgresql", "version": version}}
            },
        }
        assert service.get(f"tasklist?id={job_id}") == {
            "tasks": [
                {
                    "id": job_id,
                    "name": CREATED,
                    "instance_id": instance_id,
                    "instance_name": "wire-life",
                    "instance_status": "BUILD",
                    "order_id": "",
                    "process": "0",
                    "create_time": job["created"],
                    "status": "Running",
                }
            ],
            "actions": [CREATED],
            "total_count": 1,
        }
        building = service.instance(instance_id)
        assert (building["status"], building["private_ips"]) == ("BUILD", [])
        assert (building["created"], building["updated"], building["port"]) == ("", "", 5432)

    done = service.completed(job_id)
    address = service.instance(instance_id)["private_ips"][0]
    assert TIME.fullmatch(done["ended"]) and done["created"] == job["created"] <= done["ended"]
    assert done == {
        **job,
        "status": "Completed",
        "process": "",
        "ended": done["ended"],
        "entities": {
            "instance": {
                "endpoint": f"{address}:5432",
                "type": "Single",
                "datastore": {"type": "postgresql", "version": version},
            },
            "resource_ids": [f"{instance_id}.vm", f"{instance_id}.volume"],
        },
    }
    (row,) = service.get(f"tasklist?id={job_id}")["tasks"]
    assert row == {
        "id": job_id,
        "name": CREATED,
        "instance_id": instance_id,
        "instance_name": "wire-life",
        "instance_status": "ACTIVE",
        "order_id": "",
        "process": "",
        "create_time": job["created"],
        "end_time": done["ended"],
        "status": "Completed",
    }
    service.delete(instance_id)


def test_a_creation_that_fails(service: ServiceUnderTest) -> None:
    with listener_everywhere() as port:
        body = service.create_body(name="wire-fails", port=str(port))
        created = service.call("POST", "instances", body).json()
        instance_id, job_id = created["instance"]["id"], created["job_id"]
        job = service.ended(job_id)
    assert isinstance(job["fail_reason"], str) and str(port) in job["fail_reason"]
    assert TIME.fullmatch(job["created"]) and TIME.fullmatch(job["ended"])
    assert job == {
        "id": job_id,
        "name": CREATED,
        "status": "Failed",
        "created": job["created"],
        "ended": job["ended"],
        "process": "",
        "instance": {"id": instance_id, "name": "wire-fails"},
        "entities": {
            "instance": {
                "type": "Single",
                "datastore": {"type": "postgresql", "version": body["datastore"]["version"]},
            }
        },
        "fail_reason": job["fail_reason"],
    }
    (row,) = service.get(f"tasklist?instance_id={instance_id}&status=Failed")["tasks"]
    assert row == {
        "id": job_id,
        "name": CREATED,
        "instance_id": instance_id,
        "instance_name": "wire-fails",
        "instance_status": "CREATE FAIL",
        "order_id": "",
        "process": "",
        "fail_reason": job["fail_reason"],
        "create_time": job["created"],
        "end_time": job["ended"],
        "status": "Failed",
    }
    assert service.instance(instance_id)["status"] == "CREATE FAIL"
    service.delete(instance_id)


def test_a_restart_has_no_entities_and_all_rows_tell_the_status_of_now(subject: Subject) -> None:
    service = subject.service
    next_second()
    with paused_worker(service):
        job_id = subject.restart()
        assert subject.row(job_id)["instance_status"] == "REBOOTING"
        assert subject.row(subject.job_id)["instance_status"] == "REBOOTING"
        assert service.instance(subject.id)["status"] == "REBOOTING"
        running = service.job(job_id)
        assert running.keys() == {"id", "name", "status", "created", "process", "instance", "entities"}
        assert running["entities"] == {}
        busy = service.call("POST", f"instances/{subject.id}/action", {"restart": {"forcible": True}})
        refused(busy, 409, "DBS.200019")
    done = service.completed(job_id)
    assert (done["name"], done["entities"], done["process"]) == (RESTARTED, {}, "")
    assert subject.row(job_id)["instance_status"] == "ACTIVE"
    assert subject.row(subject.job_id)["instance_status"] == "ACTIVE"


def test_progress_only_grows_and_is_told_in_two_forms(service: ServiceUnderTest) -> None:
    created = service.call("POST", "instances", service.create_body(name="wire-progress")).json()
    seen = []

    def look() -> bool:
        job = service.job(created["job_id"])
        (row,) = service.get(f"tasklist?id={created['job_id']}")["tasks"]
        for process, status, form in (
            (job["process"], job["status"], r"\d{1,2}%"),
            (row["process"], row["status"], r"\d{1,2}"),
        ):
            assert re.fullmatch(form if status == "Running" else "", process)
            seen.append(int(process.rstrip("%") or 100))
        return job["status"] != "Running"

    wait_for(look, 60)
    assert seen == sorted(seen)
    service.delete(created["instance"]["id"])


def test_a_deleted_instance_keeps_its_tasks_without_a_status(service: ServiceUnderTest) -> None:
    subject = make(service, "wire-gone")
    with paused_worker(service):
        answer = service.call("DELETE", f"instances/{subject.id}")
        assert answer.status_code == 202 and answer.json().keys() == {"job_id"}
        assert service.instance(subject.id)["status"] == "ACTIVE"  # kept until it leaves the list
    done = service.completed(answer.json()["job_id"])
    assert (done["name"], done["entities"]) == (DELETED, {})
    assert done["instance"] == {"id": subject.id, "name": "wire-gone"}
    rows = service.get(f"tasklist?instance_id={subject.id}")
    assert [row["name"] for row in rows["tasks"]] == [DELETED, CREATED]
    assert [row["instance_status"] for row in rows["tasks"]] == ["", ""]
    assert service.job(subject.job_id)["status"] == "Completed"


def test_the_record_of_a_running_task_is_deleted_and_the_task_goes_on(subject: Subject) -> None:
    service = subject.service
    next_second()
    with paused_worker(service):
        job_id = subject.restart()
        answer = service.call("DELETE", f"jobs?id={job_id}")
        assert (answer.status_code, answer.json()) == (200, {})
        refused(service.call("GET", f"jobs?id={job_id}"), 400, "DBS.200543")
        assert service.get(f"tasklist?id={job_id}") == {"tasks": [], "actions": [], "total_count": 0}
    next_second()
    refused(service.call("DELETE", f"jobs?id={job_id}"), 400, "DBS.200543")
    wait_for(lambda: service.instance(subject.id)["status"] == "ACTIVE", 30)


# --- what a list takes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=51",
        "limit=-1",
        "limit=abc",
        "limit=",
        "offset=-1",
        "offset=abc",
        "offset=99999999999999999999",
        "status=running",
        "status=Done",
        "start_time=1747919701390",
        "start_time=1748524501390&end_time=1747919701390",
        "start_time=abc&end_time=1748524501390",
        "start_time=2025-05-22T13:15:01%2B0000&end_time=1748524501390",
        "end_time=-1",
        "end_time=99999999999999999999",
        "name=%00",
    ],
)
def test_what_the_task_list_does_not_take(service: ServiceUnderTest, query: str) -> None:
    refused(service.call("GET", f"tasklist?{query}"), 400, "DBS.200001")


def test_who_chose_wrong_is_told_what_there_is(service: ServiceUnderTest, subject: Subject) -> None:
    told = {
        "tasklist?status=Done": "status must be one of Running, Completed, Failed, not 'Done'",
        f"instances/{subject.id}/major-version/status?action=x": "action must be one of check, upgrade, not 'x'",
        f"instances/{subject.id}/configuration-histories?start_time=x": "start_time must be a time, such as",
        "jobs": "Missing required query parameter 'id'",
    }
    for path, said in told.items():
        assert service.call("GET", path).json()["error_msg"].startswith(said)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "offset=0",
        "limit=1",
        "limit=50",
        "end_time=253402300799000",
        "start_time=0&end_time=253402300799000",
        "start_time=1748524501390&end_time=1748524501390",
        "skip_cache=True",
        "unknown=%ff&limit=10",
        "name=a%20b~c%2F%C3%A9",
        "id=",
    ],
)
def test_what_the_task_list_takes(service: ServiceUnderTest, query: str) -> None:
    answer = service.get(f"tasklist?{query}")
    assert answer.keys() == {"tasks", "actions", "total_count"}
    assert isinstance(answer["total_count"], int)


def test_the_page_beyond_the_end_is_empty_and_counts_all(subject: Subject) -> None:
    service = subject.service
    everything = service.get(f"tasklist?instance_id={subject.id}")
    count = everything["total_count"]
    assert len(everything["tasks"]) == count >= 1
    for offset in (count, count + 49, 2**62):
        page = service.get(f"tasklist?instance_id={subject.id}&offset={offset}&limit=3")
        assert page == {"tasks": [], "actions": everything["actions"], "total_count": count}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "offset=-1",
        "type=single",
        "datastore_type=postgres",
        "id=*",
        "name=*",
        "tags=" + ",".join(f"k{number}=v" for number in range(11)),
        "name=%00",
        "tags=%00=1",
    ],
)
def test_what_the_instance_list_does_not_take(service: ServiceUnderTest, query: str) -> None:
    refused(service.call("GET", f"instances?{query}"), 400, "DBS.200001")


def test_unknown_instances_are_an_empty_list(service: ServiceUnderTest) -> None:
    for query in (f"id={NOBODY}", "id=wire-shapes", "id=x%20y", "name=no-such-name", "skip_cache=True&id=x"):
        assert service.get(f"instances?{query}") == {"instances": [], "total_count": 0}


def test_parameters_that_are_not_known_are_ignored(subject: Subject) -> None:
    job = subject.service.get(f"jobs?id={subject.job_id}&skip_cache=True")["job"]
    assert job["id"] == subject.job_id
    assert subject.service.get(f"instances?id={subject.id}&limit=1&no=1")["total_count"] == 1


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?id=a9767ede-fe0f-4888-9003-e843a4c90514", "DBS.200543"),
        ("?id=676e9f17f9b74289883a44a47b8101f5", "DBS.200543"),
        ("?id=31%20b8ae23%20-%20c687", "DBS.200543"),
        ("?id=%00", "DBS.200543"),
        ("?id=%ff", "DBS.200543"),
        ("?id=", "DBS.200001"),
        ("", "DBS.200001"),
        ("?skip_cache=True", "DBS.200001"),
    ],
)
def test_jobs_that_do_not_exist(service: ServiceUnderTest, method: str, query: str, code: str) -> None:
    answer = refused(service.call(method, f"jobs{query}"), 400, code)
    if code == "DBS.200543":
        assert answer["error_msg"] == "The job does not exist."


# --- the form of a refusal -----------------------------------------------------------------------------------


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, str]:
    """The body of a refusal: clients crash without its two strings, and cite the request id of the header."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["x-request-id"])
    body = answer.json()
    assert body.keys() - {"error"} == {"error_code", "error_msg"}
    assert body["error_code"] == code, body
    assert isinstance(body["error_msg"], str) and body["error_msg"]
    return body


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "/nothing",
        "/v4/x/jobs",
        "/v3//jobs",
        "/schema/nothing",
        "/schema/ui/nothing",
        "instances/a/b/c/d",
    ],
)
def test_routes_that_do_not_exist(service: ServiceUnderTest, path: str) -> None:
    refused(service.call("GET", path), 404, "APIGW.0101")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "jobs"),
        ("PUT", "tasklist"),
        ("PATCH", "instances"),
        ("GET", f"instances/{NOBODY}"),
        ("POST", "/v3"),
    ],
)
def test_methods_that_a_path_does_not_have(service: ServiceUnderTest, method: str, path: str) -> None:
    refused(service.call(method, path), 405, "APIGW.0101")


def test_a_caller_without_credentials(service: ServiceUnderTest) -> None:
    for path in ("jobs", "tasklist", "instances"):
        answer = httpx.get(f"{service.endpoint}/v3/{service.project_id}/{path}", timeout=30)
        refused(answer, 401, "APIGW.0301")


def test_another_project(service: ServiceUnderTest) -> None:
    refused(service.call("GET", f"/v3/{'0' * 32}/tasklist"), 403, "APIGW.0306")


def test_the_request_id_of_the_caller_is_kept_if_it_is_sane(service: ServiceUnderTest) -> None:
    answer = service.call("GET", "jobs?id=x", headers={"x-request-id": "my-own.id_1"})
    assert answer.headers["x-request-id"] == "my-own.id_1"
    answer = service.call("GET", "jobs?id=x", headers={"x-request-id": "a b"})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"}",
        b" ",
        b"nil",
        b"{'name': 1}",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b"\xff\xfe",
        b'{"a":' * 100_000,
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda content: repr(content[:12]),
)
def test_bodies_that_are_not_json(service: ServiceUnderTest, content: bytes) -> None:
    refused(service.call("POST", "instances", content=content), 422, "DBS.212019")


def test_a_body_that_is_missing(service: ServiceUnderTest) -> None:
    for path in ("instances", f"instances/{NOBODY}/action", f"instances/{NOBODY}/password"):
        refused(service.call("POST", path, content=b""), 400, "DBS.200006")


def test_a_body_that_is_too_large(service: ServiceUnderTest) -> None:
    refused(service.call("POST", "instances", content=b" " * (2**20 + 1)), 413, "APIGW.0201")
    refused(service.call("POST", "instances", content=b" " * 2**20), 422, "DBS.212019")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"null", "body"),
        (b"[]", "body"),
        (b'"restart"', "body"),
        (b"{}", "name"),
        (b'{"name": 12}', "name"),
        (b'{"name": null}', "name"),
        (b'{"name": "orders-db", "flavor_ref": ["a"]}', "flavor_ref"),
    ],
)
def test_bodies_of_the_wrong_type(service: ServiceUnderTest, content: bytes, named: str) -> None:
    body = refused(service.call("POST", "instances", content=content), 400, "DBS.200001")
    assert named in body["error_msg"]


@pytest.mark.parametrize(
    "change",
    [
        {"volume": {"type": "CLOUDSSD", "size": "much"}},
        {"volume": {"type": "CLOUDSSD", "size": True}},
        {"volume": {"type": "CLOUDSSD", "size": 40.5}},
        {"volume": "CLOUDSSD"},
        {"datastore": "PostgreSQL"},
        {"datastore": {"type": "PostgreSQL"}},
        {"datastore": None},
        {"flavor_ref": None},
        {"volume": None},
        {"availability_zone": None},
        {"vpc_id": None},
        {"subnet_id": None},
        {"security_group_id": None},
        {"port": 5432.5},
        {"port": "no"},
        {"tags": {"key": "a"}},
        {"tags": [{"key": "a\0", "value": "b"}]},
        {"enterprise_project_id": "a\0"},
        {"backup_strategy": {"start_time": 2}},
        {"time_zone": "Mars"},
    ],
    ids=json.dumps,
)
def test_fields_of_the_wrong_type_or_missing(service: ServiceUnderTest, change: dict[str, Any]) -> None:
    body = service.create_body(name="wire-refused", **change)
    refused(service.call("POST", "instances", body), 400, "DBS.200001")
    assert service.get("instances?name=wire-refused")["total_count"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"restart": None},
        {"restart": []},
        {"reboot": {}},
        {"restart": {}, "enlarge_volume": {"size": 100}},
        {"restart": {"delay": "tonight"}},
        {"restart": {"forcible": "often"}},
    ],
    ids=json.dumps,
)
def test_actions_that_are_not_understood(subject: Subject, body: dict[str, Any]) -> None:
    answer = subject.service.call("POST", f"instances/{subject.id}/action", body)
    refused(answer, 400, "DBS.200001")
    assert subject.service.instance(subject.id)["status"] == "ACTIVE"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "", None),
        ("POST", "/action", {"restart": {}}),
        ("PUT", "/name", {"name": "another"}),
        ("PUT", "/alias", {"alias": ""}),
        ("PUT", "/ops-window", {"start_time": "22:00", "end_time": "02:00"}),
        ("PUT", "/backups/policy", {"backup_policy": {"keep_days": 0}}),
        ("GET", "/backups/policy", None),
        ("POST", "/password", {"db_user_pwd": "An0ther-Secret"}),
        ("POST", "/tags/action", {"action": "create", "tags": []}),
        ("GET", "/tags", None),
        ("GET", "/replication/status", None),
    ],
)
def test_instances_that_do_not_exist(service: ServiceUnderTest, method: str, path: str, body: Any) -> None:
    refused(service.call(method, f"instances/{NOBODY}{path}", body), 404, "DBS.200002")
    for malformed in ("x", "%00", "%ff", NOBODY.upper()):
        refused(service.call(method, f"instances/{malformed}{path}", body), 400, "DBS.280404")


def test_refusals_of_the_identity_paths_are_also_keystones(service: ServiceUnderTest) -> None:
    answer = service.call("POST", "/v3/auth/tokens", {"auth": {"identity": {"methods": ["password"]}}})
    body = refused(answer, 401, "APIGW.0301")
    assert body["error"] == {"code": 401, "message": body["error_msg"], "title": "Unauthorized"}
