"""A browser without a window, driven over loopback: what is on a page, what is drawn, what went wrong in it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

STARTED = "started successfully on port "
SECONDS = 60


def installed(*names: str) -> str | None:
    """The first of these programs that is there."""
    return next((found for found in map(shutil.which, names) if found), None)


def demand(reason: str) -> None:
    """Where CI is set a browser must be there; elsewhere its tests are passed over, and say why."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; under CI these tests may not be skipped")
    pytest.skip(reason)


class Browser:
    """Chromium with its driver (W3C WebDriver over loopback), in a process group of their own.

    Names are not looked up and nothing but 127.0.0.1 is reached: a page that wants more shows it in its errors.
    """

    def __init__(self, chromium: str, driver: str, folder: Path, *, scripts: bool) -> None:
        self._process = subprocess.Popen(
            [driver, "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        line = next((each for each in self._process.stdout if STARTED in each), "")
        self._port = int(line.rpartition(STARTED)[2].strip().rstrip("."))
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--window-size=1200,1200",
            f"--user-data-dir={folder}",
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            *([] if scripts else ["--blink-settings=scriptEnabled=false"]),
        ]
        wanted = {
            "goog:chromeOptions": {"binary": chromium, "args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        self._session = ""
        self._session = (
            "/session/"
            + self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        )

    def _call(self, method: str, path: str, body: object = None) -> Any:
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
        try:
            text = None if body is None else json.dumps(body)
            link.request(method, self._session + path, text, {"Content-Type": "application/json"})
            found = json.loads(link.getresponse().read())["value"]
        finally:
            link.close()
        assert not (isinstance(found, dict) and "error" in found), found
        return found

    def open(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    def run(self, script: str) -> Any:
        """Run a function's body in the page; returns what it returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": []})

    def until(self, script: str, within_s: float = 60.0) -> Any:
        """Wait until an expression is true in the page; returns it."""
        end = time.monotonic() + within_s
        while not (found := self.run(f"return {script};")):
            assert time.monotonic() < end, f"not within {within_s} s: {script}"
            time.sleep(0.1)
        return found

    def count(self, selector: str) -> int:
        """How many elements a selector finds; works without scripts too."""
        return len(self._call("POST", "/elements", {"using": "css selector", "value": selector}))

    def errors(self) -> list[str]:
        """What the console says since the last call."""
        return [each["message"] for each in self._call("POST", "/se/log", {"type": "browser"})]

    def screenshot(self) -> bytes:
        return base64.b64decode(self._call("GET", "/screenshot"))

    def close(self) -> None:
        """End the browser and its driver: their own process group, nobody else's."""
        try:
            if self._session:
                self._call("DELETE", "")
        finally:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(60)
            assert self._process.stdout is not None
            self._process.stdout.close()


@pytest.fixture
def open_browser(tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """Start a browser: ``open_browser(scripts=False)``; it is ended with the test."""
    chromium, driver = installed("chromium", "chromium-browser", "google-chrome"), installed("chromedriver")
    if chromium is None or driver is None:
        demand(
            f"{'chromium' if chromium is None else 'chromedriver'} is not installed "
            "(apt-get install chromium chromium-driver)"
        )
        raise AssertionError("demand() does not return")
    opened: list[Browser] = []

    def start(*, scripts: bool = True) -> Browser:
        opened.append(Browser(chromium, driver, tmp_path / f"browser{len(opened)}", scripts=scripts))
        return opened[-1]

    yield start
    for each in opened:
        each.close()
