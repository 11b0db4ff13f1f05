"""Run commands as a user would, in this process, and an API that answers what a test wants."""

import contextlib
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from openrds.cli.main import main

PROJECT = "0123456789abcdef0123456789abcdef"
REQUEST_ID = "request-of-the-fake"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(*arguments: str) -> Result:
    """One command, with what it printed and its exit code."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as ended:
            return Result(int(ended.code or 0), out.getvalue(), err.getvalue())
    raise AssertionError("main returned")


def write_credentials(folder: Path, endpoint: str, **changes: Any) -> Path:
    values = {
        "endpoint": endpoint,
        "region": "local-1",
        "project_id": PROJECT,
        "project_name": "local-1",
        "domain": "openrds",
        "access_key": "AK",
        "secret_key": "SK",
        "user": "admin",
        "password": "secret",
    }
    file = folder / "credentials.json"
    file.write_text(json.dumps(values | changes))
    return file


@dataclass(frozen=True)
class Request:
    """`path` is below the project's, with the query."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class FakeApi:
    """Gives for each path the next of its answers, and the last one for ever."""

    endpoint: str = ""
    answers: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def answer(self, path: str, *bodies: Any, status: int = 200) -> None:
        encoded = [body if isinstance(body, bytes) else json.dumps(body).encode() for body in bodies]
        self.answers.setdefault(path, []).extend((status, body) for body in encoded)

    def take(self, request: Request) -> tuple[int, bytes]:
        self.requests.append(request)
        waiting = self.answers.get(request.path.partition("?")[0])
        if not waiting:
            return 404, b'{"error_code": "APIGW.0101", "error_msg": "There is no such API."}'
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


@contextlib.contextmanager
def fake_api() -> Iterator[FakeApi]:
    fake = FakeApi()

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            path = self.path.replace(f"/v3/{PROJECT}/", "").replace(f"/v1/{PROJECT}/", "v1/")
            status, answer = fake.take(Request(self.command, path, dict(self.headers), body))
            self.send_response(status)
            self.send_header("X-Request-Id", REQUEST_ID)
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_DELETE = serve  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()


def job(status: str = "Running", process: str = "", **more: Any) -> dict[str, Any]:
    body = {
        "id": "task-1",
        "name": "CreatePostgresqlSingleHAInstance",
        "status": status,
        "created": "2026-02-03T04:05:06+0000",
        "process": process,
        "instance": {"id": "instance-1", "name": "orders"},
        "entities": {},
    }
    return {"job": body | more}


def steps(**statuses: str) -> dict[str, Any]:
    """Steps in order, by name and status; blanks in a name are underscores here."""
    return {"steps": [step(name.replace("_", " "), status) for name, status in statuses.items()]}


def step(name: str, status: str, attempts: int = 1) -> dict[str, Any]:
    times = {"started": "", "ended": "", "error": "", "node_id": "no01", "host": "local"}
    return {"name": name, "status": status, "attempts": attempts, **times}
