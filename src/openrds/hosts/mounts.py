"""What is mounted on this machine, and the programs that mount. They need root."""

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from openrds.hosts.errors import HostError

_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_COMMAND_SECONDS = 120
_BUSY_SECONDS = 10.0


@dataclass(frozen=True)
class Mount:
    """`root` is the part of the file system that is seen at `point`; `options` are those of the file system."""

    point: Path
    root: str
    kind: str
    source: str
    options: tuple[str, ...]


def mounts() -> list[Mount]:
    """All mounts that this process sees, in the order they were made."""
    found = []
    for line in _TABLE.read_text().splitlines():
        before, _, after = line.partition(" - ")
        _, _, _, root, point, *_ = map(_unescaped, before.split())
        kind, source, options = map(_unescaped, after.split())
        found.append(Mount(Path(point), root, kind, source, tuple(options.split(","))))
    return found


def mounted_at(point: Path) -> Mount | None:
    """What is mounted at a folder; the last of several is the one that is seen."""
    point = point.resolve()
    return next((mount for mount in reversed(mounts()) if mount.point == point), None)


def unmount(point: Path) -> None:
    """Unmount whatever is mounted at a folder, once nothing uses it any more.

    Raises:
        HostError: it is still in use after 10 s, or may not be unmounted.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while mounted_at(point) is not None:
        try:
            run("umount", str(point))
        except HostError as error:
            if time.monotonic() > deadline:
                raise HostError(f"{point} cannot be unmounted; see what uses it: {error}") from None
            time.sleep(0.02)


def find_program(name: str) -> str:
    """
    Raises:
        HostError: this machine does not have it.
    """
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise HostError(f"There is no program {name}.")
    return found


def run(program: str, *arguments: str) -> str:
    """What a program printed.

    Raises:
        HostError: there is no such program, or it failed; the message has what it said.
    """
    command = [find_program(program), *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_SECONDS,
            env={"PATH": _PATH, "LC_ALL": "C.UTF-8"},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"{program} failed: {error}") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise HostError(f"{program} failed: {said}")
    return done.stdout


def _unescaped(text: str) -> str:
    """Blanks and the like are octal in the table, and names are bytes."""
    octal = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)
    return octal if octal == text else os.fsdecode(octal.encode("latin-1", "surrogateescape"))
