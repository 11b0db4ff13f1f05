"""Objects by their names in a folder, or in an object storage: what is in them is others' business.

The library is imported where it is first needed: a service without a repository does without.
"""

import datetime as dt
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from openrds.repository.errors import NotInRepositoryError, RepositoryError
from openrds.repository.keys import read_private
from openrds.repository.sealing import MOST_SEALED_BYTES

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("file", "s3", "gs", "az")
_FILE = "file"
#: Where the usual variables say that an S3 is.
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
#: In the file of options: those of the connection. All others are the storage's.
_CLIENT = "client"
_TIMEOUT = "120s"
_CONNECT_TIMEOUT = "10s"
_RETRIES = 4
_RETRY_SECONDS = dt.timedelta(seconds=60)
_DELETED_AT_ONCE = 500


@dataclass(frozen=True)
class Listed:
    """`size` is in bytes, `modified` in seconds since 1970, by the clock of the storage."""

    name: str
    size: int
    modified: float


@dataclass(frozen=True)
class Objects:
    """`address` is for messages: there is no secret in it."""

    address: str
    _store: "ObjectStore"

    @classmethod
    def at(cls, url: str, options: Path | None = None) -> "Objects":
        """
        Nothing is asked of the storage yet.

        Raises:
            RepositoryError: the URL or the options are wrong, or a folder is not there or not ours alone to write to.
        """
        from obstore.exceptions import BaseError  # noqa: PLC0415
        from obstore.store import from_url  # noqa: PLC0415

        check_url(url)
        given: dict[str, Any] = _read_options(options) if options else {}
        arguments: dict[str, Any] = {}
        if url.startswith(f"{_FILE}:"):
            _check_folder(Path(unquote(urlsplit(url).path)))
        else:
            client: dict[str, Any] = given.pop(_CLIENT, {})
            arguments = {
                "config": given,
                "client_options": _client_options(given, client),
                "retry_config": {"max_retries": _RETRIES, "retry_timeout": _RETRY_SECONDS},
            }
        try:
            return cls(url, from_url(url, **arguments))
        except (BaseError, ValueError, TypeError, OSError) as error:
            raise RepositoryError(f"The backup repository {url} cannot be opened: {_words(error)}") from None

    def put(self, name: str, content: bytes) -> None:
        """All of it or nothing is there afterwards, whatever happens.

        Raises:
            RepositoryError: it cannot be put there.
        """
        import obstore  # noqa: PLC0415

        with self._explained():
            obstore.put(self._store, name, content, use_multipart=False)

    def get(self, name: str) -> bytes:
        """
        Raises:
            NotInRepositoryError: there is no such object.
            RepositoryError: it cannot be had, or is larger than any that we put there.
        """
        import obstore  # noqa: PLC0415

        with self._explained(name):
            found = obstore.get(self._store, name)
            if found.meta["size"] > MOST_SEALED_BYTES:
                raise RepositoryError(f"{name} in {self.address} is larger than any object of openrds.")
            return bytes(found.bytes())

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Names and sizes, in bytes, of all objects below a prefix, in no order.

        Raises:
            RepositoryError: they cannot be listed.
        """
        yield from ((one.name, one.size) for one in self.listed(prefix))

    def listed(self, prefix: str) -> Iterator[Listed]:
        """All objects below a prefix, in no order.

        Raises:
            RepositoryError: they cannot be listed.
        """
        import obstore  # noqa: PLC0415

        with self._explained():
            for found in obstore.list(self._store, prefix):
                yield from (
                    Listed(one["path"], one["size"], one["last_modified"].timestamp()) for one in found
                )

    def below(self, prefix: str) -> list[str]:
        """The names between a prefix and the next slash, of whatever there is further below.

        Raises:
            RepositoryError: they cannot be listed.
        """
        import obstore  # noqa: PLC0415

        with self._explained():
            found = obstore.list_with_delimiter(self._store, prefix)["common_prefixes"]
        return sorted(one.rstrip("/").rpartition("/")[2] for one in found)

    def remove(self, names: Iterable[str]) -> None:
        """
        Raises:
            RepositoryError: one cannot be removed. That one is not there is none.
        """
        left = list(names)
        while left:
            self._remove(left[:_DELETED_AT_ONCE])
            del left[:_DELETED_AT_ONCE]

    async def links(self, names: Sequence[str], lifetime: dt.timedelta) -> list[str]:
        """Where whoever has them gets objects, for so long; empty ones for a folder.

        Raises:
            RepositoryError: the storage has no such links, or our credentials cannot be had.
        """
        import obstore  # noqa: PLC0415
        from obstore.store import AzureStore, GCSStore, S3Store  # noqa: PLC0415

        if not isinstance(self._store, S3Store | GCSStore | AzureStore):
            return ["" for _ in names]
        with self._explained():
            return list(await obstore.sign_async(self._store, "GET", list(names), lifetime))

    def _remove(self, names: list[str]) -> None:
        """A folder, unlike the others, complains of what is not there."""
        import obstore  # noqa: PLC0415

        if not self.address.startswith(f"{_FILE}:"):
            with self._explained():
                obstore.delete(self._store, names)
            return
        for name in names:
            try:
                with self._explained(name):
                    obstore.delete(self._store, name)
            except NotInRepositoryError:
                continue

    def _explained(self, name: str = "") -> "_Explained":
        return _Explained(self.address, name)


@dataclass(frozen=True)
class _Explained:
    """What the library raises in the block becomes an error of ours."""

    address: str
    name: str

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        from obstore.exceptions import BaseError  # noqa: PLC0415

        if not isinstance(error, BaseError | OSError | ValueError):
            return
        words = _words(error)
        if self.name and isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
            raise NotInRepositoryError(f"There is no {self.name} in {self.address}.") from None
        raise RepositoryError(f"The backup repository {self.address} cannot be used: {words}") from None


def bucket_of(url: str) -> str:
    """The bucket, container or folder that a repository is in."""
    parts = urlsplit(url)
    return parts.netloc or unquote(parts.path)


def is_folder(url: str) -> bool:
    return urlsplit(url).scheme == _FILE


def lies_within(inner: str, outer: str) -> bool:
    """Whether one place is another, or in it, if they are of the same storage."""
    first, second = urlsplit(inner), urlsplit(outer)
    if (first.scheme, first.netloc) != (second.scheme, second.netloc):
        return False
    inside, around = ([part for part in unquote(one.path).split("/") if part] for one in (first, second))
    if first.scheme == _FILE:
        inside, around = (list(Path("/", *parts).resolve().parts) for parts in (inside, around))
    return inside[: len(around)] == around


def check_url(url: str) -> None:
    """
    Raises:
        RepositoryError: it names no repository.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or parts.query or parts.fragment:
        raise RepositoryError(
            f"The backup repository must be file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or "
            f"az://CONTAINER/PREFIX, not {parts.scheme}://..."
        )
    if parts.username or parts.password:
        raise RepositoryError("The address of a backup repository has no credentials in it.")
    if parts.scheme == _FILE and (parts.netloc or not parts.path.startswith("/") or parts.path == "/"):
        raise RepositoryError("A folder as a backup repository is file:///FOLDER, with three slashes.")
    if parts.scheme != _FILE and not parts.netloc:
        raise RepositoryError(f"The backup repository {url} names no bucket.")


def _check_folder(folder: Path) -> None:
    """
    Raises:
        RepositoryError: whoever else may write there could lead us elsewhere.
    """
    try:
        found = folder.stat()
    except OSError as error:
        raise RepositoryError(f"The backup repository {folder} cannot be used: {error.strerror}.") from None
    if not stat.S_ISDIR(found.st_mode):
        raise RepositoryError(f"The backup repository {folder} is no folder.")
    if found.st_uid not in (0, os.geteuid()) or stat.S_IMODE(found.st_mode) & (stat.S_IWGRP | stat.S_IWOTH):
        raise RepositoryError(f"Others may write to the backup repository {folder}: chmod 700 {folder}")


def _read_options(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_private(path, "The options of the backup repository").decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        # Not what it says: it may be a secret.
        raise RepositoryError(f"{path} is no TOML file: {type(error).__name__}.") from None


def _client_options(given: dict[str, Any], client: dict[str, Any]) -> dict[str, Any]:
    """Whoever names an endpoint without TLS means it: what goes there is sealed."""
    ours = [os.environ.get(name, "") for name in _ENDPOINTS]
    named = [
        str(value) for name, value in given.items() if name.lower().endswith(("endpoint", "endpoint_url"))
    ]
    endpoint = next(filter(None, [*named, *ours]), "")
    options = {"timeout": _TIMEOUT, "connect_timeout": _CONNECT_TIMEOUT, **client}
    if endpoint.startswith("http://"):
        options.setdefault("allow_http", True)
    if certificate := options.pop("root_certificate_file", None):
        try:
            options["root_certificate"] = Path(certificate).read_bytes()
        except OSError as error:
            raise RepositoryError(f"{certificate} cannot be read: {error.strerror}.") from None
    return options


def _words(error: BaseException) -> str:
    """The first lines: behind them is what only a debugger reads."""
    text = str(error).split("\n\nDebug source")[0]
    for word in (
        "NoSuchBucket",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "AccessDenied",
        "QuotaExceeded",
    ):
        if word in text:
            return f"{word} ({_EXPLAINED[word]})."
    return " ".join(_TIMES.sub("", text).split())[:400]


#: What differs each time, so that the same problem would never be the same.
_TIMES = re.compile(r" in [\d.]+\w+(, after \d+ retries, max_retries: \d+, retry_timeout: \w+)?\s*", re.ASCII)

_EXPLAINED = {
    "NoSuchBucket": "the bucket does not exist",
    "InvalidAccessKeyId": "the access key is not known there",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "AccessDenied": "the keys may not do this",
    "QuotaExceeded": "the bucket is full",
}
