"""Install trees: a program of this machine, moved with its libraries into a folder of its own."""

import shutil
import subprocess
from pathlib import Path

import pytest

from openrds.hosts import trees
from openrds.hosts.errors import HostError


def needed_by(program: Path) -> list[Path]:
    """The loader and the libraries of a program."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    words = [word for line in said.splitlines() for word in line.split() if word.startswith("/")]
    return [Path(word) for word in words]


@pytest.fixture
def tree(tmp_path):
    """As packages unpack it: what a program needs is below `usr/lib/TRIPLE`."""
    program = Path("/bin/sleep")
    root = tmp_path / "draft"
    libraries = root / "usr" / "lib" / "some-linux-gnu"
    libraries.mkdir(parents=True)
    (root / "usr" / "bin").mkdir()
    shutil.copy(program, root / "usr" / "bin" / "sleep")
    for library in needed_by(program):
        shutil.copy(library, libraries / library.name)
    (root / "usr" / "bin" / "script").write_text("#!/bin/sh\n")
    trees.write_manifest(root, {"engine": "none"})
    return root


def runs_with_its_own(home: Path) -> bool:
    with subprocess.Popen([home / "usr" / "bin" / "sleep", "600"]) as process:
        try:
            maps = Path(f"/proc/{process.pid}/maps")
            while "libc" not in (text := maps.read_text()):
                assert process.poll() is None
            assert Path(f"/proc/{process.pid}/exe").resolve() == home / "usr" / "bin" / "sleep"
            files = {line.split()[-1] for line in text.splitlines() if ".so" in line}
            return bool(files) and all(Path(file).is_relative_to(home) for file in files)
        finally:
            process.kill()


def test_a_bound_program_runs_with_the_libraries_of_its_tree(tree, tmp_path):
    home = tmp_path / "home"
    trees.bind(tree, home)
    tree.rename(home)
    assert runs_with_its_own(home)


def test_a_copy_runs_with_its_own(tree, tmp_path):
    copied = trees.copy(tree / "usr" / "bin", tmp_path / "copies" / "one")
    assert copied == tmp_path / "copies" / "one" / "usr" / "bin"
    shutil.rmtree(tree)
    assert runs_with_its_own(tmp_path / "copies" / "one")


def test_a_tree_without_a_loader_is_refused(tree, tmp_path):
    shutil.rmtree(tree / "usr" / "lib")
    with pytest.raises(HostError, match="no loader"):
        trees.bind(tree, tmp_path / "home")


def test_nobody_acts_as_the_owner(tmp_path):
    program = tmp_path / "su"
    program.write_text("")
    program.chmod(0o4700)
    trees.open_to_all(tmp_path)
    assert program.stat().st_mode & 0o7777 == 0o755
