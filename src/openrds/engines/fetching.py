"""Fetch a database server from the machine's package archives into a folder, without installing it.

Source: which packages hold what is Debian's and Ubuntu's naming; each recipe says it for one engine.
"""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from openrds.engines.discovery import Kind, release_of
from openrds.engines.protocol import Installation
from openrds.hosts import apt, trees
from openrds.hosts.apt import Apt, AptError, Package, PackageFile
from openrds.hosts.apt_sources import Source, sources_of_machine
from openrds.hosts.errors import HostError

Say = Callable[[str], None]

_LOCK = ".lock"
_DRAFT = ".fetching-"
#: Without epoch and revision; betas, which have a `~`, are not offered.
_VERSION = re.compile(r"(?:\d+:)?(\d+(?:\.\d+)*)[-+]", re.ASCII)
#: Names of Debian's suites that it moves itself, in the order in which they are looked into: each with what its
#: security archive calls it.
_DEBIAN_SUITES = (
    ("stable", "stable-security"),
    ("testing", "testing-security"),
    ("sid", None),
    ("oldstable", "oldstable-security"),
    ("oldoldstable", None),
)
_UBUNTU_SUITES = (("devel", None),)
_SUITES = {"debian": _DEBIAN_SUITES, "ubuntu": _UBUNTU_SUITES}
#: Left to itself of what the packages have and need while they are unpacked.
_SPARE_BYTES = 200 * 2**20


class NotOffered(HostError):  # noqa: N818 - says what happened
    """No archive that this machine knows has it; the message says what they have."""


@dataclass(frozen=True)
class Recipe:
    """Which packages are an engine.

    `server` matches the names of packages whose version is the server's, `prefix` is how they all begin, `beside`
    are others that go with it, `{}` standing for what `server` found as its group; they may not be there.
    """

    kind: Kind
    prefix: str
    server: re.Pattern[str]
    beside: tuple[str, ...] = ()

    def companions(self, server: str) -> list[str]:
        match = self.server.fullmatch(server)
        assert match is not None
        return [name.format(match[1] or "") for name in self.beside]


@dataclass(frozen=True)
class Offer:
    """A server that an archive has."""

    package: Package
    numbers: tuple[int, ...]

    @property
    def complete_version(self) -> str:
        return ".".join(map(str, self.numbers))


@dataclass(frozen=True)
class Suite:
    """`name` is for people."""

    name: str
    sources: tuple[Source, ...]


def fetch(recipe: Recipe, version: str | None, folder: Path, say: Say) -> Installation:
    """Have a server in a folder of its own below `folder`, whole or not at all; returns what is there then.

    `version` is one as a request names it or a complete one; without one the newest of the first suite that has any is
    taken. `say` is told what goes on.

    Raises:
        NotOffered: there is no such version.
        HostError: it cannot be fetched or does not run here; the message says why.
    """
    apt.require_apt()
    with _alone(folder), _draft(folder) as draft:
        archive, offer = _choose(recipe, version, draft, say)
        home = folder / f"{recipe.kind.engine.lower()}-{offer.complete_version}"
        present = _present(recipe.kind, home)
        if present is not None:
            say(f"{recipe.kind.engine} {offer.complete_version} is there already.")
            return present
        tree = draft / "tree"
        _build(recipe, archive, offer, tree, home, say)
        shutil.rmtree(home, ignore_errors=True)  # one that does not run
        tree.rename(home)
        return _proven(recipe.kind, home)


def offers(recipe: Recipe, archive: Apt) -> list[Offer]:
    """What an archive has of an engine, oldest first; what is older than openrds serves is left out."""
    names = [name for name in archive.names(recipe.prefix) if recipe.server.fullmatch(name)]
    found = (
        Offer(package, numbers) for package in archive.newest(names) if (numbers := _numbers(package.version))
    )
    return sorted(
        (offer for offer in found if offer.numbers >= recipe.kind.oldest), key=lambda offer: offer.numbers
    )


def suites(sources: tuple[Source, ...], distribution: str) -> Iterator[Suite]:
    """Where to look, one after the other: what the machine itself uses, then the other suites of the same archives."""
    if sources:
        yield Suite("this machine's own release", sources)
    main = next((source for source in sources if _is_whole(source)), None)
    security = next((source for source in sources if _is_security(source)), None)
    for name, of_security in _SUITES.get(distribution, ()) if main else ():
        assert main is not None
        beside = (security.of(of_security),) if security and of_security else ()
        yield Suite(name, (main.of(name), *beside))


def _choose(recipe: Recipe, version: str | None, draft: Path, say: Say) -> tuple[Apt, Offer]:
    seen: dict[str, list[Offer]] = {}
    trouble: list[str] = []
    for number, suite in enumerate(suites(sources_of_machine(), distribution())):
        say(f"Looking for {_wish(recipe, version)} in {suite.name} ...")
        archive = Apt(draft / f"apt-{number}", suite.sources)
        try:
            archive.update()
            seen[suite.name] = offers(recipe, archive)
        except AptError as error:
            trouble.append(f"{suite.name}: {error}")
            continue
        fitting = [offer for offer in seen[suite.name] if _fits(version, offer.numbers)]
        if fitting:
            return archive, fitting[-1]
    raise NotOffered(_not_offered(recipe, version, seen, trouble))


def _not_offered(
    recipe: Recipe, version: str | None, seen: dict[str, list[Offer]], trouble: list[str]
) -> str:
    there = [
        f"{name} has {', '.join(offer.complete_version for offer in found)}"
        for name, found in seen.items()
        if found
    ]
    if not seen and not trouble:
        trouble = ["apt on this machine knows no archive: see /etc/apt/sources.list.d"]
    parts = [f"{_wish(recipe, version)} cannot be fetched: no archive that this machine's apt knows has it."]
    if not seen:
        parts = [f"{_wish(recipe, version)} cannot be fetched: no archive can be read."]
    parts += [f"There is: {'; '.join(there)}."] if there else []
    parts += [f"apt said: {one}" for one in trouble]
    return " ".join(parts)


def _build(recipe: Recipe, archive: Apt, offer: Offer, tree: Path, home: Path, say: Say) -> None:
    beside = archive.newest(recipe.companions(offer.package.name))
    names = [offer.package.name, *(package.name for package in beside)]
    needed = archive.needed(names)
    _require_room(needed, tree.parent)
    size = sum(package.size for package in needed)
    say(
        f"Fetching {recipe.kind.engine} {offer.complete_version}: {len(needed)} packages, {size / 1e6:.0f} MB ..."
    )
    files = archive.fetch(names)
    say("Unpacking ...")
    _unpack(files, offer.package.name, tree)
    trees.bind(tree, home)
    trees.open_to_all(tree)
    trees.write_manifest(tree, _manifest(recipe, offer, files))
    os.sync()


def _unpack(files: list[PackageFile], server: str, tree: Path) -> None:
    """What was built with the server is wanted whole, of the rest only the libraries."""
    source = next(file.source for file in files if file.name == server)
    for file in files:
        if "perl" not in file.name:
            apt.unpack(file, tree, tree.with_name("unpacked"), whole=file.source == source)


def _manifest(recipe: Recipe, offer: Offer, files: Iterable[PackageFile]) -> dict[str, object]:
    return {
        "engine": recipe.kind.engine.value,
        "version": offer.complete_version,
        "packages": [{"name": file.name, "version": file.version} for file in files],
    }


def _proven(kind: Kind, home: Path) -> Installation:
    found = _present(kind, home)
    if found is None:
        shutil.rmtree(home, ignore_errors=True)
        raise HostError(f"the {kind.engine} that was fetched does not run on this machine.")
    return found


def _present(kind: Kind, home: Path) -> Installation | None:
    """The server of a tree, if it is there and runs."""
    for pattern in kind.places if trees.is_tree(home) else ():
        for folder in sorted(home.glob(pattern)):
            program = kind.program(folder)
            numbers = release_of(kind, program) if program else None
            if numbers:
                return Installation(kind.engine, kind.named(numbers), ".".join(map(str, numbers)), folder)
    return None


def _require_room(packages: Iterable[Package], folder: Path) -> None:
    """
    Raises:
        HostError: there is not enough.
    """
    needed = sum(package.size + package.installed_size for package in packages) + _SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise HostError(f"{folder.parent} has {free >> 20} MB free, and {needed >> 20} MB are needed.")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """
    Raises:
        HostError: another one fetches into the folder, or it cannot be written.
    """
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise HostError(f"{folder} cannot be written: {error.strerror}.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise HostError(f"another openrds fetches a server into {folder}; wait until it is done.") from None
    finally:
        os.close(lock)


@contextlib.contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """A folder for what is being made; what an earlier one left that was killed is removed."""
    for left in folder.glob(f"{_DRAFT}*"):
        shutil.rmtree(left, ignore_errors=True)
    draft = folder / f"{_DRAFT}{secrets.token_hex(4)}"
    draft.mkdir(mode=0o755)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def distribution(file: Path = Path("/etc/os-release")) -> str:
    """`debian`, `ubuntu`, or what else the machine says it is."""
    try:
        found = re.search(r'^ID="?([\w.-]+)', file.read_text(), re.ASCII | re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def _is_whole(source: Source) -> bool:
    """Whether it is of an archive with all packages, and not of updates alone."""
    return "main" in source.components and any(not re.search(r"[-/]", suite) for suite in source.suites)


def _is_security(source: Source) -> bool:
    return any(suite.endswith("-security") for suite in source.suites)


def _numbers(version: str) -> tuple[int, ...] | None:
    match = _VERSION.match(version)
    return tuple(map(int, match[1].split("."))) if match else None


def _fits(version: str | None, numbers: tuple[int, ...]) -> bool:
    wanted = version.split(".") if version else []
    return wanted == [str(number) for number in numbers[: len(wanted)]]


def _wish(recipe: Recipe, version: str | None) -> str:
    return f"{recipe.kind.engine} {version}" if version else str(recipe.kind.engine)
