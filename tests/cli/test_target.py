"""Where the SSID comes from, and that nothing is read before it is needed."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import pytest

from potrio.cli.target import Target, read_ssid
from potrio.errors import ConfigError

from .conftest import REFUSED_SSID, SSID, TOKEN, Command


def target(**changes) -> Target:
    fields = {
        "url": "ws://127.0.0.1:9/",
        "region": None,
        "ssid_file": None,
        "transport": "framed",
        "handshake_timeout": 2.5,
    }
    return Target(**{**fields, **changes})


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("POCKETOPTION_SSID", SSID)


def test_from_the_environment(environment):
    assert read_ssid(None).reveal() == SSID


def test_white_space_around_it_is_not_part_of_it(monkeypatch, tmp_path):
    monkeypatch.setenv("POCKETOPTION_SSID", f" {SSID}\n")
    (tmp_path / "ssid").write_text(f"\n{SSID}\r\n")
    assert read_ssid(None).reveal() == read_ssid(tmp_path / "ssid").reveal() == SSID


@pytest.mark.parametrize("value", ["", "  \n"])
def test_an_environment_without_one(monkeypatch, value):
    monkeypatch.setenv("POCKETOPTION_SSID", value)
    with pytest.raises(ConfigError, match="POCKETOPTION_SSID"):
        read_ssid(None)


def test_a_file_goes_before_the_environment(environment, tmp_path):
    (tmp_path / "ssid").write_text(REFUSED_SSID)
    assert read_ssid(tmp_path / "ssid").reveal() == REFUSED_SSID


def test_from_standard_input(environment, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{REFUSED_SSID}\n"))
    assert read_ssid(Path("-")).reveal() == REFUSED_SSID


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"\xff" + TOKEN.encode(), "UTF-8"), ("folder", "Is a directory")],
)
def test_a_file_that_cannot_be_read_is_named_and_its_content_is_not(tmp_path, content, reason):
    path = tmp_path / "ssid"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=reason) as caught:
        read_ssid(path)
    assert str(path) in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert caught.value.__context__ is None, "a decoding error holds what it could not decode"


def test_a_file_that_must_not_be_read(monkeypatch, tmp_path):
    def refuse(seam, path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("potrio.seam.Seam.read_file", refuse)
    with pytest.raises(ConfigError, match="Permission denied"):
        read_ssid(tmp_path / "ssid")


def test_no_frame_of_an_error_holds_the_ssid(environment, monkeypatch):
    """Tracebacks with locals are common (P8)."""
    monkeypatch.setenv("POCKETOPTION_SSID", SSID.replace('"uid"', '"uuid"').replace("}]", ""))
    with pytest.raises(ConfigError) as caught:
        target().config()
    for entry in caught.traceback:
        if "potrio/cli" in str(entry.path) and "tests" not in str(entry.path):
            assert TOKEN not in repr(entry.frame.f_locals)


def test_the_options_become_a_config(environment):
    config = target(transport="trio-websocket").config()
    assert (config.url, config.transport, config.handshake_timeout_s) == (
        "ws://127.0.0.1:9/",
        "trio-websocket",
        2.5,
    )
    assert config.parsed_ssid().is_demo


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"handshake_timeout": 0}, "handshake_timeout"), ({"region": "eu"}, "region")],
)
def test_options_that_cannot_be_used(environment, changes, field):
    with pytest.raises(ConfigError, match=field):
        target(**changes).config()


def test_nothing_is_read_for_a_command_that_does_not_connect(potrio: Command):
    assert potrio("tree", "--ssid-file", "/nowhere", ssid=None).code == 0


def test_a_timeout_that_is_no_number(potrio: Command):
    done = potrio("balance", "--handshake-timeout", "soon")
    assert done.code == 2
    assert "handshake-timeout" in done.err


def test_a_shared_file_with_an_ssid_is_one_line_of_warning(
    potrio: Command, venue_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ssid"
    path.write_text(SSID)
    warning = f"potrio: warning: {path}: others on this machine may read the SSID; chmod 600 it\n"
    for mode, said in ((0o644, warning), (0o600, "")):
        path.chmod(mode)
        monkeypatch.delenv("POCKETOPTION_SSID_FILE", raising=False)
        done = potrio("balance", "--url", venue_url, "--ssid-file", str(path), ssid=None)
        assert (done.code, done.err) == (0, said)
        monkeypatch.setenv("POCKETOPTION_SSID_FILE", str(path))
        done = potrio("config", "show", ssid=None)
        assert (done.code, done.err) == (0, said)
