"""Webhooks: events reach whoever is to be told of them, signed, at least once, and nobody else."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from openrds.store.queries import Queries
from support.receiver import Receiver, running_receiver
from support.service import ServiceUnderTest, fresh, running_service, wait_for

QUOTA = 20
UNKNOWN = "0" * 32


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    opened = "127.0.0.2/32"
    with running_service(
        projects="local-1,other", webhook_allowed_networks=opened, webhook_quota=str(QUOTA)
    ) as running:
        yield running


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with running_receiver("127.0.0.2") as running:
        yield running


@pytest.fixture(autouse=True)
def no_webhooks(service: ServiceUnderTest) -> Iterator[None]:
    yield
    for one in service.get("webhooks")["webhooks"]:
        assert service.call("DELETE", f"webhooks/{one['id']}", headers=fresh()).status_code == 200


def created(service: ServiceUnderTest, url: str, **changes: Any) -> dict[str, Any]:
    answer = service.call("POST", "webhooks", {"url": url, **changes}, headers=fresh())
    assert answer.status_code == 200, answer.text
    return answer.json()["webhook"]


def delivery_of(service: ServiceUnderTest, webhook: dict[str, Any]) -> str:
    """The id of a delivery that is on its way."""
    answer = service.call("POST", f"webhooks/{webhook['id']}/test", headers=fresh())
    assert answer.status_code == 200, answer.text
    return answer.json()["delivery"]["id"]


def deliveries(service: ServiceUnderTest, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    return service.get(f"webhooks/{webhook['id']}/deliveries?limit=100")["deliveries"]


def happened(service: ServiceUnderTest, number: int) -> None:
    """Something that openrds would tell of."""
    with psycopg.connect(service.store_dsn) as store:
        store.execute(
            "select tell_event(%s, 'instance', 'i', null, jsonb_build_object('n', n)) from generate_series(1, %s) as n",
            [service.project_id, number],
        )


def test_events_are_delivered_and_signed(service: ServiceUnderTest, receiver: Receiver) -> None:
    hook = created(service, receiver.url("/all"), subjects=["instance", "task"])
    created(service, receiver.url("/backups"), subjects=["backup"])
    created(service, receiver.url("/other"), instance_id=f"{UNKNOWN}in03")
    instance = service.create(name="told")
    wait_for(
        lambda: [
            one
            for one in receiver.at("/all")
            if one.body["data"]["subject"] == "task" and one.body["data"]["state"]["status"] == "Completed"
        ]
    )
    wait_for(lambda: {one["status"] for one in deliveries(service, hook)} == {"delivered"})
    got = receiver.at("/all")
    for one in got:
        one.verify(hook["secret"])
        assert abs(int(one.headers["webhook-timestamp"]) - time.time()) < 60
        assert one.headers["content-type"] == "application/json"
        assert one.body.keys() == {"type", "timestamp", "data"}
        assert one.body["type"] == f"{one.body['data']['subject']}.changed"
        assert one.body["data"]["instance_id"] == instance["id"]
    statuses = [one.body["data"]["state"]["status"] for one in got if one.body["type"] == "instance.changed"]
    assert {"BUILD", "ACTIVE"} <= set(statuses)
    log = deliveries(service, hook)
    assert {one["id"] for one in log} == {one.id for one in got}
    assert len({one["event_id"] for one in log}) == len(log)
    assert {(one["http_status"], one["attempts"], one["error"]) for one in log} == {(200, 1, "")}
    assert not receiver.at("/backups") and not receiver.at("/other")
    # The secret was shown once.
    assert "secret" not in service.get(f"webhooks/{hook['id']}")["webhook"]
    assert hook["secret"] not in json.dumps(service.get("webhooks"))


def test_failures_are_tried_again_and_hold_up_nobody(service: ServiceUnderTest, receiver: Receiver) -> None:
    receiver.statuses |= {"/fails": 500, "/redirects": 302, "/breaks": 0}
    receiver.hanging["/hangs"] = threading.Event()
    hooks = {
        path: created(service, receiver.url(path)) for path in ("/hangs", "/fails", "/redirects", "/breaks")
    }
    closed = created(service, "http://127.0.0.2:1025/")
    named = created(service, f"http://localhost:{receiver.server.server_port}/local")
    happened(service, 6)
    wait_for(lambda: receiver.at("/hangs"))
    well = created(service, receiver.url("/well"))
    happened(service, 30)
    wait_for(lambda: len(receiver.at("/well")) == 30)
    assert len(receiver.at("/hangs")) <= 4
    log = {
        path: wait_for(lambda hook=hook: [one for one in deliveries(service, hook) if one["attempts"]])
        for path, hook in {**hooks, "/closed": closed, "/named": named}.items()
        if path != "/hangs"
    }
    assert log["/fails"][0]["error"] == "The receiver answered 500."
    assert log["/redirects"][0]["error"] == "The receiver answered 302. Redirects are not followed."
    assert log["/redirects"][0]["http_status"] == 302
    assert log["/breaks"][0]["error"]
    assert "Connect" in log["/closed"][0]["error"]
    assert "neither public nor in webhook_allowed_networks" in log["/named"][0]["error"]
    assert not receiver.at("/elsewhere") and not receiver.at("/local")
    for path, attempted in log.items():
        assert all(one["status"] == "pending" and one["next_attempt_at"] for one in attempted), path
    failing = service.get(f"webhooks/{hooks['/fails']['id']}")["webhook"]
    assert failing["enabled"] and failing["failing_since"]
    # The next attempt, five seconds later, has the same id, and a signature of its own time.
    del receiver.statuses["/fails"]
    wait_for(lambda: {one["status"] for one in deliveries(service, hooks["/fails"])} == {"delivered"})
    got = receiver.at("/fails")
    assert len({one.id for one in got}) == 36 < len(got)
    for one in got:
        one.verify(hooks["/fails"]["secret"])
    assert service.get(f"webhooks/{hooks['/fails']['id']}")["webhook"]["failing_since"] is None
    receiver.hanging["/hangs"].set()
    wait_for(lambda: {one["status"] for one in deliveries(service, hooks["/hangs"])} == {"delivered"})
    assert len(deliveries(service, well)) == 30


def test_nothing_is_missed_where_the_worker_dies(service: ServiceUnderTest, receiver: Receiver) -> None:
    release = receiver.hanging["/deadly"] = threading.Event()
    hook = created(service, receiver.url("/deadly"))
    happened(service, 3)
    wait_for(lambda: len(receiver.at("/deadly")) == 3)
    service.child("worker").kill()
    happened(service, 3)
    release.set()
    wait_for(lambda: {one["status"] for one in deliveries(service, hook)} == {"delivered"})
    ids = [one.id for one in receiver.at("/deadly")]
    assert set(ids) == {one["id"] for one in deliveries(service, hook)}
    assert len(set(ids)) == 6 < len(ids)


def test_who_fails_for_days_or_is_gone_is_disabled(service: ServiceUnderTest, receiver: Receiver) -> None:
    receiver.statuses |= {"/gone": 410, "/days": 503}
    gone, days = created(service, receiver.url("/gone")), created(service, receiver.url("/days"))
    with psycopg.connect(service.store_dsn) as store:
        store.execute(
            "update webhook set failing_since = now() - interval '73 hours' where id = %s", [days["id"]]
        )
    for hook, says in (
        (gone, "410"),
        (days, "No delivery succeeded for 3 days. The last time: The receiver answered 503."),
    ):
        delivery_of(service, hook)
        shown = wait_for(
            lambda hook=hook: not (one := service.get(f"webhooks/{hook['id']}")["webhook"])["enabled"] and one
        )
        assert says in shown["disabled_reason"]
        refused = service.call("POST", f"webhooks/{hook['id']}/test", headers=fresh())
        assert (refused.status_code, refused.json()["error_code"]) == (400, "DBS.200001")
    happened(service, 1)
    (failed,) = wait_for(lambda: [one for one in deliveries(service, gone) if one["status"] == "failed"])
    # Enabled anew it begins anew, and what was given up is delivered again when that is asked for.
    del receiver.statuses["/gone"]
    answer = service.call("PUT", f"webhooks/{gone['id']}", {"enabled": True}, headers=fresh())
    assert (
        answer.json()["webhook"] | {"disabled_reason": "", "failing_since": None} == answer.json()["webhook"]
    )
    path = f"webhooks/{gone['id']}/deliveries/{failed['id']}/replay"
    assert service.call("POST", path, headers=fresh()).status_code == 200
    wait_for(lambda: [one["status"] for one in deliveries(service, gone)] == ["delivered"])
    first, second = receiver.at("/gone")
    assert (first.id, first.content) == (second.id, second.content)


def test_what_is_kept_has_bounds(service: ServiceUnderTest, receiver: Receiver) -> None:
    statements = Queries("webhooks")
    release = receiver.hanging["/many"] = threading.Event()
    hook = created(service, receiver.url("/many"))
    try:
        happened(service, 30)
        wait_for(lambda: receiver.at("/many"))
        with psycopg.connect(service.store_dsn, row_factory=dict_row) as store:
            key = {"webhook_id": hook["id"], "kept": 10}
            assert store.execute(statements.give_up, {**key, "error": "too many"}).fetchone() == {
                "deliveries": 20
            }
            assert store.execute(statements.forget_ended, key).fetchone() == {"deliveries": 10}
    finally:
        release.set()
    wait_for(lambda: not [one for one in deliveries(service, hook) if one["status"] == "pending"])
    log = deliveries(service, hook)
    assert [one["status"] for one in log] == ["delivered"] * 10 + ["failed"] * 10
    assert log[-1]["error"] == "too many"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "https://user:password@hooks.example.com/",
        "https://@hooks.example.com/",
        "https:///nobody",
        "https://hooks.example.com/\r\nx-evil: 1",
        "https://hooks.example.com/a b",
        "https://hoóks.example.com/",
        "https://hooks.example.com\\@127.0.0.2/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:65536/",
        "https://hooks.example.com:١٢٣٤/",
        "https://[::1/",
        "https://" + "a" * 254 + "/",
        "http://127.0.0.1:8080/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:10.0.0.1]/",
        "http://[fd00:ec2::254]/",
        "https://hooks.example.com/" + "x" * 1000,
    ],
    ids=lambda url: ascii(url)[:50],
)
def test_bad_urls_are_refused(service: ServiceUnderTest, url: str) -> None:
    answer = service.call("POST", "webhooks", {"url": url}, headers=fresh())
    assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200001"), answer.text
    assert "url" in answer.json()["error_msg"]


def test_bad_webhooks_are_refused(service: ServiceUnderTest, receiver: Receiver) -> None:
    good = receiver.url("/never")
    bodies: list[dict[str, Any]] = [
        {"url": good, "subjects": ["tasks"]},
        {"url": good, "instance_id": "orders"},
        {"url": good, "description": "<b>"},
        {"url": good, "enabled": "yes"},
        {"subjects": []},
    ]
    for body in bodies:
        assert service.call("POST", "webhooks", body, headers=fresh()).status_code in {400, 422}, body
    hook = created(service, good, enabled=False)
    for _ in range(QUOTA - 1):
        created(service, good, enabled=False)
    refused = service.call("POST", "webhooks", {"url": good}, headers=fresh())
    assert (refused.status_code, refused.json()["error_code"]) == (413, "DBS.200046")
    (quota,) = [one for one in service.get("quotas")["quotas"]["resources"] if one["type"] == "webhook"]
    assert (quota["quota"], quota["used"]) == (QUOTA, QUOTA)
    # Nothing of a change that is refused is kept.
    change = {"description": "new", "url": "http://127.0.0.1/"}
    assert service.call("PUT", f"webhooks/{hook['id']}", change, headers=fresh()).status_code == 400
    assert service.get(f"webhooks/{hook['id']}")["webhook"]["description"] == ""
    assert not receiver.at("/never")


def test_projects_know_nothing_of_each_others_webhooks(service: ServiceUnderTest, receiver: Receiver) -> None:
    other = ServiceUnderTest(service.data_dir, service.options, service.process, project="other")
    hook = created(service, receiver.url("/own"))
    delivery = delivery_of(service, hook)
    wait_for(lambda: deliveries(service, hook)[0]["status"] == "delivered")
    one = f"webhooks/{hook['id']}"

    def refused(method: str, path: str, body: Any = None) -> httpx.Response:
        answer = other.call(method, path, body, headers=fresh())
        assert (answer.status_code, answer.json()["error_code"]) == (404, "DBS.290404"), answer.text
        return answer

    for path in (one, f"webhooks/{UNKNOWN}"):
        for method, below, body in (
            ("GET", "", None),
            ("PUT", "", {"enabled": False}),
            ("DELETE", "", None),
            ("POST", "/test", None),
            ("GET", "/deliveries", None),
            ("POST", f"/deliveries/{delivery}/replay", None),
        ):
            refused(method, path + below, body)
    own = created(other, receiver.url("/others"))
    for wrong in (delivery, "msg_1", "msg_" + UNKNOWN):
        refused("POST", f"webhooks/{own['id']}/deliveries/{wrong}/replay")
    assert [found["id"] for found in other.get("webhooks")["webhooks"]] == [own["id"]]
    happened(service, 1)
    wait_for(lambda: len(receiver.at("/own")) == 2)
    assert not receiver.at("/others")
    other.call("DELETE", f"webhooks/{own['id']}", headers=fresh())


def test_the_command_line_manages_webhooks(service: ServiceUnderTest, receiver: Receiver) -> None:
    def run(*arguments: str) -> str:
        command = service.command("webhook", *arguments, "--data-dir", str(service.data_dir))
        done = subprocess.run(command, capture_output=True, text=True, env=service.environment(), check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    url = receiver.url("/cli")
    made = json.loads(run("create", url, "--subject", "task", "--description", "mine", "-o", "json"))[
        "webhook"
    ]
    assert run("list").split()[4:] == [made["id"], url, "task", "enabled"]
    assert "on its way" in run("test", made["id"])
    (got,) = wait_for(lambda: receiver.at("/cli"))
    got.verify(made["secret"])
    assert got.body["type"] == "webhook.test"
    wait_for(lambda: "delivered" in run("deliveries", made["id"]))
    run("replay", made["id"], got.id)
    wait_for(lambda: len(receiver.at("/cli")) == 2)
    run("disable", made["id"])
    assert "disabled" in run("show", made["id"])
    run("enable", made["id"])
    run("delete", made["id"])
    assert made["id"] not in run("list")
