"""Fresh data directories, cut from one that initdb made: that takes a tenth of the time, and of the work.

What tells one from another is made anew: its system identifier, without which the log of one could be taken for that
of another. It stands in the control file, and in the header of the one segment of the log.
"""

import fcntl
import os
import secrets
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openrds.engines.postgresql.configuration import SUPERUSER
from openrds.engines.protocol import EngineError, Installation
from openrds.hosts import commands
from openrds.hosts.folders import clear, make_home
from openrds.hosts.user import ServerUser

_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
#: Of initdb, and of a copy.
_SECONDS = 600
#: The number changes with how it is made.
_NAME = ".template-1"
_UNFINISHED = ".making-"
_SYSTEM_ID = struct.Struct("=Q")
_CHECKSUM = struct.Struct("=I")
_CASTAGNOLI = 0x82F63B78
#: A control file holds less: all of it is to be written at once.
_LONGEST = 512
#: Of the system identifier, in the first page of a segment.
_PLACE_IN_LOG = 24


@dataclass(frozen=True)
class Template:
    """The data directory that those of a version are cut from: in `place`, of the service's user, never started."""

    installation: Installation
    place: Path
    service: ServerUser

    @property
    def path(self) -> Path:
        return self.place / _NAME

    @property
    def _initdb(self) -> Path:
        return self.installation.bin_dir / "initdb"

    def cut(self, target: Path, pass_fds: Sequence[int] = ()) -> None:
        """
        Make a folder a fresh data directory of the service's user, on disk.

        Raises:
            EngineError: a program failed.
            HostError, OSError: a file cannot be written.
        """
        self.service.make_folder(target)
        with self._made(pass_fds):
            copy = ("cp", "--archive", "--reflink=auto", "--no-target-directory", self.path, target)
            self._run(*copy, pass_fds=pass_fds)
        with self.service.acting():
            identify(target)
        # Of its files alone: a whole file system has to wait for what others write.
        self._run(self._initdb, "--sync-only", f"--pgdata={target}")

    @contextmanager
    def _made(self, pass_fds: Sequence[int]) -> Iterator[None]:
        """Have the template for as long as the block lasts; of several that want it, one makes it."""
        make_home(self.place.parent)
        make_home(self.place)
        descriptor = os.open(self.place / f"{_NAME}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not self.path.exists():
                self._make(pass_fds)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    def _make(self, pass_fds: Sequence[int]) -> None:
        unfinished = self.place / (_UNFINISHED + secrets.token_hex(8))
        try:
            self.service.make_folder(unfinished)
            self._create(unfinished, pass_fds)
            unfinished.rename(self.path)
        finally:
            clear(unfinished)

    def _create(self, target: Path, pass_fds: Sequence[int]) -> None:
        """Nobody can log in by initdb's own pg_hba.conf, should it ever be used."""
        self._run(
            self._initdb,
            f"--pgdata={target}",
            f"--username={SUPERUSER}",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
            "--auth-local=peer",
            "--auth-host=reject",
            pass_fds=pass_fds,
        )

    def _run(self, *command: str | Path, pass_fds: Sequence[int] = ()) -> None:
        what = f"a data directory: {Path(command[0]).name}"
        run_once(command, self.service, what, _SECONDS, pass_fds)


def identify(data_dir: Path) -> None:
    """Give a data directory that was never started a system identifier: of the time as initdb's, with more chance.

    Raises:
        OSError: a file cannot be read or written.
        EngineError: the control file is not whole.
    """
    fresh = _SYSTEM_ID.pack(int(time.time()) << 32 | secrets.randbits(32))
    with (data_dir / "global" / "pg_control").open("r+b") as control:
        content = control.read()
        end = _checked_length(content)
        checked = fresh + content[len(fresh) : end]
        control.seek(0)
        control.write(checked + _CHECKSUM.pack(crc32c(checked)))
    for segment in (data_dir / "pg_wal").glob("0*"):
        with segment.open("r+b") as log:
            log.seek(_PLACE_IN_LOG)
            log.write(fresh)


def _checked_length(content: bytes) -> int:
    """What the control file holds before its checksum: that differs between versions, and the checksum tells."""
    crc = 0
    for end in range(4, _LONGEST, 4):
        crc = crc32c(content[end - 4 : end], crc)
        if content[end : end + 4] == _CHECKSUM.pack(crc):
            return end
    raise EngineError("a data directory: its control file has no valid checksum")


def crc32c(content: bytes, before: int = 0) -> int:
    """The checksum (Castagnoli) that PostgreSQL writes, of so much more than `before` is of."""
    crc = before ^ 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def run_once(
    command: Sequence[str | Path], user: ServerUser, what: str, seconds: float, pass_fds: Sequence[int] = ()
) -> None:
    """Run a program as a user.

    Raises:
        EngineError: it failed; the message begins with `what`.
    """
    try:
        code, output = commands.run(
            command, cwd="/", env=_ENVIRONMENT, timeout=seconds, pass_fds=pass_fds, **user.identity()
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(f"{what} failed: {error}") from error
    if code != 0:
        raise EngineError(f"{what} failed: {_last_lines(output)}")


def _last_lines(output: bytes) -> str:
    return "\n".join(output.decode(errors="replace").strip().splitlines()[-5:])
