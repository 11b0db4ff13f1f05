"""What somebody new to it meets: passwords, names, hints, and commands for what errors name."""

import ast
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import typer
from cli_support import FakeApi, fake_api, run, write_credentials
from test_cli_commands import INSTANCE_ID, Caller, listed, offer_everything

import openrds
from openrds.cli import instance_view
from openrds.cli.main import app
from openrds.domain.engine import EngineName
from openrds.domain.metrics import Sample
from openrds.domain.rules import password_rules


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    for name in ("OPENRDS_CREDENTIALS", "OPENRDS_DATA_DIR", "OPENRDS_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    with fake_api() as api:
        yield Caller(api, write_credentials(tmp_path, api.endpoint))


def on_terminal(caller: Caller, *arguments: str, typed: tuple[str, ...] = ()) -> tuple[int, str]:
    """The exit code and all that a terminal shows; each text is typed at a prompt of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENRDS_")}
    command = [sys.executable, "-m", "openrds.cli", *arguments, "--credentials", str(caller.credentials)]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown, answers = "", list(typed)
        while True:
            ready, _, _ = select.select([ours], [], [], 60)
            assert ready, shown
            try:
                piece = os.read(ours, 4096)
            except OSError:
                break
            shown += piece.decode()
            if answers and re.search(r": $", shown):
                shown += "\n"
                os.write(ours, f"{answers.pop(0)}\n".encode())
        os.close(ours)
    return process.returncode, shown


# --- passwords ---


def test_the_order_is_tried_and_the_rules_are_told_before_a_password_is_typed(call: Caller) -> None:
    offer_everything(call.api)
    good = "Sup3rS3cret-"
    code, shown = on_terminal(
        call, "instance", "create", "orders", "--no-wait", typed=("weak", good, "other", good, good)
    )
    assert code == 0, shown
    (_, tried), (_, ordered) = call.sent("POST")
    assert tried == ordered | {"password": tried["password"], "dry_run": True}
    assert ordered["password"] == good
    rules = password_rules(EngineName.POSTGRESQL)
    assert shown.index(rules) < shown.index("Password of the administrator")
    assert shown.count(rules) == 2, "once before, once for the weak one"
    assert "The two passwords differ." in shown


def test_nobody_types_a_password_for_what_is_refused(call: Caller) -> None:
    offer_everything(call.api)
    call.api.answers["instances"].clear()
    call.api.answer(
        "instances", {"error_code": "DBS.200023", "error_msg": "volume.size must ..."}, status=400
    )
    code, shown = on_terminal(call, "instance", "create", "orders", "--size", "7")
    assert code == 1
    assert "DBS.200023" in shown and "Password" not in shown
    assert len(call.sent("POST")) == 1


def test_a_password_is_not_asked_for_an_instance_that_cannot_take_it(call: Caller) -> None:
    call.api.answer("instances", {"instances": [listed(status="SHUTDOWN")], "total_count": 1})
    code, shown = on_terminal(call, "instance", "password", "orders")
    assert code == 1
    assert "SHUTDOWN" in shown and "Password" not in shown


def test_a_generated_password_of_what_is_refused_is_not_told(call: Caller) -> None:
    offer_everything(call.api)
    call.api.answers["instances"].clear()
    call.api.answer("instances", {"error_code": "DBS.200046", "error_msg": "used up"}, status=413)
    result = call("instance", "create", "orders", "--no-wait")
    assert result.code == 1
    assert "Password" not in result.err


# --- what there is to choose from, and the settings of an instance ---


def offer_engines(api: FakeApi) -> None:
    for engine in EngineName:
        api.answer(
            f"datastores/{engine}", {"dataStores": [{"id": "1", "name": "17"}] if "Post" in engine else []}
        )
    flavor = {"spec_code": "rds.pg.n1.large.2", "vcpus": "2", "ram": 4, "instance_mode": "single"}
    zones = {"az_status": {"zone-1": "normal", "zone-2": "sellout"}}
    api.answer("flavors/PostgreSQL", {"flavors": [flavor | zones, flavor | zones | {"instance_mode": "ha"}]})


def test_engines_and_flavors_are_listed(call: Caller) -> None:
    offer_engines(call.api)
    engines = [re.split(" {2,}", line)[:2] for line in call("engine", "list").out.splitlines()]
    assert ["PostgreSQL", "17"] in engines and ["MySQL", "none here"] in engines
    header, line = call("flavor", "list", "--mode", "single").out.splitlines()
    assert header.split() == ["FLAVOR", "VCPU", "MEMORY", "FOR", "ZONES"]
    assert line.split() == ["rds.pg.n1.large.2", "2", "4", "GB", "single", "zone-1,", "zone-2", "(sellout)"]
    assert len(call("flavor", "list", "-o", "json").json["flavors"]) == 2


def test_a_part_of_the_backup_policy_is_changed(call: Caller) -> None:
    path = f"instances/{INSTANCE_ID}/backups/policy"
    policy = {"keep_days": 7, "start_time": "02:00-03:00", "period": "1,2,3,4,5,6,7"}
    call.api.answer(path, {"backup_policy": policy})
    assert "02:00-03:00 UTC" in call("instance", "backup-policy", INSTANCE_ID).out
    assert call.sent("PUT") == []
    assert call("instance", "backup-policy", INSTANCE_ID, "--keep-days", "3").code == 0
    assert call.sent("PUT") == [(path, {"backup_policy": policy | {"keep_days": 3}})]


def test_a_maintenance_window_is_shown_and_changed(call: Caller) -> None:
    call.api.answer("instances", {"instances": [listed()], "total_count": 1})
    call.api.answer(f"instances/{INSTANCE_ID}/ops-window", {})
    assert call("instance", "maintenance-window", "orders").out == "02:00-06:00 UTC\n"
    assert call("instance", "maintenance-window", "orders", "22:00").code == 0
    body = {"start_time": "22:00", "end_time": "02:00"}
    assert call.sent("PUT") == [(f"instances/{INSTANCE_ID}/ops-window", body)]
    assert call("instance", "maintenance-window", "orders", "noon").code == 2


def test_tags_are_shown_set_and_removed(call: Caller) -> None:
    path = f"instances/{INSTANCE_ID}/tags"
    call.api.answer(path, {"tags": [{"key": "team", "value": "shop", "tag_type": "user"}]})
    call.api.answer(f"{path}/action", {})
    result = call("instance", "tags", INSTANCE_ID, "--set", "a=b", "--remove", "c")
    assert result.out.splitlines()[1].split() == ["team", "shop"]
    assert call.sent("POST") == [
        (f"{path}/action", {"action": "create", "tags": [{"key": "a", "value": "b"}]}),
        (f"{path}/action", {"action": "delete", "tags": [{"key": "c"}]}),
    ]


def test_remote_connection_and_log_policy(call: Caller) -> None:
    call.api.answer(f"instances/{INSTANCE_ID}/remote-connection", {"job_id": "task-1"})
    call.api.answer(f"instances/{INSTANCE_ID}/binlog/clear-policy", {"binlog_retention_hours": 24})
    assert call("instance", "remote-connection", INSTANCE_ID, "--close", "--no-wait").code == 0
    assert call("instance", "log-policy", INSTANCE_ID).out == "24 hours\n"
    assert call("instance", "log-policy", INSTANCE_ID, "--hours", "24").code == 0
    assert [body for _, body in call.sent("PUT")] == [{"is_open": False}, {"binlog_retention_hours": 24}]


def test_what_was_measured_last(call: Caller) -> None:
    def sample(node_id: str, time: int, **known: object) -> dict[str, object]:
        names = Sample.__struct_fields__
        return {**dict.fromkeys(names), "node_id": node_id, "time": time, **known}

    path = f"instances/{INSTANCE_ID}"
    busy = {"connections_active": 2, "connections_idle": 3, "memory_bytes": 2**20}
    samples = [
        sample("n1", 1000, cpu_seconds=1.0, transactions=100),
        sample("n2", 1000, lag_seconds=0.25),
        sample("n1", 3000, cpu_seconds=2.0, transactions=300, **busy),
    ]
    call.api.answer(f"{path}/second-level-monitor", {"switch_option": True, "interval": 1})
    call.api.answer(f"{path}/metrics", {"samples": samples})
    _, first, second = call("instance", "metrics", INSTANCE_ID, "--each", "1").out.splitlines()
    assert first.split() == ["n1", "00:00:03", "UTC", "0.50", "1", "MB", "-", "5", "100", "-"]
    assert second.split() == ["n2", "00:00:01", "UTC", "-", "-", "-", "-", "-", "0.2", "s"]
    assert call("instance", "metrics", INSTANCE_ID, "--each", "60").code == 0
    assert call("instance", "metrics", INSTANCE_ID, "--each", "2").code == 2
    put = [body for _, body in call.sent("PUT")]
    assert put == [{"switch_option": True, "interval": 1}, {"switch_option": False}]


# --- connect ---


@pytest.fixture
def psql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A psql that says what it was called with."""
    program = tmp_path / "bin" / "psql"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$PGPASSWORD" "$@"\n')
    program.chmod(0o755)
    return program.parent


def test_connect_becomes_psql(call: Caller, psql: Path) -> None:
    call.api.answer("instances", {"instances": [listed()], "total_count": 1})
    command = [sys.executable, "-m", "openrds.cli", "connect", "orders"]
    done = subprocess.run(
        [*command, "--credentials", str(call.credentials), "-d", "shop", "--", "-c", "select 1"],
        env={**os.environ, "PATH": f"{psql}:{os.environ['PATH']}", "OPENRDS_PASSWORD": "secret"},
        capture_output=True,
        text=True,
        check=True,
    )
    place = "--host=127.64.0.2 --port=5432 --username=root --dbname=shop"
    assert done.stdout == f"secret {place} -c select 1\n"


PEM = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"


def test_connect_verifies_the_server_where_it_is_told_to(
    call: Caller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    call.api.answer("/ca.crt", PEM.encode())
    (tmp_path / "bin").mkdir()
    place = "--host=127.64.0.2 --port=5432 --"
    for engine, version, before, after in (
        ("PostgreSQL", "", "PGSSLMODE=verify-full PGSSLROOTCERT={ca} psql {place}username=root", ""),
        ("MySQL", "mysql  Ver 8.4.3", "mysql {place}user=root", " --ssl-ca={ca} --ssl-mode=VERIFY_IDENTITY"),
        (
            "MySQL",
            "Ver 15.1 Distrib 10.11-MariaDB",
            "mysql {place}user=root",
            " --ssl-ca={ca} --ssl-verify-server-cert",
        ),
    ):
        program = tmp_path / "bin" / "mysql"
        program.write_text(f"#!/bin/sh\necho '{version}'\n")
        program.chmod(0o755)
        one = listed(datastore={"type": engine, "version": "8.0", "complete_version": "8.0.36"})
        call.api.answers["instances"] = []
        call.api.answer("instances", {"instances": [one], "total_count": 1})
        result = call("connect", "orders", "--verify", "--print")
        (ca,) = (tmp_path / "openrds").iterdir()
        assert ca.read_text() == PEM
        assert result.out.startswith(before.format(ca=ca, place=place)), result
        assert result.out.rstrip().endswith(after.format(ca=ca))
    call.api.answers["instances"] = []
    call.api.answer("instances", {"instances": [listed(enable_ssl=False)], "total_count": 1})
    refused = call("connect", "orders", "--verify", "--print")
    assert refused.code == 1 and "offers no TLS" in refused.err


def test_the_ca_is_printed_or_written(call: Caller, tmp_path: Path) -> None:
    call.api.answer("/ca.crt", PEM.encode())
    assert call("ca").out == PEM
    assert call("ca", "-o", "json").json == {"ca": PEM}
    file = tmp_path / "ca.crt"
    assert call("ca", "--file", str(file)).code == 0
    assert file.read_text() == PEM
    assert "cannot be written" in call("ca", "--file", str(tmp_path)).err
    call.api.answers["/ca.crt"] = [(200, b"<html>")]
    assert "does not answer as openrds does" in call("ca").err


def test_tls_is_switched(call: Caller) -> None:
    call.api.answer(f"instances/{INSTANCE_ID}/ssl", {"job_id": "task-1"})
    for option in ("--off", "--on"):
        assert call("instance", "ssl", INSTANCE_ID, option, "--no-wait").code == 0
    assert [body for _, body in call.sent("PUT")] == [{"ssl_option": False}, {"ssl_option": True}]


def test_connect_says_what_to_type_where_there_is_no_psql(
    call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    call.api.answer("instances", {"instances": [listed()], "total_count": 1})
    result = call("connect", "orders")
    assert (result.code, result.out) == (
        0,
        "psql --host=127.64.0.2 --port=5432 --username=root --dbname=postgres\n",
    )
    assert call("connect", "orders", "-o", "json").json["url"] == "postgresql://root@127.64.0.2:5432/postgres"
    monkeypatch.setenv("OPENRDS_CREDENTIALS", str(call.credentials))
    script = run("connect", "orders", "--", "-c", "select 1")
    assert (script.code, script.out) == (1, "")
    assert "There is no psql here" in script.err and script.err.endswith(" -c 'select 1'\n")


@pytest.mark.parametrize(("engine", "program"), [("MySQL", "mysql"), ("MariaDB", "mariadb")])
def test_each_engine_has_its_program(
    call: Caller, monkeypatch: pytest.MonkeyPatch, engine: str, program: str
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    of_engine = listed(datastore={"type": engine, "version": "8.0", "complete_version": "8.0.36"}, port=3306)
    call.api.answer("instances", {"instances": [of_engine], "total_count": 1})
    place = f"{program} --host=127.64.0.2 --port=3306 --user=root"
    assert call("connect", "orders").out == f"{place}\n"
    assert call("connect", "orders", "-d", "shop").out == f"{place} shop\n"
    answer = call("connect", "orders", "-o", "json").json
    assert answer["url"] == f"{engine.lower()}://root@127.64.0.2:3306/"


@pytest.mark.parametrize(
    ("engine", "version", "client", "shown", "option"),
    [
        ("MySQL", "9.7.4", "mysql  Ver 9.7.4", "demanded", ""),
        ("MySQL", "9.7.4", "Ver 15.1 Distrib 10.11-MariaDB", "demanded", " --ssl"),
        ("MySQL", "9.6.0", "Ver 15.1 Distrib 10.11-MariaDB", "for those who ask for it", ""),
        ("MariaDB", "11.8.2", "Ver 15.1 Distrib 10.11-MariaDB", "demanded", " --ssl"),
    ],
)
def test_who_connects_comes_over_tls_where_it_is_demanded(
    call: Caller,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    engine: str,
    version: str,
    client: str,
    shown: str,
    option: str,
) -> None:
    """MySQL's programs do by themselves."""
    program = tmp_path / "mysql"
    program.write_text(f"#!/bin/sh\necho '{client}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    datastore = {"type": engine, "version": version.rpartition(".")[0], "complete_version": version}
    for on in (True, False):
        call.api.answers["instances"] = []
        one = listed(datastore=datastore, port=3306, enable_ssl=on)
        call.api.answer("instances", {"instances": [one], "total_count": 1})
        place = "mysql --host=127.64.0.2 --port=3306 --user=root"
        assert call("connect", "orders", "--print").out == f"{place}{option if on else ''}\n"
        assert instance_view.tls_of(one) == (shown if on else "off")


def test_nobody_connects_to_what_has_no_address(call: Caller) -> None:
    call.api.answer("instances", {"instances": [listed(private_ips=[], status="BUILD")], "total_count": 1})
    result = call("connect", "orders")
    assert (result.code, result.err) == (1, "openrds: Instance orders has no address yet: it is BUILD.\n")


# --- hints ---


def _walk(tree: ast.AST) -> Iterator[Any]:
    yield from ast.walk(tree)


def texts(source: Path) -> Iterator[str]:
    """Every text of a program that a person may see; dots stand for what is filled in."""
    tree = ast.parse(source.read_text())
    documentation = {id(node.body[0].value) for node in _walk(tree) if _has_docstring(node)}
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values
            )
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inner | documentation
        ):
            yield node.value


def _has_docstring(node: ast.AST) -> bool:
    body = getattr(node, "body", None)
    return isinstance(body, list) and bool(body) and isinstance(body[0], ast.Expr)


#: `openrds` in backquotes, behind a colon, or at the beginning of a line; what stands for its name there; then words.
_CALLED = re.compile(r"(?:(?:`|: |^ *)openrds|(?:: |^ *)\.\.\.) ([a-z][a-z-]*(?:[ =][^\s`]+)*)", re.MULTILINE)
_SENTENCES = re.compile(r"(is|may|ready|on|failed|cannot|bills|listens|token|down failed)\b")


def hints() -> list[tuple[str, str]]:
    """What texts of the command line and the service tell people to type."""
    package = Path(openrds.__file__).parent
    commands = cast(Any, typer.main.get_command(app)).commands
    sources = [source for part in ("cli", "service") for source in sorted((package / part).glob("*.py"))]
    return [
        (source.name, hint.rstrip(".;"))
        for source in sources
        for text in texts(source)
        for hint in _CALLED.findall(text)
        if hint.split()[0] in commands or text.count("openrds " + hint)
        if not _SENTENCES.match(hint)
    ]


def test_there_are_hints() -> None:
    assert {hint.split()[0] for _, hint in hints()} >= {
        "serve",
        "task",
        "check",
        "instance",
        "connect",
        "down",
    }


@pytest.mark.parametrize(("source", "hint"), hints())
def test_hints_name_commands_and_options_that_exist(source: str, hint: str) -> None:
    command = typer.main.get_command(app)
    words = hint.split()
    while words and hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, f"{source}: openrds {hint}"
        command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= options, hint


# --- waiting ---


def test_waiting_for_tasks(call: Caller) -> None:
    job = {"id": "t", "name": "RestartPostgresqlInstance", "status": "Running", "process": "1%"}
    call.api.answer("jobs", {"job": job}, {"job": job | {"status": "Completed"}})
    assert call("wait", "task", "t").out == "t: RestartPostgresqlInstance completed\n"
    call.api.answers["jobs"] = []
    call.api.answer("jobs", {"job": job | {"status": "Failed", "fail_reason": "no disk"}})
    failed = call("wait", "task", "t", "t")
    assert failed.code == 1 and "t: no disk" in failed.err
    call.api.answers["jobs"] = []
    call.api.answer("jobs", {"job": job})
    late = call("wait", "task", "t", "--timeout", "0")
    assert (late.code, late.err) == (124, "openrds: Task t has not ended, and 0 s are over.\n")


def test_waiting_for_an_instance(call: Caller) -> None:
    call.api.answer(
        "instances", *({"instances": [listed(status=status)]} for status in ("ACTIVE", "BUILD", "ACTIVE"))
    )
    assert call("wait", "instance", "orders").out == "orders is ACTIVE\n"
    call.api.answers["instances"] = []
    call.api.answer("instances", {"instances": [listed(status="CREATE FAIL")]})
    assert call("wait", "instance", "orders").code == 1
    assert call("wait", "instance", "orders", "--status", "create fail").code == 0


def test_waiting_for_a_service_that_is_not_there(tmp_path: Path, call: Caller) -> None:
    result = run("wait", "service", "--data-dir", str(tmp_path / "none"), "--timeout", "0")
    assert (result.code, result.err) == (124, "openrds: The service is not ready, and 0 s are over.\n")
    call.api.answer("/readyz", {})
    assert call("wait", "service", "--timeout", "5").code == 0
