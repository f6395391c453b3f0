"""The sample of settings in the top folder works as it is: read by a shell, taken by a client."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from potrio.client.settings import load_config

SAMPLE = Path(__file__).resolve().parents[2] / ".env.example"


def by_the_shell(path: Path) -> dict[str, str]:
    """The variables as a shell would hand them to a program."""
    done = subprocess.run(
        ["sh", "-c", 'set -a; . "$0"; set +a; env -0', str(path)],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    pairs = (pair.partition("=") for pair in done.stdout.decode().split("\0") if pair)
    return {name: value for name, _, value in pairs if name.startswith("POCKETOPTION_")}


def test_the_sample_works_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no potrio.toml there
    config = load_config(environ=by_the_shell(SAMPLE)).checked()
    ssid = config.parsed_ssid()
    assert (ssid.is_demo, ssid.uid, ssid.kind) == (True, 12345678, "demo")
    assert (config.region, config.handshake_timeout_s, config.max_retries) == ("eu", 15.0, 100)
    assert (config.level, config.debug) == ("INFO", False)
    assert config.candidates(ssid)[0].name == "DEMO"


def test_what_is_commented_out_names_fields_too():
    names = re.findall(r"^# (POCKETOPTION_\w+)=", SAMPLE.read_text(), re.MULTILINE)
    assert names == ["POCKETOPTION_SSID_FILE"]


@pytest.mark.parametrize("name", ["POCKETOPTION_DEBUG", "POCKETOPTION_LOG_LEVEL", "POCKETOPTION_MAX_RETRIES"])
def test_it_has_the_variables_of_the_readme(name):
    assert f"\n{name}=" in SAMPLE.read_text()
