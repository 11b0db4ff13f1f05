"""Passing connections on by HAProxy, which any user may run: one small process a route.

A process of its own can be replaced without a word to the others, and takes its connections with it when it ends. It is
recorded like a database server: it outlives openrds, is found again, and is stopped by `openrds down`.
"""

import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from openrds.hosts import processes
from openrds.hosts.addresses import port_is_free
from openrds.hosts.errors import HostError
from openrds.hosts.folders import clear, make_home, read
from openrds.hosts.forwarding import SYSTEM_PATH, Route
from openrds.hosts.user import ServerUser

_START_SECONDS = 20.0
_STOP_SECONDS = 5.0
_CONFIGURATION = "haproxy.cfg"
_LOGS = "log"
_MOST_THREADS = 4

#: `maxconn` is above what any instance allows. No connection ends for being idle; keep-alives find the dead ones.
_TEXT = """\
# Written by openrds; changes made here are lost.
# {route.address}:{route.port} {route.target}:{route.target_port}
global
    maxconn 5500
    no strict-limits
    nbthread {threads}
defaults
    mode tcp
    retries 0
    timeout connect 5s
    timeout client 24d
    timeout server 24d
    option clitcpka
    option srvtcpka
listen endpoint
    bind {route.address}:{route.port}
    server target {route.target}:{route.target_port}
"""


class Haproxy:
    """Each route has a folder in `root`, with its configuration, its log, and the record of its process.

    The processes run as `user`, which has nothing of the folder but to read the one and to write the other.
    """

    name = "haproxy"

    def __init__(self, root: Path, user: ServerUser) -> None:
        self.root = root
        self._user = user

    @property
    def refusal(self) -> str:
        return "" if _program() else "HAProxy cannot be used: there is no program haproxy."

    def routes(self) -> frozenset[Route]:
        return frozenset(
            route for folder in _folders(self.root) if (route := _route_in(folder)) and _process_in(folder)
        )

    def apply(self, routes: Collection[Route]) -> None:
        wanted = {self._folder(route): route for route in routes}
        for folder in _folders(self.root):
            if wanted.get(folder) is None or wanted[folder] != _route_in(folder):
                _remove(folder)
        problems = list(self._start_missing(wanted.values()))
        if problems:
            raise HostError(" ".join(problems))

    def stop(self) -> None:
        remove_routes(self.root)

    def _start_missing(self, routes: Collection[Route]) -> Iterator[str]:
        """One that cannot be passed on does not keep the others from it."""
        for route in routes:
            if _process_in(self._folder(route)) is None:
                try:
                    self._start(route)
                except HostError as error:
                    yield str(error)

    def _start(self, route: Route) -> None:
        program = _program()
        if program is None:
            raise HostError(self.refusal)
        if not port_is_free(route.address, route.port):
            raise HostError(f"{route.address}:{route.port} is in use by another program.")
        folder = self._folder(route)
        make_home(self.root)
        make_home(folder)
        self._user.make_folder(folder / _LOGS)
        configuration, log = folder / _CONFIGURATION, folder / _LOGS / "haproxy.log"
        threads = min(_MOST_THREADS, os.cpu_count() or 1)
        self._user.write(configuration, _TEXT.format(route=route, threads=threads))
        process = processes.spawn(
            (program, "-db", "-f", configuration), folder / processes.RECORD, log, user=self._user, env={}
        )
        processes.wait_until(
            lambda: _listens(route, process) or not process.is_alive(), _START_SECONDS, every=0.005
        )
        if not _listens(route, process):
            reason = self._user.read(log).decode(errors="replace").strip().splitlines()[-3:]
            process.stop()
            raise HostError(
                f"HAProxy cannot pass {route.address}:{route.port} on to {route.target}: {' '.join(reason)}"
            )

    def _folder(self, route: Route) -> Path:
        return self.root / f"{route.address}-{route.port}"


def remove_routes(root: Path) -> None:
    """End every process of a root folder, and remove it."""
    for folder in _folders(root):
        _remove(folder)
    clear(root)


def _folders(root: Path) -> list[Path]:
    return list(root.iterdir()) if root.is_dir() else []


def _program() -> str | None:
    return shutil.which("haproxy", path=SYSTEM_PATH)


def _process_in(folder: Path) -> processes.Process | None:
    return processes.find(folder / processes.RECORD)


def _route_in(folder: Path) -> Route | None:
    """What its process was started with, as the second line of its configuration says."""
    try:
        origin, target = read(folder / _CONFIGURATION).decode().splitlines()[1].removeprefix("# ").split()
    except (OSError, IndexError, ValueError):
        return None
    address, port = origin.split(":")
    target_address, target_port = target.split(":")
    return Route(address, int(port), target_address, int(target_port))


def _listens(route: Route, process: processes.Process) -> bool:
    """It was free before, and a process that cannot listen ends."""
    return not port_is_free(route.address, route.port) and process.is_alive()


def _remove(folder: Path) -> None:
    processes.stop_recorded(folder / processes.RECORD, _STOP_SECONDS)
    clear(folder)
