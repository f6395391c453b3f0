"""The environment of the third-party clients, and one scene: a venue, a client, what each of them says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"

SESSION = "k3v9examplesession0demo0x1"
REFUSED = "refusedsession00"

Scene = Callable[..., "Played"]


class Played(NamedTuple):
    """What the client printed, and what the venue counted."""

    peer: dict[str, Any]
    stats: dict[str, Any]
    peer_errors: str


def ssid(session: str = SESSION, uid: int = 12_345_678) -> str:
    """A demo SSID as the browser shows it."""
    fields = (
        f'"session":"{session}","isDemo":1,"uid":{uid},"platform":2,"isFastHistory":true,"isOptimized":true'
    )
    return f'42["auth",{{{fields}}}]'


@pytest.fixture
def good_ssid() -> str:
    """An SSID the venue takes."""
    return ssid()


@pytest.fixture
def refused_ssid() -> str:
    """An SSID the venue of these tests rejects."""
    return ssid(REFUSED)


@pytest.fixture(scope="session")
def peers_python() -> str:
    """The Python of `.venv-peers`; in continuous integration it must be there."""
    if not PEERS_PYTHON.exists():
        reason = "the third-party clients are not installed: run `make peers`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return str(PEERS_PYTHON)


@pytest.fixture(scope="session")
def unshare() -> list[str]:
    """The command that runs another in a network namespace of its own; skips where the system does not allow it."""
    command = ["unshare", "--map-root-user", "--net"]
    try:
        done = subprocess.run([*command, "true"], capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip(
            "no `unshare` here: BinaryOptionsToolsV2 is only run where no route leads to public hosts"
        )
    if done.returncode != 0:
        pytest.skip(
            f"network namespaces are not allowed here ({done.stderr.strip()}): BinaryOptionsToolsV2 is not run"
        )
    return command


@pytest.fixture
def venue_config(tmp_path: Path) -> Path:
    """The venue of these tests: everything as it comes, one session refused, one answered by a bare 41."""
    path = tmp_path / "venue.toml"
    path.write_text(f'[access]\nrejected_sessions = ["{REFUSED}"]\n')
    return path


@pytest.fixture
def scene(peers_python: str, venue_config: Path) -> Scene:
    """Play a scene: ``scene(driver, ssid, task, prefix=[...], config="")``."""

    def play(
        driver: str, ssid: str, task: str, *, prefix: list[str] | None = None, config: str = ""
    ) -> Played:
        with venue_config.open("a") as file:
            file.write(config)
        isolated = ["--isolated"] if prefix else []
        done = subprocess.run(
            [
                *(prefix or []),
                sys.executable,
                str(HERE / "stage.py"),
                *isolated,
                *(peers_python, driver, ssid, task),
                *("--seed", "7", "--config", str(venue_config)),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=115,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert report["peer_exit"] == 0, report["peer_errors"]
        assert report["venue_exit"] == 0, report["venue_errors"]
        assert "Traceback" not in report["venue_errors"]
        return Played(report["peer"], report["stats"], report["peer_errors"])

    return play
