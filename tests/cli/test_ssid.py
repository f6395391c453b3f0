"""`potrio ssid check`: what an SSID is, in one line, without showing it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import LIVE_SSID, SSID, UID, Command, check_silence


def test_a_good_one_from_the_environment(potrio: Command) -> None:
    done = potrio("ssid", "check")
    assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
    assert "demo" in done.out
    assert str(UID) in done.out


def test_a_good_one_from_a_file(potrio: Command, tmp_path: Path) -> None:
    (tmp_path / "ssid").write_text(LIVE_SSID)
    done = potrio("ssid", "check", str(tmp_path / "ssid"), ssid=None)
    assert done.code == 0
    assert "live" in done.out


def test_from_standard_input(potrio: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(SSID))
    assert potrio("ssid", "check", "-", ssid=None).code == 0


@pytest.mark.parametrize(
    "text",
    ["hello", SSID.removesuffix("]"), SSID.replace("session", "sessions"), SSID.replace("auth", "out")],
)
def test_a_bad_one_is_explained_and_not_repeated(potrio: Command, text: str) -> None:
    potrio("ssid", "check", ssid=text).check_one_line("ssid", code=2)


@pytest.mark.parametrize("path", ["nothing-there", "."])
def test_a_file_that_cannot_be_read(potrio: Command, path: str) -> None:
    potrio("ssid", "check", path).check_one_line(path, code=2)


def test_through_a_pipe_in_a_process_of_its_own() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "POCKETOPTION_SSID"}
    done = subprocess.run(
        [sys.executable, "-m", "potrio", "ssid", "check", "-"],
        input=SSID,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    check_silence(done.stdout)
