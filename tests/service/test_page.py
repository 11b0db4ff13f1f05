"""The page at /schema, in a real browser: it shows the API, signs, and sends."""

import datetime as dt
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from openrds.domain.signature import sign
from support.browser import Browser, chromium, missing_browser
from support.service import ServiceUnderTest

_http = httpx.Client(timeout=60)
needs_browser = pytest.mark.skipif(bool(missing_browser()), reason=missing_browser())

_TAB = "\ue004"
_LIST = "#operations-Instances-V3ProjectIdInstancesListInstances"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture
def page(browser: Browser, service: ServiceUnderTest) -> Browser:
    """Opened anew, so that nobody is signed in."""
    browser.open(f"{service.endpoint}/schema")
    browser.find(_LIST)
    return browser


def complaints(browser: Browser) -> list[str]:
    return [line for line in browser.log() if line.startswith(("SEVERE", "WARNING"))]


def try_list(page: Browser) -> str:
    """Send `GET instances` as a person would, and what the page shows of the answer."""
    if page.run("return !document.querySelector(arguments[0] + '.is-open')", _LIST):
        page.click(f"{_LIST} .opblock-summary-control")
        page.click(f"{_LIST} .try-out__btn")
    page.click(f"{_LIST} .execute")
    page.find(f"{_LIST} .live-responses-table .response-col_status")
    return str(
        page.run("return document.querySelector(arguments[0] + ' .live-responses-table').innerText", _LIST)
    )


@needs_browser
def test_the_api_is_shown_and_nothing_comes_from_elsewhere(page: Browser, service: ServiceUnderTest) -> None:
    document = _http.get(f"{service.endpoint}/schema/openapi.json").json()
    shown = page.run("return document.querySelectorAll('.opblock').length")
    assert shown == sum(len(item) for item in document["paths"].values())
    page.click(f"{_LIST} .opblock-summary-control")
    page.find(f"{_LIST} .responses-table")
    loaded = page.run("return performance.getEntriesByType('resource').map(one => one.name)")
    assert loaded and all(name.startswith((f"{service.endpoint}/", "data:")) for name in loaded), loaded
    assert complaints(page) == []


@needs_browser
def test_a_call_is_signed_with_the_keys_of_the_credentials(page: Browser, service: ServiceUnderTest) -> None:
    page.click(".auth-wrapper .authorize")
    page.type("#signature-file", str(service.credentials_file))
    page.click(".modal-ux .authorize")
    page.click(".modal-ux .btn-done")
    answer = try_list(page)
    assert re.search(r"^200\b", answer, re.MULTILINE), answer
    assert "total_count" in answer
    assert complaints(page) == []


@needs_browser
def test_a_call_is_sent_with_a_token(page: Browser, service: ServiceUnderTest) -> None:
    keys = service.credentials
    password = {
        "user": {"name": keys["user"], "password": keys["password"], "domain": {"name": keys["domain"]}}
    }
    scope = {"project": {"name": keys["project_name"]}}
    body = {"auth": {"identity": {"methods": ["password"], "password": password}, "scope": scope}}
    token = _http.post(f"{service.endpoint}/v3/auth/tokens", json=body).headers["x-subject-token"]
    page.click(".auth-wrapper .authorize")
    page.type("#api_key_value", token)
    page.click("form:has(#api_key_value) .authorize")
    page.click(".modal-ux .btn-done")
    page.click(f"{_LIST} .opblock-summary-control")
    page.click(f"{_LIST} .try-out__btn")
    # The page takes what was typed when the field is left.
    page.type(f"{_LIST} [data-param-name=project_id] input", keys["project_id"] + _TAB)
    assert re.search(r"^200\b", try_list(page), re.MULTILINE)


@needs_browser
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v3/p/jobs?id=1", ""),
        ("GET", "/v3/p/tasklist?offset=1&limit=3&name=a%20b~c%2F%C3%A9", ""),
        ("GET", "/v3/p/x%20y/(z)!*'?b=&a=2&a=1&a=%F0%9F%98%80&a=%EF%BF%BD&q=x+y", ""),
        ("POST", "/v3/p/instances/i/action", '{"restart": {}, "Ärger": "日本"}'),
        ("DELETE", "/", ""),
    ],
)
def test_the_page_signs_as_the_service_does(
    browser: Browser, service: ServiceUnderTest, method: str, path: str, body: str
) -> None:
    now = dt.datetime(2026, 2, 3, 4, 5, 6, 789000, dt.UTC)
    keys = {"access_key": "AK", "secret_key": "geheim-ß"}
    script = """
        const [method, url, body, keys, now, done] = arguments;
        import("/schema/ui/signature.js").then(({sign}) => sign(method, url, body, keys, new Date(now))).then(done)
    """
    browser.open(f"{service.endpoint}/schema/ui/signature.js")
    made = browser.run_async(script, method, service.endpoint + path, body, keys, now.isoformat())
    sent = {"x-request-id": made["X-Request-Id"]}
    expected = sign(method, service.endpoint + path, sent, body.encode(), **keys, now=now)
    assert (made["Authorization"], made["X-Sdk-Date"]) == (expected["authorization"], expected["x-sdk-date"])


def test_the_page_lets_nothing_in_from_elsewhere(service: ServiceUnderTest) -> None:
    for path in ("/schema", "/schema/ui/page.js", "/schema/openapi.json"):
        policy = _http.get(service.endpoint + path).headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy


@pytest.mark.parametrize(
    "name", ["nothing", "index.html", "..%2Fpage.js", "%00", "%00%0d%0aFORGED", "__init__.py"]
)
def test_the_page_has_only_its_own_files(service: ServiceUnderTest, name: str) -> None:
    answer = _http.get(f"{service.endpoint}/schema/ui/{name}")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "APIGW.0101")


def test_each_operation_says_how_it_is_authenticated(service: ServiceUnderTest) -> None:
    document = _http.get(f"{service.endpoint}/schema/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert {name: scheme["type"] for name, scheme in schemes.items()} == {
        "signature": "http",
        "token": "apiKey",
    }
    for path, item in document["paths"].items():
        for method, operation in item.items():
            url = service.endpoint + re.sub(r"{\w+}", "x", path)
            # Who has a link needs no keys, and this is none.
            is_link = path.startswith("/downloads/")
            asks = _http.request(method, url, content=b"").status_code == 401 and not is_link
            wanted: Any = [{"signature": []}, {"token": []}] if asks else None
            assert operation.get("security") == wanted, (method, path)
    assert json.dumps(document).count('"security"') > 50
