"""An archive of packages in a folder: real ones, signed with a real key."""

import contextlib
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from openrds.hosts.apt_sources import Source

missing = [name for name in ("apt-get", "dpkg-deb", "gpg") if shutil.which(name) is None]
needs_apt = pytest.mark.skipif(bool(missing), reason=f"this machine has no {', '.join(missing)}")


class LocalArchive:
    """A flat archive in a folder, with the public key that it is signed with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "archive"
        self.folder.mkdir(parents=True)
        self.key = folder / "key.gpg"
        self._home = folder / "gpg"
        self._home.mkdir(mode=0o700)
        self._gpg("--quick-generate-key", "--passphrase", "", "test@openrds", "rsa3072", "sign", "1d")
        self.key.write_bytes(self._gpg("--export"))
        for path in (folder, self.folder):
            path.chmod(0o755)

    @property
    def source(self) -> Source:
        return Source(f"file:{self.folder}", ("here",), ("main",), str(self.key))

    def end_agent(self) -> None:
        subprocess.run(
            ["gpgconf", "--homedir", self._home, "--kill", "gpg-agent"], check=False, capture_output=True
        )

    def add(
        self, name: str, version: str, files: dict[str, str], *, source: str = "", depends="", mode=0o755
    ):
        tree = self.folder.parent / "build" / name
        for path, text in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
            (tree / path).chmod(mode)
        (tree / "DEBIAN").mkdir(parents=True)
        fields = {"Package": name, "Version": version, "Architecture": "all", "Maintainer": "t <t@t>"}
        fields |= {"Description": "t", "Installed-Size": "1"}
        fields |= {"Source": source} if source else {}
        fields |= {"Depends": depends} if depends else {}
        (tree / "DEBIAN" / "control").write_text("".join(f"{key}: {word}\n" for key, word in fields.items()))
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-b", tree, self.folder / f"{name}.deb"],
            check=True,
            capture_output=True,
        )

    def publish(self, *, signed: bool = True) -> None:
        suite = self.folder / "dists" / "here"
        (suite / "main" / "binary-all").mkdir(parents=True, exist_ok=True)
        text = "".join(self._stanza(file) for file in sorted(self.folder.glob("*.deb"))).encode()
        architecture = subprocess.run(
            ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
        ).stdout.strip()
        place = f"main/binary-{architecture}"
        (suite / place).mkdir(exist_ok=True)
        (suite / place / "Packages").write_bytes(text)
        release = (
            f"Origin: t\nSuite: here\nCodename: here\nDate: {formatdate(usegmt=True)}\n"
            f"Architectures: {architecture}\nComponents: main\n"
            f"SHA256:\n {hashlib.sha256(text).hexdigest()} {len(text)} {place}/Packages\n"
        )
        (suite / "Release").write_text(release)
        if signed:
            (suite / "InRelease").write_bytes(self._gpg("--clearsign", stdin=release.encode()))

    def _stanza(self, file: Path) -> str:
        control = subprocess.run(["dpkg-deb", "-f", file], capture_output=True, text=True, check=True).stdout
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        return f"{control}Filename: {file.name}\nSize: {len(content)}\nSHA256: {digest}\n\n"

    def _gpg(self, *words: str, stdin: bytes = b"") -> bytes:
        command: list[str | Path] = [
            "gpg",
            "--batch",
            "--quiet",
            "--homedir",
            self._home,
            "--pinentry-mode",
            "loopback",
            *words,
        ]
        return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout


@contextlib.contextmanager
def local_archive() -> Iterator[LocalArchive]:
    """In a folder that apt's own user can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="ords-apt-", dir="/tmp"))
    folder.chmod(0o755)
    archive = LocalArchive(folder)
    try:
        yield archive
    finally:
        archive.end_agent()
        shutil.rmtree(folder, ignore_errors=True)
