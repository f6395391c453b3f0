"""The past of the market as a client reads it from a venue, also from one whose history lags behind its stream."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trio

from loadsim.venue import FaultKind, MarketConfig, VenueConfig, open_venue
from potrio import Config, ConfigError, open_client

from .conftest import ASSET, EPOCH, PORT, SSID, TEST_DEADLINE_S, hurt, until

ZONE = 7200


@asynccontextmanager
async def lagging(network, lag_s: int, ssid: str = SSID):
    config = VenueConfig(seed=3, port=PORT, market=MarketConfig(history_lag_s=lag_s))
    with trio.fail_after(TEST_DEADLINE_S):
        async with (
            open_venue(config, seam=network) as venue,
            open_client(Config(ssid=ssid, url=venue.url, seam=network)) as client,
        ):
            yield venue, client


def truth(venue, candle, period_s: int, until: float | None = None):
    """The candle as the market itself has it."""
    row = venue.exchange._market.candle(ASSET, period_s, candle.time + ZONE, until)
    return row.open, row.high, row.low, row.close


def prices(candle):
    return candle.open, candle.high, candle.low, candle.close


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("lag_s", [0, 45, 420])
async def test_newest_candles_are_true_however_late_history_is(autojump_clock, network, lag_s, fast):
    ssid = SSID.replace('"platform":2', '"platform":2,"isFastHistory":true') if fast else SSID
    async with lagging(network, lag_s, ssid) as (venue, client):
        await trio.sleep(37)
        for timeframe, period_s in (("5s", 5), ("1m", 60), ("5m", 300), ("1h", 3600)):
            candles = await client.candles(ASSET, timeframe, 20, include_forming=True)
            assert len(candles) == 21
            now = EPOCH + trio.current_time()
            assert candles[-1].time <= now < candles[-1].time + period_s
            for candle in candles[:-1]:
                assert candle.complete
                assert prices(candle) == truth(venue, candle, period_s)
            assert not candles[-1].complete
            assert candles[-1].open == truth(venue, candles[-1], period_s)[0]
            assert candles.gaps == ()


async def test_a_range(autojump_clock, connect):
    end = datetime.fromtimestamp(EPOCH, UTC) - timedelta(days=3)
    async with connect() as client:
        candles = await client.candles(ASSET, "1m", start=end - timedelta(hours=5), end=end)
        assert len(candles) == 300
        assert candles[-300:] == await client.candles(ASSET, "1m", 300, end)
        assert candles.complete


async def test_equal_calls_share_and_a_cancelled_one_disturbs_nobody(autojump_clock, connect, venue):
    got = []
    async with connect() as client:

        async def ask(scope: trio.CancelScope) -> None:
            with scope:
                got.append(await client.candles(ASSET, "1m", 400, include_forming=True))

        scopes = [trio.CancelScope() for _ in range(4)]
        async with trio.open_nursery() as nursery:
            for scope in scopes:
                nursery.start_soon(ask, scope)
                await trio.lowlevel.checkpoint()
            scopes[0].cancel()  # who came first, and does the asking
        asked = venue.stats()["events_received"]["loadHistoryPeriod"]
        assert scopes[0].cancelled_caught
        assert len(got) == 3
        assert got[0] == got[1] == got[2]
        assert got[0] is not got[1]
        assert asked <= 5, "four pages and the ticks, whoever is first"


async def test_the_cache_is_counted_and_survives_a_reconnect(autojump_clock, connect, venue):
    end = datetime.fromtimestamp(EPOCH, UTC) - timedelta(days=1)
    async with connect() as client:
        first = await client.candles(ASSET, "1m", 1000, end)
        before = client.statistics().caches["candles"]
        assert (before.hits, before.size) == (0, before.misses)
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.epoch == 2)
        await client.wait_ready()
        assert await client.candles(ASSET, "1m", 1000, end) == first
        after = client.statistics().caches["candles"]
        assert (after.hits, after.misses) == (before.misses, before.misses)
        assert client.statistics().history_rows_bad == 0


async def test_ticks_of_the_past_are_those_of_the_stream(autojump_clock, connect):
    async with connect() as client:
        async with client.ticks(ASSET) as stream:
            live = [await stream.receive() for _ in range(40)]
        first, last = (live[0].time - timedelta(milliseconds=1), live[-1].time + timedelta(milliseconds=1))
        told = await client.tick_history(ASSET, first, last)
        assert [(tick.asset, round(tick.timestamp, 3), tick.price) for tick in told] == [
            (tick.asset, round(tick.timestamp, 3), tick.price) for tick in live
        ]


async def test_candles_of_any_length_agree_with_the_market(autojump_clock, connect, venue):
    end = datetime.fromtimestamp(EPOCH - 3600, UTC)
    async with connect() as client:
        candles = await client.compile_candles(ASSET, "90s", end - timedelta(minutes=30), end)
        whole = [candle for candle in candles if candle.complete]
        assert len(whole) in (19, 20)
        for candle in whole:
            assert prices(candle) == truth(venue, candle, 90)


async def test_questions_about_nothing_are_refused(autojump_clock, connect):
    now = datetime.fromtimestamp(EPOCH, UTC)
    async with connect() as client:
        for call in (
            lambda: client.candles("NOSUCH"),
            lambda: client.tick_history("NOSUCH", now),
            lambda: client.compile_candles("NOSUCH", 7, now),
            lambda: client.compile_candles(ASSET, 0, now - timedelta(hours=1)),
        ):
            with pytest.raises(ConfigError):
                await call()
