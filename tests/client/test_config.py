"""`Config`: faults name their field, nothing secret is shown, addresses in the order in which they are tried."""

from __future__ import annotations

import math

import pytest

from potrio import Config, ConfigError, SsidError
from potrio.protocol.ssid import parse_ssid
from potrio.secrets import Secret

TOKEN = "a0test0session0of0potrio0x"
SSID = f'42["auth",{{"session":"{TOKEN}","isDemo":1,"uid":4711,"platform":2}}]'
URL = "ws://127.0.0.1:8080/socket.io/?EIO=4&transport=websocket"


@pytest.mark.parametrize(
    "ssid", [SSID, Secret(SSID), parse_ssid(Secret(SSID))], ids=["text", "Secret", "Ssid"]
)
def test_an_ssid_in_any_form(ssid):
    parsed = Config(ssid=ssid).parsed_ssid()
    assert (parsed.is_demo, parsed.uid) == (True, 4711)


def test_a_bad_ssid_is_said_to_be_one_without_being_shown():
    with pytest.raises(SsidError) as caught:
        Config(ssid=SSID[:-5]).parsed_ssid()
    assert TOKEN not in str(caught.value)
    with pytest.raises(ConfigError, match="ssid"):
        Config(ssid=7).parsed_ssid()  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize(
    "config", [Config(ssid=SSID), Config(ssid=SSID, url=URL), Config(ssid=SSID, region="eu")]
)
def test_its_repr_has_no_token(config):
    assert TOKEN not in repr(config)


def test_one_url_is_the_only_candidate():
    config = Config(ssid=SSID, url=URL)
    (only,) = config.candidates(config.parsed_ssid())
    assert (only.url, only.is_demo) == (URL, True)


def test_public_candidates_are_of_the_accounts_kind():
    config = Config(ssid=SSID)
    found = config.candidates(config.parsed_ssid())
    assert found
    assert all(region.is_demo and region.url.startswith("wss://") for region in found)


def test_an_unknown_region_is_named():
    config = Config(ssid=SSID, region="atlantis")
    with pytest.raises(ConfigError, match=r"region: .*known are"):
        config.candidates(config.parsed_ssid())


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"transport": "carrier-pigeon"}, "transport"),
        ({"handshake_timeout_s": 0}, "handshake_timeout_s"),
        ({"handshake_timeout_s": -1.0}, "handshake_timeout_s"),
        ({"handshake_timeout_s": math.nan}, "handshake_timeout_s"),
        ({"handshake_timeout_s": math.inf}, "handshake_timeout_s"),
        ({"url": URL, "region": "eu"}, "region"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(options, field):
    with pytest.raises(ConfigError, match=field):
        Config(ssid=SSID, **options).checked()


def test_a_good_one_is_given_back():
    config = Config(ssid=SSID, url=URL, transport="trio-websocket")
    assert config.checked() is config
