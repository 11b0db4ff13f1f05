"""What commands send, print and end with, against an API that answers what the test wants."""

import datetime as dt
import io
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_support import FakeApi, Result, fake_api, job, run, step, steps, write_credentials

from openrds.cli import instances, watch
from openrds.cli.client import Client
from openrds.cli.credentials import read_credentials
from openrds.cli.passwords import generate_password
from openrds.domain.engine import EngineName
from openrds.domain.rules import check_password
from openrds.domain.signature import SignedRequest, parse_authorization, verify

INSTANCE_ID = "0123456789abcdef0123456789abcdefin03"


class Caller:
    """Runs commands with credentials for the fake."""

    def __init__(self, api: FakeApi, credentials: Path) -> None:
        self.api = api
        self.credentials = credentials

    def __call__(self, *arguments: str) -> Result:
        return run(*arguments, "--credentials", str(self.credentials))

    def sent(self, method: str) -> list[tuple[str, Any]]:
        return [(request.path, request.body) for request in self.api.requests if request.method == method]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    for name in ("OPENRDS_CREDENTIALS", "OPENRDS_DATA_DIR", "OPENRDS_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    with fake_api() as api:
        yield Caller(api, write_credentials(tmp_path, api.endpoint))


def offer_everything(api: FakeApi) -> None:
    """The look-ups that a create makes, and its answer."""
    api.answer("datastores/PostgreSQL", {"dataStores": [{"id": "1", "name": "9"}, {"id": "2", "name": "17"}]})
    api.answer("flavors/PostgreSQL", {"flavors": [{"az_status": {"zone-1": "normal", "zone-2": "normal"}}]})
    api.answer("v1/vpcs", {"vpcs": [{"id": "vpc-1"}]})
    api.answer("v1/subnets", {"subnets": [{"id": "subnet-1"}]})
    api.answer("vpc/security-groups", {"security_groups": [{"id": "group-1"}]})
    api.answer(
        "instances", {"instance": {"id": INSTANCE_ID, "name": "orders"}, "job_id": "task-1"}, status=202
    )


def listed(**changes: object) -> dict[str, object]:
    return {
        "id": INSTANCE_ID,
        "name": "orders",
        "alias": "",
        "status": "ACTIVE",
        "type": "Single",
        "created": "2026-02-03T04:05:06+0000",
        "updated": "2026-02-03T04:05:06+0000",
        "datastore": {"type": "PostgreSQL", "version": "17", "complete_version": "17.4"},
        "port": 5432,
        "private_ips": ["127.64.0.2"],
        "private_dns_names": ["orders4you.rds.internal"],
        "public_ips": [],
        "db_user_name": "root",
        "enable_ssl": True,
        "flavor_ref": "rds.pg.n1.medium.2",
        "cpu": "1",
        "mem": "2",
        "volume": {"type": "CLOUDSSD", "size": 40},
        "nodes": [{"id": "node-1", "role": "master", "status": "ACTIVE", "availability_zone": "local-1a"}],
        "related_instance": [],
        "backup_strategy": {"start_time": "02:00-03:00", "keep_days": 7},
        "maintenance_window": "02:00-06:00",
        "tags": [{"key": "team", "value": "shop"}],
    } | changes


# Requests


def test_requests_are_signed_and_no_two_signatures_are_equal(call: Caller) -> None:
    call.api.answer("tasklist", {"tasks": [], "actions": [], "total_count": 0})
    call("task", "list", "--name", "A b&c")
    call("task", "list", "--name", "A b&c")
    values = [request.headers["authorization"] for request in call.api.requests]
    assert values[0] != values[1]
    request = call.api.requests[0]
    headers = {name.lower(): (value,) for name, value in request.headers.items()}
    path, _, query = request.path.partition("?")
    signed = SignedRequest("GET", f"/v3/{headers['x-project-id'][0]}/{path}", query, headers)
    assert verify(signed, parse_authorization(values[0]), "SK")
    assert "name=A%20b%26c" in query


def test_an_error_is_told_with_code_and_request_id(call: Caller) -> None:
    call.api.answer("jobs", {"error_code": "DBS.200543", "error_msg": "The job does not exist."}, status=400)
    result = call("task", "show", "nothing")
    assert (result.code, result.out) == (1, "")
    assert (
        result.err
        == "openrds: The job does not exist. (DBS.200543, HTTP 400, request id request-of-the-fake)\n"
    )


@pytest.mark.parametrize("answer", [b"<html>", b"", b"[]"])
@pytest.mark.parametrize("status", [200, 502])
def test_what_is_not_openrds_is_told_so(call: Caller, answer, status) -> None:
    call.api.answer("instances", answer, status=status)
    result = call("instance", "list")
    assert (result.code, result.out) == (1, "")
    assert f"does not answer as openrds does: HTTP {status}" in result.err


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    result = run("instance", "list", "--credentials", str(write_credentials(tmp_path, url)))
    assert result == Result(1, "", f"openrds: Nothing answers on {url}; is `openrds serve` running?\n")


@pytest.mark.parametrize("endpoint", ["localhost:8082", "ftp://x", "http://"])
def test_an_endpoint_that_is_no_url_is_a_usage_problem(tmp_path: Path, endpoint) -> None:
    result = run("instance", "list", "--credentials", str(write_credentials(tmp_path, endpoint)))
    assert result.code == 2
    assert "is not a URL" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("instance", "show"),
        ("instance", "list", "--output", "xml"),
        ("instance", "create", "orders", "--engine", "Oracle"),
        ("instance", "create", "orders", "--tag", "novalue"),
        ("task", "list", "--status", "Lost"),
        ("task", "list", "--start-time", "yesterday"),
        ("nonsense",),
    ],
)
def test_what_cannot_be_understood_ends_with_2_and_sends_nothing(call: Caller, arguments) -> None:
    result = call(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err
    assert call.api.requests == []


# Instances


def test_create_asks_for_the_defaults_and_orders(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    offer_everything(call.api)
    monkeypatch.setenv("OPENRDS_PASSWORD", "Sup3rS3cret-")
    result = call("instance", "create", "orders", "--tag", "team=shop", "--tag", "empty=", "--no-wait")
    assert (result.code, result.out, result.err) == (0, "Task task-1\n", "")
    assert call.sent("POST") == [
        (
            "instances",
            {
                "name": "orders",
                "datastore": {"type": "PostgreSQL", "version": "17"},
                "flavor_ref": "rds.pg.n1.medium.2",
                "volume": {"type": "CLOUDSSD", "size": 40},
                "region": "local-1",
                "availability_zone": "zone-1",
                "password": "Sup3rS3cret-",
                "vpc_id": "vpc-1",
                "subnet_id": "subnet-1",
                "security_group_id": "group-1",
                "tags": [{"key": "team", "value": "shop"}, {"key": "empty", "value": ""}],
            },
        )
    ]


def test_create_orders_what_it_is_told(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    offer_everything(call.api)
    monkeypatch.setattr(sys, "stdin", io.StringIO("from stdin\n"))
    options = "--engine postgresql --version 9 --flavor f --volume-type ESSD --size 50 --port 5433 --zone z"
    result = call(
        "instance", "create", "orders", *options.split(), "--password-stdin", "--no-wait", "-o", "json"
    )
    assert result.json["job_id"] == "task-1"
    ((_, body),) = call.sent("POST")
    assert (
        body
        | {
            "datastore": {"type": "PostgreSQL", "version": "9"},
            "flavor_ref": "f",
            "volume": {"type": "ESSD", "size": 50},
            "port": "5433",
            "availability_zone": "z",
            "password": "from stdin",
        }
        == body
    )
    asked = {request.path for request in call.api.requests if request.method == "GET"}
    assert not asked & {"datastores/PostgreSQL", "flavors/PostgreSQL"}


def test_a_generated_password_is_told_once_and_not_on_stdout(call: Caller) -> None:
    offer_everything(call.api)
    result = call("instance", "create", "orders", "--no-wait", "--output", "json")
    ((_, body),) = call.sent("POST")
    assert result.json["job_id"] == "task-1"
    assert result.err == f"Password of the administrator, shown only now: {body['password']}\n"


def test_generated_passwords_suit_every_engine() -> None:
    for engine in EngineName:
        check_password(generate_password(), engine, user="root")


def test_an_empty_stdin_is_no_password(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    offer_everything(call.api)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    result = call("instance", "create", "orders", "--password-stdin")
    assert result.code == 2
    assert "there is no password on stdin" in result.err


def test_create_says_when_the_service_has_no_such_engine(call: Caller) -> None:
    call.api.answer("datastores/MySQL", {"dataStores": []})
    result = call("instance", "create", "orders", "--engine", "mysql")
    assert result.code == 1
    assert "has no MySQL server" in result.err and "openrds engine list" in result.err


def offer_details(api: FakeApi) -> None:
    """What is looked up of an instance that is shown or deleted."""
    api.answer(f"instances/{INSTANCE_ID}/storage-used-space", {"node_id": "node-1", "used": "0.04"})
    api.answer(f"instances/{INSTANCE_ID}/replication/status", {"nodes": []})
    api.answer("backups", {"backups": [], "total_count": 3}, {"backups": [], "total_count": 1})
    api.answer("instances/recycle-policy", {"retention_period_in_days": 7})


def test_list_and_show(call: Caller) -> None:
    offer_details(call.api)
    answer = {"instances": [listed()], "total_count": 1}
    call.api.answer("instances", answer)
    table = call("instance", "list", "--engine", "postgresql", "--tag", "team=shop").out.splitlines()
    assert table[0].split() == list(instances._HEADER)
    assert table[1].split()[:3] == [INSTANCE_ID, "orders", "ACTIVE"]
    assert "datastore_type=PostgreSQL&tags=team%3Dshop" in call.api.requests[0].path
    assert call("instance", "list", "-o", "json").json == answer
    assert call("instance", "show", "orders", "-o", "json").json == listed()
    assert re.search(r"^address +127\.64\.0\.2$", call("instance", "show", INSTANCE_ID).out, re.MULTILINE)


def test_a_name_is_looked_up_and_an_id_is_not(call: Caller) -> None:
    call.api.answer("instances", {"instances": [listed()], "total_count": 1})
    call.api.answer(f"instances/{INSTANCE_ID}/action", {"job_id": "task-1"}, status=202)
    assert call("instance", "restart", "orders", "--no-wait").code == 0
    assert call("instance", "restart", INSTANCE_ID, "--no-wait").code == 0
    assert call.sent("POST") == [(f"instances/{INSTANCE_ID}/action", {"restart": {}})] * 2
    assert call.sent("GET") == [("instances?name=orders", None)]


def test_enlarge_and_resize(call: Caller) -> None:
    call.api.answer(f"instances/{INSTANCE_ID}/action", {"job_id": "task-1"}, status=202)
    assert call("instance", "enlarge", INSTANCE_ID, "100", "--no-wait").code == 0
    assert call("instance", "resize", INSTANCE_ID, "rds.pg.n1.large.4", "--no-wait").code == 0
    delayed = call("instance", "resize", INSTANCE_ID, "rds.pg.n1.large.4", "--delay")
    assert (delayed.code, delayed.out) == (0, "scheduled task task-1 waits for the maintenance window\n")
    assert [body for _, body in call.sent("POST")] == [
        {"enlarge_volume": {"size": 100}},
        {"resize_flavor": {"spec_code": "rds.pg.n1.large.4"}},
        {"resize_flavor": {"spec_code": "rds.pg.n1.large.4", "is_delay": True}},
    ]
    assert call("instance", "enlarge", INSTANCE_ID, "much").code == 2


def test_upgrade(call: Caller) -> None:
    path = f"instances/{INSTANCE_ID}"
    for what in ("db-upgrade", "major-version/upgrade"):
        call.api.answer(f"{path}/{what}", {"job_id": "task-1"}, status=202)
    call.api.answer(f"{path}/major-version/available-version", {"available_versions": ["17", "18"]})
    assert call("instance", "upgrade", INSTANCE_ID, "--no-wait").out == "Task task-1\n"
    delayed = call("instance", "upgrade", INSTANCE_ID, "--delay")
    assert (delayed.code, delayed.out) == (0, "scheduled task task-1 waits for the maintenance window\n")
    assert call("instance", "upgrade", INSTANCE_ID, "--to", "18", "--no-wait").code == 0
    assert call("instance", "upgrade", INSTANCE_ID, "--check").out == "VERSION\n17\n18\n"
    assert call.sent("POST") == [
        (f"{path}/db-upgrade", {"is_delayed": False}),
        (f"{path}/db-upgrade", {"is_delayed": True}),
        (f"{path}/major-version/upgrade", {"target_version": "18", "is_change_private_ip": True}),
    ]
    assert call("instance", "upgrade", INSTANCE_ID, "--to", "18", "--delay").code == 2
    assert call("instance", "upgrade", INSTANCE_ID, "--auto", "--delay").code == 2


@pytest.mark.parametrize(("result", "code"), [("success", 0), ("failed", 1)])
def test_a_check_before_an_upgrade_says_what_it_found(call: Caller, result: str, code: int) -> None:
    path = f"instances/{INSTANCE_ID}/major-version"
    report = {"id": "task-1", "result": result, "detail": "what was found"}
    call.api.answer(f"{path}/inspection", {"report_id": "task-1"})
    call.api.answer(f"{path}/inspection-histories", {"inspection_reports": [report], "total_count": 1})
    call.api.answer("jobs", job("Completed"))
    call.api.answer("jobs/task-1/steps", steps(inspect="Completed"))
    done = call("instance", "upgrade", INSTANCE_ID, "--to", "18", "--check")
    assert done.code == code
    assert "what was found" in done.out + done.err


def offer_addresses(api: FakeApi, *statuses: str) -> None:
    api.answer(
        "v1/publicips",
        {
            "publicips": [
                {"id": f"ip-{number}", "public_ip_address": f"127.200.0.{number}", "status": status}
                for number, status in enumerate(statuses)
            ]
        },
    )


def test_bind_takes_the_first_free_address_or_the_named_one(call: Caller) -> None:
    offer_addresses(call.api, "ACTIVE", "DOWN", "DOWN")
    path = f"instances/{INSTANCE_ID}/public-ip"
    call.api.answer(path, {"job_id": "task-1"})
    for arguments, number in (((), 1), (("127.200.0.2",), 2)):
        assert call("instance", "bind", INSTANCE_ID, *arguments, "--no-wait").out == "Task task-1\n"
        body = {"is_bind": True, "public_ip": f"127.200.0.{number}", "public_ip_id": f"ip-{number}"}
        assert call.sent("PUT")[-1] == (path, body)
    unknown = call("instance", "bind", INSTANCE_ID, "10.0.0.1")
    assert (unknown.code, unknown.err) == (1, "openrds: There is no public address 10.0.0.1.\n")
    assert call("instance", "unbind", INSTANCE_ID, "--no-wait").code == 0
    assert call.sent("PUT")[-1] == (path, {"is_bind": False})


def test_bind_where_no_address_is_free(call: Caller) -> None:
    offer_addresses(call.api, "ACTIVE")
    assert call("instance", "bind", INSTANCE_ID).err == "openrds: No public address is free.\n"
    table = call("public-ip", "list").out.splitlines()
    assert [line.split() for line in table] == [
        ["ID", "ADDRESS", "STATUS", "INSTANCE"],
        ["ip-0", "127.200.0.0", "ACTIVE", "-"],
    ]


def test_port_stop_and_start(call: Caller) -> None:
    call.api.answer(f"instances/{INSTANCE_ID}/port", {"workflowId": "task-1"})
    assert call("instance", "port", INSTANCE_ID, "6000", "--no-wait").out == "Task task-1\n"
    assert call.sent("PUT") == [(f"instances/{INSTANCE_ID}/port", {"port": 6000})]
    for command, action in (("stop", "shutdown"), ("start", "startup")):
        call.api.answer(f"instances/{INSTANCE_ID}/action/{action}", {"job_id": "task-1"})
        assert call("instance", command, INSTANCE_ID, "--no-wait").out == "Task task-1\n"
        assert call.sent("POST")[-1] == (f"instances/{INSTANCE_ID}/action/{action}", {})


def test_create_with_a_standby(call: Caller) -> None:
    offer_everything(call.api)
    assert call("instance", "create", "orders", "--ha", "sync", "--no-wait").code == 0
    ((_, body),) = call.sent("POST")
    assert body["ha"] == {"mode": "Ha", "replication_mode": "sync"}
    assert (body["flavor_ref"], body["availability_zone"]) == ("rds.pg.n1.medium.2.ha", "zone-1,zone-1")


def test_a_standby_is_given_switched_to_and_set(call: Caller) -> None:
    call.api.answer("flavors/PostgreSQL", {"flavors": [{"az_status": {"zone-1": "normal"}}]})
    call.api.answer("instances", {"instances": [listed(id=INSTANCE_ID)], "total_count": 1})
    call.api.answer(f"instances/{INSTANCE_ID}/action", {"job_id": "task-1"})
    assert call("instance", "to-ha", INSTANCE_ID, "--no-wait").out == "Task task-1\n"
    assert call.sent("POST")[-1][1] == {"single_to_ha": {"az_code_new_node": "zone-1"}}
    answer = {"instanceId": INSTANCE_ID, "workflowId": "task-2"}
    for words, path, body in (
        (["switchover", INSTANCE_ID, "--no-wait"], "failover", {}),
        (["switchover", INSTANCE_ID, "--force", "--no-wait"], "failover", {"force": True}),
        (["replication-mode", INSTANCE_ID, "sync", "--no-wait"], "failover/mode", {"mode": "sync"}),
    ):
        call.api.answer(f"instances/{INSTANCE_ID}/{path}", answer)
        assert call("instance", *words).out == "Task task-2\n"
        assert call.sent("PUT")[-1] == (f"instances/{INSTANCE_ID}/{path}", body)
    call.api.answer(f"instances/{INSTANCE_ID}/failover/strategy", {})
    assert call("instance", "switch-strategy", INSTANCE_ID, "availability").code == 0
    assert call.sent("PUT")[-1][1] == {"repairStrategy": "availability"}


def test_a_name_that_is_unknown_or_not_unique(call: Caller) -> None:
    call.api.answer("instances", {"instances": [], "total_count": 0})
    missing = call("instance", "restart", "orders")
    assert (missing.code, missing.err) == (1, "openrds: There is no instance orders.\n")
    call.api.answers["instances"] = []
    call.api.answer(
        "instances", {"instances": [listed(id="a"), listed(id="b", status="FAILED")], "total_count": 2}
    )
    double = call("instance", "delete", "orders", "--yes")
    assert double.code == 2
    assert "2 instances are named orders; say which by its id:" in double.err
    assert [line.split() for line in double.err.splitlines()[1:]] == [
        ["ID", "TYPE", "STATUS", "ADDRESS", "CREATED"],
        ["a", "Single", "ACTIVE", "127.64.0.2", "2026-02-03T04:05:06+0000"],
        ["b", "Single", "FAILED", "127.64.0.2", "2026-02-03T04:05:06+0000"],
    ]
    assert call.sent("DELETE") == []


def test_delete_wants_a_yes(call: Caller) -> None:
    call.api.answer(f"instances/{INSTANCE_ID}", {"job_id": "task-1"}, status=202)
    offer_details(call.api)
    replica = listed(id="r" * 32 + "in03", name="orders-copy")
    primary = listed(related_instance=[{"id": replica["id"], "type": "replica"}])
    call.api.answer("instances", {"instances": [primary]}, {"instances": [replica]})
    refused = call("instance", "delete", INSTANCE_ID)
    assert refused.code == 2
    assert f"its read replicas: orders-copy ({replica['id']})" in refused.err
    assert "its automatic backups: 3" in refused.err
    assert "Its manual backups stay: 1." in refused.err
    assert f"for 7 days: openrds recycle restore {INSTANCE_ID}" in refused.err
    assert "--yes" in refused.err
    assert call.sent("DELETE") == []
    assert call("instance", "delete", INSTANCE_ID, "--yes", "--no-wait").code == 0
    assert call.sent("DELETE") == [(f"instances/{INSTANCE_ID}", None)]


def test_rename_and_password(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    call.api.answer(f"instances/{INSTANCE_ID}/name", {})
    call.api.answer(f"instances/{INSTANCE_ID}/password", {})
    monkeypatch.setenv("OPENRDS_PASSWORD", "N3wS3cret-")
    assert call("instance", "rename", INSTANCE_ID, "billing").code == 0
    call.api.answer("instances", {"instances": [listed()], "total_count": 1})
    result = call("instance", "password", INSTANCE_ID, "-o", "json")
    assert (result.code, result.json) == (0, {})
    assert call.sent("PUT") == [(f"instances/{INSTANCE_ID}/name", {"name": "billing"})]
    assert call.sent("POST") == [(f"instances/{INSTANCE_ID}/password", {"db_user_pwd": "N3wS3cret-"})]


# Tasks


def test_all_filters_of_the_task_list_are_sent(call: Caller) -> None:
    call.api.answer("tasklist", {"tasks": [], "actions": [], "total_count": 0})
    filters = f"--id i --instance {INSTANCE_ID} --order-id o --name n --status failed --offset 3 --limit 5"
    times = "--start-time 2026-02-03T04:05:06+00:00 --end-time 1770091507000"
    assert call("task", "list", *filters.split(), *times.split()).code == 0
    query = f"id=i&instance_id={INSTANCE_ID}&order_id=o&name=n&status=Failed"
    window = "start_time=1770091506000&end_time=1770091507000"
    assert call.sent("GET") == [(f"tasklist?{query}&{window}&offset=3&limit=5", None)]


def test_a_start_without_an_end_means_until_now(call: Caller) -> None:
    call.api.answer("tasklist", {"tasks": [], "actions": [], "total_count": 0})
    before = dt.datetime.now().timestamp() * 1000 - 1
    assert call("task", "list", "--start-time", "2026-02-03").code == 0
    end = int(re.findall(r"end_time=(\d+)", call.api.requests[0].path)[0])
    assert before <= end <= dt.datetime.now().timestamp() * 1000


def test_task_show(call: Caller) -> None:
    call.api.answer("jobs", job("Running", "40%"))
    call.api.answer("jobs/task-1/steps", steps(create_volume="Completed", start_server="Running"))
    text = call("task", "show", "task-1").out
    assert re.search(r"^progress +40%$", text, re.MULTILINE)
    assert re.search(r"^start server +Running +no01 +local +1 +- +- +-$", text, re.MULTILINE)
    answer = call("task", "show", "task-1", "-o", "json").json
    assert answer == job("Running", "40%") | steps(create_volume="Completed", start_server="Running")


def finish_task(api: FakeApi, **end: Any) -> None:
    """A task that is seen at its beginning, in its middle and at its end."""
    api.answer("jobs", job("Running", "0%"), job("Running", "0%"), job("Running", "60%"), job(**end))
    api.answer(
        "jobs/task-1/steps",
        steps(one="Running", two="Planned", three="Planned", four="Planned"),
        steps(one="Running", two="Planned", three="Planned", four="Planned"),
        steps(one="Completed", two="Completed", three="Running", four="Planned"),
        steps(one="Completed", two="Completed", three="Completed", four="Completed"),
    )


def test_watch_prints_a_line_for_each_change(call: Caller) -> None:
    finish_task(call.api, status="Completed", entities={"instance": {"endpoint": "127.64.0.2:5432"}})
    result = call("task", "watch", "task-1")
    assert result.code == 0
    assert result.out.splitlines() == [
        "  0%  one",
        " 60%  two",
        " 60%  three",
        "100%  four",
        "100%  completed",
        "CreatePostgresqlSingleHAInstance of orders (instance-1): completed, serving on 127.64.0.2:5432",
    ]
    assert result.err == ""


def test_watch_with_json_keeps_stdout_for_the_answer(call: Caller) -> None:
    finish_task(call.api, status="Completed")
    result = call("task", "watch", "task-1", "--output", "json")
    assert result.json == job("Completed")
    assert result.err.splitlines()[0] == "  0%  one"


@pytest.mark.parametrize("output", ["table", "json"])
def test_a_watched_task_that_fails_ends_with_1_and_its_reason(call: Caller, output) -> None:
    finish_task(call.api, status="Failed", fail_reason="no disk left")
    result = call("task", "watch", "task-1", "--output", output)
    assert result.code == 1
    assert result.err.splitlines()[-1] == "openrds: Task task-1 failed: no disk left"
    if output == "json":
        assert result.json["job"]["fail_reason"] == "no disk left"


def test_a_service_that_is_away_for_a_while_is_waited_for(call: Caller) -> None:
    call.api.answer("jobs", job("Running", "10%"))
    call.api.answer("jobs", {"error_code": "DBS.290015", "error_msg": "try again"}, b"", status=503)
    call.api.answer("jobs", job("Completed"))
    call.api.answer("jobs/task-1/steps", steps(one="Running"))
    assert call("task", "watch", "task-1").code == 0


def test_an_interrupted_watch_says_that_the_task_goes_on(
    call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "take_snapshot", interrupt)
    result = call("task", "watch", "task-1")
    assert (result.code, result.err) == (
        130,
        "openrds: The task goes on; to watch it again: openrds task watch task-1\n",
    )


def test_a_snapshot_names_what_happens_now() -> None:
    def current(*listed_steps: dict, status: str = "Running") -> str:
        return watch.Snapshot(job(status)["job"], listed_steps).current

    assert current(step("one", "Completed"), step("two", "Running", attempts=2)) == "two (attempt 2)"
    assert current(step("one", "Undoing"), step("two", "Undone")) == "undo one"
    assert current(step("one", "Completed"), step("two", "Planned", attempts=0)) == "two"
    assert current(step("one", "Completed")) == "finishing"
    assert current(step("one", "Completed"), status="Failed") == "failed"


def test_on_a_terminal_there_is_a_bar_with_the_finished_steps_above_it(call: Caller) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    finish_task(call.api, status="Completed")
    terminal = Terminal()
    watch.watch(Client(read_credentials(call.credentials)), "task-1", terminal)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "✓ three\n" in shown
    assert re.search("CreatePostgresqlSingleHAInstance completed .* 100%", shown)


# The command itself


def test_help_is_fast_because_it_loads_neither_service_nor_clients() -> None:
    code = "import sys, openrds.cli.main; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"rich", "httpx", "psycopg", "litestar", "msgspec", "openrds.service"} & set(loaded)


def test_a_reader_that_leaves_early_is_no_fault(tmp_path: Path) -> None:
    with fake_api() as api:
        api.answer("instances", {"instances": [listed(name="x" * 100)] * 2000, "total_count": 2000})
        credentials = write_credentials(tmp_path, api.endpoint)
        command = f"{sys.executable} -m openrds.cli instance list --credentials {credentials} | head -1"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ID ")


def test_serve_says_which_setting_is_wrong(tmp_path: Path) -> None:
    result = run("serve", "--data-dir", str(tmp_path / "d"), "--listen", "nowhere")
    assert (result.code, result.out) == (2, "")
    assert "listen must be HOST:PORT" in result.err


def test_the_version_is_told() -> None:
    assert run("--version").out.startswith("openrds ")


def test_json_is_the_apis_own(call: Caller) -> None:
    answer = {"tasks": [], "actions": ["Ärger"], "total_count": 0}
    call.api.answer("tasklist", answer)
    result = call("task", "list", "-o", "json")
    assert result.json == answer
    assert json.loads(result.out) == answer
    assert "Ärger" in result.out


def test_parameters_are_shown_and_set(call: Caller) -> None:
    path = f"instances/{INSTANCE_ID}/configurations"
    parameter = {
        "name": "work_mem",
        "value": "4096",
        "restart_required": False,
        "readonly": False,
        "value_range": "64-2147483647",
        "type": "integer",
        "description": "Memory. Unit: kB.",
    }
    other = {**parameter, "name": "fsync", "readonly": True}
    call.api.answer(path, {"configuration_parameters": [parameter, other], "restart_required": True})
    listed = call("parameter", "list", INSTANCE_ID, "work")
    assert listed.out.splitlines()[1].split()[:4] == ["work_mem", "4096", "64-2147483647", "no"]
    assert "fsync" not in listed.out and "(read-only)" in call("parameter", "list", INSTANCE_ID).out
    done = call("parameter", "set", INSTANCE_ID, "work_mem=8MB", "search_path=a=b")
    assert (done.code, done.out) == (0, "2 set.\n") and f"instance restart {INSTANCE_ID}" in done.err
    ((_, body),) = call.sent("PUT")
    assert body == {"values": {"work_mem": "8MB", "search_path": "a=b"}}
    assert call("parameter", "set", INSTANCE_ID, "work_mem").code == 2


def test_parameter_groups_are_found_by_their_names(call: Caller) -> None:
    group = {
        "id": "0" * 32 + "pr03",
        "name": "tuned",
        "datastore_name": "postgresql",
        "datastore_version_name": "18",
        "user_defined": True,
    }
    call.api.answer("configurations", {"configurations": [group], "configuration": group})
    call.api.answer(
        f"configurations/{group['id']}/apply",
        {"success": True, "configuration_name": "tuned", "apply_results": [{"restart_required": False}]},
    )
    call.api.answer(f"configurations/{group['id']}", {})
    assert call("configuration", "list").out.splitlines()[1].split()[1:] == [
        "tuned",
        "postgresql",
        "18",
        "own",
    ]
    assert call("configuration", "create", "tuned", "jit=off", "--version", "18").out == f"{group['id']}\n"
    assert call("configuration", "apply", "tuned", INSTANCE_ID).out == "tuned is applied.\n"
    assert call("configuration", "delete", "tuned").out == "tuned is deleted.\n"
    assert call("configuration", "delete", "other").code == 1
    ((_, created),) = call.sent("POST")
    assert created["values"] == {"jit": "off"}
