"""`openrds demo` as a person and as a script would run it; nothing may be left of it."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from support.service import free_port

OPENRDS = [sys.executable, "-m", "openrds.cli"]
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def demo(python: str = sys.executable) -> list[str]:
    """The command, on a port of its own: the usual one may be in use on this machine."""
    return [python, "-m", "openrds.cli", "demo", "--listen", f"127.0.0.1:{free_port()}"]


def check_gone(text: str) -> None:
    """Neither the folder of this demo nor a process that names it is left."""
    folder = re.findall(r"/tmp/openrds-demo-\w+", text)[0]
    assert not Path(folder).exists()
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert [line for line in lines if folder in line] == []


def check(text: str) -> None:
    for part in (
        "openrds ready on http://",
        '"status": "Running"',
        '"status": "Completed"',
        "=> select version();",
    ):
        assert part in text
    assert re.search(r"Rome +-753\s+Berlin +1237", text)
    assert text.rstrip().endswith("everything is stopped and removed.")
    check_gone(text)


def test_without_a_terminal_it_ends_by_itself() -> None:
    done = subprocess.run(demo(), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    check(done.stdout)
    assert "100%  completed" in done.stdout


NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
_AS_NOBODY = {**os.environ, "HOME": "/tmp", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def python_of_nobody() -> str:
    """One that nobody may run and start anew: a virtual environment of root's may hang on a Python in /root."""
    probe = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import openrds.cli, psycopg'], check=True)"
    for python in (sys.executable, "/usr/bin/python3"):
        done = subprocess.run(
            [*NOBODY, python, "-c", probe], env=_AS_NOBODY, capture_output=True, check=False
        )
        if done.returncode == 0:
            return python
    pytest.skip("nobody cannot run a Python with these packages")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_as_an_ordinary_user() -> None:
    command = [*NOBODY, python_of_nobody(), *demo()[1:]]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=_AS_NOBODY,
        check=False,
        cwd="/",
    )
    assert (done.returncode, done.stderr) == (0, "")
    check(done.stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_works_takes_all_down(number: signal.Signals) -> None:
    process = subprocess.Popen(demo(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    shown = ""
    while "openrds ready" not in shown:
        line = process.stdout.readline()
        assert line, "it ended before it was ready"
        shown += line
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    check_gone(shown)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_on_a_terminal_it_stays_until_ctrl_c() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(
        demo(), stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    os.close(theirs)
    text = read_until(ours, "/schema")
    assert "✓ initialise data" in text
    credentials = re.findall(r"export OPENRDS_CREDENTIALS=(\S+)", text)[0]
    listed = subprocess.run(
        [*OPENRDS, "instance", "list", "--credentials", credentials],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "demo" in listed.stdout
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    text += read_until(ours, "removed.")
    assert process.wait(30) == 0
    os.close(ours)
    check(text)


def read_until(terminal: int, wanted: str, seconds: float = 120) -> str:
    """What the terminal shows, without colours."""
    shown = ""
    deadline = time.monotonic() + seconds
    while wanted not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 1.0)[0]:
            try:
                shown += _COLOURS.sub("", os.read(terminal, 65536).decode(errors="replace"))
            except OSError:  # the other end is closed
                raise AssertionError(f"it ended before {wanted!r}:\n{shown}") from None
    return shown


def test_a_service_that_does_not_start_is_explained(tmp_path: Path) -> None:
    environment = {**os.environ, "OPENRDS_PRIVATE_CIDR": "nonsense"}
    done = subprocess.run(demo(), capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "The service did not start." in done.stderr
    assert "nonsense" in done.stderr
    check_gone(done.stdout)
