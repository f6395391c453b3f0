"""What a file can hold and what it cannot; and what is written is read back without loss."""

from __future__ import annotations

import ssl
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio import Config, ConfigError
from potrio.client.plain import config_values, holds_secret, is_plain, read_plain, read_text, to_toml
from potrio.client.settings import load_config
from potrio.protocol.ssid import Ssid, parse_ssid
from potrio.seam import Seam
from potrio.secrets import Secret
from potrio.testing.network import MemoryNetwork

from .conftest import SSID

TOKEN = "a0test0session0of0potrio0x"
URL = "ws://127.0.0.1:8080/socket.io/?EIO=4&transport=websocket"


class Plain(msgspec.Struct):
    times: int = 1


class Odd(msgspec.Struct):
    seam: Seam | None = None


class Disk(MemoryNetwork):
    """One file."""

    text = ""

    def read_file(self, path) -> bytes:
        return self.text.encode()


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str | None, True),
        (Literal["a", "b"], True),
        (tuple[str, ...] | None, True),
        (Mapping[str, str] | None, True),
        (Annotated[float, msgspec.Meta(gt=0)], True),
        (Path | None, True),
        (Decimal, True),
        (Plain, True),
        (str | Secret | Ssid, True),
        (Odd, False),
        (Seam, False),
        (ssl.SSLContext | None, False),
        (object, False),
    ],
)
def test_is_plain(annotation, expected):
    assert is_plain(annotation) is expected


def test_every_field_of_a_config_is_one_or_the_other():
    in_code_only = {field.name for field in msgspec.structs.fields(Config) if not is_plain(field.type)}
    assert {"seam", "ssl_context"} <= in_code_only
    assert not in_code_only & {
        "ssid",
        "url",
        "region",
        "headers",
        "transport",
        "handshake_timeout_s",
        "max_retries",
    }


@pytest.mark.parametrize(
    ("text", "annotation", "expected"),
    [
        ("7", int | None, 7),
        ("0.5", float, 0.5),
        ("true", bool, True),
        ("0", bool, False),
        ("a,b , c", tuple[str, ...], ("a", "b", "c")),
        ('["a","b"]', tuple[str, ...] | None, ("a", "b")),
        ('{"X-A":"1"}', Mapping[str, str] | None, {"X-A": "1"}),
        ("12.50", Decimal, Decimal("12.50")),
        ("/a/b", Path | None, Path("/a/b")),
        ('{"times":3}', Plain, Plain(3)),
    ],
)
def test_text_of_variables(text, annotation, expected):
    assert read_text(text, annotation, "x") == expected


def test_what_does_not_fit_names_the_place_within():
    with pytest.raises(ConfigError) as caught:
        read_plain(["a", 1], tuple[str, ...], "file: client.urls")
    assert str(caught.value) == "file: client.urls[1]: expected `str`, got `int`"


def test_secrets_are_not_repeated():
    assert holds_secret(str | Secret)
    assert not holds_secret(str | None)
    with pytest.raises(ConfigError, match="must be text"):
        read_plain([TOKEN], str | Secret, "x")


plain_configs = st.builds(
    Config,
    ssid=st.sampled_from([Secret(SSID)]),
    url=st.none() | st.just(URL),
    transport=st.sampled_from(["framed", "trio-websocket"]),
    headers=st.none() | st.dictionaries(st.text(max_size=8), st.text(max_size=20), min_size=1, max_size=3),
    allow_insecure=st.booleans(),
    arm_live=st.booleans(),
    handshake_timeout_s=st.floats(1e-6, 1e9),
    max_retries=st.none() | st.integers(0, 10**6),
    debug=st.booleans(),
    log_level=st.none() | st.sampled_from(["debug", "INFO"]),
)


@given(plain_configs)
def test_what_is_written_is_read_back(config):
    disk = Disk()
    disk.text = to_toml(config, reveal=True)
    again = load_config("any.toml", {}, seam=disk)
    assert again == msgspec.structs.replace(config, seam=disk)


@given(plain_configs)
def test_without_the_secrets_unless_asked(config):
    text = to_toml(config)
    assert TOKEN not in text
    assert "ssid" not in tomllib.loads(text)["client"]
    assert config_values(config).keys() == config_values(config, reveal=True).keys() - {"ssid"}


def test_an_ssid_in_every_form_is_written_whole():
    for ssid in (SSID, Secret(SSID), parse_ssid(SSID)):
        assert config_values(Config(ssid=ssid), reveal=True)["ssid"] == SSID


def test_what_no_file_can_hold_is_not_lost_silently():
    with pytest.raises(ConfigError, match=r"ssl_context: .*no file can hold"):
        to_toml(Config(ssid=SSID, ssl_context=ssl.create_default_context()))


@pytest.mark.parametrize(
    "field",
    [field for field in msgspec.structs.fields(Config) if is_plain(field.type)],
    ids=lambda field: field.name,
)
@pytest.mark.parametrize("text", ["x", "1", "true", "[1]"])
def test_every_field_that_may_stand_in_a_file_can_be_read(field, text):
    """Or is refused as a value: no type among them is one that nothing can be read for."""
    for read, value in ((read_text, text), (read_plain, text)):
        with suppress(ConfigError):
            read(value, field.type, "here")


def test_a_journal_is_named_as_text_or_as_a_path():
    for journal, expected in (("orders.db", "orders.db"), (Path("orders.db"), Path("orders.db"))):
        assert load_config(None, {}, ssid=SSID, journal=journal, seam=Disk()).journal == expected
    disk = Disk()
    disk.text = to_toml(Config(ssid=SSID, journal=Path("orders.db")), reveal=True)
    assert load_config("any.toml", {}, seam=disk).journal == "orders.db"
    disk.text = ""
    variables = {"POCKETOPTION_SSID": SSID, "POCKETOPTION_JOURNAL": "orders.db"}
    assert load_config("any.toml", variables, seam=disk).journal == "orders.db"
    with pytest.raises(ConfigError, match="expected `str"):
        load_config(None, {}, ssid=SSID, journal=5, seam=Disk())
