"""Streams of server-sent events, as a client reads them."""

import contextlib
import datetime as dt
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from openrds.domain.signature import sign
from support.service import ServiceUnderTest


@dataclass(frozen=True)
class Message:
    """`data` is what the service said of it; `id` may come without anything else."""

    id: str = ""
    event: str = ""
    data: Any = None


def open_stream(
    service: ServiceUnderTest, query: str = "", *, token: str = "", last: str = "", project_id: str = ""
) -> contextlib.AbstractContextManager[httpx.Response]:
    """The answer of a stream that is open in the block."""
    keys = service.credentials
    address = f"{keys['endpoint']}/v3/{project_id or keys['project_id']}/events{query}"
    headers = {"last-event-id": last} if last else {}
    if token:
        headers["x-auth-token"] = token
    else:
        now = dt.datetime.now(dt.UTC)
        headers = sign(
            "GET",
            address,
            headers,
            b"",
            access_key=keys["access_key"],
            secret_key=keys["secret_key"],
            now=now,
        )
    return httpx.stream("GET", address, headers=headers, timeout=40)


def messages(answer: httpx.Response) -> Iterator[Message]:
    """Until the stream ends; one that is cut off ends too."""
    fields: dict[str, str] = {}
    with contextlib.suppress(httpx.TransportError):
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
            elif fields:
                data = json.loads(fields["data"]) if "data" in fields else None
                yield Message(fields.get("id", ""), fields.get("event", ""), data)
                fields = {}


@dataclass
class Listener:
    """Keeps what comes on a stream, in a thread of its own, and follows it across cuts as browsers do."""

    service: ServiceUnderTest
    query: str = ""
    got: list[Message] = field(default_factory=list)
    opened: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Listener":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self.opened.wait(20), "the stream did not begin"
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    @property
    def events(self) -> list[Message]:
        return [message for message in self.got if message.event]

    def _run(self) -> None:
        last = ""
        while not self._over.is_set():
            with (
                contextlib.suppress(httpx.HTTPError),
                open_stream(self.service, self.query, last=last) as answer,
            ):
                for message in messages(answer):
                    last = message.id or last
                    self.got.append(message)
                    self.opened.set()
                    if self._over.is_set():
                        return
            self._over.wait(0.1)
