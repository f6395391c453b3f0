"""The candle source: candles of any length out of the venue's, and ticks that reach as far as they must, or none."""

from __future__ import annotations

import math

import pytest
import trio

from loadsim.venue import FaultKind, MarketConfig, VenueConfig, open_venue
from potrio import Config, ConfigError, HistoryShort, open_client
from potrio.client.candle_source import CandleSource, check_history, part_of
from potrio.protocol.timeframes import PERIODS_S, bucket_start, parse_period

from .conftest import ASSET, EPOCH, PORT, SSID, ZONE, check_candles, hurt, read_closed, ticks_at, until


@pytest.fixture
def transport():
    return "framed"  # what is tested here is above the transport


def source_of(client) -> CandleSource:
    return CandleSource(client.supervisor, client._shared, client._config.seam, ASSET)


@pytest.mark.parametrize(
    ("period", "part"),
    [("7s", 1), ("90s", 30), ("2m", 120), ("7m", 60), ("25m", 300), ("2h", 3600), ("1w", 86_400)],
)
def test_a_candle_is_made_of_the_longest_that_divide_it(period, part):
    assert part_of(parse_period(period)) == part
    assert all(part_of(it) == it for it in PERIODS_S)


@pytest.mark.parametrize(("count", "period", "most"), [(4800, 60, 4799), (5, 1799, 1), (690, 604_800, 684)])
def test_more_history_than_can_be_loaded_is_refused(count, period, most):
    check_history(most, period)
    with pytest.raises(ConfigError, match=f"at most {most} "):
        check_history(count, period)


@pytest.mark.parametrize("count", [-1, 1.0, True, None, "5"])
def test_history_is_a_number(count):
    with pytest.raises(ConfigError) as caught:
        check_history(count, 60)
    assert caught.value.path == "history"


async def test_candles_of_any_length(autojump_clock, connect, venue):
    async with connect() as client:
        for period in (7, 90, 420, 7200, 604_800):
            end = bucket_start(EPOCH - 3600, period, ZONE)
            candles = await source_of(client).candles(3, period, end)
            assert [it.time for it in candles] == [end - 3 * period, end - 2 * period, end - period]
            if period < 604_800:
                check_candles(venue, candles, period)
            assert all(it.complete for it in candles)


async def test_too_short_a_history_is_told_in_candles_of_the_asked_length(autojump_clock, connect):
    async with connect() as client:
        with pytest.raises(HistoryShort) as caught:
            await source_of(client).candles(2, 120 * 7, bucket_start(1_400_000_000, 840, ZONE))
        assert (caught.value.have, caught.value.want) == (0, 2)


async def test_ticks_reach_as_far_as_they_must(autojump_clock, connect, venue):
    async with connect() as client:
        source = source_of(client)
        now = source.now()
        found = await source.ticks(now - 100, now - 1)
        assert [(t.timestamp, t.price) for t in found.ticks] == [
            (t.timestamp, t.price) for t in ticks_at(venue, now - 100, found.end - 0.0005)
        ]
        before = trio.current_time()
        assert await source.ticks(now - 100, now + 3600) is None, "nobody can tell the future"
        assert 3 < trio.current_time() - before < 5
        assert await source.ticks(now - 1e6, -math.inf) is None, "longer ago than one call may reach back"


async def test_ticks_wait_for_the_link(autojump_clock, connect, venue):
    async with connect() as client:
        source = source_of(client)
        now = source.now()
        hurt(venue, FaultKind.RESTART, delay_ms=30_000)
        await until(lambda: not client._shared.link.ready)
        assert source.known_until() == -math.inf
        assert await source.ticks(now - 10, now - 1) is not None
        assert trio.current_time() > 29


async def test_ticks_that_are_never_told_are_none(autojump_clock, connect, venue):
    async with connect() as client:
        hurt(venue, FaultKind.LOSE, event="loadHistoryPeriod", count=None)
        assert await source_of(client).ticks(source_of(client).now() - 10, -math.inf) is None


async def test_what_is_known_ends_where_the_venue_was_heard_last(autojump_clock, connect):
    async with connect() as client:
        source = source_of(client)
        assert source.known_until() == -math.inf, "nobody reads it"
        async with client.ticks(ASSET) as stream:
            newest = (await stream.receive()).timestamp
            assert newest - 1 <= source.known_until() <= source.now()


async def test_candles_that_lag_are_mended(autojump_clock, network):
    """The real service's candles are minutes behind its stream (protocol.md 6.2)."""
    market = MarketConfig(history_lag_s=400)
    async with open_venue(VenueConfig(seed=3, port=PORT, market=market), seam=network) as venue:
        config = Config(ssid=SSID, url=venue.url, seam=network)
        async with open_client(config) as client:
            for timeframe, period in (("1m", 60), ("90s", 90), ("1h", 3600)):
                async with client.live_candles(ASSET, timeframe, 20) as stream:
                    candles = check_candles(venue, await read_closed(stream, 21, 4000), period)
                    assert all(it.complete for it in candles)
