"""`SDK-HMAC-SHA256` request signatures: parsing, canonical form, verification and signing.

Source: contract, auth-and-errors.md 3. Variant A (`Access=`) is what today's SDKs send. Variant B
(`Credential=`) is the older gateway SDK's; it has a credential scope, a derived key, and folds the query of a
POST without a body into the payload.

Header values are the bytes of the wire read as Latin-1, so that any value survives the way back to bytes.
"""

import datetime as dt
import functools
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote_from_bytes, quote_plus, unquote_to_bytes, urlsplit

ALGORITHM = "SDK-HMAC-SHA256"
DATE_HEADER = "x-sdk-date"
PAYLOAD_HEADER = "x-sdk-content-sha256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_HASH = hashlib.sha256(b"").hexdigest()
DATE_FORMAT = "%Y%m%dT%H%M%SZ"

_BLANKS = " \t"  # str.strip() would also eat Latin-1 bytes of UTF-8 characters, such as 0xA0
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} +(Access|Credential)=([^,\s]+), *SignedHeaders=([^,\s]+), *Signature=([0-9a-f]{{64}})",
    re.ASCII,
)
_SCOPE = re.compile(r"([^/]+)/(\d{8}/[^/]*/[^/]*/sdk_request)", re.ASCII)
_DATE = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_.~/-]*")
_PLAIN_QUERY = re.compile(r"[A-Za-z0-9_.~-]+=[A-Za-z0-9_.~-]*(?:&[A-Za-z0-9_.~-]+=[A-Za-z0-9_.~-]*)*")
_SPACE = re.compile(r"\s+", re.ASCII)


class SignatureError(Exception):
    """The signature, or a header that it depends on, is missing, malformed or wrong."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as received: path and query still percent-encoded, header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, Sequence[str]]
    body: bytes = b""

    def header(self, name: str) -> str:
        """The first value, or "" when there is none."""
        values = self.headers.get(name)
        return values[0] if values else ""


@dataclass(frozen=True, slots=True)
class Authorization:
    """`scope` is `<YYYYMMDD>/<region>/<service>/sdk_request` in variant B, else ""."""

    access_key: str
    scope: str
    signed_headers: str
    signature: str


def parse_authorization(value: str) -> Authorization:
    """Read an `Authorization` value of either variant.

    Raises:
        SignatureError: another algorithm, a malformed value, or `x-sdk-date` is not among the signed headers.
    """
    match = _AUTHORIZATION.fullmatch(value)
    if match is None:
        known = value.startswith(f"{ALGORITHM} ")
        raise SignatureError(
            "the Authorization header is malformed" if known else "unknown signature algorithm"
        )
    kind, key, signed_headers, signature = match.groups()
    signed_headers = signed_headers.lower()
    if DATE_HEADER not in signed_headers.split(";"):
        raise SignatureError(f"{DATE_HEADER} is not signed")
    key, scope = (key, "") if kind == "Access" else _credential(key)
    return Authorization(key, scope, signed_headers, signature)


def _credential(value: str) -> tuple[str, str]:
    match = _SCOPE.fullmatch(value)
    if match is None:
        raise SignatureError("the credential scope is malformed")
    return match[1], match[2]


def signed_at(request: SignedRequest) -> dt.datetime:
    """The time in `X-Sdk-Date`, UTC.

    Raises:
        SignatureError: it is missing or not `YYYYMMDDTHHMMSSZ`.
    """
    return _parse_date(request.header(DATE_HEADER).strip(_BLANKS))


@functools.lru_cache(maxsize=1024)
def _parse_date(value: str) -> dt.datetime:
    """Cached because all requests of one second carry the same text."""
    if not _DATE.fullmatch(value):
        raise SignatureError(f"{DATE_HEADER} is missing or malformed")
    try:
        return dt.datetime.fromisoformat(value)
    except ValueError as error:
        raise SignatureError(f"{DATE_HEADER} is malformed") from error


def verify(request: SignedRequest, authorization: Authorization, secret_key: str) -> bool:
    """Whether the signature is the one that the holder of `secret_key` makes for this request.

    Raises:
        SignatureError: a signed header is missing, or the declared payload hash is not that of the body.
    """
    return any(
        hmac.compare_digest(_signature(request, authorization, secret_key, payload), authorization.signature)
        for payload in payload_hashes(request, authorization.scope)
    )


def signature_of(request: SignedRequest, authorization: Authorization, secret_key: str) -> str:
    """The signature, 64 lower-case hex digits. Raises as `verify` does."""
    payload = payload_hashes(request, authorization.scope)[0]
    return _signature(request, authorization, secret_key, payload)


def _signature(request: SignedRequest, authorization: Authorization, secret_key: str, payload: str) -> str:
    scope = authorization.scope
    digest = hashlib.sha256(canonical_request(request, authorization, payload)).hexdigest()
    to_sign = string_to_sign(request.header(DATE_HEADER).strip(_BLANKS), scope, digest)
    key = _scoped_key(secret_key, scope) if scope else secret_key.encode()
    return hmac.digest(key, to_sign.encode("latin-1"), "sha256").hex()


def string_to_sign(date: str, scope: str, digest: str) -> str:
    """Step 8; variant B has its scope as the third line."""
    return f"{ALGORITHM}\n{date}\n{scope}\n{digest}" if scope else f"{ALGORITHM}\n{date}\n{digest}"


@functools.lru_cache(maxsize=256)
def _scoped_key(secret_key: str, scope: str) -> bytes:
    """Variant B's key: good for a day, hence cached."""
    key = b"SDK" + secret_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode("latin-1"), "sha256")
    return key


def canonical_request(request: SignedRequest, authorization: Authorization, payload: str) -> bytes:
    """Step 7. `payload` is one of `payload_hashes`.

    Raises:
        SignatureError: a signed header is missing.
    """
    scope = authorization.scope
    names = authorization.signed_headers
    return "\n".join(
        (
            request.method.upper(),
            canonical_path(request.path),
            "" if _folds_query(request, scope) else canonical_query(request.query, ignore_case=bool(scope)),
            *_header_lines(request.headers, names.split(";"), collapse=bool(scope)),
            "",
            names,
            payload,
        )
    ).encode("latin-1")


def canonical_path(path: str) -> str:
    """Step 3: decoded and encoded again, with a `/` at the end."""
    if not _PLAIN_PATH.fullmatch(path):
        path = _encode(unquote_to_bytes(path.encode("latin-1")), safe="/~")
    return path if path.endswith("/") else f"{path}/"


def canonical_query(query: str, *, ignore_case: bool = False) -> str:
    """Step 4. Variant B's clients sort by the encoded key and ignore its case."""
    if not query:
        return ""
    if _PLAIN_QUERY.fullmatch(query) and not ignore_case:
        return "&".join(sorted(query.split("&"), key=_key_and_value)) if "&" in query else query
    pairs = [(_encode(key), _encode(value)) for key, value in sorted(_query_pairs(query))]
    if ignore_case:
        pairs.sort(key=lambda pair: pair[0].lower())
    return "&".join(f"{key}={value}" for key, value in pairs)


def _key_and_value(pair: str) -> tuple[str, str, str]:
    return pair.partition("=")


def _query_pairs(query: str) -> Iterable[tuple[bytes, bytes]]:
    for pair in query.encode("latin-1").replace(b"+", b" ").split(b"&"):
        if pair:
            key, _, value = pair.partition(b"=")
            yield unquote_to_bytes(key), unquote_to_bytes(value)


def _encode(value: bytes, safe: str = "~") -> str:
    return quote_from_bytes(value, safe)


def _header_lines(headers: Mapping[str, Sequence[str]], names: list[str], *, collapse: bool) -> list[str]:
    """Step 5: one line per value; variant B collapses runs of white space."""
    lines = []
    for name in names:
        values = headers.get(name)
        if not values:
            raise SignatureError(f"the signed header {name} is missing")
        if len(values) > 1:
            values = sorted(value.strip(_BLANKS) for value in values)
        for value in values:
            line = f"{name}:{value.strip(_BLANKS)}"
            lines.append(_SPACE.sub(" ", line) if collapse else line)
    return lines


def payload_hashes(request: SignedRequest, scope: str = "") -> tuple[str, ...]:
    """Step 6: what the client may have put in the payload's place, the likeliest first.

    There are two for an unsigned payload that is empty: the Python SDK then signs the hash of nothing, the Go
    SDK the word.

    Raises:
        SignatureError: the declared hash is not that of the body.
    """
    declared = request.header(PAYLOAD_HEADER)
    if declared == UNSIGNED_PAYLOAD:
        return (UNSIGNED_PAYLOAD,) if request.body else (EMPTY_HASH, UNSIGNED_PAYLOAD)
    actual = hashlib.sha256(request.body).hexdigest() if request.body else EMPTY_HASH
    if declared and declared != actual:
        raise SignatureError(f"{PAYLOAD_HEADER} is not the hash of the body")
    if not declared and _folds_query(request, scope):
        return (hashlib.sha256(_form(request.query)).hexdigest(),)
    return (actual,)


def _folds_query(request: SignedRequest, scope: str) -> bool:
    """Whether variant B hashes the query in the place of the body."""
    return bool(scope) and not request.body and request.method.upper() == "POST"


def _form(query: str) -> bytes:
    """The query as Go's `url.Values.Encode` writes it: sorted by key, blanks as `+`."""
    pairs = sorted(_query_pairs(query), key=lambda pair: pair[0])
    return "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in pairs).encode()


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    access_key: str,
    secret_key: str,
    now: dt.datetime,
) -> dict[str, str]:
    """The headers to send, names in lower case: the given ones, host, date and `authorization` (variant A).

    All of them are signed. `now` is an aware time.
    """
    parts = urlsplit(url)
    date = now.astimezone(dt.UTC).strftime(DATE_FORMAT)
    given = {name.lower(): value for name, value in headers.items()}
    sent = {"host": parts.netloc.rpartition("@")[2], **given, DATE_HEADER: date}
    request = SignedRequest(method, parts.path, parts.query, {name: (sent[name],) for name in sent}, body)
    signed_headers = ";".join(sorted(sent))
    signature = signature_of(request, Authorization(access_key, "", signed_headers, ""), secret_key)
    value = f"{ALGORITHM} Access={access_key}, SignedHeaders={signed_headers}, Signature={signature}"
    return {**sent, "authorization": value}
