"""From which archives this machine's apt takes packages, and by which keys it knows them: `sources.list(5)`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

_APT = Path("/etc/apt")
_OPTION = re.compile(r"([\w-]+)=(\S+)", re.ASCII)


@dataclass(frozen=True)
class Source:
    """Suites of one archive. `signed_by` is the path of a keyring, a key's fingerprint or keys themselves; without one,
    apt takes any key that the machine trusts for packages.
    """

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""

    def of(self, *suites: str) -> "Source":
        return replace(self, suites=suites)

    def stanza(self) -> str:
        """In the form that newer apts prefer, and all understand. Nothing else of the machine's own is kept: no
        `Trusted: yes`, which would do without signatures.
        """
        fields = {
            "Types": "deb",
            # Packages of a `file:` are used where they are, and may lie below a folder that is gone later.
            "URIs": re.sub(r"^file:", "copy:", self.uri),
            "Suites": " ".join(self.suites),
            "Components": " ".join(self.components),
            "Signed-By": self.signed_by,
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items() if value) + "\n"


def sources_of_machine(folder: Path = _APT) -> tuple[Source, ...]:
    """Those in force, of binary packages."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    return tuple(source for file in files for source in _sources(file))


def _sources(file: Path) -> Iterator[Source]:
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return
    if file.suffix == ".list":
        yield from _of_lines(text)
    elif file.suffix == ".sources":
        yield from _of_stanzas(text)


def _of_lines(text: str) -> Iterator[Source]:
    """`deb [option=value ...] URI suite component...`."""
    for line in text.splitlines():
        kind, _, rest = line.partition("#")[0].strip().partition(" ")
        options, rest = _parted(rest.strip())
        words = rest.split()
        if kind == "deb" and len(words) >= 3:
            yield Source(words[0], (words[1],), tuple(words[2:]), options.get("signed-by", ""))


def _parted(rest: str) -> tuple[dict[str, str], str]:
    if not rest.startswith("["):
        return {}, rest
    inside, _, behind = rest[1:].partition("]")
    return {name.lower(): value for name, value in _OPTION.findall(inside)}, behind


def _of_stanzas(text: str) -> Iterator[Source]:
    for block in re.split(r"\n\s*\n", _without_comments(text), flags=re.ASCII):
        fields = _fields(block)
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        if "deb" not in fields.get("types", "").split() or not fields.get("components"):
            continue
        suites, components = (tuple(fields.get(name, "").split()) for name in ("suites", "components"))
        for uri in fields.get("uris", "").split():
            yield Source(uri, suites, components, fields.get("signed-by", ""))


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def _fields(block: str) -> dict[str, str]:
    """A value goes on in lines that begin with a blank, as keys do, which keep them."""
    fields: dict[str, str] = {}
    name = ""
    for line in block.splitlines():
        if line[:1].isspace() and name:
            fields[name] += "\n" + line
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields
