"""Being told of the deaths of processes, without asking."""

import os
import select
import threading
from collections.abc import Iterable

from openrds.hosts.processes import Process


class Deathwatch:
    """
    Tells of the deaths of processes, which are watched under names.

    Its descriptor is readable when there is something to tell. As long as nobody dies it costs nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events = select.epoll()
        self._watched: dict[str, dict[Process, int]] = {}
        self._names: dict[int, str] = {}
        #: Of processes that were dead before they could be watched; the bell is how that is told.
        self._came_late: set[str] = set()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._events.register(self._bell, select.EPOLLIN)

    def fileno(self) -> int:
        return self._events.fileno()

    def names(self) -> set[str]:
        """Under which something is watched."""
        with self._lock:
            return set(self._watched)

    def watch(self, name: str, processes: Iterable[Process]) -> None:
        """Watch these under a name, and no others any more. Of one that is dead already it is told too."""
        with self._lock:
            watched, wanted = self._watched.pop(name, {}), set(processes)
            for process in watched.keys() - wanted:
                self._close(watched.pop(process))
            for process in wanted - watched.keys():
                descriptor = _open(process)
                if descriptor is None:
                    self._came_late.add(name)
                    os.eventfd_write(self._bell, 1)
                else:
                    watched[process] = descriptor
                    self._names[descriptor] = name
                    self._events.register(descriptor, select.EPOLLIN)
            if watched:
                self._watched[name] = watched

    def take(self) -> set[str]:
        """The names of those who died since this was last asked. These processes are not watched any more."""
        with self._lock:
            told, self._came_late = self._came_late, set()
            for descriptor, _ in self._events.poll(0):
                if descriptor == self._bell:
                    os.eventfd_read(self._bell)
                else:
                    told.add(self._forget(descriptor))
            return told

    def close(self) -> None:
        for name in self.names():
            self.watch(name, ())
        self._events.close()
        os.close(self._bell)

    def _forget(self, descriptor: int) -> str:
        name = self._names[descriptor]
        left = {process: other for process, other in self._watched[name].items() if other != descriptor}
        self._watched[name] = left
        self._close(descriptor)
        return name

    def _close(self, descriptor: int) -> None:
        del self._names[descriptor]
        os.close(descriptor)


def _open(process: Process) -> int | None:
    """A descriptor that is readable once the process is dead; None if it is."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if process.is_alive():
        return descriptor
    os.close(descriptor)  # its pid is another's already
    return None
