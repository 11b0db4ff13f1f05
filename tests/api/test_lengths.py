"""No text of a request is of any length: each field of each body is tried with a long one.

The application has no store here: whatever is answered, nothing was written.
"""

import asyncio
import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import httpx
import msgspec
import pytest
from iam_app import ACCOUNT, PROJECT
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from msgspec import inspect

from openrds.domain.identity import issue_token
from support.application import unstarted_application

APPLICATION = unstarted_application(ACCOUNT)
#: Bodies with one of these are not too long as a whole, neither those of callers nor those of strangers.
LONG = "x" * 10_000
MANY = 3000
WITHOUT_TEXTS = (
    "failover",
    "port",
    "ssl",
    "remote-connection",
    "clear-policy",
    "second-level-monitor",
    "db-auto-upgrade",
    "db-upgrade",
    "disk-auto-expansion",
    "readonly-status",
    "delete-selection",
)
IDS = {"project_id": PROJECT.id, "instance_id": "0" * 32 + "in03"}


@dataclass(frozen=True)
class Body:
    """A route that takes a body, and the type of that."""

    method: str
    path: str
    type: Any

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def bodies() -> Iterator[Body]:
    for route in APPLICATION.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            assert isinstance(handler, HTTPRouteHandler)
            data = handler.parsed_fn_signature.parameters.get("data")
            if data is not None:
                path = "/".join(
                    IDS.get(part.name, "x") if not isinstance(part, str) else part
                    for part in route.path_components
                )
                for method in handler.http_methods:
                    yield Body(method, f"/{path}", data.annotation)


BODIES = sorted(bodies(), key=str)  # the order of routes is that of a set


def smallest(kind: inspect.Type) -> Any:
    """A value that may be decoded."""
    match kind:
        case inspect.StructType():
            return {field.encode_name: smallest(field.type) for field in kind.fields if field.required}
        case inspect.UnionType():
            return smallest(kind.types[0])
        case inspect.ListType() | inspect.DictType():
            return [] if isinstance(kind, inspect.ListType) else {}
        case inspect.StrType():
            return "x"
        case inspect.IntType():
            return 1
        case inspect.BoolType():
            return True
    raise AssertionError(kind)


def with_a_long_text(kind: inspect.Type, place: str = "") -> Iterator[tuple[str, Any]]:
    """Values with one text that is too long, by the place of it; and with one list that is."""
    match kind:
        case inspect.StructType():
            for field in kind.fields:
                for name, value in with_a_long_text(field.type, f"{place}.{field.encode_name}"):
                    yield name, {**smallest(kind), field.encode_name: value}
        case inspect.UnionType():
            for one in kind.types:
                yield from with_a_long_text(one, place)
        case inspect.ListType():
            yield f"{place}[]", [smallest(kind.item_type)] * MANY
            for name, value in with_a_long_text(kind.item_type, f"{place}[]"):
                yield name, [value]
        case inspect.DictType():
            yield f"{place} key", {LONG: "x"}
        case inspect.StrType():
            yield place, LONG


def with_token() -> dict[str, Any]:
    return {"x-auth-token": token()}


def call(method: str, path: str, body: bytes = b"", **headers: Any) -> httpx.Response:
    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(cast(Any, APPLICATION), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, content=body, headers=headers)

    return asyncio.run(answer())


def token() -> str:
    return issue_token(ACCOUNT, dt.datetime.now(dt.UTC))


def test_there_are_routes_with_bodies() -> None:
    assert len(BODIES) > 20


@pytest.mark.parametrize("body", BODIES, ids=str)
def test_a_text_of_a_body_has_an_end(body: Body) -> None:
    tried = 0
    for place, value in with_a_long_text(inspect.type_info(body.type)):
        answer = call(
            body.method,
            body.path,
            msgspec.json.encode(value),
            **{"x-auth-token": token(), "content-type": "application/json"},
        )
        assert answer.status_code == 400, (place, answer.text[:200])
        assert answer.json()["error_code"] == "DBS.200001", place
        assert "length" in answer.json()["error_msg"], place
        assert len(answer.content) < 1000, f"{place}: what was too long is said again"
        tried += 1
    assert tried or body.path.endswith(WITHOUT_TEXTS)


@pytest.mark.parametrize("place", ["path", "query"])
def test_an_address_has_an_end(place: str) -> None:
    """All that is in a path or a query, known or not."""
    path = f"/v3/{PROJECT.id}/instances"
    path += f"/{LONG[:9000]}/tags" if place == "path" else f"?name={quote(LONG[:9000])}"
    answer = call("GET", path, **with_token())
    assert (answer.status_code, answer.json()["error_code"]) == (414, "APIGW.0201")


def numbers_of_queries() -> Iterator[tuple[str, str, list[str]]]:
    """Path, parameter, and the parameters that must stand beside it."""
    for path, item in APPLICATION.openapi_schema.to_schema()["paths"].items():
        parameters = [one for one in item.get("get", {}).get("parameters", ()) if one["in"] == "query"]
        required = [one["name"] for one in parameters if one["required"]]
        for one in parameters:
            kinds = [kind.get("type") for kind in one["schema"].get("oneOf", [one["schema"]])]
            if "integer" in kinds:
                yield (
                    re.sub(r"\{(\w+)\}", lambda part: IDS.get(part[1], "mysql"), path),
                    one["name"],
                    required,
                )


@pytest.mark.parametrize("text", ["\N{ARABIC-INDIC DIGIT ONE}", "1_0", "\N{FULLWIDTH DIGIT ONE}"])
def test_a_number_of_a_query_is_of_ascii_digits(text: str) -> None:
    tried = 0
    for path, name, required in numbers_of_queries():
        beside = "&".join(f"{other}=x" for other in required)
        answer = call("GET", f"{path}?{name}={quote(text)}&{beside}", **with_token())
        assert (answer.status_code, answer.json()["error_code"]) == (400, "DBS.200001"), (path, name)
        assert name in answer.json()["error_msg"]
        tried += 1
    assert tried >= 10
