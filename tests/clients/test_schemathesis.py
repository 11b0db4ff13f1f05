"""The served OpenAPI document, held against the service: by schemathesis, and for what must be in it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from litestar.routes import HTTPRoute
from requests.auth import AuthBase
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from openrds.api.rds.not_offered import NOT_OFFERED
from openrds.domain.errors import ErrorCode
from openrds.domain.signature import sign
from requests import PreparedRequest
from support.application import unstarted_application
from support.service import ServiceUnderTest, running_service

pytestmark = pytest.mark.clients

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
FUZZED_CASES = 10


_http = httpx.Client(timeout=30)


APPLICATION = unstarted_application()
DOCUMENT = APPLICATION.openapi_schema.to_schema()
schema = schemathesis.openapi.from_dict(DOCUMENT)
schema.config.generation.update(
    modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
    max_examples=FUZZED_CASES,
    deterministic=True,
    database="none",
)


class Signature(AuthBase):
    """Signs what is about to be sent, when everything else of the request is settled."""

    def __init__(self, service: ServiceUnderTest) -> None:
        self._access_key = service.credentials["access_key"]
        self._secret_key = service.credentials["secret_key"]

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        body = request.body or b""
        data = body.encode() if isinstance(body, str) else body
        assert request.method and request.url and isinstance(data, bytes)
        keys = {"access_key": self._access_key, "secret_key": self._secret_key}
        request.headers.update(sign(request.method, request.url, {}, data, **keys, now=datetime.now(UTC)))
        return request


@dataclass(frozen=True)
class Target:
    """A service of this module's own, with one instance: its paths may be asked for anything."""

    service: ServiceUnderTest
    signature: Signature
    instance_id: str
    task_id: str

    def aim(self, case: schemathesis.Case) -> None:
        """The project is always the real one; valid requests also name an instance and a task that exist."""
        real = {"project_id": self.service.project_id}
        if case.method != "DELETE" and (case.meta is None or case.meta.generation.mode.is_positive):
            real |= {"instance_id": self.instance_id, "task_id": self.task_id, "engine": "postgresql"}
            if case.path.endswith("/jobs"):
                case.query["id"] = self.task_id
        case.path_parameters |= {name: value for name, value in real.items() if name in case.path_parameters}

    def try_(self, case: schemathesis.Case) -> Response:
        self.aim(case)
        return case.call_and_validate(
            base_url=self.service.endpoint, auth=self.signature, checks=CHECKS, timeout=30
        )


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with running_service() as service:
        answer = service.call("POST", "instances", service.create_body(name="fuzzed")).json()
        service.completed(answer["job_id"])
        yield Target(service, Signature(service), answer["instance"]["id"], answer["job_id"])


# A body with lists in lists takes its time to be made up, on a busy machine more than hypothesis allows by itself.
# A stream of events has no end; it has tests of its own.
@schema.exclude(path="/v3/{project_id}/events").parametrize()
@settings(
    max_examples=FUZZED_CASES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_the_service_does_what_its_document_says(case: schemathesis.Case, target: Target) -> None:
    target.try_(case)


# --- what must be in the document, and its page ------------------------------------------------------------


def test_the_document_that_is_served_is_the_one_that_was_tried(service: ServiceUnderTest) -> None:
    assert _http.get(f"{service.endpoint}/schema/openapi.json").json() == json.loads(json.dumps(DOCUMENT))


def test_every_route_is_documented() -> None:
    """All but the document, its page, what Litestar adds to each path, OPTIONS, and what is always refused."""
    refused = {(call.path, call.method.lower()) for call in NOT_OFFERED}
    served = {
        (re.sub(r":[a-z]+}", "}", route.path), method.lower())
        for route in APPLICATION.routes
        if isinstance(route, HTTPRoute) and not route.path.startswith("/schema")
        for method in route.methods - {"OPTIONS"}
    }
    documented = {(path, method) for path, item in DOCUMENT["paths"].items() for method in item}
    assert served - refused == documented


#: Of operations that are in the tables of the domain, and not yet in the API.
PLANNED = {
    ErrorCode.INSTANCE_TYPE,
    ErrorCode.ZONE_COMBINATION,
    ErrorCode.REPLICA_SOURCE,
    ErrorCode.TOO_MANY_REPLICAS,
    ErrorCode.BACKUP_NOT_FOUND,
    ErrorCode.BACKUP_RUNNING,
    ErrorCode.BACKUP_NAME,
    ErrorCode.BACKUP_DESCRIPTION,
    ErrorCode.RESTORE_SOURCE,
    ErrorCode.RESTORE_VOLUME,
    ErrorCode.DATABASE_NAME,
}


def test_every_error_code_is_documented() -> None:
    descriptions = [
        (int(status), answer["description"])
        for item in DOCUMENT["paths"].values()
        for operation in item.values()
        for status, answer in operation["responses"].items()
    ]
    missing = [
        error.name
        for error in set(ErrorCode) - PLANNED
        if not any(status == error.status and f"`{error.code}`" in text for status, text in descriptions)
    ]
    assert missing == []


def test_every_operation_has_a_summary_and_a_tag() -> None:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            assert operation["summary"] and operation["tags"], (method, path)


def test_the_page_needs_nothing_from_elsewhere(service: ServiceUnderTest) -> None:
    page = _http.get(f"{service.endpoint}/schema")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    head = page.text.partition("<body>")[0]
    assets = re.findall(r"""(?:src|href)=["']([^"']+)["']""", head)
    assert len(assets) >= 4
    for asset in assets:
        assert urlsplit(asset).netloc == "", asset
        answer = _http.get(urljoin(service.endpoint, asset))
        assert answer.status_code == 200 and answer.content, asset
    assert re.findall(r"https?://[^\s\"'<]+", page.text) == []
