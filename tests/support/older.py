"""openrds as it was in an earlier version: its wheel, built from what its tag names."""

import io
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from support.command import Command, Program
from support.service import ServiceUnderTest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Version:
    """`commit` is what its tag names: a checkout may have no tags."""

    name: str
    commit: str


#: The one before this. The packages that it needs are among today's.
BEFORE = Version("0.2.0", "14536dfc33145f496f7e83b24f0860148e29cd41")


def unpacked_wheel(version: Version, folder: Path) -> Path:
    """Where its package can be imported from; the test is skipped where the checkout has no history."""
    packed = subprocess.run(["git", "archive", version.commit], check=False, cwd=ROOT, capture_output=True)
    if packed.returncode:
        pytest.skip(f"this checkout does not have version {version.name}; git fetch --unshallow gets it")
    source, package = folder / "source", folder / "wheel"
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(source, filter="data")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    with zipfile.ZipFile(folder / f"openrds-{version.name}-py3-none-any.whl") as wheel:
        wheel.extractall(package)
    return package


@dataclass
class OlderService(ServiceUnderTest):
    """A service of another version; `package` is where that can be imported from."""

    program: ClassVar[type[Command] | type[Program]] = Program

    package: Path = Path()

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PYTHONPATH": str(self.package)}

    def kill_service(self) -> None:
        """Its own processes die; those of the instances, and the store, go on."""
        assert self.process is not None and self.process.stdout is not None
        children = psutil.Process(self.process.pid).children()
        self.process.kill()  # the first: it would begin the others again
        for child in children:
            child.kill()
        self.process.wait(10)
        self.process.stdout.close()
        self.process = None
