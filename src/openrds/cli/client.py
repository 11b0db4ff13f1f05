"""A client of the v3 API: signs requests, and turns what goes wrong into messages.

Built on http.client, because importing httpx takes longer (0.5 s) than everything else that a command does.
"""

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

from openrds.cli.credentials import Credentials
from openrds.cli.errors import ApiError, Unreachable, UsageError
from openrds.domain.signature import sign

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

#: A decoded JSON object of the API.
Json: TypeAlias = dict[str, Any]

#: Bytes of a long answer that are handed on at a time.
_PIECE = 1 << 16
#: Seconds; the slowest answer is that of a password change, which waits up to 20 s for the server.
_TIMEOUT = 60.0


class Client:
    """One project of a service. Paths are below the project: `instances` is `/v3/{project_id}/instances`."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials

    def get(self, path: str, query: Mapping[str, object] | None = None, *, version: str = "v3") -> Json:
        """Those values of the query that are None are left out."""
        return self._call("GET", path, query or {}, None, version)

    def post(self, path: str, body: Json, query: Mapping[str, object] | None = None) -> Json:
        return self._call("POST", path, query or {}, body)

    def put(self, path: str, body: Json) -> Json:
        return self._call("PUT", path, {}, body)

    def delete(self, path: str, query: Mapping[str, object] | None = None, body: Json | None = None) -> Json:
        return self._call("DELETE", path, query or {}, body)

    def ca(self) -> str:
        """The CA certificate of the instances, as PEM."""
        status, request_id, text = self._exchange("GET", "/ca.crt", b"")
        if status != HTTPStatus.OK or b"BEGIN CERTIFICATE" not in text:
            _answer(self.credentials.endpoint, status, request_id, text)
            raise Unreachable(
                f"{self.credentials.endpoint} does not answer as openrds does: {_excerpt(text)}."
            )
        return text.decode()

    def save(self, path: str, query: Mapping[str, object], sink: BinaryIO) -> None:
        """Write the body of an answer of any length to a file, as it comes."""
        for piece in self._parts(path, query, {}, lambda response: response.read(_PIECE)):
            sink.write(piece)

    def lines(self, path: str, query: Mapping[str, object], headers: Mapping[str, str]) -> Iterator[str]:
        """The lines of an answer that comes bit by bit, until it ends or is cut off."""
        for line in self._parts(path, query, headers, lambda response: response.readline()):
            yield line.decode().rstrip("\n")

    def _parts(
        self,
        path: str,
        query: Mapping[str, object],
        headers: Mapping[str, str],
        read: Callable[["HTTPResponse"], bytes],
    ) -> Iterator[bytes]:
        """Of the body of an answer, as they are read; what becomes of them is nothing of ours."""
        with self._answer("GET", self._target(path, query), b"", headers) as response:
            if response.status >= 400:
                _answer(self.credentials.endpoint, response.status, _id_of(response), response.read())
            while part := read(response):
                yield part

    def _target(self, path: str, query: Mapping[str, object], version: str = "v3") -> str:
        given = {name: value for name, value in query.items() if value is not None}
        target = f"/{version}/{self.credentials.project_id}/{quote(path)}"
        return target + (f"?{urlencode(given, quote_via=quote)}" if given else "")

    def _call(
        self, method: str, path: str, query: Mapping[str, object], body: Json | None, version: str = "v3"
    ) -> Json:
        target = self._target(path, query, version)
        content = b"" if body is None else json.dumps(body).encode()
        status, request_id, text = self._exchange(method, target, content)
        return _answer(self.credentials.endpoint, status, request_id, text)

    def _exchange(self, method: str, target: str, content: bytes) -> tuple[int, str, bytes]:
        """Status, request id and body of the answer."""
        with self._answer(method, target, content, {}) as response:
            return response.status, _id_of(response), response.read()

    @contextmanager
    def _answer(
        self, method: str, target: str, content: bytes, more: Mapping[str, str]
    ) -> Iterator["HTTPResponse"]:
        """An answer that is read in the block.

        Raises:
            Unreachable: there is none, or it ends too early.
        """
        from http.client import HTTPException  # noqa: PLC0415 - 30 ms that `--help` does not need

        url = self.credentials.endpoint
        connection = _connection(url)
        try:
            headers = self._headers(method, url + target, content, more)
            connection.request(method, target, content or None, headers)
            yield connection.getresponse()
        except ConnectionRefusedError:
            raise _not_there(url) from None
        except (OSError, HTTPException) as error:
            raise _no_answer(url, error) from None
        finally:
            connection.close()

    def _headers(self, method: str, url: str, content: bytes, more: Mapping[str, str]) -> dict[str, str]:
        """The request id makes each signature unique: a repeated one would get the first call's answer."""
        headers = {
            "X-Request-Id": uuid.uuid4().hex,
            "X-Project-Id": self.credentials.project_id,
            **more,
        }
        if content:
            headers["Content-Type"] = "application/json"
        return sign(
            method,
            url,
            headers,
            content,
            access_key=self.credentials.access_key,
            secret_key=self.credentials.secret_key,
            now=dt.datetime.now(dt.UTC),
        )


def is_ready(endpoint: str) -> bool:
    """Whether the service and its store answer now."""
    from http.client import HTTPException  # noqa: PLC0415

    connection = _connection(endpoint)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _connection(url: str) -> "HTTPConnection":
    from http.client import HTTPConnection, HTTPSConnection  # noqa: PLC0415

    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"The endpoint in the credentials is not a URL: {url}.")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname, parts.port, timeout=_TIMEOUT)


def _id_of(response: "HTTPResponse") -> str:
    return response.headers.get("X-Request-Id", "")


def _not_there(url: str) -> Unreachable:
    return Unreachable(f"Nothing answers on {url}; is `openrds serve` running?")


def _no_answer(url: str, error: Exception) -> Unreachable:
    from ssl import SSLCertVerificationError  # noqa: PLC0415

    if isinstance(error, SSLCertVerificationError):
        return Unreachable(
            f"The certificate of {url} is not trusted: {error.verify_message}. If it is of a CA of your own, or signed "
            "by itself, name the file of that certificate in SSL_CERT_FILE."
        )
    return Unreachable(f"No answer from {url}: {str(error) or type(error).__name__}.")


def _answer(url: str, status: int, request_id: str, text: bytes) -> Json:
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not isinstance(body, dict) or (status >= 400 and "error_code" not in body):
        raise Unreachable(f"{url} does not answer as openrds does: HTTP {status} and {_excerpt(text)}.")
    if status >= 400:
        raise ApiError(status, str(body["error_code"]), str(body.get("error_msg", "")), request_id)
    return body


def _excerpt(text: bytes) -> str:
    return repr(text[:80].decode(errors="replace")) if text else "nothing"
