"""`potrio report`: everything an issue needs, and no canary of what it must not show."""

from __future__ import annotations

import json
import platform
import socket
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import potrio as package
from potrio.cli.report import name_of, place_of

from .conftest import REFUSED_SSID, SSID, TOKEN, Command

CANARIES = (TOKEN, "c4nary0password", "c4nary0cookie", "c4nary0query")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "somebody"))
    return tmp_path


def test_versions_platform_and_settings(potrio: Command, monkeypatch) -> None:
    monkeypatch.setenv("POCKETOPTION_MAX_RETRIES", "7")
    done = potrio("report")
    assert done.code == 0
    for words in (
        f"potrio {package.__version__}",
        f"CPython {platform.python_version()}",
        "max_retries = 7   (environment: POCKETOPTION_MAX_RETRIES)",
        "ssid = ***   (environment: POCKETOPTION_SSID)",
    ):
        assert words in done.out.replace("  ", "").splitlines() or words in done.out
    assert {"trio", "msgspec", "click"} <= {line.split()[0] for line in done.out.splitlines() if line}
    assert "arm_live" not in done.out, "defaults are left out"


def test_nothing_secret_is_in_it(potrio: Command, folder, venue_url) -> None:
    """Tokens, the password of a proxy, a cookie, a query, and who is at home here."""
    quoted = SSID.replace('"', '\\"')
    home = folder / "home" / "somebody"
    home.mkdir(parents=True)
    (home / "potrio.toml").write_text(
        f'[client]\nssid = "{quoted}"\nproxy = "http://me:c4nary0password@127.0.0.1:9"\n'
        f'url = "{venue_url}&key=c4nary0query"\nheaders = {{Cookie = "c4nary0cookie"}}\n'
    )
    for arguments in ([], ["--connect"], ["--json", "--connect"]):
        done = potrio("report", *arguments, "--config", str(home / "potrio.toml"), ssid=None)
        assert done.code == 0
        assert not [canary for canary in CANARIES if canary in done.out + done.err]
        assert "Cookie (values are left out)" in done.out
        assert venue_url.split("/socket.io")[0] in done.out
        assert "~/potrio.toml: client.url" in done.out
        assert str(folder) not in done.out


def test_the_story_of_a_link(potrio: Command, venue_url) -> None:
    done = potrio("report", "--connect", "--url", f"{venue_url}&key=c4nary0query")
    assert "c4nary" not in done.out
    facts = json.loads(done.out.splitlines()[-1])
    assert "up: connection 1 is ready" in done.out
    assert (facts["connections"], facts["latencies"]["ready"]["count"]) == (1, 1)


def test_a_link_that_fails_is_a_story_too(potrio: Command, venue_url) -> None:
    done = potrio("report", "--connect", "--url", venue_url, ssid=REFUSED_SSID)
    assert done.code == 0
    assert "AuthError: " in done.out.splitlines()[-1]


def test_settings_that_cannot_be_used_are_part_of_it(potrio: Command, folder: Path) -> None:
    (folder / "x.toml").write_text("[client]\nmax_retries = -1\n")
    done = potrio("report", "--config", "x.toml", "--connect")
    assert done.code == 0
    assert "cannot be used: x.toml: client.max_retries: must be" in done.out
    assert done.out.endswith("link\n  not tried: the settings cannot be used\n")
    as_json = json.loads(potrio("report", "--config", "x.toml", "--connect", "--json").out)
    assert as_json["problem"].startswith("x.toml: client.max_retries: must be")
    assert as_json["link"] == ["not tried: the settings cannot be used"]


def test_json_says_the_same(potrio: Command, venue_url) -> None:
    done = potrio("report", "--json", "--connect", "--url", venue_url)
    assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
    said = json.loads(done.out)
    assert said["potrio"] == package.__version__
    assert said["libraries"]["trio"]
    assert [each["name"] for each in said["settings"]] == ["ssid", "url"]
    assert said["problem"] is None
    assert said["link"][-1].endswith("connection 1 is ready")
    assert said["statistics"]["connections"] == 1
    assert json.loads(potrio("report", "--json").out)["link"] is None


BROKEN = {
    "proxy": ("POCKETOPTION_PROXY", "http://me:c4nary0password@@@:x"),
    "headers": ("POCKETOPTION_HEADERS", '{"Cookie": c4nary0cookie'),
    "headers of another kind": ("POCKETOPTION_HEADERS", '{"Cookie": ["c4nary0cookie"]}'),
    "address": ("POCKETOPTION_URL", "ws://u:c4nary0password@h/?key=c4nary0query"),
    "addresses": ("POCKETOPTION_URLS", '["ws://u:c4nary0password@h/", "ws://h/?c4nary0query"]'),
    "ssid": ("POCKETOPTION_SSID", SSID[:-1]),
    "ssid, and a region that has its token": ("POCKETOPTION_REGION", TOKEN),
}


@pytest.mark.parametrize("what", BROKEN)
def test_nothing_secret_is_in_what_is_wrong_with_the_settings(
    potrio: Command, monkeypatch, what: str
) -> None:
    monkeypatch.setenv(*BROKEN[what])
    for arguments in ([], ["--json"], ["--connect"]):
        done = potrio("report", *arguments, "--handshake-timeout", "-1", ssid=SSID)
        assert done.code == 0
        assert not [canary for canary in CANARIES if canary in done.out + done.err]
        assert "cannot be used" in done.out or json.loads(done.out)["problem"]


def test_a_link_that_never_comes_is_not_waited_for_without_end(
    potrio: Command, monkeypatch, venue_url
) -> None:
    """Whatever the settings allow."""
    monkeypatch.setattr("potrio.cli.report.WITHIN_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"ws://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setenv("POCKETOPTION_CONNECT_DEADLINE_S", "1e9")
        began = time.monotonic()
        done = potrio("report", "--connect", "--url", address, "--handshake-timeout", "1e6")
    assert time.monotonic() - began < 20
    assert (done.code, done.out.splitlines()[-1]) == (0, "  no link within 1 s")


def test_the_journal_of_a_program_that_may_be_running_is_not_touched(
    potrio: Command, folder: Path, monkeypatch, venue_url
) -> None:
    monkeypatch.setenv("POCKETOPTION_JOURNAL", str(folder / "orders.journal"))
    done = potrio("report", "--connect", "--url", venue_url)
    assert "up: connection 1 is ready" in done.out
    assert "journal = " in done.out
    assert list(folder.iterdir()) == []


def test_it_works_where_potrio_runs_without_having_been_installed(potrio: Command, monkeypatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("potrio.cli.report.version", missing)
    monkeypatch.setattr("potrio.cli.report.requires", missing)
    done = potrio("report")
    assert (done.code, done.err) == (0, "")
    assert "potrio not installed" in done.out


@pytest.mark.parametrize(
    ("line", "name"), [("trio<1,>=0.32", "trio"), ("trio-websocket", "trio-websocket"), ("a.b[c]; x", "a.b")]
)
def test_names_of_requirements(line: str, name: str) -> None:
    assert name_of(line) == name


def test_an_address_that_is_none_is_not_repeated() -> None:
    assert "c4nary" not in place_of("http://host/?c4nary")
