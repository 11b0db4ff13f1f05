import asyncio
import dataclasses
import datetime as dt
import logging
from typing import Any

import msgspec
import psycopg
import psycopg_pool
import pytest
from iam_app import ACCOUNT, ACCOUNTS, BASE, NOW, OTHER, PROJECT, FakeClock, build, signed, signed_headers
from litestar import Request, get, post
from litestar.exceptions import ClientException
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.testing import TestClient

from openrds.api.access import authentication
from openrds.api.access.authentication import MAX_BODY_BYTES, AuthenticationMiddleware, Authenticator
from openrds.api.access.lockout import Lockout
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.identity import Credential, TokenScope, issue_token, read_token
from openrds.domain.signature import SignedRequest

PATH = f"/v3/{PROJECT.id}/jobs"
ELSEWHERE = "1483b6b16e954cb88930a360d2c4e663"
MINUTES = dt.timedelta(minutes=1)


def refusal(authenticator, request, project_id=PROJECT.id):
    with pytest.raises(Refusal) as caught:
        authenticator.authenticate(request, project_id)
    return caught.value.error, str(caught.value)


def with_header(request, name, value):
    return dataclasses.replace(request, headers={**request.headers, name: (value,)})


def with_token(value, **headers):
    return SignedRequest("GET", PATH, "", {"x-auth-token": (value,), **headers})


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def authenticator(clock):
    return Authenticator(ACCOUNTS, clock)


def test_a_signature_names_its_account(authenticator):
    caller = authenticator.authenticate(signed("GET", PATH), PROJECT.id)
    assert (caller.account, caller.project, caller.credential) == (ACCOUNT, PROJECT, Credential.SIGNATURE)


def test_a_token_names_its_account(authenticator):
    caller = authenticator.authenticate(with_token(issue_token(ACCOUNT, NOW)), PROJECT.id)
    assert (caller.account, caller.scope) == (ACCOUNT, TokenScope.PROJECT)
    assert caller.credential is Credential.TOKEN


@pytest.mark.parametrize("scope", list(TokenScope))
def test_paths_without_project_take_any_scope(authenticator, scope):
    caller = authenticator.authenticate(with_token(issue_token(ACCOUNT, NOW, scope)), None)
    assert caller.scope is scope


GOOD = signed("POST", PATH, b"{}", x_project_id=PROJECT.id)
UNAUTHENTICATED = [
    (SignedRequest("GET", PATH, "", {}), "x-auth-token not found"),
    (with_token("nonsense"), "decrypt token fail"),
    (with_token(issue_token(dataclasses.replace(ACCOUNT, secret_key="x"), NOW)), "decrypt token fail"),
    (
        with_token(issue_token(ACCOUNT, NOW - 1500 * MINUTES)),
        "token expires, expires_at: 2026-02-03T03:05:06.0",
    ),
    (with_header(GOOD, "authorization", "Basic x"), "unknown signature algorithm"),
    (
        with_header(GOOD, "authorization", GOOD.header("authorization").replace("SHA256", "SM3")),
        "unknown signature algorithm",
    ),
    (with_header(GOOD, "authorization", "SDK-HMAC-SHA256 x"), "the Authorization header is malformed"),
    (
        with_header(GOOD, "authorization", GOOD.header("authorization").replace(";x-sdk-date", "")),
        "x-sdk-date is not signed",
    ),
    (with_header(GOOD, "x-sdk-date", "now"), "x-sdk-date is missing or malformed"),
    (with_header(GOOD, "x-sdk-date", "20261340T000000Z"), "x-sdk-date is malformed"),
    (signed("GET", PATH, now=NOW - 15.1 * MINUTES), "signature expired"),
    (signed("GET", PATH, now=NOW + 15.1 * MINUTES), "signature expired"),
    (signed("GET", PATH, account=dataclasses.replace(ACCOUNT, access_key="NONE")), "AK access key not exist"),
    (signed("GET", PATH, account=dataclasses.replace(ACCOUNT, secret_key="x")), "verify aksk signature fail"),
    (dataclasses.replace(GOOD, body=b"{ }"), "verify aksk signature fail"),
    (dataclasses.replace(GOOD, path="/v3/x/jobs"), "verify aksk signature fail"),
    (with_header(GOOD, "x-sdk-content-sha256", "0" * 64), "x-sdk-content-sha256 is not the hash of the body"),
    (dataclasses.replace(GOOD, headers={**GOOD.headers, "host": ()}), "the signed header host is missing"),
    (  # the signature wins: a good token does not help a bad one
        with_header(dataclasses.replace(GOOD, body=b"x"), "x-auth-token", issue_token(ACCOUNT, NOW)),
        "verify aksk signature fail",
    ),
]


@pytest.mark.parametrize(("request_", "reason"), UNAUTHENTICATED)
def test_unauthenticated(authenticator, request_, reason):
    error, message = refusal(authenticator, request_)
    assert error is ErrorCode.UNAUTHENTICATED
    assert message.startswith(f"Incorrect IAM authentication information: {reason}")


@pytest.mark.parametrize("minutes", [-15, 0, 15])
def test_the_clock_window_is_wide_both_ways(authenticator, minutes):
    authenticator.authenticate(signed("GET", PATH, now=NOW + minutes * MINUTES), PROJECT.id)


@pytest.mark.parametrize("payload", ["UNSIGNED-PAYLOAD", None])
def test_unsigned_payload(authenticator, payload):
    headers = {"x_sdk_content_sha256": payload} if payload else {}
    request = dataclasses.replace(signed("POST", PATH, b"{}", **headers), body=b"{ }")
    if payload:
        authenticator.authenticate(request, PROJECT.id)
    else:
        assert refusal(authenticator, request)[0] is ErrorCode.UNAUTHENTICATED


TOKEN = issue_token(ACCOUNT, NOW)
FORBIDDEN = [
    (signed("GET", PATH), ELSEWHERE, ErrorCode.PROJECT_MISMATCH),
    (signed("GET", PATH, account=OTHER), PROJECT.id, ErrorCode.PROJECT_MISMATCH),
    (signed("GET", PATH, x_project_id=ELSEWHERE), PROJECT.id, ErrorCode.PROJECT_MISMATCH),
    (with_header(signed("GET", PATH), "x-project-id", ELSEWHERE), PROJECT.id, ErrorCode.PROJECT_MISMATCH),
    (with_token(TOKEN), ELSEWHERE, ErrorCode.TOKEN_INVALID),
    (with_token(issue_token(ACCOUNT, NOW, TokenScope.DOMAIN)), PROJECT.id, ErrorCode.TOKEN_INVALID),
    (with_token(issue_token(ACCOUNT, NOW, TokenScope.NONE)), PROJECT.id, ErrorCode.TOKEN_INVALID),
    (with_header(with_token(TOKEN), "x-project-id", ELSEWHERE), PROJECT.id, ErrorCode.PROJECT_MISMATCH),
]


@pytest.mark.parametrize(("request_", "project_id", "error"), FORBIDDEN)
def test_forbidden(authenticator, request_, project_id, error):
    assert refusal(authenticator, request_, project_id)[0] is error


def test_six_failures_in_a_row_lock_the_key_for_five_minutes(authenticator, clock):
    bad = signed("GET", PATH, account=dataclasses.replace(ACCOUNT, secret_key="x"))
    for _ in range(6):
        assert "verify aksk signature fail" in refusal(authenticator, bad)[1]
    locked = "Incorrect IAM authentication information: AK access failed to reach the limit, forbidden"
    assert refusal(authenticator, signed("GET", PATH)) == (ErrorCode.UNAUTHENTICATED, locked)
    authenticator.authenticate(signed("GET", PATH, account=OTHER), OTHER.project.id)
    authenticator.authenticate(with_token(TOKEN), PROJECT.id)
    clock.now += 5 * MINUTES
    authenticator.authenticate(signed("GET", PATH), PROJECT.id)
    for _ in range(5):
        refusal(authenticator, bad)
    authenticator.authenticate(signed("GET", PATH), PROJECT.id)


def test_a_lock_is_for_an_address_so_that_the_owner_elsewhere_is_served(authenticator):
    bad = signed("GET", PATH, account=dataclasses.replace(ACCOUNT, secret_key="x"))
    for _ in range(7):
        with pytest.raises(Refusal):
            authenticator.authenticate(bad, PROJECT.id, "127.0.9.1")
    with pytest.raises(Refusal, match="reach the limit"):
        authenticator.authenticate(signed("GET", PATH), PROJECT.id, "127.0.9.1")
    assert authenticator.authenticate(signed("GET", PATH), PROJECT.id, "127.0.9.2").account is ACCOUNT


def test_failures_of_many_addresses_take_little_memory():
    lockout = Lockout()
    for number in range(30_000):
        lockout.failed(("key", number), NOW)
    assert len(lockout._failures) == 10_000
    lockout.failed(("key", 29_999), NOW)
    assert len(lockout._failures) == 10_000


def test_a_revoked_session_is_over(clock):
    value = issue_token(ACCOUNT, NOW)
    earlier = read_token(value, ACCOUNTS, NOW)
    later = issue_token(ACCOUNT, NOW + MINUTES, TokenScope.PROJECT, earlier)
    authenticator = Authenticator(ACCOUNTS, clock, {earlier.session})
    for token in (value, later):
        error, message = refusal(authenticator, with_token(token))
        assert (error, message[-21:]) == (ErrorCode.UNAUTHENTICATED, "the token was revoked")
    authenticator.authenticate(with_token(issue_token(ACCOUNT, NOW)), PROJECT.id)


def test_nobody_unknown_has_a_body_read(authenticator):
    """A key that does not exist, a date long past, a token of another service: said before a byte of the body."""

    async def receive():
        raise AssertionError("the body was read")

    async def app(scope, receive, send):
        raise AssertionError("the request was served")

    unknown = dataclasses.replace(ACCOUNT, access_key="NONE")
    requests = [
        signed("POST", ORDERS, b"{}", account=unknown),
        signed("POST", ORDERS, b"{}", now=NOW - 20 * MINUTES),
        SignedRequest("POST", ORDERS, "", {"x-auth-token": ("a.b",)}),
        SignedRequest("POST", ORDERS, "", {}),
    ]
    for request in requests:
        headers = {**request.headers, "content-length": ("900000",)}
        scope = {
            "type": "http",
            "method": "POST",
            "raw_path": ORDERS.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, (value,) in headers.items()],
            "route_handler": create_order,
            "path_params": {"project_id": PROJECT.id},
        }
        with pytest.raises(Refusal) as caught:
            middleware: Any = AuthenticationMiddleware(app, authenticator)
            asyncio.run(middleware(scope, receive, None))
        assert caught.value.error is ErrorCode.UNAUTHENTICATED


def test_a_success_starts_the_count_again(authenticator):
    bad = signed("GET", PATH, account=dataclasses.replace(ACCOUNT, secret_key="x"))
    for _ in range(3):
        for _ in range(5):
            refusal(authenticator, bad)
        authenticator.authenticate(signed("GET", PATH), PROJECT.id)


class Volume(msgspec.Struct):
    size: int


class Order(msgspec.Struct):
    name: str
    volumes: list[Volume]


@post("/v3/{project_id:str}/orders", status_code=202)
async def create_order(request: Request, data: JSONBody[Order], project_id: FromPath[str]) -> dict[str, str]:
    assert request.user is request.auth
    return {"name": data.name, "caller": request.user.account.user_name, "project": project_id}


@get("/v3/{project_id:str}/jobs", sync_to_thread=False)
def list_jobs(request: Request, limit: FromQuery[int] = 10) -> dict[str, object]:
    return {"project": request.user.project.id, "limit": limit}


FAULTS = {
    "refusal": Refusal(ErrorCode.INSTANCE_BUSY),
    "store": psycopg.OperationalError("connection refused"),
    "pool": psycopg_pool.PoolTimeout("no connection"),
    "bug": ZeroDivisionError("a secret"),
    "teapot": ClientException("odd", status_code=418),
}


@get("/fault/{kind:str}", opt={"public": True}, sync_to_thread=False)
def fail(kind: FromPath[str]) -> None:
    raise FAULTS[kind]


@post("/decode/{kind:str}", opt={"public": True})
async def decode(request: Request, kind: FromPath[str]) -> None:
    msgspec.json.decode(await request.body(), type=Order)


@pytest.fixture(scope="module")
def client():
    with TestClient(build(create_order, list_jobs, fail, decode), base_url=BASE) as client:
        yield client


def call(client, method, path, body=b"", **headers):
    return client.request(method, path, content=body, headers=signed_headers(method, path, body, **headers))


@pytest.mark.parametrize("query", ["", "?limit=5", "?limit=5&name=a%20b%2Fc&flag", "?b=%C3%A9&limit=5&a=+"])
def test_signed_reads_pass(client, query):
    answer = call(client, "GET", PATH + query)
    assert (answer.status_code, answer.json()["project"]) == (200, PROJECT.id)


def test_signed_bodies_reach_the_handler(client):
    path = f"/v3/{PROJECT.id}/orders"
    answer = call(client, "POST", path, b'{"name": "a", "volumes": []}', content_type="application/json")
    assert (answer.status_code, answer.json()) == (
        202,
        {"name": "a", "caller": "admin", "project": PROJECT.id},
    )


def test_encoded_paths_are_verified_as_sent(client):
    assert call(client, "GET", f"/v3/{PROJECT.id}/j%6Fbs").status_code == 200


def test_a_token_passes(client):
    assert client.get(PATH, headers={"X-Auth-Token": TOKEN}).status_code == 200


ORDERS = f"/v3/{PROJECT.id}/orders"
ANSWERS = [
    ("GET", "/nothing/here", b"", 404, "APIGW.0101", "There is no such API."),
    ("PUT", "/v3/projects", b"", 405, "APIGW.0101", "The path does not have this method."),
    ("GET", PATH + "?limit=x", b"", 400, "DBS.200001", "limit: Expected `int`, got `str`"),
    ("POST", ORDERS, b"", 400, "DBS.200006", "The request body is empty."),
    ("POST", ORDERS, b"{", 422, "DBS.212019", "The request body is not JSON: Input data was truncated."),
    ("POST", ORDERS, b'{"name": "\xff"}', 422, "DBS.212019", "The request body is not UTF-8."),
    ("POST", ORDERS, b"[]", 400, "DBS.200001", "body: Expected `object`, got `array`"),
    ("POST", ORDERS, b"{}", 400, "DBS.200001", "body: Object missing required field `name`"),
    (
        *("POST", ORDERS, b'{"name": "a", "volumes": [{"size": "x"}]}'),
        *(400, "DBS.200001", "volumes[0].size: Expected `int`, got `str`"),
    ),
    ("POST", "/decode/a", b"{", 422, "DBS.212019", "The request body is not JSON: Input data was truncated."),
    ("POST", "/decode/a", b"[]", 400, "DBS.200001", "Expected `object`, got `array`"),
    (
        *("POST", "/decode/a", b'{"name": "a", "volumes": [{"size": "x"}]}'),
        *(400, "DBS.200001", "volumes[0].size: Expected `int`, got `str`"),
    ),
    ("GET", "/fault/refusal", b"", 409, "DBS.200019", "Another operation is running on the instance."),
    ("GET", "/fault/teapot", b"", 400, "DBS.200001", "odd"),
    ("GET", "/fault/store", b"", 503, "DBS.290015", "The store does not answer; try again."),
    ("GET", "/fault/pool", b"", 503, "DBS.290015", "The store does not answer; try again."),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code", "message"), ANSWERS)
def test_errors_have_code_message_and_request_id(client, *, method, path, body, status, code, message):
    answer = call(client, method, path, body, content_type="application/json")
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.headers["x-request-id"]) == 32
    assert answer.json() == {"error_code": code, "error_msg": message}
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == ("1" if status == 503 else None)


def test_a_bug_is_logged_and_not_told(client, caplog):
    with caplog.at_level(logging.ERROR):
        answer = client.get("/fault/bug", headers={"X-Request-Id": "trace-1"})
    body = answer.json()
    assert (answer.status_code, body["error_code"]) == (500, "DBS.200005")
    assert body["error_msg"] == "openrds failed to serve the request. Request id: trace-1."
    assert "ZeroDivisionError: a secret" in caplog.text
    assert "trace-1" in caplog.text


def test_refusals_of_the_middleware_are_answered(client):
    answer = client.get(PATH)
    assert answer.status_code == 401
    assert answer.json() == {
        "error_code": "APIGW.0301",
        "error_msg": "Incorrect IAM authentication information: x-auth-token not found",
    }


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1.2_3", True), ("a b", False), ("x" * 65, False), ("", False)]
)
def test_a_sane_request_id_is_kept(client, given, kept):
    answer = client.get("/v3", headers={"X-Request-Id": given})
    assert (answer.headers["x-request-id"] == given) is kept
    assert len(answer.headers.get_list("x-request-id")) == 1


def test_a_body_over_a_megabyte_is_refused(client):
    body = b"x" * (MAX_BODY_BYTES + 1)
    answer = client.post(ORDERS, content=body, headers=signed_headers("POST", ORDERS, body))
    assert (answer.status_code, answer.json()["error_code"]) == (413, "APIGW.0201")


def read(headers, *events):
    pending = list(events)

    async def receive():
        return pending.pop(0)

    request = SignedRequest("POST", "/", "", headers)
    return asyncio.run(authentication._read_body(request, receive, MAX_BODY_BYTES)), pending


def event(body, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


def test_an_announced_large_body_is_not_read():
    with pytest.raises(Refusal) as caught:
        read({"content-length": (str(MAX_BODY_BYTES + 1),)})
    assert caught.value.error is ErrorCode.BODY_TOO_LARGE


def test_an_unannounced_large_body_is_cut_off():
    chunk = b"x" * (MAX_BODY_BYTES // 2)
    assert read({}, event(chunk, True), event(chunk)) == (chunk + chunk, [])
    with pytest.raises(Refusal) as caught:
        read({}, event(chunk, True), event(chunk, True), event(b"x", True))
    assert caught.value.error is ErrorCode.BODY_TOO_LARGE


def test_a_broken_off_body_is_refused():
    with pytest.raises(Refusal) as caught:
        read({}, event(b"x", True), {"type": "http.disconnect"})
    assert caught.value.error is ErrorCode.BODY_SYNTAX


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),
        ({"content-length": ("0",)}, False),
        ({"content-length": ("3",)}, True),
        ({"transfer-encoding": ("chunked",)}, True),
    ],
)
def test_where_a_body_may_be(headers, expected):
    assert authentication._has_body(SignedRequest("GET", "/", "", headers)) is expected


def test_other_scopes_pass_through():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    middleware: Any = AuthenticationMiddleware(app, Authenticator(ACCOUNTS))
    asyncio.run(middleware({"type": "websocket"}, None, None))
    assert seen == [{"type": "websocket"}]
