"""The commands against a real service."""

import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from cli_support import Result, run

Call = Callable[..., Result]


def caller(service) -> Call:
    def call(*arguments: str) -> Result:
        return run(*arguments, "--credentials", str(service.credentials_file))

    return call


@pytest.fixture
def call(service) -> Call:
    return caller(service)


@pytest.fixture(scope="module")
def instance(service) -> Iterator[str]:
    """An instance that these tests share, by its name."""
    name = f"cli-{uuid.uuid4().hex[:8]}"
    created = caller(service)("instance", "create", name, "--tag", "made-by=cli")
    assert created.code == 0, created.err
    yield name
    caller(service)("instance", "delete", name, "--yes")


def test_create_waits_and_the_told_password_works(call: Call) -> None:
    created = call("instance", "create", "cli-life", "--output", "json")
    assert created.code == 0, created.err
    job = created.json["job"]
    assert job["status"] == "Completed"
    host, _, port = job["entities"]["instance"]["endpoint"].rpartition(":")
    password = created.err.splitlines()[0].rpartition(" ")[2]
    with psycopg.connect(
        host=host, port=port, user="root", password=password, dbname="postgres", connect_timeout=10
    ) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    deleted = call("instance", "delete", "cli-life", "--yes")
    assert deleted.code == 0, deleted.err
    assert "DeletePostgresqlInstance of cli-life" in deleted.out
    gone = call("instance", "show", "cli-life")
    assert (gone.code, gone.err) == (1, "openrds: There is no instance cli-life.\n")


def test_list_and_show(call: Call, instance: str) -> None:
    listed = call("instance", "list", "--name", instance, "--tag", "made-by=cli", "-o", "json").json
    assert [one["name"] for one in listed["instances"]] == [instance]
    assert call("instance", "show", instance, "-o", "json").json == listed["instances"][0]
    assert call("instance", "show", listed["instances"][0]["id"], "-o", "json").json["name"] == instance
    assert instance in call("instance", "list").out
    assert "made-by=cli" in call("instance", "show", instance).out


def test_restart_rename_and_password(call: Call, instance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    restarted = call("instance", "restart", instance)
    assert restarted.code == 0, restarted.err
    assert "100%  completed" in restarted.out
    monkeypatch.setenv("OPENRDS_PASSWORD", "An0therS3cret-")
    assert call("instance", "password", instance).code == 0
    assert call("instance", "rename", instance, f"{instance}-x").code == 0
    assert call("instance", "rename", f"{instance}-x", instance).code == 0


def test_port_stop_and_start(call: Call, instance: str) -> None:
    for arguments, told in (
        (("port", instance, "6543"), "ModifyPostgresqlPort"),
        (("stop", instance), "StopPostgresqlInstance"),
        (("start", instance), "StartPostgresqlInstance"),
    ):
        done = call("instance", *arguments)
        assert done.code == 0, done.err
        assert f"{told} of {instance}" in done.out
    assert call("instance", "show", instance, "-o", "json").json["port"] == 6543


def test_an_instance_moves_to_another_address(call: Call, instance: str) -> None:
    (old,) = call("instance", "show", instance, "-o", "json").json["private_ips"]
    new = f"{old.rpartition('.')[0]}.200"
    moved = call("instance", "address", instance, new)
    assert moved.code == 0, moved.err
    assert call("instance", "show", instance, "-o", "json").json["private_ips"] == [new]
    again = call("instance", "address", instance, new)
    assert again.code != 0
    assert "has the address" in again.err


def test_public_addresses(call: Call, instance: str) -> None:
    offered = call("public-ip", "list").out.splitlines()
    bound = call("instance", "bind", instance)
    if "cannot pass connections on" in bound.err:
        pytest.skip(bound.err)
    assert bound.code == 0, bound.err
    (address,) = call("instance", "show", instance, "-o", "json").json["public_ips"]
    assert address in call("instance", "show", instance).out
    assert [
        line for line in call("public-ip", "list").out.splitlines() if "ACTIVE" in line and address in line
    ]
    unbound = call("instance", "unbind", instance)
    assert unbound.code == 0, unbound.err
    assert len(call("public-ip", "list").out.splitlines()) == len(offered)


def test_an_instance_gets_a_standby_and_switches_over(call: Call) -> None:
    assert call("instance", "create", "cli-pair").code == 0
    given = call("instance", "to-ha", "cli-pair")
    if "no means to pass an endpoint on" in given.err:
        pytest.skip(given.err)
    assert given.code == 0, given.err
    for words in (("replication-mode", "sync"), ("switch-strategy", "availability"), ("switchover",)):
        done = call("instance", words[0], "cli-pair", *words[1:])
        assert done.code == 0, done.err
    shown = call("instance", "show", "cli-pair", "-o", "json").json
    assert (shown["type"], shown["ha"]) == ("Ha", {"replication_mode": "sync"})
    assert call("instance", "delete", "cli-pair", "--yes").code == 0


def test_a_refusal_has_the_services_words(call: Call, instance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENRDS_PASSWORD", "weak")
    refused = call("instance", "password", instance)
    assert (refused.code, refused.out) == (1, "")
    assert "DBS.200052" in refused.err


def test_tasks_are_listed_shown_and_watched(call: Call, instance: str) -> None:
    listed = call(
        "task", "list", "--instance", instance, "--status", "completed", "--limit", "50", "-o", "json"
    ).json
    created = listed["tasks"][-1]
    assert created["name"] == "CreatePostgresqlSingleHAInstance"
    shown = call("task", "show", created["id"], "-o", "json").json
    assert shown["job"]["id"] == created["id"]
    assert {step["status"] for step in shown["steps"]} == {"Completed"}
    assert "initialise data" in call("task", "show", created["id"]).out
    watched = call("task", "watch", created["id"])
    assert watched.code == 0
    assert watched.out.splitlines()[-2] == "100%  completed"
    assert created["id"] in call("task", "list", "--name", created["name"], "--start-time", "2020-01-01").out


def test_a_task_that_is_unknown(call: Call) -> None:
    result = call("task", "watch", str(uuid.uuid4()))
    assert (result.code, result.out) == (1, "")
    assert "DBS.200543" in result.err


def test_a_task_that_fails_ends_the_command_with_1_and_its_reason(own_service) -> None:
    """No volume can be made where a file is in the place of the volumes' folder."""
    nodes = own_service.data_dir / "nodes"
    if nodes.exists():
        nodes.rename(nodes.with_name("nodes.away"))
    nodes.write_text("not a folder")
    call = caller(own_service)
    created = call("instance", "create", "doomed", "--output", "json")
    assert created.code == 1
    job = created.json["job"]
    assert job["status"] == "Failed"
    assert created.err.splitlines()[-1] == f"openrds: Task {job['id']} failed: {job['fail_reason']}"
    watched = call("task", "watch", job["id"])
    assert watched.code == 1
    assert job["fail_reason"] in watched.err
