"""Loading a `Config`: who beats whom, what is refused and how it is named, and that the SSID is in no error."""

from __future__ import annotations

import traceback
from pathlib import Path

import msgspec
import pytest
import trio

from loadsim.venue import FaultKind
from potrio import (
    ClientFailed,
    Config,
    ConfigError,
    ConnectionBroken,
    ConnectRefused,
    LinkPhase,
    SsidError,
    open_client,
)
from potrio.client.settings import FIELDS, load_config, read_settings
from potrio.seam import REAL
from potrio.secrets import Secret

from .conftest import SSID, hurt

TOKEN = "a0test0session0of0potrio0x"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str, name: str = "potrio.toml") -> str:
    Path(name).write_text(text)
    return name


def with_locals(error: BaseException) -> str:
    """A traceback with the values of local variables, as curious reporters print it."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def load(text: str = "", environ: dict[str, str] | None = None, **arguments):
    write(text)
    return load_config(environ={"POCKETOPTION_SSID": SSID, **(environ or {})}, **arguments)


# --- precedence ------------------------------------------------------------------------------------------------------


def test_defaults_where_nothing_is_given():
    assert load_config(environ={"POCKETOPTION_SSID": SSID}) == Config(ssid=Secret(SSID))


def test_file_environment_arguments_each_beats_the_last():
    text = "[client]\nhandshake_timeout_s = 1.5\n"
    assert load(text).handshake_timeout_s == 1.5
    assert load(text, {"POCKETOPTION_TIMEOUT": "2.5"}).handshake_timeout_s == 2.5
    assert load(text, {"POCKETOPTION_TIMEOUT": "2.5"}, handshake_timeout_s=3).handshake_timeout_s == 3
    assert load(text, {"POCKETOPTION_TIMEOUT": "2.5"}, handshake_timeout_s=None).handshake_timeout_s == 2.5


def test_a_fields_own_variable_beats_its_short_name():
    environ = {"POCKETOPTION_TIMEOUT": "2", "POCKETOPTION_HANDSHAKE_TIMEOUT_S": "4"}
    assert load("", environ).handshake_timeout_s == 4


def test_the_variables_of_the_readme():
    config = load(
        "",
        {
            "POCKETOPTION_DEBUG": "1",
            "POCKETOPTION_LOG_LEVEL": "info",
            "POCKETOPTION_MAX_RETRIES": "3",
            "POCKETOPTION_TIMEOUT": "7",
        },
    )
    assert (config.debug, config.level, config.max_retries, config.handshake_timeout_s) == (
        True,
        "INFO",
        3,
        7.0,
    )
    assert load("", {"POCKETOPTION_DEBUG": "true"}).level == "DEBUG"


def test_every_plain_field_has_a_variable():
    for name, field in FIELDS.items():
        settings = read_settings(environ={"POCKETOPTION_SSID": SSID})
        assert name in {each.name for each in settings.fields}, field


def test_another_file(folder):
    write('[client]\nregion = "eu"\n', "other.toml")
    write('[client]\nregion = "us"\n')
    environ = {"POCKETOPTION_SSID": SSID}
    assert load_config(environ=environ).region == "us"
    assert load_config(environ={**environ, "POCKETOPTION_CONFIG": "other.toml"}).region == "eu"
    assert load_config("other.toml", {**environ, "POCKETOPTION_CONFIG": "potrio.toml"}).region == "eu"


def test_sources_are_told():
    write("[client]\narm_live = false\n")
    settings = read_settings(environ={"POCKETOPTION_TIMEOUT": "2"}, region="eu")
    sources = {each.name: each.source for each in settings.fields}
    assert sources["arm_live"] == "potrio.toml: client.arm_live"
    assert sources["handshake_timeout_s"] == "environment: POCKETOPTION_TIMEOUT"
    assert (sources["region"], sources["transport"]) == ("argument", "default")
    assert list(sources) == [field.name for field in msgspec.structs.fields(Config)]


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[client]\nhandshake_timeout_s = 'x'",
            ["potrio.toml: client.handshake_timeout_s: ", "expected `float`"],
        ),
        ("[client]\nhandshake_timeout_s = -1", ["potrio.toml: client.handshake_timeout_s: must be"]),
        (
            "[client]\nhandshake_timeout = 1",
            ["client.handshake_timeout: ", "did you mean handshake_timeout_s?"],
        ),
        ("[client]\ntransport = 'pigeon'", ["potrio.toml: client.transport: "]),
        ("[client]\narm_live = 1", ["potrio.toml: client.arm_live: ", "bool"]),
        ("[client]\nheaders = {a = 1}", ["potrio.toml: client.headers"]),
        ("[client]\nseam = 'x'", ["potrio.toml: client.seam: can only be given in code"]),
        ("[cleint]\n", ["potrio.toml: cleint: ", "did you mean client?"]),
        ("client = 1", ["potrio.toml: client: must be a table"]),
        ("[client\n", ["potrio.toml: is not TOML"]),
        ("[client]\nssid = 7", ["potrio.toml: client.ssid: must be text"]),
        ("[client]\nlog_level = 'LOUD'", ["potrio.toml: client.log_level: must be one of DEBUG"]),
        ("[client]\nmax_retries = -1", ["potrio.toml: client.max_retries: "]),
        ("[client]\nssid_file = 'nowhere'", ["potrio.toml: client.ssid_file: nowhere: No such file"]),
    ],
)
def test_a_bad_file_names_the_path(text, words):
    write(text)
    environ = {} if "ssid" in text else {"POCKETOPTION_SSID": SSID}
    with pytest.raises(ConfigError) as caught:
        load_config(environ=environ)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("POCKETOPTION_TIMEOUT", "soon", ["environment: POCKETOPTION_TIMEOUT: ", "float"]),
        ("POCKETOPTION_TIMEOUT", "0", ["environment: POCKETOPTION_TIMEOUT: must be"]),
        ("POCKETOPTION_MAX_RETRIES", "many", ["environment: POCKETOPTION_MAX_RETRIES: "]),
        ("POCKETOPTION_DEBUG", "maybe", ["environment: POCKETOPTION_DEBUG: "]),
        ("POCKETOPTION_LOG_LEVEL", "LOUD", ["environment: POCKETOPTION_LOG_LEVEL: must be one of"]),
        ("POCKETOPTION_TIMEOT", "1", ["POCKETOPTION_TIMEOT: ", "did you mean POCKETOPTION_TIMEOUT?"]),
        ("POCKETOPTION_SEAM", "x", ["environment: POCKETOPTION_SEAM: can only be given in code"]),
        ("POCKETOPTION_HEADERS", "{", ["environment: POCKETOPTION_HEADERS: is not JSON"]),
        ("POCKETOPTION_CONFIG", "nowhere.toml", ["nowhere.toml: No such file"]),
    ],
)
def test_a_bad_variable_is_named(variable, value, words):
    with pytest.raises(ConfigError) as caught:
        load_config(environ={"POCKETOPTION_SSID": SSID, variable: value})
    for word in words:
        assert word in str(caught.value)


def test_a_bad_argument_is_named():
    with pytest.raises(ConfigError, match=r"^regoin: .*did you mean region"):
        load("", regoin="eu")
    with pytest.raises(ConfigError, match=r"^handshake_timeout_s: "):
        load("", handshake_timeout_s="soon")
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load_config("nowhere.toml", {})


def test_a_file_that_is_not_text(folder):
    (folder / "potrio.toml").write_bytes(b"\xff" + SSID.encode())
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(environ={})


def test_an_empty_variable_counts_as_not_there():
    assert load("[client]\nregion = 'eu'", {"POCKETOPTION_REGION": " "}).region == "eu"


# --- the SSID --------------------------------------------------------------------------------------------------------


def test_without_an_ssid():
    with pytest.raises(ConfigError, match="ssid: there is none: set POCKETOPTION_SSID"):
        load_config(environ={})


def test_it_is_a_secret_wherever_it_comes_from(folder):
    write(SSID + "\n", "session")
    toml = SSID.replace('"', '\\"')
    found = [
        load_config(environ={"POCKETOPTION_SSID": SSID}),
        load_config(environ={"POCKETOPTION_SSID_FILE": "session"}),
        load_config(environ={}, ssid=SSID),
        load_config(environ={}, ssid_file="session"),
        load_config(write(f'[client]\nssid = "{toml}"\n'), {}),
        load_config(write('[client]\nssid_file = "session"\n'), {}),
    ]
    assert all(config.ssid == Secret(SSID) for config in found)


def plant(bad: str) -> None:
    """Write a file with an SSID and a fault; the text is nobody's local variable."""
    write('[client]\nssid = "' + SSID.replace('"', '\\"') + '"\n' + bad)


@pytest.mark.parametrize("bad", ["region = 7", "nonsense = 7", "[clientx]", "x =", "seam = 1", "debug = 'x'"])
def test_no_error_has_it(bad):
    plant(bad)
    with pytest.raises(ConfigError) as caught:
        load_config(environ={"POCKETOPTION_TIMEOUT": "1"})
    assert TOKEN not in with_locals(caught.value)


@pytest.mark.parametrize("variable", ["POCKETOPTION_TIMEOUT", "POCKETOPTION_NONSENSE", "POCKETOPTION_SEAM"])
def test_no_error_of_the_environment_has_it(monkeypatch, variable):
    monkeypatch.setenv("POCKETOPTION_SSID", SSID)
    monkeypatch.setenv(variable, "x")
    with pytest.raises(ConfigError) as caught:
        load_config()
    assert TOKEN not in with_locals(caught.value)


def test_a_bad_ssid_is_an_ssid_error_without_it():
    with pytest.raises(SsidError) as caught:
        load_config(environ={"POCKETOPTION_SSID": SSID[:-4]})
    assert TOKEN not in str(caught.value)


async def test_open_client_loads_what_is_not_given(monkeypatch):
    monkeypatch.setenv("POCKETOPTION_SSID", SSID)
    monkeypatch.setenv("POCKETOPTION_REGION", "atlantis")
    with pytest.raises(ConfigError, match="region"):
        async with open_client():
            raise AssertionError("there is no such region")
    monkeypatch.delenv("POCKETOPTION_SSID")
    with pytest.raises(ConfigError, match="ssid: there is none"):
        async with open_client():
            raise AssertionError("there is no SSID")
    assert REAL.environment()["POCKETOPTION_REGION"] == "atlantis"


@pytest.mark.parametrize("max_retries", [0, 3])
async def test_max_retries_ends_the_client_with_the_last_error(
    autojump_clock, connect, venue, network, max_retries
):
    with pytest.raises(ClientFailed) as caught:
        async with connect(max_retries=max_retries) as client:
            lost_at = trio.current_time()
            await network_down(network, venue)
            while client.phase is not LinkPhase.CLOSED:
                await client.wait_change()
            await trio.sleep_forever()  # the end of the client ends it
    assert trio.current_time() - lost_at < 60
    assert isinstance(caught.value.__cause__, ConnectRefused if max_retries else ConnectionBroken)


async def network_down(network, venue) -> None:
    """Nobody can be connected to any more, and the connection there is breaks."""
    network._listeners.clear()
    await trio.lowlevel.checkpoint()
    hurt(venue, FaultKind.DROP)


def test_a_file_that_others_may_read_is_used_with_a_word_about_it(folder, caplog):
    write(SSID, "session")
    Path("session").chmod(0o600)
    load_config(environ={}, ssid_file="session")
    assert caplog.text == ""
    for mode in (0o640, 0o604):
        Path("session").chmod(mode)
        caplog.clear()
        assert load_config(environ={"POCKETOPTION_SSID_FILE": "session"}).ssid == Secret(SSID)
        assert "session: others on this machine may read the SSID; chmod 600 it" in caplog.text
