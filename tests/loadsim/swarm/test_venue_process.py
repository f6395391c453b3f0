"""The embedded venue: told by a plan what it is to be like; frozen, it ends with its block all the same."""

from __future__ import annotations

import os
import tomllib

import pytest
import trio

from loadsim.swarm.control import VenueControl
from loadsim.swarm.venue_process import open_embedded_venue, settings_of, toml_of
from potrio.errors import ConfigError, PotrioError


def test_the_plan_decides_and_defaults_fill_in() -> None:
    found = settings_of({"market": {"candles_count": 5}, "seed": 9, "streams_max": 2}, 1)

    assert found["market"] == {"history_ticks_s": 30, "candles_count": 5}
    assert (found["seed"], found["streams_max"], found["connections_max"]) == (9, 2, 100_000)


@pytest.mark.parametrize("venue", [{"colour": "red"}, {"market": {"candles_count": -1}}, {"market": 3}])
def test_settings_that_are_none(venue) -> None:
    with pytest.raises(ConfigError, match=r"target\.venue"):
        settings_of(venue, 1)


def test_settings_survive_being_written() -> None:
    values = {"a": 'x "y" \\ é', "b": 1, "c": 2.5, "d": True, "e": {"f": [1, 2], "g": {"h": "i"}}}

    assert tomllib.loads(toml_of(values)) == values


async def test_a_frozen_venue_says_nothing_and_ends_with_its_block(monkeypatch) -> None:
    async with open_embedded_venue({"trading": {"demo_balance": "77.00"}}, 1) as venue:
        pid, control = venue.pid, VenueControl(venue.url)
        assert (await control.stats())["uptime_s"] >= 0
        venue.freeze()
        monkeypatch.setattr("loadsim.swarm.control.TIMEOUT_S", 0.3)
        await trio.sleep(0.05)
        with pytest.raises(PotrioError, match="timed out"):
            await control.stats()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
