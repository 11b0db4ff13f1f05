"""Packages of the machine's archives, fetched and unpacked without touching what is installed.

apt gets a state of its own, in which no package is installed, so it fetches what a package needs down to its libc. It
reads none of the machine's settings but how to reach archives (proxies, passwords), and takes no package whose archive
is not signed by a key that the machine trusts.
"""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openrds.hosts import commands
from openrds.hosts.apt_sources import Source
from openrds.hosts.errors import HostError

_TOOLS = ("apt-get", "apt-cache", "apt-config", "dpkg-deb")
_FOLDERS = ("lists/partial", "cache/archives/partial", "state", "empty")
#: What an apt of an ordinary user must be told: it may not become another one, nor needs locks.
_UNPRIVILEGED = 'Debug::NoLocking "true";\n'
_SETTINGS = """
Dir::Etc::parts "{folder}/empty";
Dir::Etc::main "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{folder}/sources";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "{folder}/empty";
Dir::State "{folder}/state";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Dir::Log "{folder}/state";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
APT::Get::AllowUnauthenticated "false";
APT::Get::Assume-Yes "true";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
"""
_ENVIRONMENT = ("PATH", "HOME", "http_proxy", "https_proxy", "no_proxy", "all_proxy")
#: Seconds for whatever apt does; it ends by itself where nothing arrives.
_PATIENCE = 3600
_PLANNED = re.compile(r"^Inst (\S+) \((\S+) ", re.ASCII | re.MULTILINE)
_COMPLAINT = re.compile(r"^[EW]: ?(.*)$", re.MULTILINE)
_LIBRARY = re.compile(r"\.so(\.|$)")


class AptError(HostError):
    """apt did not do what it was asked; the message says what it reported."""


@dataclass(frozen=True)
class Package:
    """`size` is that of the file, `installed_size` of what is in it, in bytes."""

    name: str
    version: str
    size: int
    installed_size: int


@dataclass(frozen=True)
class PackageFile:
    """`source` is what it was built from, together with others."""

    path: Path
    name: str
    version: str
    source: str


def require_apt() -> None:
    """
    Raises:
        AptError: this machine has none.
    """
    missing = [name for name in _TOOLS if shutil.which(name) is None]
    if missing:
        raise AptError(
            f"this machine has no {missing[0]}, so no packages can be fetched here. Install a server with the "
            "machine's own package manager, or unpack one and name its folder in the setting engine_dirs."
        )


class Apt:
    """An apt that knows some archives, with all that it has in one folder, which is ours alone and is made here."""

    def __init__(self, folder: Path, sources: Iterable[Source]) -> None:
        self._folder = folder
        self._make_folders()
        stanzas = "".join(source.stanza() for source in sources)
        (folder / "sources" / "archives.sources").write_text(stanzas)
        self.complaints = ""
        self._config = folder / "apt.conf"
        self._config.write_text(_reaching() + _SETTINGS.format(folder=folder) + _identity())

    def _make_folders(self) -> None:
        # apt's own user, as which it downloads where it is root, passes through.
        for name in (*_FOLDERS, "sources"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "state" / "status").touch()

    def update(self) -> None:
        """Read what the archives have. One that cannot be read is passed over where another can be.

        Raises:
            AptError: none can; the message is apt's.
        """
        _, said = self._run("apt-get", "-q", "update", may_fail=True)
        if not any((self._folder / "lists").glob("*_Packages*")):
            raise AptError(_complaints(said) or "the archives have no lists of packages.")
        self.complaints = _complaints(said)

    def names(self, prefix: str) -> list[str]:
        """Those of packages that begin so."""
        _, said = self._run("apt-cache", "pkgnames", prefix)
        return sorted(said.split())

    def newest(self, names: Sequence[str]) -> list[Package]:
        """Each package in the version that would be fetched; one that is not there is left out."""
        return self._described(["--no-all-versions", *names]) if names else []

    def needed(self, names: Sequence[str]) -> list[Package]:
        """The packages and all that they need.

        Raises:
            AptError: they cannot be had together.
        """
        _, said = self._run("apt-get", "-q", "-s", "install", *names)
        return self._described([f"{name}={version}" for name, version in _PLANNED.findall(said)])

    def fetch(self, names: Sequence[str]) -> list[PackageFile]:
        """Download them with all that they need; their signatures are looked at.

        Raises:
            AptError: they cannot be had, or are not what the archive signed.
        """
        self._run("apt-get", "-q", "-d", "install", *names)
        return [_package_file(path) for path in sorted((self._folder / "cache" / "archives").glob("*.deb"))]

    def _described(self, words: Sequence[str]) -> list[Package]:
        _, said = self._run("apt-cache", "show", *words, may_fail=True)
        return list(_packages(said))

    def _run(self, *command: str, may_fail: bool = False) -> tuple[int, str]:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment |= {"APT_CONFIG": str(self._config), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        code, output = commands.run(command, env=environment, timeout=_PATIENCE)
        said = output.decode(errors="replace")
        if code != 0 and not may_fail:
            raise AptError(_complaints(said) or said[-500:])
        return code, said


def unpack(file: PackageFile, root: Path, draft: Path, *, whole: bool) -> None:
    """Put what is in a package below `root`: all of it, or only the libraries, and in any case the copyright.

    `draft` is a folder of the same file system, which is not there before and after.

    Raises:
        HostError: it cannot be unpacked.
    """
    try:
        code, said = commands.run(["dpkg-deb", "-x", file.path, draft], timeout=_PATIENCE)
        if code != 0:
            raise HostError(f"{file.path.name} cannot be unpacked: {said.decode(errors='replace').strip()}")
        for path in sorted(_kept(draft, whole=whole)):
            target = root / path.relative_to(draft)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _kept(draft: Path, *, whole: bool) -> Iterator[Path]:
    """Files and links. Documentation is for people who installed a package; who made it is to be said anywhere."""
    for place, folders, files in os.walk(draft):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for path in (Path(place) / name for name in (*files, *links)):
            parts = path.relative_to(draft).parts
            if path.name == "copyright" or (not _is_documentation(parts) and (whole or _is_library(parts))):
                yield path


def _is_documentation(parts: Sequence[str]) -> bool:
    return parts[:2] == ("usr", "share") and parts[2] in ("doc", "man", "locale", "lintian", "bug", "info")


def _is_library(parts: Sequence[str]) -> bool:
    return any(part.startswith("lib") for part in parts[:2]) and bool(_LIBRARY.search(parts[-1]))


def _reaching() -> str:
    """The machine's own settings of how archives are reached."""
    dumped = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    return "".join(
        f"{line}\n" for line in dumped.splitlines() if line.startswith(("Acquire::", "Dir::Etc::netrc"))
    )


def _identity() -> str:
    """As root, apt downloads as its own user where it can."""
    if os.geteuid() == 0:
        return ""
    return f'APT::Sandbox::User "{pwd.getpwuid(os.geteuid()).pw_name}";\n{_UNPRIVILEGED}'


def _complaints(said: str) -> str:
    """What apt reported, each thing once."""
    return " ".join(dict.fromkeys(line.strip() for line in _COMPLAINT.findall(said)))[:1000]


def _packages(text: str) -> Iterator[Package]:
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " ")
        if "Package" in fields:
            installed = int(fields.get("Installed-Size", "0")) * 1024
            yield Package(fields["Package"], fields["Version"], int(fields.get("Size", "0")), installed)


def _package_file(path: Path) -> PackageFile:
    code, output = commands.run(["dpkg-deb", "-f", path, "Package", "Version", "Source"])
    if code != 0:
        raise AptError(f"{path.name} is no package: {output.decode(errors='replace').strip()}")
    fields = dict(line.split(": ", 1) for line in output.decode().splitlines())
    source = fields.get("Source", fields["Package"]).partition(" ")[0]
    return PackageFile(path, fields["Package"], fields["Version"], source)
