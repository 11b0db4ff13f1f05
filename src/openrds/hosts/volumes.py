"""Volumes as plain folders: they share the disk they are on."""

import contextlib
import glob
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from openrds.hosts.errors import HostError
from openrds.hosts.user import ServerUser


@dataclass(frozen=True)
class FolderVolumes:
    root: Path
    user: ServerUser

    def path(self, name: str) -> Path:
        """Where the volume is, or would be; a hidden name is one of ours for a volume being removed."""
        if not name or Path(name).name != name or name.startswith("."):
            raise HostError(f"{name!r} cannot be the name of a volume.")
        return self.root / name

    def create(self, name: str) -> Path:
        """
        Make the volume, or find it made: a folder that only the user can look into.

        Raises:
            HostError: it cannot be made, or the user could not reach it.
        """
        path = self.path(name)
        self._make_root()
        self.user.make_folder(path)
        return path

    def remove(self, name: str) -> None:
        """
        Remove the volume and all in it, also what an interrupted removal left.

        It disappears at once, so that nobody sees half of it.

        Raises:
            HostError: something in it cannot be removed.
        """
        path = self.path(name)
        with contextlib.suppress(FileNotFoundError):
            path.rename(self.root / f".{name}.removed-{secrets.token_hex(4)}")
        for remains in self.root.glob(f".{glob.escape(name)}.removed-*"):
            shutil.rmtree(remains, ignore_errors=True)  # another remover may be at work in it
            if remains.exists():
                raise HostError(f"Could not remove all of {remains}.")

    def free_bytes(self) -> int:
        self._make_root()
        return shutil.disk_usage(self.root).free

    def _make_root(self) -> None:
        """Others may pass through to what is theirs, but not list it."""
        if not self.root.is_dir():
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o711)
