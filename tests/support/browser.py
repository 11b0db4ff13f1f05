"""A real Chromium, driven over the WebDriver protocol: chromedriver speaks it as JSON over HTTP."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from support.service import free_port, wait_for

#: Nothing is asked of anybody but the service under test.
_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing_browser() -> str:
    """Why there can be no test in a browser; "" where there can."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(missing)} not installed" if missing else ""


@dataclass
class Browser:
    http: httpx.Client
    session: str

    def do(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, f"{self.session}/{path}", json=body).json()
        value = answer["value"]
        assert not (isinstance(value, dict) and "error" in value), value
        return value

    def open(self, url: str) -> None:
        self.do("POST", "url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a piece of JavaScript returns in the page."""
        return self.do("POST", "execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script: str, *arguments: Any) -> Any:
        """The same for one that calls the last of its `arguments` with its result."""
        return self.do("POST", "execute/async", {"script": script, "args": list(arguments)})

    def find(self, css: str) -> str:
        """The first element there is, which is waited for."""

        def look() -> str | None:
            found = self.do("POST", "elements", {"using": "css selector", "value": css})
            return found[0][_ELEMENT] if found else None

        return str(wait_for(look, 30, f"{css} in the page: {self.text()[:2000]}"))

    def click(self, css: str) -> None:
        """By script: what is scrolled away, or has something in front of it for a moment, is clicked all the same."""
        self.find(css)
        self.run("document.querySelector(arguments[0]).click()", css)

    def type(self, css: str, text: str) -> None:
        self.do("POST", f"element/{self.find(css)}/value", {"text": text})

    def text(self) -> str:
        return str(self.run("return document.body.innerText"))

    def log(self) -> list[str]:
        """What the browser complained of since it was last asked: errors, and what a policy kept out."""
        return [
            f"{entry['level']} {entry['message']}" for entry in self.do("POST", "se/log", {"type": "browser"})
        ]


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own in the folder."""
    port = free_port()
    with (
        (folder / "chromedriver.log").open("wb") as log,
        subprocess.Popen(["chromedriver", f"--port={port}"], stdout=log, stderr=log) as driver,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http,
    ):
        try:
            wait_for(lambda: _is_ready(http), 30, "chromedriver")
            browser = Browser(http, _new_session(http, folder))
            try:
                yield browser
            finally:
                http.delete(browser.session)
        finally:
            driver.terminate()


def _is_ready(http: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return bool(http.get("/status").json()["value"]["ready"])
    return False


def _new_session(http: httpx.Client, folder: Path) -> str:
    options = {
        "binary": shutil.which("chromium"),
        "args": [*_ARGUMENTS, f"--user-data-dir={folder / 'profile'}"],
    }
    wanted = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}
    answer = http.post("/session", json={"capabilities": wanted}).json()["value"]
    return f"/session/{answer['sessionId']}"
