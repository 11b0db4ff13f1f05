"""A receiver of webhooks: a small HTTP server that keeps what it gets, and answers by the path."""

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verify(self, secret: str) -> None:
        """As the specification has it; raises where the signature is another."""
        assert secret.startswith("whsec_")
        version, signature = self.headers["webhook-signature"].split(",")
        assert version == "v1"
        made = HMAC(base64.b64decode(secret[len("whsec_") :]), SHA256())
        made.update(f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.content)
        made.verify(base64.b64decode(signature))


@dataclass
class Receiver:
    """`statuses` are by the path, 200 where none is said; of those in `hanging` nothing is answered until set."""

    server: ThreadingHTTPServer
    got: list[Received] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    hanging: dict[str, threading.Event] = field(default_factory=dict)

    def url(self, path: str) -> str:
        host, port = self.server.server_address[:2]
        return f"http://{host!s}:{port}{path}"

    def at(self, path: str) -> list[Received]:
        return [one for one in self.got if one.path == path]


@contextlib.contextmanager
def running_receiver(address: str = "127.0.0.1") -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.got.append(Received(self.path, headers, content))
            if self.path in receiver.hanging:
                receiver.hanging[self.path].wait(60)
            status = receiver.statuses.get(self.path, 200)
            self.close_connection = True
            if status == 0:
                # The line breaks off in the middle.
                self.wfile.write(b"HTTP/1.1 20")
                return
            self.send_response(status)
            if status // 100 == 3:
                self.send_header("location", receiver.url("/elsewhere"))
            self.send_header("content-length", "1000000")
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(b"x" * 1000)

        def log_message(self, *_: Any) -> None:
            pass

    receiver = Receiver(ThreadingHTTPServer((address, 0), Handler))
    receiver.server.daemon_threads = True
    thread = threading.Thread(target=receiver.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        for event in receiver.hanging.values():
            event.set()
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join(10)
