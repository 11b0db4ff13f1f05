"""The console as a person and as an attacker meet it: in a real browser, and by requests that no browser would send."""

import re
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.browser import Browser, chromium, missing_browser
from support.service import PASSWORD, ServiceUnderTest, fresh, running_service, wait_for

needs_browser = pytest.mark.skipif(bool(missing_browser()), reason=missing_browser())

_PAGES = ("", "/instances", "/instances/new", "/tasks", "/tasks/scheduled")
_TOKEN = re.compile(r'name="token" value="([^"]+)"')


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(projects="local-1,other") as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="module")
def instance(service: ServiceUnderTest) -> dict[str, Any]:
    return service.create(name="orders")


class Client:
    """A browser's requests without a browser."""

    def __init__(self, service: ServiceUnderTest) -> None:
        self.service = service
        self.http = httpx.Client(base_url=service.endpoint, timeout=30)

    def get(self, path: str) -> httpx.Response:
        return self.http.get(f"/console{path}")

    def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        return self.http.post(
            f"/console{path}", data=fields, headers=headers or {"origin": self.service.endpoint}
        )

    def sign_in(self, **changes: str) -> httpx.Response:
        keys = self.service.credentials
        return self.post("/sign-in", {"user": keys["user"], "password": keys["password"], **changes})

    def token(self, path: str = "/instances/new") -> str:
        found = _TOKEN.search(self.get(path).text)
        assert found is not None
        return found[1]


@pytest.fixture
def stranger(service: ServiceUnderTest) -> Iterator[Client]:
    client = Client(service)
    with client.http:
        yield client


@pytest.fixture
def client(stranger: Client) -> Client:
    assert stranger.sign_in().status_code == 303
    return stranger


def tasks_of(service: ServiceUnderTest, instance: dict[str, Any]) -> list[dict[str, Any]]:
    return service.get(f"tasklist?instance_id={instance['id']}")["tasks"]


def complaints(browser: Browser) -> list[str]:
    return [line for line in browser.log() if line.startswith(("SEVERE", "WARNING"))]


def sign_in(browser: Browser, service: ServiceUnderTest) -> None:
    browser.open(f"{service.endpoint}/console")
    if not browser.run("return !!document.querySelector('[name=password]')"):
        return
    browser.type("[name=user]", service.credentials["user"])
    browser.type("[name=password]", service.credentials["password"])
    browser.click("main button")
    browser.find(".counts")


def test_nobody_sees_a_page_without_a_session(stranger: Client) -> None:
    for page in _PAGES:
        answer = stranger.get(page)
        assert answer.status_code == 303, page
        assert answer.headers["location"].startswith("/console/sign-in?next=/console")
    assert stranger.get("/sign-in").status_code == 200
    stream = stranger.http.get("/console/tasks", headers={"accept": "text/event-stream"})
    assert stream.text == "event: reload\ndata: -\n\n"


def test_a_wrong_password_is_said_and_then_refused_for_a_while(service: ServiceUnderTest) -> None:
    client = Client(service)
    with client.http:
        # Another user than the tests', who must not be locked out.
        statuses = [
            client.sign_in(user="nobody", password=secrets.token_hex(8)).status_code for _ in range(7)
        ]
    assert statuses[0] == 401 and statuses[-1] == 429
    assert not client.http.cookies


def test_each_sign_in_has_an_id_of_its_own_and_ends_the_one_that_came(stranger: Client) -> None:
    stranger.http.cookies.set("openrds", "A" * 43, path="/console")
    assert stranger.sign_in().status_code == 303
    first = next(cookie.value for cookie in stranger.http.cookies.jar if cookie.value != "A" * 43)
    assert stranger.sign_in().status_code == 303
    held = Client(stranger.service)
    with held.http:
        held.http.cookies.set("openrds", str(first), path="/console")
        assert held.get("/tasks").status_code == 303
    said = stranger.sign_in().headers["set-cookie"]
    assert "HttpOnly" in said and "SameSite=lax" in said and "Path=/console" in said


def test_an_id_is_worth_nothing_after_signing_out(client: Client) -> None:
    stolen = Client(client.service)
    with stolen.http:
        stolen.http.cookies.update(client.http.cookies)
        assert stolen.get("/tasks").status_code == 200
        with stolen.http.stream("GET", "/console/tasks", headers={"accept": "text/event-stream"}) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("data:")
            assert client.post("/sign-out", {"token": client.token()}).status_code == 303
            assert "event: reload" in list(lines)
        assert stolen.get("/tasks").status_code == 303


def test_only_a_page_of_ours_may_change_anything(client: Client, instance: dict[str, Any]) -> None:
    path, fields = f"/instances/{instance['id']}/restart", {"token": client.token()}
    elsewhere: list[dict[str, str]] = [
        {"origin": "http://127.0.0.1:1"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "origin": client.service.endpoint},
        {"sec-fetch-site": "same-site"},
        {"referer": client.service.endpoint},
    ]
    for headers in elsewhere:
        assert client.post(path, fields, **headers).status_code == 403, headers
        assert client.post("/sign-in", {}, **headers).status_code == 403, headers
    other = Client(client.service)
    with other.http:
        other.sign_in()
        for token in ("", "x.y", other.token()):
            assert client.post(path, {"token": token}).status_code == 403, token
    assert client.service.instance(instance["id"])["status"] == "ACTIVE"


def test_the_api_takes_no_cookie_and_the_console_no_signature(client: Client) -> None:
    answer = client.http.get(f"/v3/{client.service.project_id}/instances")
    assert answer.status_code == 401
    signed = client.service.call("GET", "/console/tasks")
    assert signed.status_code == 303


def test_nothing_of_another_project_is_shown_or_done(
    service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    task_id = (
        service.get(f"tasklist?instance_id={instance['id']}")["actions"]
        and service.get(f"tasklist?instance_id={instance['id']}")["tasks"][0]["id"]
    )
    other = Client(ServiceUnderTest(service.data_dir, project="other"))
    with other.http:
        assert other.sign_in().status_code == 303
        shown = [f"/instances/{instance['id']}", f"/instances/{instance['id']}/delete", f"/tasks/{task_id}"]
        for path in shown:
            assert other.get(path).status_code == 404, path
        assert instance["name"] not in other.get("/instances").text + other.get("/tasks").text
        token = other.token()
        for action in ("restart", "stop", "start", "delete", "backup"):
            fields = {"token": token, "name": "orders"}
            assert other.post(f"/instances/{instance['id']}/{action}", fields).status_code == 404, action
        assert other.post(f"/tasks/{task_id}/cancel", {"token": token}).status_code == 404
    assert service.instance(instance["id"])["status"] == "ACTIVE"


def test_every_answer_keeps_strangers_out(client: Client) -> None:
    for path in (*_PAGES, "/sign-in", "/instances/unknown", "/static/console.js", "/static/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, path
        assert "base-uri 'none'" in policy and "unsafe" not in policy and "http" not in policy, path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == ("max-age=300" if path == "/static/console.js" else "no-store"), (
            path
        )


def test_bad_input_is_refused_with_what_to_do(client: Client) -> None:
    for query in ("status=Lost", "offset=-1", "offset=x", f"name={'x' * 101}"):
        answer = client.get(f"/tasks?{query}")
        assert answer.status_code == 400 and 'role="alert"' in answer.text, query
    typed = {"name": "<b>x</b>", "engine": "PostgreSQL 1", "flavor": "n1.medium.2", "size": "41x"}
    answer = client.post("/instances/new", {**typed, "token": client.token(), "password": PASSWORD})
    assert answer.status_code == 400
    assert "&lt;b&gt;x" in answer.text and "<b>x" not in answer.text and PASSWORD not in answer.text


def test_a_form_that_is_sent_twice_is_done_once(client: Client, instance: dict[str, Any]) -> None:
    fields = {"token": client.token(), "name": "twice-sent"}
    path = f"/instances/{instance['id']}/backup"
    first, second = client.post(path, fields), client.post(path, fields)
    assert (first.status_code, second.headers["location"]) == (303, first.headers["location"])
    client.service.completed(first.headers["location"].rpartition("/")[2])
    assert "twice-sent" in client.get(f"/instances/{instance['id']}").text


@needs_browser
def test_a_task_is_followed_to_its_end_without_loading_the_page_anew(
    browser: Browser, service: ServiceUnderTest
) -> None:
    sign_in(browser, service)
    browser.open(f"{service.endpoint}/console/instances/new")
    browser.type("[name=name]", "made-here")
    browser.type("[name=password]", PASSWORD)
    browser.click("form[action='/console/instances/new'] button")
    browser.find(".steps li")
    browser.run("window.sameDocument = true")
    wait_for(lambda: "Completed" in browser.text().partition("Steps")[0], 60, "the end of the task")
    assert browser.run("return window.sameDocument") is True
    assert browser.run("return document.querySelector('#liveness').innerText") == "live"
    assert browser.run("return document.querySelectorAll('.steps li:not(.good)').length") == 0
    browser.click(".facts a")
    browser.find(".actions")
    text = browser.text()
    assert "made-here" in text and "ACTIVE" in text and "psql --host=" in text and "jdbc:postgresql" in text
    assert complaints(browser) == []


@needs_browser
def test_a_list_is_live_and_shows_what_tenants_wrote_as_text(
    browser: Browser, service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    sign_in(browser, service)
    browser.open(f"{service.endpoint}/console/instances/{instance['id']}")
    browser.find("#liveness.good")
    # A description that is markup; names may not be, so the alias and the backup stand for all.
    name = "live-<img src=x onerror=alert(1)>"
    refused = service.call("POST", "backups", {"instance_id": instance["id"], "name": name}, headers=fresh())
    assert refused.status_code == 400
    answer = service.call(
        "POST", "backups", {"instance_id": instance["id"], "name": "shown-live"}, headers=fresh()
    )
    assert answer.status_code == 200, answer.text
    wait_for(lambda: "shown-live" in browser.text(), 30, "the backup in the page")
    wait_for(lambda: "COMPLETED" in browser.text().partition("shown-live")[2], 60, "its end in the page")
    assert complaints(browser) == []


@needs_browser
@pytest.mark.parametrize("width", [390, 1440])
def test_pages_fit_and_are_accessible(
    browser: Browser, service: ServiceUnderTest, instance: dict[str, Any], width: int
) -> None:
    axe = _axe()
    sign_in(browser, service)
    browser.do("POST", "window/rect", {"width": width, "height": 900})
    task_id = service.get("tasklist?limit=1")["tasks"][0]["id"]
    pages = [
        *_PAGES,
        f"/instances/{instance['id']}",
        f"/instances/{instance['id']}/delete",
        f"/tasks/{task_id}",
    ]
    for page in pages:
        browser.open(f"{service.endpoint}/console{page}")
        browser.find("#main")
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), (page, width)
        browser.run(axe)
        found = browser.run_async(
            "const done = arguments[0]; axe.run().then(found => done(found.violations.map("
            "one => `${one.id}: ${one.nodes.map(node => node.html).join(' ')}`)))"
        )
        assert found == [], (page, width)
    assert complaints(browser) == []


def _axe() -> str:
    from importlib.util import find_spec
    from pathlib import Path

    package = find_spec("axe_core_python")
    assert package is not None and package.origin is not None
    return Path(package.origin).with_name("axe.min.js").read_text()
