"""Mutating calls: each runs in one transaction, and only once.

A call is known by its signature and by its `X-Client-Token`. One that was seen before does nothing and gets the
first call's answer (operations.md 1; a captured signature must not work twice).
"""

import asyncio
import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import MediaType, Response

from openrds.api.errors import ErrorBody
from openrds.api.state import ApiRequest, Service, project_of, service_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.signature import parse_authorization
from openrds.operations.intake.intake import Intake
from openrds.store.database import CHANGE_TIMEOUT, Row, Writer, answered_within
from openrds.store.queries import Queries

_sql = Queries("answers")

#: A signature is good for 15 minutes before and after its date; longer than that it need not be remembered.
_SIGNATURE_LIFE = dt.timedelta(minutes=31)
CLIENT_TOKEN_LIFE = dt.timedelta(hours=72)
_CLIENT_TOKEN_LENGTHS = range(1, 65)

#: An answer without a body is None.
Change = Callable[[Intake], msgspec.Struct | None]


@dataclass(frozen=True)
class Claim:
    """A name under which a call's answer is kept."""

    key: str
    life: dt.timedelta


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


async def change(
    request: ApiRequest, work: Change, *, status: int = 200, claims: Sequence[Claim] | None = None
) -> Response[Any]:
    """Run `work` in a transaction, in a thread, and answer with what it returns.

    `claims` are the names of the call, where not its signature and its client token name it.

    Raises:
        Refusal: what `work` raises, and PARAMETER for a client token that was used for another request.
        psycopg.OperationalError: the store does not answer.
    """
    if claims is None:
        claims = _claims(request)
    request_hash = await _hash(request)
    # The thread itself goes on until the store answers or dies; a repeated call then gets its answer.
    async with answered_within(CHANGE_TIMEOUT):
        answer = await asyncio.to_thread(_change, request, work, status, claims, request_hash)
    return Response(answer.body, status_code=answer.status, media_type=MediaType.JSON)


def _change(
    request: ApiRequest, work: Change, status: int, claims: Sequence[Claim], request_hash: bytes
) -> Answer:
    service = service_of(request)
    try:
        with service.store.transaction() as connection:
            earlier = _claim(connection, claims, request_hash)
            if earlier is not None:
                # Known by its client token, it may come again by its signature.
                _keep(connection, claims, earlier)
                return earlier
            intake = Intake(
                connection,
                service.queue,
                service.settings,
                project_of(request).id,
                by_caller=True,
                sight=service.sight,
            )
            body = work(intake)
            answer = Answer(status, b"" if body is None else msgspec.json.encode(body))
            _keep(connection, claims, answer)
            return answer
    except Refusal as refusal:
        _keep_refusal(service, claims, request_hash, refusal)
        raise


def _claims(request: ApiRequest) -> list[Claim]:
    claims = []
    authorization = request.headers.get("authorization")
    if authorization is not None:
        signature = parse_authorization(authorization).signature
        claims.append(Claim(f"signature {signature}", _SIGNATURE_LIFE))
    token = request.headers.get("x-client-token")
    if token is not None:
        if len(token) not in _CLIENT_TOKEN_LENGTHS:
            raise Refusal(ErrorCode.PARAMETER, "X-Client-Token must have 1 to 64 characters.")
        claims.append(Claim(f"token {project_of(request).id} {token}", CLIENT_TOKEN_LIFE))
    return claims


async def _hash(request: ApiRequest) -> bytes:
    """What makes two requests the same."""
    parts = (request.method.encode(), request.scope["path"].encode(), request.scope["query_string"])
    return hashlib.sha256(b"\n".join((*parts, await request.body()))).digest()


def _claim(connection: Writer, claims: Sequence[Claim], request_hash: bytes) -> Answer | None:
    """Claim the call, waiting for one that is just running; the answer of an earlier one, if there was."""
    for claim in claims:
        parameters = {"key": claim.key, "request_hash": request_hash, "life": claim.life}
        row = connection.execute(_sql.claim, parameters).fetchone()
        assert row is not None
        if not row["first"]:
            return _earlier(row, request_hash)
    return None


def _earlier(row: Row, request_hash: bytes) -> Answer:
    if row["request_hash"] != request_hash:
        raise Refusal(ErrorCode.PARAMETER, "X-Client-Token was used for another request; choose a new one.")
    return Answer(row["status"], row["body"])


def _keep(connection: Writer, claims: Sequence[Claim], answer: Answer) -> None:
    keys = [claim.key for claim in claims]
    connection.execute(_sql.record, {"keys": keys, "status": answer.status, "body": answer.body})


def _keep_refusal(service: Service, claims: Sequence[Claim], request_hash: bytes, refusal: Refusal) -> None:
    """A refused signature stays refused; a refused client token may be tried again once the cause is gone."""
    signatures = [claim for claim in claims if claim.life == _SIGNATURE_LIFE]
    body = ErrorBody(refusal.error.code, str(refusal))
    with service.store.transaction() as connection:
        if signatures and _claim(connection, signatures, request_hash) is None:
            _keep(connection, signatures, Answer(refusal.error.status, msgspec.json.encode(body)))
