"""The contract's vectors, and the real SDK's signer against the verifier."""

import dataclasses
import datetime as dt
import hashlib
import hmac
from urllib.parse import quote

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from hypothesis import given, settings
from hypothesis import strategies as st

from openrds.domain import signature as sig
from openrds.domain.signature import Authorization, SignatureError, SignedRequest

ACCESS_KEY = "EXAMPLEACCESSKEY0001"
SECRET_KEY = "ExampleSecretKeyForTestVectorOnly0000001"
DATE = "20260203T040506Z"
NOW = dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
PROJECT = "0483b6b16e954cb88930a360d2c4e663"
JOBS = ("GET", f"/v3/{PROJECT}/jobs", "id=a9767ede-fe0f-4888-9003-e843a4c90514", b"")
RESTART = (
    "POST",
    f"/v3/{PROJECT}/instances/5f1c7f3e9a0b4c2d8e6f7a8b9c0d1e2fin01/action",
    "",
    b'{"restart": {}}',
)
TASKS = ("GET", f"/v3/{PROJECT}/tasklist", "limit=3&offset=1&name=a%20b~c%2F%C3%A9", b"")
HEADERS = {
    "content-type": ("application/json",),
    "host": ("127.0.0.1:8082",),
    "x-project-id": (PROJECT,),
    "x-sdk-date": (DATE,),
}
HEADERS_B = {
    "accept": ("application/json",),
    "host": ("127.0.0.1:8082",),
    "user-agent": ("golangsdk/2.0.0",),
    "x-sdk-date": (DATE,),
}
SCOPE_B = "20260203///sdk_request"
VECTORS = [
    (
        *(JOBS, HEADERS, ""),
        "fb8c9f5379485d44d4f1e687ba35bbec2e1068b89acdf0453099edd2aa9e9f01",
        "bbac0de6d463439e61f47e566eadd5457126122acb075cab71fccaedb6c09008",
    ),
    (
        *(RESTART, HEADERS, ""),
        "5c63dcd6114bb68192a70726faf0af5c3439992a669607d683314a9d9e1c1d78",
        "7d0ef04e77a2dea5f6b96fd247340c28d5985add8e1a8d05efd397afb8ab99b9",
    ),
    (
        *(TASKS, HEADERS, ""),
        "78f363e1c638f93c04200993da2ce683ec9bbb8cae4f68f30a202b04e3233b27",
        "d279d0a118e16f90c9f588bb7d0cc86abfb59edc5c84a66e10263d1b070508ed",
    ),
    (
        *(JOBS, HEADERS_B, SCOPE_B),
        "8ae67cc42650531b18e01e5795e1424eadcbab78d5d8c2581f728930fe61dd16",
        "e48687e83ea098d25b99efb326fe098b20171fff2a4ab3923fcad2196f5344b5",
    ),
]


def request_of(parts, headers):
    method, path, query, body = parts
    return SignedRequest(method, path, query, headers, body)


def canonical(request, authorization):
    return sig.canonical_request(request, authorization, sig.payload_hashes(request, authorization.scope)[0])


@pytest.mark.parametrize(("parts", "headers", "scope", "digest", "expected"), VECTORS)
def test_vectors_of_the_contract(parts, headers, scope, digest, expected):
    request = request_of(parts, headers)
    authorization = Authorization(ACCESS_KEY, scope, ";".join(headers), expected)
    assert hashlib.sha256(canonical(request, authorization)).hexdigest() == digest
    assert sig.signature_of(request, authorization, SECRET_KEY) == expected
    assert sig.verify(request, authorization, SECRET_KEY)


def test_canonical_request_in_full():
    text = canonical(request_of(JOBS, HEADERS), Authorization(ACCESS_KEY, "", ";".join(HEADERS), ""))
    assert text.decode() == (
        "GET\n/v3/0483b6b16e954cb88930a360d2c4e663/jobs/\nid=a9767ede-fe0f-4888-9003-e843a4c90514\n"
        "content-type:application/json\nhost:127.0.0.1:8082\nx-project-id:0483b6b16e954cb88930a360d2c4e663\n"
        "x-sdk-date:20260203T040506Z\n\ncontent-type;host;x-project-id;x-sdk-date\n"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", "/"),
        ("/", "/"),
        ("/v3/a", "/v3/a/"),
        ("/v3/a/", "/v3/a/"),
        ("/a%20b", "/a%20b/"),
        ("/%7e%2d%c3%a9", "/~-%C3%A9/"),
        ("/a%2Fb", "/a/b/"),
        ("/%zz", "/%25zz/"),
        ("/a+b:c", "/a%2Bb%3Ac/"),
        ("/%ff%fe", "/%FF%FE/"),
    ],
)
def test_canonical_path(path, expected):
    assert sig.canonical_path(path) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ""),
        ("b=2&a=1", "a=1&b=2"),
        ("a=2&a=1", "a=1&a=2"),
        ("a-b=1&a=2", "a=2&a-b=1"),
        ("flag", "flag="),
        ("flag&&a=1", "a=1&flag="),
        ("a=b=c", "a=b%3Dc"),
        ("a=x+y", "a=x%20y"),
        ("%61=%7e", "a=~"),
        ("é=1".encode().decode("latin-1"), "%C3%A9=1"),
        ("%C3%A9=1&~=2", "~=2&%C3%A9=1"),
    ],
)
def test_canonical_query(query, expected):
    assert sig.canonical_query(query) == expected


def test_variant_b_sorts_the_query_without_case():
    assert sig.canonical_query("b=1&C=2&a=3", ignore_case=True) == "a=3&b=1&C=2"
    assert sig.canonical_query("b=1&C=2&a=3") == "C=2&a=3&b=1"


def test_variant_b_collapses_blanks_and_variant_a_does_not():
    headers = {"user-agent": ("go  sdk\t 2",), "x-sdk-date": (DATE,)}
    request = SignedRequest("GET", "/", "", headers)
    names = "user-agent;x-sdk-date"
    assert b"\nuser-agent:go sdk 2\n" in canonical(request, Authorization("A", SCOPE_B, names, ""))
    assert b"\nuser-agent:go  sdk\t 2\n" in canonical(request, Authorization("A", "", names, ""))


def test_variant_b_hashes_the_query_of_a_post_without_body():
    request = SignedRequest("POST", "/v3/x", "b=2&a=x%20y~", {"x-sdk-date": (DATE,)})
    lines = canonical(request, Authorization("A", SCOPE_B, "x-sdk-date", "")).split(b"\n")
    assert lines[2] == b""
    assert lines[-1].decode() == hashlib.sha256(b"a=x+y~&b=2").hexdigest()
    lines = canonical(request, Authorization("A", "", "x-sdk-date", "")).split(b"\n")
    assert (lines[2], lines[-1].decode()) == (b"a=x%20y~&b=2", sig.EMPTY_HASH)


def test_variant_b_uses_region_and_service_of_its_scope():
    scope = "20260203/eu-de/rds/sdk_request"
    authorization = Authorization(ACCESS_KEY, scope, "x-sdk-date", "")
    request = SignedRequest("GET", "/", "", {"x-sdk-date": (DATE,)})
    key = b"SDK" + SECRET_KEY.encode()
    for part in ("20260203", "eu-de", "rds", "sdk_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    digest = hashlib.sha256(canonical(request, authorization)).hexdigest()
    text = f"SDK-HMAC-SHA256\n{DATE}\n{scope}\n{digest}"
    expected = hmac.new(key, text.encode(), "sha256").hexdigest()
    assert sig.signature_of(request, authorization, SECRET_KEY) == expected


def test_several_values_of_a_header_are_lines_in_order():
    request = SignedRequest("GET", "/", "", {"x-a": ("2", " 1 "), "x-sdk-date": (DATE,)})
    assert b"\nx-a:1\nx-a:2\nx-sdk" in canonical(request, Authorization("A", "", "x-a;x-sdk-date", ""))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            f"SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;X-Sdk-Date, Signature={'a' * 64}",
            Authorization("AK", "", "host;x-sdk-date", "a" * 64),
        ),
        (
            f"SDK-HMAC-SHA256 Access=AK,SignedHeaders=x-sdk-date,Signature={'0' * 64}",
            Authorization("AK", "", "x-sdk-date", "0" * 64),
        ),
        (
            f"SDK-HMAC-SHA256 Credential=AK/20260203//ec2/sdk_request, SignedHeaders=x-sdk-date, "
            f"Signature={'a' * 64}",
            Authorization("AK", "20260203//ec2/sdk_request", "x-sdk-date", "a" * 64),
        ),
    ],
)
def test_parse_authorization(value, expected):
    assert sig.parse_authorization(value) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "unknown signature algorithm"),
        ("Bearer x", "unknown signature algorithm"),
        (f"SDK-HMAC-SM3 Access=AK, SignedHeaders=x-sdk-date, Signature={'a' * 64}", "unknown"),
        (f"V11-HMAC-SHA256 Credential=AK/2/r/s, SignedHeaders=x-sdk-date, Signature={'a' * 64}", "unknown"),
        ("SDK-HMAC-SHA256 Access=AK", "malformed"),
        (f"SDK-HMAC-SHA256 Access=AK, SignedHeaders=x-sdk-date, Signature={'a' * 63}", "malformed"),
        (f"SDK-HMAC-SHA256 Access=AK, SignedHeaders=x-sdk-date, Signature={'A' * 64}", "malformed"),
        (f"SDK-HMAC-SHA256 Access=AK, SignedHeaders=x-sdk-date, Signature={'a' * 64}x", "malformed"),
        (f"SDK-HMAC-SHA256 Access=AK, SignedHeaders=host, Signature={'a' * 64}", "x-sdk-date is not signed"),
        (f"SDK-HMAC-SHA256 Credential=AK, SignedHeaders=x-sdk-date, Signature={'a' * 64}", "scope"),
        (f"SDK-HMAC-SHA256 Credential=AK/2026//x/y, SignedHeaders=x-sdk-date, Signature={'a' * 64}", "scope"),
    ],
)
def test_refused_authorization(value, message):
    with pytest.raises(SignatureError, match=message):
        sig.parse_authorization(value)


@pytest.mark.parametrize(
    "value", ["", "20260203", "20260203T040506", "2026-02-03T04:05:06Z", "20261303T040506Z"]
)
def test_refused_dates(value):
    with pytest.raises(SignatureError, match="x-sdk-date"):
        sig.signed_at(SignedRequest("GET", "/", "", {"x-sdk-date": (value,)}))


def test_signed_at():
    assert sig.signed_at(request_of(JOBS, HEADERS)) == NOW


def test_payload_hashes():
    def hashes(body, declared):
        return sig.payload_hashes(SignedRequest("PUT", "/", "", {sig.PAYLOAD_HEADER: (declared,)}, body))

    actual = hashlib.sha256(b"{}").hexdigest()
    assert hashes(b"{}", actual) == (actual,)
    assert hashes(b"", sig.EMPTY_HASH) == (sig.EMPTY_HASH,)
    assert hashes(b"{}", "UNSIGNED-PAYLOAD") == ("UNSIGNED-PAYLOAD",)
    assert hashes(b"", "UNSIGNED-PAYLOAD") == (sig.EMPTY_HASH, "UNSIGNED-PAYLOAD")
    for body, declared in (
        (b"{}", sig.EMPTY_HASH),
        (b"", actual),
        (b"{}", actual.upper()),
        (b"{}", "STREAMING"),
    ):
        with pytest.raises(SignatureError, match="not the hash of the body"):
            hashes(body, declared)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
header_texts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=20)
values = texts | st.integers() | st.booleans() | st.lists(texts, max_size=3)


def signed_by_sdk(method, segments, query, headers, body):
    """The request as the SDK puts it on the wire: the path quoted, the query as its signer writes it."""
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    request = SdkRequest(
        method=method,
        schema="http",
        host="127.0.0.1:8082",
        resource_path=path,
        query_params=list(query.items()),
        header_params={"X-Sdk-Date": DATE, **headers},
        body=body,
    )
    request = Signer(BasicCredentials(ACCESS_KEY, SECRET_KEY, PROJECT)).sign(request)
    path, _, wire_query = request.uri.partition("?")
    wire = {name.lower(): (value,) for name, value in request.header_params.items()}
    return SignedRequest(method, path, wire_query, wire, body)


@settings(deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    segments=st.lists(texts, max_size=4),
    query=st.dictionaries(names, values, max_size=4),
    agent=header_texts,
    content_type=st.sampled_from(["application/json", "application/json;charset=UTF-8", "text/plain"]),
    body=st.binary(max_size=64),
)
def test_every_request_of_the_sdk_verifies(*, method, segments, query, agent, content_type, body):
    headers = {"Content-Type": content_type, "User-Agent": agent, "X-Project-Id": PROJECT, "X_Unsigned": "1"}
    request = signed_by_sdk(method, segments, query, headers, body)
    authorization = sig.parse_authorization(request.header("authorization"))
    assert "x_unsigned" not in authorization.signed_headers
    assert sig.verify(request, authorization, SECRET_KEY)
    assert not sig.verify(request, authorization, SECRET_KEY + "x")


@settings(deadline=None)
@given(
    method=st.sampled_from(["get", "POST"]),
    segments=st.lists(texts, max_size=4),
    query=st.dictionaries(names, texts, max_size=4),
    body=st.binary(max_size=64),
)
def test_our_own_signatures_are_those_of_the_sdk(method, segments, query, body):
    theirs = signed_by_sdk(method, segments, query, {"Content-Type": "application/json"}, body)
    url = f"http://127.0.0.1:8082{theirs.path}" + (f"?{theirs.query}" if theirs.query else "")
    headers = sig.sign(
        method,
        url,
        {"Content-Type": "application/json"},
        body,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        now=NOW.astimezone(dt.timezone(dt.timedelta(hours=8))),
    )
    assert headers["authorization"] == theirs.header("authorization")
    assert {name: (value,) for name, value in headers.items()} == theirs.headers


SIGNED = signed_by_sdk(
    "POST", ["v3", PROJECT, "instances"], {"a": "1", "b": "2"}, {"Content-Type": "application/json"}, b"{}"
)


def with_header(name, *values):
    return dataclasses.replace(SIGNED, headers={**SIGNED.headers, name: values})


@pytest.mark.parametrize(
    "tampered",
    [
        dataclasses.replace(SIGNED, method="PUT"),
        dataclasses.replace(SIGNED, path=SIGNED.path + "/x"),
        dataclasses.replace(SIGNED, path=SIGNED.path.upper()),
        dataclasses.replace(SIGNED, query="a=1&b=3"),
        dataclasses.replace(SIGNED, query="a=1"),
        dataclasses.replace(SIGNED, query=""),
        dataclasses.replace(SIGNED, query="a=1&b=2&c="),
        dataclasses.replace(SIGNED, body=b"{ }"),
        dataclasses.replace(SIGNED, body=b""),
        with_header("host", "127.0.0.1:8083"),
        with_header("content-type", "text/plain"),
        with_header("content-type", "application/json", "application/json"),
        with_header("x-sdk-date", "20260203T040507Z"),
        with_header("x-sdk-date", DATE, DATE),
        with_header("x-sdk-content-sha256", "UNSIGNED-PAYLOAD"),
    ],
)
def test_tampering_is_refused(tampered):
    authorization = sig.parse_authorization(SIGNED.header("authorization"))
    assert sig.verify(SIGNED, authorization, SECRET_KEY)
    assert not sig.verify(tampered, authorization, SECRET_KEY)


@pytest.mark.parametrize("names", ["x-sdk-date", "host;x-sdk-date", "x-sdk-date;content-type;host"])
def test_another_list_of_signed_headers_is_refused(names):
    authorization = sig.parse_authorization(SIGNED.header("authorization"))
    assert not sig.verify(SIGNED, dataclasses.replace(authorization, signed_headers=names), SECRET_KEY)


def test_a_missing_signed_header_is_refused():
    with pytest.raises(SignatureError, match="host is missing"):
        sig.verify(with_header("host"), sig.parse_authorization(SIGNED.header("authorization")), SECRET_KEY)


def test_what_means_the_same_verifies():
    authorization = sig.parse_authorization(SIGNED.header("authorization"))
    for same in (
        dataclasses.replace(SIGNED, path=SIGNED.path + "/"),
        dataclasses.replace(SIGNED, query="b=2&a=1"),
        with_header("content-type", "  application/json "),
        with_header("x-unsigned", "anything"),
        with_header("x-sdk-content-sha256", hashlib.sha256(b"{}").hexdigest()),
    ):
        assert sig.verify(same, authorization, SECRET_KEY)
