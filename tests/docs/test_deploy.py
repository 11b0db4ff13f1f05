"""What takes openrds to other machines: the wheel, and the unit."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from generated_tables import ROOT

from openrds import __version__
from support.older import BEFORE


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    sections = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    versions = [section for section in sections if section != "Unreleased"]
    assert project["version"] == __version__ == versions[0]
    assert BEFORE.name == versions[1], "what is taken over in tests is the version before this"


def test_the_wheel_has_all_that_openrds_needs_of_the_repository(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("openrds-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    there = tmp_path / "unpacked"
    source = ROOT / "src"
    wanted = {
        str(file.relative_to(source))
        for file in (source / "openrds").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert wanted - {str(file.relative_to(there)) for file in there.rglob("*")} == set()
    shown = subprocess.run(
        [sys.executable, "-c", "import openrds, openrds.cli.main; print(openrds.__file__)"],
        env=os.environ | {"PYTHONPATH": str(there)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.startswith(str(there))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze")
def test_the_unit_is_one(tmp_path: Path) -> None:
    unit = tmp_path / "openrds.service"
    text = (ROOT / "deploy" / "openrds.service").read_text()
    assert "ExecStart=/opt/openrds/.venv/bin/openrds serve" in text
    unit.write_text(text.replace("/opt/openrds/.venv/bin/openrds", sys.executable))
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], check=False, capture_output=True, text=True
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
