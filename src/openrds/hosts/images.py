"""Volumes as images with an XFS of their own, loop-mounted: a hard limit that grows while it is in use.

An image is a sparse file, so it takes of the disk only what was written. It needs root and loop devices.
"""

import contextlib
import glob
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from openrds.domain.capacity import GB
from openrds.hosts import mounts
from openrds.hosts.errors import HostError
from openrds.hosts.folders import make_home
from openrds.hosts.volumes import FolderVolumes, Usage

_SUFFIX = ".xfs"
_TRIAL = ".trial-"
#: Deleted data is given back to the disk (`discard`); nothing on a volume is a device or gains rights.
_OPTIONS = "loop,noatime,nodev,nosuid,discard"

#: Room that is kept from everybody, so that a server that filled its volume can start, recover and checkpoint.
RESERVE_BYTES = 512 * 2**20
_RESERVE = ".reserve"
#: The reserve is given up where less than this is free, and laid by again where twice the reserve is.
_LAST_BYTES = RESERVE_BYTES // 8


@dataclass(frozen=True)
class ImageVolumes:
    """
    Images in a folder of their own, each mounted at the place that a plain folder would have.

    A volume that was made as a plain folder stays one. Where `makes_images` is false new ones are folders too, and
    the images there are go on serving.
    """

    images: Path
    folders: FolderVolumes
    makes_images: bool = True

    def path(self, name: str) -> Path:
        return self.folders.path(name)

    def create(self, name: str, size: int) -> Path:
        path = self.path(name)
        if not self._is_image(name):
            if not self.makes_images or _holds_something(path):
                return self.folders.create(name, size)
            self._make_image(name, size)
        self._mount(name)
        make_home(path)
        self._tend_reserve(path)
        return path

    def remove(self, name: str) -> None:
        mounts.unmount(self.path(name))
        with contextlib.suppress(FileNotFoundError):
            self._image(name).rename(self.images / f".{name}.removed-{secrets.token_hex(4)}")
        self._remove_remains(name)
        self.folders.remove(name)

    def grow(self, name: str, size: int) -> None:
        """The file first, then its device, then the file system: each is done again after a crash between them."""
        if not self._is_image(name):
            return
        self._mount(name)
        path, image = self.path(name), self._image(name)
        mount = mounts.mounted_at(path)
        assert mount is not None
        if image.stat().st_size < size * GB:
            os.truncate(image, size * GB)
        mounts.run("losetup", "--set-capacity", mount.source)
        mounts.run("xfs_growfs", "-d", str(path))
        self._tend_reserve(path)

    def usage(self, name: str, size: int) -> Usage:
        """The file system's own count; the reserve is free."""
        path = self.path(name)
        if not self._is_image(name):
            return self.folders.usage(name, size)
        if mounts.mounted_at(path) is None:
            raise HostError(f"The volume {path} is not mounted.")
        found = os.statvfs(path)
        free = found.f_bavail * found.f_frsize + _reserved(path)
        return Usage(found.f_blocks * found.f_frsize - free, free)

    def is_walked(self, name: str) -> bool:
        return not self._is_image(name)

    def make_ready(self, name: str) -> None:
        if self._is_image(name):
            self._mount(name)
            self._tend_reserve(self.path(name))

    def attach(self) -> None:
        problems = []
        for name in _names_in(self.images):
            try:
                self._mount(name)
            except HostError as error:
                problems.append(str(error))
        if problems:
            raise HostError(" ".join(problems))

    def _image(self, name: str) -> Path:
        return self.images / f"{name}{_SUFFIX}"

    def _is_image(self, name: str) -> bool:
        return self._image(name).exists()

    def _make_image(self, name: str, size: int) -> None:
        """It appears whole or not at all."""
        self.images.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._remove_remains(name)
        unfinished = self.images / f".{name}.making-{secrets.token_hex(4)}"
        try:
            with unfinished.open("xb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.truncate(size * GB)
            mounts.run("mkfs.xfs", "-q", "-K", str(unfinished))
            unfinished.rename(self._image(name))
        except OSError as error:
            raise HostError(f"Cannot make the volume {name}: {error.strerror}.") from error
        finally:
            unfinished.unlink(missing_ok=True)

    def _remove_remains(self, name: str) -> None:
        for remains in self.images.glob(f".{glob.escape(name)}.*"):
            remains.unlink(missing_ok=True)

    def _mount(self, name: str) -> None:
        path = self.path(name)
        if mounts.mounted_at(path) is not None:
            return
        self.folders.make_root()
        path.mkdir(mode=0o700, exist_ok=True)
        # The loop device is mount's own: it goes with the mount, so that none is ever left over.
        mounts.run("mount", "-t", "xfs", "-o", _OPTIONS, str(self._image(name)), str(path))

    def _tend_reserve(self, path: Path) -> None:
        """Give the reserve up where nothing else is left, and lay it by where there is room for it."""
        found = os.statvfs(path)
        free = found.f_bavail * found.f_frsize
        try:
            if free < _LAST_BYTES:
                _set_reserve(path, 0)
            elif free >= 2 * RESERVE_BYTES and _reserved(path) < RESERVE_BYTES:
                _set_reserve(path, RESERVE_BYTES)
        except OSError as error:
            raise HostError(f"Cannot tend the reserve of the volume {path}: {error.strerror}.") from error


def _set_reserve(path: Path, size: int) -> None:
    """Not by removing it, which XFS does a while later. A volume of an earlier openrds was the servers' user's."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path / _RESERVE, flags, 0o600)
    try:
        if size:
            os.posix_fallocate(descriptor, 0, size)
        else:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def detach(images: Path, places: Path) -> None:
    """Unmount every volume of a folder of images, so that nothing is left on the machine but files.

    Raises:
        HostError: one is in use.
    """
    for name in _names_in(images):
        mounts.unmount(places / name)


def _names_in(images: Path) -> list[str]:
    return sorted(image.name.removesuffix(_SUFFIX) for image in images.glob(f"[!.]*{_SUFFIX}"))


def _reserved(path: Path) -> int:
    """The bytes of the volume's reserve; 0 if it has none."""
    try:
        return (path / _RESERVE).lstat().st_blocks * 512
    except FileNotFoundError:
        return 0


def _holds_something(path: Path) -> bool:
    return path.is_dir() and any(path.iterdir())


def try_images(root: Path) -> None:
    """Make, grow and remove an image once, on the disk that it would be on.

    Raises:
        HostError: the machine does not let us; the message says what is missing.
    """
    if os.geteuid() != 0:
        raise HostError("Only root may mount.")
    for program in ("mkfs.xfs", "xfs_growfs", "mount", "losetup"):
        mounts.find_program(program)
    try:
        root.mkdir(mode=0o711, parents=True, exist_ok=True)
        for left in root.glob(f"{_TRIAL}*"):  # by one that was killed
            _end_trial(left)
        trial = Path(tempfile.mkdtemp(prefix=_TRIAL, dir=root))
        trial.chmod(0o711)
    except OSError as error:
        raise HostError(f"{root} cannot be used: {error.strerror}.") from error
    volumes = ImageVolumes(trial / "images", FolderVolumes(trial / "nodes"))
    try:
        volumes.create("trial", 1)
        volumes.grow("trial", 2)
        volumes.remove("trial")
    finally:
        _end_trial(trial)


def _end_trial(trial: Path) -> None:
    detach(trial / "images", trial / "nodes")
    shutil.rmtree(trial, ignore_errors=True)
