"""The console as a person and as an attacker meet it: in a real browser, and by requests that no browser would send."""

import contextlib
import http.server
import re
import secrets
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from support.browser import Browser, chromium, missing_browser
from support.command import completed
from support.service import PASSWORD, ServiceUnderTest, fresh, running_service, wait_for

needs_browser = pytest.mark.skipif(bool(missing_browser()), reason=missing_browser())

_PAGES = ("", "/instances", "/instances/new", "/tasks", "/tasks/scheduled")
_TOKEN = re.compile(r'name="token" value="([^"]+)"')


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceUnderTest]:
    with running_service(projects="local-1,other", trusted_proxies="127.0.0.1") as running:
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
    browser.log()  # what an earlier test left
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
        # At once: within less than the time after which a stream shows that it lives.
        accept = {"accept": "text/event-stream"}
        with stolen.http.stream("GET", "/console/tasks", headers=accept, timeout=10) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("data:")
            assert client.post("/sign-out", {"token": client.token()}).status_code == 303
            assert "event: reload" in list(lines)
        assert stolen.get("/tasks").status_code == 303


def test_a_session_comes_over_tls_or_on_the_machine_itself(stranger: Client) -> None:
    keys = stranger.service.credentials
    fields = {"user": keys["user"], "password": keys["password"]}
    proxied = {
        "x-forwarded-proto": "https",
        "x-forwarded-for": "198.51.100.7",
        "sec-fetch-site": "same-origin",
    }
    said = stranger.post("/sign-in", fields, **proxied).headers["set-cookie"]
    assert said.startswith("__Host-openrds=") and "Secure" in said and "Path=/;" in said + ";"
    assert "Domain" not in said
    for path in ("/sign-in", "/tasks"):
        headers = {"x-forwarded-for": "198.51.100.7"}
        answer = stranger.http.get(f"/console{path}", headers=headers, follow_redirects=True)
        assert answer.status_code == 403 and "TLS" in answer.text
    plain = stranger.post("/sign-in", fields, **proxied | {"x-forwarded-proto": "http"})
    assert plain.status_code == 403 and "set-cookie" not in plain.headers


def test_a_session_ends_with_its_secrets_when_idle_and_when_old(client: Client) -> None:
    with psycopg.connect(client.service.store_dsn, autocommit=True) as store:
        assert client.get("/tasks").status_code == 200
        store.execute("update console_session set mark = %s", [b"of other secrets"])
        assert client.get("/tasks").status_code == 303
        client.sign_in()
        for age in ("created_at = now() - interval '12 hours'", "seen_at = now() - interval '30 minutes'"):
            assert client.get("/tasks").status_code == 200
            store.execute(f"update console_session set {age}")
            assert client.get("/tasks").status_code == 303, age
            client.sign_in()


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
            assert client.post("/sign-out", {"token": token}).status_code == 403, token
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


def test_an_instance_is_restarted_stopped_started_and_deleted(client: Client) -> None:
    service = client.service
    instance_id = service.create(name="short-lived")["id"]
    page = f"/instances/{instance_id}"

    def press(path: str, **fields: str) -> str:
        """The id of the task whose page it leads to."""
        answer = client.post(path, {"token": client.token(), **fields})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"].rpartition("/")[2]

    scheduled = press(f"{page}/restart", when="window")
    assert "Pending" in client.get(f"/tasks/{scheduled}").text
    assert scheduled in client.get("/tasks/scheduled?status=Pending").text
    assert press(f"/tasks/{scheduled}/cancel") == scheduled
    assert "Canceled" in client.get(f"/tasks/{scheduled}").text
    refused = client.post(f"{page}/start", {"token": client.token()})
    assert refused.status_code == 400 and "can be done in: SHUTDOWN" in refused.text
    for action, status in (("restart", "ACTIVE"), ("stop", "SHUTDOWN"), ("start", "ACTIVE")):
        service.completed(press(f"{page}/{action}"))
        assert service.instance(instance_id)["status"] == status
    assert "With it go" in client.get(f"{page}/delete").text
    refused = client.post(f"{page}/delete", {"token": client.token(), "name": "orders"})
    assert refused.status_code == 400 and service.instance(instance_id)
    service.completed(press(f"{page}/delete", name="short-lived"))
    assert client.get(page).status_code == 404


def test_what_no_form_of_ours_sends_is_refused(client: Client, instance: dict[str, Any]) -> None:
    path, token = f"/console/instances/{instance['id']}/backup", client.token()
    form = {"origin": client.service.endpoint, "content-type": "application/x-www-form-urlencoded"}
    for content in (
        f"token={token}&name=%00abcd",
        f"token={token}&name=%ff%feab",
        f"token={token}&name=first&name=second",
        f"token={token}&name={'x' * 1001}",
        f"token={token}&" + "&".join(f"f{number}=" for number in range(50)),
    ):
        answer = client.http.post(path, content=content, headers=form)
        assert answer.status_code == 400 and 'role="alert"' in answer.text, content[:120]
    as_json = form | {"content-type": "application/json"}
    assert client.http.post(path, content="{}", headers=as_json).status_code == 400
    assert client.http.post(path, content="x" * 20_000, headers=form).status_code == 413
    assert client.get("/tasks?name=%00").status_code == 400
    assert client.get("/tasks/%00").status_code == 404
    assert client.get("/instances/x%22%3E").status_code == 404


def test_the_command_says_where_it_is(service: ServiceUnderTest) -> None:
    done = completed(("console", "--data-dir", str(service.data_dir)), service.environment(), 30)
    assert done.stdout == f"{service.endpoint}/console\n"


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
def test_what_tenants_wrote_is_text(
    browser: Browser, service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    """Put into the store, because the API lets no such name in: the pages do not rely on that."""
    evil = "</td><img src=x onerror=document.title='taken'><script>document.title='taken'</script>&amp;"
    sign_in(browser, service)
    browser.open(f"{service.endpoint}/console/instances")
    browser.find("#liveness.good")
    with psycopg.connect(service.store_dsn, autocommit=True) as store:
        store.execute("update instance set name = %s where id = %s", [evil, instance["id"]])
        try:
            # It comes by the stream, and then with the page.
            wait_for(lambda: evil in browser.text(), 30, "the name in the list")
            for page in ("instances", f"instances/{instance['id']}", f"instances/{instance['id']}/delete"):
                browser.open(f"{service.endpoint}/console/{page}")
                wait_for(lambda: evil in browser.text(), 30, page)
                assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
                assert browser.run("return document.title") != "taken"
        finally:
            store.execute("update instance set name = %s where id = %s", [instance["name"], instance["id"]])
    assert complaints(browser) == []


@needs_browser
def test_a_page_comes_back_when_the_service_does(
    browser: Browser, service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    sign_in(browser, service)
    browser.open(f"{service.endpoint}/console/instances/{instance['id']}")
    browser.find("#liveness.good")
    browser.run("window.sameDocument = true")
    service.child("api").kill()
    browser.find("#liveness.warn")
    browser.find("#liveness.good")
    body = {"instance_id": instance["id"], "name": "after-the-cut"}
    assert service.call("POST", "backups", body, headers=fresh()).status_code == 200
    wait_for(lambda: "after-the-cut" in browser.text(), 30, "the backup in the page")
    assert browser.run("return window.sameDocument") is True
    wait_for(lambda: "COMPLETED" in browser.text().partition("after-the-cut")[2], 60, "its end in the page")


@needs_browser
def test_a_strangers_page_can_neither_frame_nor_send(
    browser: Browser, service: ServiceUnderTest, instance: dict[str, Any]
) -> None:
    """Of another port of the same machine, which is the same site: the cookie comes along."""
    sign_in(browser, service)
    target = f"{service.endpoint}/console/instances/{instance['id']}"
    page = (
        f"<iframe name=framed src='{target}'></iframe>"
        f"<form method=post action='{target}/restart'><input name=token value=x></form>"
    )
    with serving(page) as stranger:
        browser.open(stranger)
        wait_for(
            lambda: any("frame-ancestors" in line for line in browser.log()), 30, "the refusal of the frame"
        )
        browser.run("document.querySelector('form').submit()")
        wait_for(lambda: "not sent by a page of this console" in browser.text(), 30, "the refusal")
    assert not any(task["name"].startswith("Restart") for task in tasks_of(service, instance))


@contextlib.contextmanager
def serving(page: str) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


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
            "const done = arguments[0]; axe.run().then(found => done([found.passes.length, found.violations.map("
            "one => `${one.id}: ${one.nodes.map(node => node.html).join(' ')}`)]))"
        )
        assert found[0] > 10 and found[1] == [], (page, width)
    assert complaints(browser) == []


def _axe() -> str:
    from importlib.util import find_spec
    from pathlib import Path

    package = find_spec("axe_core_python")
    assert package is not None and package.origin is not None
    return Path(package.origin).with_name("axe.min.js").read_text()
