"""Each operation of the Huawei SDK leads somewhere: to a route that does it, or to a refusal that says why not."""

import re
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from litestar.routes import HTTPRoute
from litestar.testing import TestClient

from openrds.api.rds.not_offered import NOT_OFFERED, Call, refuse
from openrds.domain.engine import EngineName
from openrds.domain.instance import new_instance_id
from support.application import unstarted_application
from support.sdk import operations
from support.service import ServiceUnderTest

pytestmark = pytest.mark.clients

REFUSED = [pytest.param(call, id=f"{call.method} {call.path}") for call in NOT_OFFERED]


def nameless(path: str) -> str:
    """A path whose variable parts have no names: those of the SDK are not always ours."""
    return re.sub(r"\{\w+\}", "{}", path)


IN_THE_SDK = {(method, nameless(path)) for method, path in operations().values()}


def filled(path: str, **given: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda part: given.get(part[1], "postgresql"), path)


@pytest.fixture(scope="module")
def instance_id(service: ServiceUnderTest) -> Iterator[str]:
    id_ = service.create(name="asked-for-much")["id"]
    yield id_
    service.delete(id_)


def routes(*, refused: bool) -> set[tuple[str, str]]:
    """Those of the application, either all that are refused, or all others."""
    return {
        (method, nameless(route.path_format))
        for route in unstarted_application().routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if (handler.fn is refuse) == refused
    }


def test_every_operation_of_the_sdk_is_a_route() -> None:
    assert len(IN_THE_SDK) > 300
    assert IN_THE_SDK - routes(refused=False) - routes(refused=True) == set()


def test_only_what_the_sdk_has_is_refused_and_once() -> None:
    refused = Counter((call.method, nameless(call.path)) for call in NOT_OFFERED)
    assert set(refused) <= IN_THE_SDK
    assert [call for call, times in refused.items() if times > 1] == []


def test_what_is_done_is_not_refused() -> None:
    """Of two handlers of one path the first is served, whatever the table says of it."""
    listed = {(call.method, nameless(call.path)) for call in NOT_OFFERED}
    assert listed & routes(refused=False) == set()
    assert listed == routes(refused=True)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


@pytest.mark.parametrize("call", REFUSED)
def test_what_is_not_offered_is_refused_with_the_reason(
    service: ServiceUnderTest, instance_id: str, call: Call
) -> None:
    path = filled(call.path, project_id=service.project_id, instance_id=instance_id)
    answer = service.call(call.method, path)
    assert refusal(answer) == (409, "DBS.200402")
    assert call.reason in answer.json()["error_msg"]


def test_who_calls_and_what_for_comes_first(service: ServiceUnderTest) -> None:
    path = f"instances/{new_instance_id(EngineName.POSTGRESQL)}/proxy"
    assert refusal(service.call("POST", path)) == (404, "DBS.200002")
    assert refusal(service.call("POST", "instances/nothing/proxy")) == (400, "DBS.280404")
    assert refusal(service.call("POST", f"/v3/{'0' * 32}/{path}")) == (403, "APIGW.0306")


@pytest.fixture(scope="module")
def nobody() -> TestClient:
    """A client without keys, of an application that is not started: nothing but its routes is needed."""
    return TestClient(unstarted_application())


@pytest.mark.parametrize("call", REFUSED)
def test_strangers_are_told_nothing(nobody: TestClient, call: Call) -> None:
    assert refusal(nobody.request(call.method, filled(call.path))) == (401, "APIGW.0301")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "instances/nothing"),
        ("GET", "instances/nothing/action"),
        ("PUT", "instances/nothing"),
        ("PUT", "instances/nothing/name/more"),
    ],
)
def test_what_can_be_no_instance_is_no_path(service: ServiceUnderTest, method: str, path: str) -> None:
    assert refusal(service.call(method, path)) == (404, "APIGW.0101")
