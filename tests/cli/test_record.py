"""`potrio record` and `potrio replay`: what went over the wire, without the token, and once more."""

from __future__ import annotations

import json

import pytest

from potrio.cli.record import subscribed
from potrio.transport.recording import read_recording

from .conftest import ASSET, TOKEN, Command


def test_record_and_replay(potrio: Command, venue_url: str, tmp_path) -> None:
    path = tmp_path / "session.ndjson"
    done = potrio("record", str(path), "--assets", ASSET, "--for", "3s", "--json", "--url", venue_url)
    assert (done.code, done.err) == (0, "")
    facts = json.loads(done.out)
    recording = read_recording(path)
    assert facts == {"file": str(path), "frames": len(recording.frames), "lost": 0}
    assert TOKEN not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert ASSET in subscribed(recording.frames), "besides the asset whose tick measures the clock"

    again = potrio("replay", str(path), "--speed", "5", "--json", ssid=None)
    assert again.code == 0
    ticks = [json.loads(line) for line in again.out.splitlines()]
    assert len(ticks) >= 3
    assert ASSET in {tick["asset"] for tick in ticks}


def test_no_file_is_overwritten(potrio: Command, venue_url: str, tmp_path) -> None:
    (tmp_path / "x").write_text("precious")
    done = potrio("record", str(tmp_path / "x"), "--for", "1s", "--url", venue_url)
    done.check_one_line("File exists", code=2)
    assert (tmp_path / "x").read_text() == "precious"


@pytest.mark.parametrize("duration", ["0s", "soon", "-1", "1d"])
def test_a_duration_that_is_none(potrio: Command, tmp_path, duration: str) -> None:
    done = potrio("record", str(tmp_path / "x"), "--for", duration)
    assert done.code == 2
    assert not (tmp_path / "x").exists()


def test_a_recording_with_a_fault_names_the_line(potrio: Command, tmp_path) -> None:
    (tmp_path / "x").write_text('{"potrio_recording":1,"wall":1}\nnonsense\n')
    potrio("replay", str(tmp_path / "x"), ssid=None).check_one_line("x: line 2", code=2)
