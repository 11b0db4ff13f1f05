"""A real S3 server for the tests, and a line to it that can be cut."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from support.folders import short_folder
from support.service import free_port

if TYPE_CHECKING:
    from obstore.store import S3Config

ACCESS_KEY, SECRET_KEY = "openrdstests", "a-secret-of-the-tests"
_START_SECONDS = 60.0


@dataclass
class S3:
    """`port` is where it listens on 127.0.0.1."""

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def options(self, endpoint: str = "", **changed: str) -> str:
        """What the file of options of a repository says."""
        values = {
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
            "aws_region": "us-east-1",
            "aws_endpoint": endpoint or self.endpoint,
            **changed,
        }
        return "".join(f'{name} = "{value}"\n' for name, value in values.items())

    def store(self, bucket: str) -> S3Store:
        config: S3Config = {
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "region": "us-east-1",
            "endpoint": self.endpoint,
        }
        return S3Store(bucket, config=config, client_options={"allow_http": True})

    def make_bucket(self, bucket: str) -> None:
        """It makes one for whoever may."""
        store = self.store(bucket)
        obstore.put(store, "made", b"made")
        obstore.delete(store, "made")


@contextmanager
def running_s3() -> Iterator[S3]:
    folder = short_folder()
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    server, process = _started(folder)
    try:
        yield server
    finally:
        _kill(process)
        shutil.rmtree(folder, ignore_errors=True)


def _started(folder: Path) -> tuple[S3, subprocess.Popen[bytes]]:
    """Another program may be faster with a port: then it ends, and is started anew with others."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        port = free_port()
        server, process = S3(port), _start(folder, port)
        try:
            if _answers(server, process, deadline):
                return server, process
        except BaseException:
            _kill(process)
            raise
        if time.monotonic() > deadline:
            raise AssertionError(f"no S3 server:\n{(folder / 'log').read_text()[-2000:]}")


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = [
        str(Path(sys.executable).with_name("weed")),
        f"-logdir={folder}",
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-filer",
        "-s3",
        f"-s3.config={folder / 's3.json'}",
        f"-s3.port={port}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false",
        "-volume.max=100",
        *(f"-{name}.port={free_port()}" for name in ("master", "volume", "filer")),
        *(f"-{name}.port.grpc={free_port()}" for name in ("master", "volume", "filer", "s3")),
    ]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)


def _answers(server: S3, process: subprocess.Popen[bytes], deadline: float) -> bool:
    """Whether it came to that. It does not before it can also keep what it is given."""
    while process.poll() is None and time.monotonic() < deadline:
        try:
            server.make_bucket("first")
        except BaseError:
            time.sleep(0.1)
        else:
            return True
    _kill(process)
    return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # It leaves a socket in /tmp for each port that it was given.
    for port in re.findall(r"port(?:\.grpc)?=(\d+)", str(process.args)):
        for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            left.unlink(missing_ok=True)


@dataclass
class Relay:
    """Passes connections on, up to `budget` bytes of what clients send: then it cuts them, and refuses others."""

    target: int
    budget: float = float("inf")
    sent: int = 0
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _open: list[socket.socket] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.sent >= self.budget:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target))
            self._open += [client, server]
            threading.Thread(target=self._pass_on, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(2**16):
                if counts:
                    self.sent += len(piece)
                if self.sent >= self.budget:
                    break
                target.sendall(piece)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for one in (self._listener, *self._open):
            one.close()


@contextmanager
def relay(target: int) -> Iterator[Relay]:
    line = Relay(target)
    thread = threading.Thread(target=line.serve, daemon=True)
    thread.start()
    try:
        yield line
    finally:
        line.close()
        thread.join(10)
