"""``loadsim run --dashboard`` as a user sees it: the address on standard error, the run in it, the button ends it."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

PLAN = """
[run]
name = "watched"
duration = "60s"
seed = 7
[[load]]
client = "asker"
lane = "light"
model = "closed"
users = [{ at = "0s", n = 5 }]
[[act]]
client = "asker"
do = "balance"
every = "200ms"
deadline = "2s"
"""


def ask(host: str, method: str, path: str, **headers: str) -> tuple[int, bytes]:
    link = http.client.HTTPConnection(host, timeout=60)
    try:
        link.request(method, path, headers=headers)
        answer = link.getresponse()
        return answer.status, answer.read()
    finally:
        link.close()


def test_the_run_is_in_the_browser_and_can_be_ended_there(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    command = [sys.executable, "-m", "loadsim", "run", "plan.toml", "--out", "out", "--dashboard"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.startswith("dashboard http://127.0.0.1:"), line
            host = line.removeprefix("dashboard http://").strip().rstrip("/")
            end = time.monotonic() + 60
            view = {"ok": 0}
            while not view["ok"] and time.monotonic() < end:
                time.sleep(0.2)
                view = json.loads(ask(host, "GET", "/state.json")[1])
            assert view["name"] == "watched"
            assert view["ok"] > 0
            assert ask(host, "POST", "/stop", Origin=f"http://{host}")[0] == 202
            _, errors = process.communicate(timeout=40)
        finally:
            process.kill()

    assert process.returncode == 130, errors
    assert "asked for in the dashboard" in errors
    assert json.loads((tmp_path / "out" / "report.json").read_text())["exit"]["name"] == "interrupted"


@pytest.mark.parametrize(
    ("address", "words"), [("here:there", "is an address like"), ("127.0.0.1:99999", "is an address like")]
)
def test_an_address_that_is_none_is_one_line(tmp_path: Path, address: str, words: str) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    command = [sys.executable, "-m", "loadsim", "run", "plan.toml", "--dashboard", address]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
