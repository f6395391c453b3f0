"""`potrio config show`: every setting with its source, the token never."""

from __future__ import annotations

import json

import msgspec
import pytest

from potrio.client.config import Config

from .conftest import SSID, TOKEN, Command


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_where_each_value_comes_from(potrio: Command, folder, monkeypatch) -> None:
    (folder / "potrio.toml").write_text("[client]\nhandshake_timeout_s = 2.5\nmax_retries = 4\n")
    monkeypatch.setenv("POCKETOPTION_MAX_RETRIES", "7")
    done = potrio("config", "show", "--json", "--region", "eu")
    rows = {row["name"]: row for row in map(json.loads, done.out.splitlines())}
    assert done.code == 0
    assert list(rows) == [field.name for field in msgspec.structs.fields(Config)]
    assert rows["handshake_timeout_s"] == {
        "name": "handshake_timeout_s",
        "value": 2.5,
        "source": "potrio.toml: client.handshake_timeout_s",
    }
    assert (rows["max_retries"]["value"], rows["max_retries"]["source"]) == (
        7,
        "environment: POCKETOPTION_MAX_RETRIES",
    )
    assert (rows["region"]["value"], rows["region"]["source"]) == ("eu", "argument")
    assert (rows["ssid"]["value"], rows["ssid"]["source"]) == ("***", "environment: POCKETOPTION_SSID")
    assert rows["transport"]["source"] == "default"


def test_lines_for_people(potrio: Command) -> None:
    done = potrio("config", "show")
    assert "ssid\t***\tenvironment: POCKETOPTION_SSID" in done.out


def test_a_missing_ssid_is_no_error_here(potrio: Command) -> None:
    assert potrio("config", "show", ssid=None).code == 0


def test_what_cannot_be_used_is_one_line_with_its_place(potrio: Command, folder) -> None:
    (folder / "x.toml").write_text("[client]\nhandshake_timeout_s = -1\n")
    done = potrio("config", "show", "--config", "x.toml")
    done.check_one_line("x.toml: client.handshake_timeout_s", code=2)


def test_an_ssid_in_the_file_is_not_shown_either(potrio: Command, folder) -> None:
    quoted = SSID.replace('"', '\\"')
    (folder / "potrio.toml").write_text(f'[client]\nssid = "{quoted}"\n')
    for arguments in ([], ["--json"]):
        done = potrio("config", "show", *arguments, ssid=None)
        assert done.code == 0
        assert TOKEN not in done.out + done.err
