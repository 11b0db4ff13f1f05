"""The examples of README and quick start are really run: `console` blocks in a shell, `python` blocks as programs.

The blocks of a page run in their order, on a service of their own, as they would for a reader. Of a `console`
block the lines after `$ ` are run; those of their output that the page shows must come, but for ids and progress.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from generated_tables import ROOT

from openrds.hosts.forwarders import choose_forwarder
from openrds.hosts.user import ServerUser
from support.service import ServiceUnderTest

pytestmark = pytest.mark.clients

_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CHANGING = re.compile(r"\b[0-9a-f]{32}in\d\d\b|^ *\d+%  ")


@dataclass(frozen=True)
class Reader:
    """Somebody who types what a page says, with `openrds` and `python` on the path."""

    service: ServiceUnderTest
    path: str
    folder: Path
    exported: list[str] = field(default_factory=list)

    def own(self, text: str) -> str:
        """The page's folder and addresses, which are the defaults, become those of the test."""
        prefix = self.service.options["private_cidr"].rpartition(".")[0]
        return text.replace("/var/tmp/openrds", str(self.service.data_dir)).replace("127.64.0.", f"{prefix}.")

    def run(self, *command: str) -> str:
        environment = {**self.service.environment(), "PATH": self.path}
        # stderr is the test's own: it is shown when the test fails
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout}"
        return done.stdout

    def follow(self, language: str, text: str) -> None:
        if language == "python":
            self.run(sys.executable, "-c", self.own(text))
            return
        lines = self.own(text).splitlines()
        typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        script = "\n".join([*self.exported, *filter(self.can_run, typed)])
        out = self.run("bash", "-euo", "pipefail", "-c", script)
        self.exported.extend(line for line in typed if line.startswith("export "))
        shown = {constant(line) for line in lines if not line.startswith("$ ")}
        assert shown <= {constant(line) for line in out.splitlines()}, out

    def can_run(self, line: str) -> bool:
        """psql is not on every machine, nor is what passes connections on."""
        if re.search(r"\binstance (un)?bind\b", line):
            return not choose_forwarder("auto", self.service.data_dir, ServerUser.choose()).refusal
        return not re.search(r"\bpsql\b", line) or shutil.which("psql", path=self.path) is not None


def constant(line: str) -> str:
    """What of a line of output is the same each time."""
    return _CHANGING.sub("", line)


@pytest.fixture
def reader(own_service: ServiceUnderTest, tmp_path: Path) -> Iterator[Reader]:
    programs = tmp_path / "bin"
    programs.mkdir()
    openrds = programs / "openrds"
    openrds.write_text(f'#!/bin/sh\nexec {shlex.join(own_service.command())} "$@"\n')
    openrds.chmod(0o755)
    yield Reader(own_service, f"{programs}{os.pathsep}{os.environ['PATH']}", tmp_path)


@pytest.mark.parametrize("page", ["README.md", "docs/quick-start.md"])
def test_the_examples_of_a_page_work(page: str, reader: Reader) -> None:
    blocks = _BLOCK.findall((ROOT / page).read_text())
    assert {language for language, _ in blocks} == {"console", "python"}
    for language, text in blocks:
        reader.follow(language, text)
