"""The service's own life: it starts, stops, is killed and comes back, and its instances go on serving."""

import contextlib
import json
import os
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from test_instances import connect

from openrds.hosts.processes import RECORD, find
from support.service import PASSWORD, ServiceUnderTest, free_port, fresh, running_service, wait_for

#: Seconds in which a service must have ended after SIGTERM.
STOP_SECONDS = 5.0
NEW_PASSWORD = "An0ther-S3cret"


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    """Stopped and killed by the tests; each leaves it running. Without spares, so that a creation takes its time."""
    with running_service(spare_data_dirs="0") as running:
        yield running


@pytest.fixture(scope="module")
def instance(service: ServiceUnderTest) -> dict[str, Any]:
    """Serves through all of it."""
    return service.create(name="survivor", time_zone="UTC+08:00")


@pytest.fixture(autouse=True)
def is_running(request: pytest.FixtureRequest) -> None:
    """A test that failed in the middle shall not make the others fail."""
    if "service" in request.fixturenames:
        service = request.getfixturevalue("service")
        if service.process is None:
            service.start()


def query(instance: dict[str, Any], statement: str = "select 1") -> Any:
    with connect(instance) as connection:
        return connection.execute(statement.encode()).fetchone()[0]


def server_of(service: ServiceUnderTest, instance: dict[str, Any]) -> int:
    """The pid of an instance's server."""
    process = find(service.data_dir / "nodes" / instance["nodes"][0]["id"] / RECORD)
    assert process is not None
    return process.pid


def processes_of(service: ServiceUnderTest) -> list[psutil.Process]:
    """The service's own processes: the one that supervises, and its children."""
    assert service.process is not None
    supervisor = psutil.Process(service.process.pid)
    return [supervisor, *map(service.child, ("worker", "api", "store watch"))]


def command_lines() -> list[str]:
    return [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]


def failed_serve(data_dir: Path, listen: str = "", **environment: str) -> str:
    """What `serve` says when it must not start."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENRDS_")}
    command = ServiceUnderTest(data_dir).command(
        "serve", "--data-dir", str(data_dir), "--listen", listen or f"127.0.0.1:{free_port()}"
    )
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**kept, **environment}
    )
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "ready" not in done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


# Start and stop


def test_the_first_start_writes_credentials(service: ServiceUnderTest) -> None:
    assert stat.S_IMODE(service.credentials_file.stat().st_mode) == 0o600
    credentials = json.loads(service.credentials_file.read_text())
    wanted = "endpoint region project_id project_name domain access_key secret_key user password"
    assert set(credentials) == set(wanted.split())
    assert all(isinstance(value, str) and value for value in credentials.values())
    assert credentials["endpoint"] == f"http://{service.options['listen']}"
    assert (credentials["region"], credentials["project_name"]) == ("local-1", "local-1")


def test_a_stop_is_quick_and_instances_go_on(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    server, credentials = server_of(service, instance), service.credentials
    ours = processes_of(service)
    assert service.stop() < STOP_SECONDS
    assert not any(process.is_running() for process in ours)
    assert query(instance) == 1

    service.start()
    assert service.credentials == credentials
    assert service.instance(instance["id"])["status"] == "ACTIVE"
    assert server_of(service, instance) == server
    answer = service.call("POST", f"instances/{instance['id']}/action", {"restart": {}})
    service.completed(answer.json()["job_id"])
    assert server_of(service, instance) != server
    assert query(instance) == 1


def test_a_stop_in_the_middle_of_a_task_is_quick_and_the_task_goes_on(service: ServiceUnderTest) -> None:
    answer = service.call("POST", "instances", service.create_body(name="interrupted"))
    created = answer.json()
    running = f"jobs/{created['job_id']}/steps"
    wait_for(lambda: [one for one in service.get(running)["steps"] if one["status"] == "Running"])
    assert service.stop() < STOP_SECONDS
    service.start()
    assert service.job(created["job_id"])["id"] == created["job_id"]
    service.completed(created["job_id"])
    assert query(service.instance(created["instance"]["id"])) == 1
    service.delete(created["instance"]["id"])


def test_an_instance_has_the_time_zone_that_was_asked_for(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    """East of Greenwich is ahead; for POSIX, and so for PostgreSQL, `UTC+08:00` would be behind."""
    assert service.instance(instance["id"])["time_zone"] == "UTC+08:00"
    assert query(instance, "select extract(timezone from now())::int") == 8 * 3600


# What must not start


def test_a_second_serve_is_refused(service: ServiceUnderTest) -> None:
    assert service.process is not None
    said = failed_serve(service.data_dir)
    assert (
        f"Another openrds (process {service.process.pid}) serves {service.data_dir}; stop it first." in said
    )
    assert service.get("instances")["total_count"] >= 0


def test_a_port_that_is_taken_is_refused(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"{listen} is in use by another program" in failed_serve(folder / "d", listen)
    assert not (folder / "d" / "store").exists()


def test_an_address_of_another_machine_is_refused(folder: Path) -> None:
    assert "192.0.2.1" in failed_serve(folder / "d", "192.0.2.1:8082")


def test_a_data_directory_without_permission_is_refused(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700 if os.geteuid() == 0 else 0o500)
    said = failed_serve(closed / "d")
    if os.geteuid() == 0:
        assert f"{closed} is 0700: the user" in said
        assert "Choose another data directory" in said
    else:
        assert f"The data directory {closed / 'd'} cannot be made: Permission denied." in said


def test_a_file_in_the_place_of_the_data_directory_is_refused(folder: Path) -> None:
    (folder / "d").touch()
    assert f"The data directory {folder / 'd'} cannot be made: File exists." in failed_serve(folder / "d")
    assert f"The data directory {folder / 'd' / 'e'} cannot be made" in failed_serve(folder / "d" / "e")


@pytest.mark.parametrize("dsn", ["host={} user=nobody dbname=none password=Hidden-S3cret", "nonsense"])
def test_a_store_that_cannot_be_used_is_refused(folder: Path, dsn: str) -> None:
    said = failed_serve(folder / "d", OPENRDS_STORE=dsn.format(folder))
    assert "openrds: the store cannot be used: " in said
    assert "Hidden-S3cret" not in said


def test_down_without_a_data_directory_says_so(folder: Path) -> None:
    done = ServiceUnderTest(folder / "none").down()
    assert done.returncode == 1
    assert f"There is no data directory {folder / 'none'}" in done.stderr


# Processes that are killed


@pytest.mark.parametrize("name", ["worker", "api", "store watch"])
def test_a_child_that_is_killed_comes_back(
    service: ServiceUnderTest, instance: dict[str, Any], name: str
) -> None:
    killed = service.child(name)
    killed.kill()

    def came_back() -> bool:
        with contextlib.suppress(ValueError, psutil.Error):
            return service.child(name).pid != killed.pid
        return False

    wait_for(came_back, 10, f"the {name} comes back")
    wait_for(lambda: is_ready(service), 20, "the service is ready")
    answer = service.call("POST", f"instances/{instance['id']}/action", {"restart": {}})
    service.completed(answer.json()["job_id"])
    assert query(instance) == 1


def test_who_forks_has_no_threads(service: ServiceUnderTest) -> None:
    """What another thread had locked would stay locked in the child."""
    supervisor, *_ = processes_of(service)
    assert supervisor.num_threads() == 1


def test_a_worker_that_was_killed_between_two_steps_leaves_nothing_stuck(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    """It had taken the step, and had not begun it."""
    worker = service.child("worker")
    worker.suspend()
    answer = service.call("POST", f"instances/{instance['id']}/action", {"restart": {"forcible": True}})
    job_id = answer.json()["job_id"]
    with store_of(service) as connection:
        connection.execute(
            "update due_step set worker = (select id from worker) where task_id = %s", [job_id]
        )
    worker.kill()
    service.completed(job_id)
    with store_of(service) as connection:
        left = connection.execute("select 1 from due_step where task_id = %s", [job_id])
        wait_for(lambda: left.fetchone() is None, 10, "the queue is empty")


def store_of(service: ServiceUnderTest) -> psycopg.Connection:
    sockets = service.data_dir / "run" / "store"
    return psycopg.connect(f"host={sockets} user=rdsAdmin dbname=postgres", autocommit=True)


def is_ready(service: ServiceUnderTest) -> bool:
    try:
        return service.call("GET", "/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_the_children_of_a_killed_supervisor_end_and_a_new_one_takes_over(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    server = server_of(service, instance)
    answer = service.call("POST", "instances", service.create_body(name="orphaned"))
    created = answer.json()
    supervisor, *children = processes_of(service)
    supervisor.kill()
    service.stop()
    # At once, while the children may still be ending.
    service.start()
    wait_for(lambda: not any(child.is_running() for child in children), STOP_SECONDS, "the children end")
    service.completed(created["job_id"])
    assert server_of(service, instance) == server
    assert query(instance) == 1
    service.delete(created["instance"]["id"])


def test_a_client_that_holds_a_lock_keeps_no_caller_waiting(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    path = f"instances/{instance['id']}/password"
    with connect(instance) as holder, holder.transaction():
        holder.execute(f"alter role root password '{NEW_PASSWORD}'")
        begun = time.monotonic()
        answer = service.call("POST", path, {"db_user_pwd": NEW_PASSWORD}, headers=fresh())
        assert time.monotonic() - begun < 15
        assert (answer.status_code, answer.json()["error_code"]) == (409, "DBS.200019"), answer.text
        assert "holds a lock" in answer.json()["error_msg"]
    answer = service.call("POST", path, {"db_user_pwd": PASSWORD}, headers=fresh())
    assert answer.status_code == 200, answer.text


# Secrets


def test_no_secret_is_left_anywhere(service: ServiceUnderTest, instance: dict[str, Any]) -> None:
    path = f"instances/{instance['id']}/password"
    answer = service.call("POST", path, {"db_user_pwd": NEW_PASSWORD})
    assert answer.status_code == 200, answer.text
    service.call("POST", path, {"db_user_pwd": "weak-S3cret"[:7]})
    service.call("POST", path, {"db_user_pwd": PASSWORD, "more": "once more"})
    keys = service.credentials
    secrets = [PASSWORD, NEW_PASSWORD, keys["secret_key"], keys["password"], "SCRAM-SHA-256$"]

    logs = [service.log_text()]
    logs += [file.read_text(errors="replace") for file in service.data_dir.rglob("*.log") if file.is_file()]
    lines = [" ".join(process.cmdline()) for process in processes_of(service)]
    lines += [line for line in command_lines() if str(service.data_dir) in line]
    for secret in secrets:
        assert not [log for log in logs if secret in log]
        assert not [line for line in lines if secret in line]

    with store_of(service) as connection:
        tasks = connection.execute("select parameters from task where status <> 'Running'").fetchall()
        answers = connection.execute("select convert_from(body, 'UTF8') from answer").fetchall()
    assert tasks
    assert all(parameters == {} for (parameters,) in tasks)
    assert not [body for (body,) in answers for secret in secrets if secret in body]


# The end


def test_down_stops_everything(own_service: ServiceUnderTest) -> None:
    created = own_service.create()
    done = own_service.down()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "openrds is down: 2 servers stopped.\n"
    assert not [line for line in command_lines() if str(own_service.data_dir) in line]

    assert own_service.down().stdout == "openrds is down: 0 servers stopped.\n"
    own_service.start()
    wait_for(lambda: own_service.instance(created["id"])["status"] == "ACTIVE" and can_query(created), 30)


def can_query(instance: dict[str, Any]) -> bool:
    try:
        return query(instance) == 1
    except psycopg.OperationalError:
        return False


# A store of one's own


def test_another_store(other_store: str) -> None:
    with running_service(store=other_store, spare_data_dirs="0") as service:
        assert not (service.data_dir / "store").exists()
        created = service.create(name="kept-elsewhere")
        service.stop()
        service.start()
        assert query(service.instance(created["id"])) == 1
        service.delete(created["id"])
        assert service.down().stdout == "openrds is down: 0 servers stopped.\n"
        with psycopg.connect(other_store) as connection:
            (tasks,) = connection.execute("select count(*) from task").fetchone() or (0,)
        assert tasks == 2
