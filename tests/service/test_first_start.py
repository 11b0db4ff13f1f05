"""What `serve` and its neighbours leave alone, say, and do for scripts, before and at the first start of a service."""

import contextlib
import functools
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from openrds.hosts.users import ServerUsers
from openrds.service import places
from support.service import ServiceUnderTest, free_port, running_service, wait_for

KEYS = {
    "project_id": "0123456789abcdef0123456789abcdef",
    "access_key": "CIACCESSKEY0001",
    "secret_key": "ci-secret-key-0000000001",
    "admin_password": "ci-password",
}
_http = httpx.Client(timeout=60)
#: Somebody with no rights anywhere; only root can become them.
NOBODY = 65534


def openrds(
    *arguments: str, user: int | None = None, python: str = sys.executable, **options: str
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENRDS_")}
    given = {f"OPENRDS_{name.upper()}": value for name, value in options.items()}
    return subprocess.run(
        [python, "-m", "openrds.cli", *arguments],
        capture_output=True,
        text=True,
        env={**environment, **given, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd="/",
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        timeout=120,
        check=False,
    )


def contents(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# --- what is no data directory ---


@pytest.mark.parametrize(
    "command", [("down",), ("check",), ("check", "--repair"), ("bench", "seed", "--tasks", "5")]
)
@pytest.mark.parametrize("exists", [True, False])
def test_what_is_no_data_directory_is_refused_and_left_as_it_is(
    folder: Path, command: tuple[str, ...], exists: bool
) -> None:
    target = folder / "d"
    if exists:
        target.mkdir(mode=0o755)
        (target / "mine.txt").write_text("mine")
    before = contents(folder)
    done = openrds(*command, "--data-dir", str(target))
    assert (done.returncode, done.stdout) == (1, "")
    assert "no data directory" in done.stderr and "Traceback" not in done.stderr
    assert contents(folder) == before


def test_serve_takes_over_no_folder_with_something_else_in_it(folder: Path) -> None:
    target = folder / "d"
    target.mkdir(mode=0o755)
    (target / "mine.txt").write_text("mine")
    done = openrds("serve", "--data-dir", str(target), "--listen", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "not empty: it has mine.txt" in done.stderr
    assert target.stat().st_mode & 0o777 == 0o755
    assert contents(folder) == ["d", "d/mine.txt"]


@pytest.mark.parametrize("detach", [(), ("--detach",)])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"listen": "occupied"}, "is in use by another program"),
        ({"dns_listen": "occupied"}, "is in use by another program; choose another dns_listen."),
        ({"store": "host=127.0.0.1 port=1 connect_timeout=5"}, "the store cannot be used"),
        ({"log_file": "/proc/nothing"}, "cannot be written"),
        ({"access_key": "short", "secret_key": "x" * 20}, "access_key must have"),
    ],
)
def test_a_refused_serve_leaves_no_folder(
    folder: Path, options: dict[str, str], words: str, detach: tuple[str, ...]
) -> None:
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        taken = f"127.0.0.1:{occupied.getsockname()[1]}"
        given: dict[str, Any] = {"listen": f"127.0.0.1:{free_port()}", **options}
        given |= {name: taken for name, value in options.items() if value == "occupied"}
        done = openrds("serve", *detach, "--data-dir", str(folder / "a" / "d"), **given)
    assert done.returncode in (1, 2), done
    assert words in done.stderr and "Traceback" not in done.stderr
    assert contents(folder) == []


def test_who_is_refused_removes_nothing_of_who_started_at_the_same_moment(folder: Path) -> None:
    """Both find no folder; the one that does not get its lock goes away without it."""
    data_dir = folder / "d"
    first = places.Lock(data_dir)

    class Late(places.Lock):
        def acquire(self) -> None:
            first.acquire()
            (data_dir / "store").mkdir()
            super().acquire()

    with (
        pytest.raises(places.DataDirectoryError),
        places.prepared(data_dir, ServerUsers.choose(data_dir), Late(data_dir)),
    ):
        pass
    assert contents(folder) == ["d", "d/serve.lock", "d/store"]


def test_an_empty_folder_is_empty_again_when_serve_is_refused(folder: Path) -> None:
    target = folder / "d"
    target.mkdir()
    listen, store = f"127.0.0.1:{free_port()}", "host=127.0.0.1 port=1 connect_timeout=5"
    assert openrds("serve", "--data-dir", str(target), listen=listen, store=store).returncode == 1
    assert contents(folder) == ["d"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    "command",
    [
        ("serve", "--data-dir"),
        ("serve", "--detach", "--data-dir"),
        ("down", "--data-dir"),
        ("check", "--data-dir"),
        ("bench", "seed", "--tasks", "5", "--data-dir"),
        ("instance", "list", "--data-dir"),
        ("wait", "service", "--timeout", "0", "--data-dir"),
        ("serve", "--data-dir", "/nowhere", "--config"),
    ],
)
def test_folders_without_permission_are_said_so(folder: Path, command: tuple[str, ...]) -> None:
    python = _python_for(NOBODY)
    if python is None:
        pytest.skip("there is no Python that another user can run")
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    for target in (closed, closed / "d"):
        done = openrds(*command, str(target), user=NOBODY, python=python, listen=f"127.0.0.1:{free_port()}")
        assert done.returncode in (1, 2), done
        assert done.stderr and "Traceback" not in done.stderr
    assert contents(folder) == ["closed"]


@functools.cache
def _python_for(user: int) -> str | None:
    """Ours, or the machine's own where it is of the same version, as ours may be in a folder of root's."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        with contextlib.suppress(OSError):
            if openrds("serve", "--help", user=user, python=python).returncode == 0:
                return python
    return None


# --- for scripts ---


@pytest.fixture(scope="module")
def background() -> Iterator[ServiceUnderTest]:
    """A service that runs in the background, with the keys of a script."""
    with running_service(start=False, **KEYS) as service:
        waiting = subprocess.Popen(
            service.command("wait", "service", "--data-dir", str(service.data_dir)), env=service.environment()
        )
        done = subprocess.run(
            service.command("serve", "--detach", "--data-dir", str(service.data_dir)),
            capture_output=True,
            text=True,
            env=service.environment(),
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[0] == f"openrds ready on {service.endpoint}"
        assert waiting.wait(60) == 0
        yield service


def test_a_detached_service_serves_with_the_keys_it_was_given(background: ServiceUnderTest) -> None:
    kept = background.credentials
    wanted = {("password" if name == "admin_password" else name): value for name, value in KEYS.items()}
    assert {name: kept[name] for name in wanted} == wanted
    assert background.get("instances")["total_count"] == 0
    assert _http.get(f"{background.endpoint}/v3/{KEYS['project_id']}/instances").status_code == 401
    user = {"name": kept["user"], "password": KEYS["admin_password"], "domain": {"name": kept["domain"]}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    assert _http.post(f"{background.endpoint}/v3/auth/tokens", json=body).status_code == 201


def test_every_line_of_the_log_has_one_form(background: ServiceUnderTest) -> None:
    _http.get(f"{background.endpoint}/healthz")
    lines = (background.data_dir / "serve.log").read_text().splitlines()
    form = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARNING|ERROR|CRITICAL) [\w.]+: \S")
    assert lines
    assert [line for line in lines if not form.match(line)] == []
    assert sum("control groups" in line for line in lines) <= 1


def test_secrets_are_not_in_the_log_and_the_log_is_ours(background: ServiceUnderTest) -> None:
    log = background.data_dir / "serve.log"
    assert log.stat().st_mode & 0o777 == 0o600
    assert not any(KEYS[name] in log.read_text() for name in ("secret_key", "admin_password"))


def test_keys_are_changed_at_the_next_start_and_the_project_id_is_not(background: ServiceUnderTest) -> None:
    def start(**changes: str) -> subprocess.CompletedProcess[str]:
        background.options.update(changes)
        return subprocess.run(
            background.command("serve", "--detach", "--data-dir", str(background.data_dir)),
            capture_output=True,
            text=True,
            env=background.environment(),
            timeout=120,
            check=False,
        )

    assert background.down().returncode == 0
    refused = start(project_id="f" * 32)
    assert refused.returncode == 1
    assert "cannot be changed" in refused.stderr
    again = start(project_id=KEYS["project_id"], access_key="ANOTHERKEY01", secret_key="y" * 20)
    assert again.returncode == 0, again.stderr
    assert background.credentials["access_key"] == "ANOTHERKEY01"
    assert background.get("instances")["total_count"] == 0


def test_a_terminal_is_told_what_to_do_next(folder: Path) -> None:
    import pty

    data_dir = folder / "d"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENRDS_")}
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "openrds.cli", "serve", "--data-dir", str(data_dir)]
    listen = f"127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [*command, "--listen", listen], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = []

        def is_told() -> bool:
            with contextlib.suppress(OSError):  # it has ended
                shown.append(os.read(ours, 4096).decode())
            assert process.poll() is None, shown
            return "openrds down" in "".join(shown) or "down --data-dir" in "".join(shown)

        wait_for(is_told, 60)
        process.terminate()
        process.wait(10)
    os.close(ours)
    text = "".join(shown)
    assert f"export OPENRDS_DATA_DIR={data_dir}" in text
    assert f"http://{listen}/schema" in text
    assert str(data_dir / "credentials.json") in text
    assert openrds("down", "--data-dir", str(data_dir)).returncode == 0
    assert json.loads((data_dir / "credentials.json").read_text())["endpoint"] == f"http://{listen}"
