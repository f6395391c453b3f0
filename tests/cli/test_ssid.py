"""`potrio ssid check`: what an SSID is, in one line, without showing it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from potrio.cli.target import read_ssid

from .conftest import LIVE_SSID, REFUSED, SSID, TOKEN, UID, Command, check_silence


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
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    check_silence(done.stdout)


# --- import ----------------------------------------------------------------------------------------------------------


def har(*frames: str) -> str:
    """What the developer tools save: every frame as a string within JSON."""
    messages = [{"type": "send", "time": 1.5, "opcode": 1, "data": frame} for frame in frames]
    return json.dumps({"log": {"entries": [{"_webSocketMessages": messages}]}})


@pytest.mark.parametrize(
    "saved",
    [
        har("40", SSID, "3"),
        f'40\n{SSID}\n42["ps"]\n',
        f"sent: {SSID} and more [text]",
        har(SSID.replace(TOKEN, REFUSED), SSID),
        har("40", LIVE_SSID, SSID),
    ],
    ids=["har", "paste", "within a line", "the last one", "both accounts"],
)
def test_import_finds_it_and_what_is_stored_is_read_back(potrio: Command, tmp_path: Path, saved: str) -> None:
    (tmp_path / "saved").write_text(saved)
    to = tmp_path / "ssid"
    done = potrio("ssid", "import", str(tmp_path / "saved"), "--to", str(to), ssid=None)
    assert (done.code, done.err) == (0, "")
    assert "demo" in done.out
    assert read_ssid(to).reveal() == SSID
    assert to.stat().st_mode & 0o777 == 0o600


def test_import_of_a_live_session_with_nested_braces(potrio: Command, tmp_path: Path) -> None:
    (tmp_path / "saved").write_text(har(SSID, LIVE_SSID, SSID))
    to = tmp_path / "ssid"
    done = potrio("ssid", "import", str(tmp_path / "saved"), "--to", str(to), "--live", ssid=None)
    assert done.code == 0
    assert read_ssid(to).reveal() == LIVE_SSID
    assert "0123456789abcdef" not in done.out


def test_import_keeps_what_is_there(potrio: Command, tmp_path: Path) -> None:
    (tmp_path / "saved").write_text(SSID)
    (tmp_path / "ssid").write_text("precious")
    arguments = ["ssid", "import", str(tmp_path / "saved"), "--to", str(tmp_path / "ssid")]
    potrio(*arguments, ssid=None).check_one_line("--force", code=2)
    assert (tmp_path / "ssid").read_text() == "precious"
    assert potrio(*arguments, "--force", ssid=None).code == 0


@pytest.mark.parametrize("saved", ["", "nothing here", har("40", "3"), SSID[:40], SSID.replace(TOKEN, "x")])
def test_import_without_a_usable_frame(potrio: Command, tmp_path: Path, saved: str) -> None:
    (tmp_path / "saved").write_text(saved)
    done = potrio("ssid", "import", str(tmp_path / "saved"), "--to", str(tmp_path / "ssid"), ssid=None)
    done.check_one_line("no usable auth frame", code=2)
    assert not (tmp_path / "ssid").exists()
