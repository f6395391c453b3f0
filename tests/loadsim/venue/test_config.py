"""Configuration: strict, bounded, and every error names its key."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from loadsim.venue.config import MarketConfig, TradingConfig, VenueConfig, convert, read_config
from loadsim.venue.faults import FaultKind
from potrio.errors import ConfigError
from potrio.secrets import Secret

GOOD = """
port = 18080
seed = 7
offset_s = 0
state_file = "state.json"
[market]
volatility = 0
[trading]
demo_balance = "100.50"
amount_min = 2
[access]
sessions = ["hush"]
[[faults]]
kind = "delay"
event = "successopenOrder"
delay_ms = 250
"""


def written(tmp_path: Path, text: str) -> Path:
    """A file with this text."""
    path = tmp_path / "venue.toml"
    path.write_text(text)
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, GOOD))
    assert (config.port, config.seed, config.offset_s) == (18_080, 7, 0)
    assert config.state_file == Path("state.json")
    assert config.market == MarketConfig(volatility=0)
    assert config.trading == TradingConfig(demo_balance=Decimal("100.50"), amount_min=Decimal(2))
    assert config.access.sessions == (Secret("hush"),)
    assert [fault.kind for fault in config.faults] == [FaultKind.DELAY]
    assert "hush" not in repr(config)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('port = "x"', "port: Expected `int`, got `str`"),
        ("port = 99999", "port: must be from 0 to 65535"),
        ("x = 1", "Object contains unknown field `x`"),
        ("[market]\nvolatilty = 1", "market: Object contains unknown field `volatilty`"),
        ("[market]\nvolatility = 11", "market.volatility: must be from 0 to 10"),
        ('[trading]\ndemo_balance = "1.005"', "trading.demo_balance: must be in whole cents"),
        ("[trading]\namount_min = 0", "trading.amount_min: must be above 0"),
        ('[[faults]]\nkind = "delay"', "faults[0].delay_ms: delay needs one above 0"),
        ('[[faults]]\nkind = "nope"', "faults[0].kind: Invalid enum value 'nope'"),
        ("[access]\nsessions = [1]", "access.sessions[0]: Expected `str`, got `int`"),
        ('tls_cert = "x"', "tls_key: goes together with tls_cert"),
        ("a =", "is not TOML"),
    ],
)
def test_an_error_names_the_file_and_the_key(tmp_path: Path, text: str, error: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"{path}: {error}")
    assert "\n" not in str(caught.value)


def test_an_error_does_not_repeat_a_session(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(written(tmp_path, 'port = 99999\n[access]\nsessions = ["hush"]'))
    assert "hush" not in repr(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "nowhere.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not TOML"):
        read_config(tmp_path / "binary.toml")


def test_convert_is_for_any_plain_value() -> None:
    assert convert({"seed": 3}, VenueConfig, "x").seed == 3
    with pytest.raises(ConfigError, match=r"^x: Expected `object`, got `int`$"):
        convert(3, VenueConfig, "x")


def test_defaults_are_loopback_and_plain() -> None:
    config = VenueConfig()
    assert (config.host, config.port, config.offset_s, config.is_tls) == ("127.0.0.1", 0, 7200, False)
    with pytest.raises(ConfigError):
        VenueConfig(tls_key=Path("key"))
