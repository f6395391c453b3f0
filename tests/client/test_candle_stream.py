"""Candle streams on a venue: joined with history without a seam, over drops too, and true to the venue's ticks."""

from __future__ import annotations

import os
import random

import pytest
import trio

from loadsim.venue import FaultKind
from potrio import Candle, Config, Forming, Gap, StreamOverflow, open_client
from potrio.protocol.candles import from_ticks

from .conftest import ASSET, EPOCH, SSID, ZONE, check_candles, hurt, read_closed, ticks_at

SEEDS = [int(seed) for seed in os.environ.get("POTRIO_SEEDS", "1 2").split()]


@pytest.fixture
def transport():
    return "framed"  # what is tested here is above the transport


@pytest.mark.parametrize(
    ("timeframe", "period", "history", "live"),
    [
        ("5s", 5, 100, 6),
        ("1m", 60, 100, 3),
        ("90s", 90, 20, 2),
        ("2m", 120, 10, 2),
        ("7s", 7, 30, 5),
        (60, 60, 0, 2),
    ],
)
async def test_live_candles_join_history_without_a_seam(
    autojump_clock, connect, venue, timeframe, period, history, live
):
    await trio.sleep(17)  # in the middle of a bucket
    async with connect() as client, client.live_candles(ASSET, timeframe, history) as stream:
        items = await read_closed(stream, history + live)
        candles = check_candles(venue, items, period)
        assert all(it.complete for it in candles)
        assert {(it.time + ZONE) % period for it in candles} == {0}
        assert candles[-1].time - candles[0].time == (history + live - 1) * period
        assert not any(isinstance(item, Gap) for item in items)
        if history:
            now = EPOCH + trio.current_time()
            assert candles[history].time <= now - live * period + period


@pytest.mark.parametrize(
    ("timeframe", "period"), [("1h", 3600), ("4h", 14_400), ("1d", 86_400), ("61m", 3660)]
)
async def test_a_long_bucket_is_completed_from_shorter_candles(
    autojump_clock, connect, venue, timeframe, period
):
    async with connect() as client, client.live_candles(ASSET, timeframe, 3) as stream:
        items = await read_closed(stream, 3)
        while not isinstance(item := await stream.receive(), Forming):
            items.append(item)
        start = item.candle.time
        assert start == items[-1].time + period
        now = EPOCH + trio.current_time()
        want = from_ticks(ticks_at(venue, start, now), period, zone_s=ZONE)[0]
        got = item.candle
        assert (got.open, got.high, got.low, got.close) == (want.open, want.high, want.low, want.close)


async def test_a_slow_reader_sees_the_newest_forming_candle_and_misses_no_closed_one(
    autojump_clock, connect, venue
):
    async with connect() as client, client.live_candles(ASSET, "5s") as stream:
        await stream.receive()
        await trio.sleep(61)
        items = []
        while not isinstance(item := await stream.receive(), Forming):
            items.append(item)
        assert len(check_candles(venue, items, 5)) == 12
        newest = ticks_at(venue, EPOCH, EPOCH + trio.current_time())[-1]
        assert item.candle.close == newest.price
        assert stream.forming == item.candle


async def test_what_a_full_ring_dropped_is_loaded_again(autojump_clock, connect, venue):
    async with connect() as client, client.live_candles(ASSET, "5s", capacity=8) as stream:
        await stream.receive()
        await trio.sleep(120)
        items = await read_closed(stream, 24)
        assert all(it.complete for it in check_candles(venue, items, 5))
        assert stream.statistics().mended == 1
        assert stream.statistics().ticks.dropped > 200


async def test_latest_keeps_the_newest_closed_candle_only(autojump_clock, connect, venue):
    async with connect() as client, client.live_candles(ASSET, "5s", 3, policy="latest") as stream:
        past = await read_closed(stream, 3)
        assert len(check_candles(venue, past, 5)) == 3
        await trio.sleep(61)
        newest = await read_closed(stream, 1)
        assert newest[0].time > past[-1].time + 50
        assert stream.statistics().conflated == stream.statistics().closed - 1


async def test_lossless_ends_with_an_error_when_it_is_not_read(autojump_clock, connect):
    async with (
        connect() as client,
        client.live_candles(ASSET, "5s", policy="lossless", capacity=16) as stream,
    ):
        await trio.sleep(30)
        with pytest.raises(StreamOverflow):
            while True:
                await stream.receive()


async def test_a_tick_that_comes_when_its_candle_is_closed_is_said_to(autojump_clock, connect, venue):
    async with connect() as client, client.live_candles(ASSET, "1s") as stream:
        items = []
        for _ in range(12):
            hurt(venue, FaultKind.DELAY, event="updateStream", delay_ms=700)
            items += await read_closed(stream, 3)
        late = [item for item in items if isinstance(item, Gap)]
        assert {(gap.reason, gap.asset, gap.until - gap.since) for gap in late} == {("late", ASSET, 1)}
        assert stream.statistics().gaps == len(late)
        check_candles(venue, items, 1)


# --- outages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restart_s", [0, 40, 600])
async def test_candles_missed_in_an_outage_are_loaded(autojump_clock, connect, venue, restart_s):
    """Ten minutes are more than the venue tells when an asset is asked for again."""
    async with connect() as client, client.live_candles(ASSET, "5s", 2) as stream:
        items = await read_closed(stream, 5)
        if restart_s:
            hurt(venue, FaultKind.RESTART, delay_ms=restart_s * 1000)
        else:
            hurt(venue, FaultKind.DROP)
        items += await read_closed(stream, 5 + restart_s // 5, 2000)
        candles = check_candles(venue, items, 5)
        assert all(it.complete for it in candles)
        assert candles[-1].time - candles[0].time == 5 * (len(candles) - 1)


async def test_a_gap_says_from_when_to_when_if_history_does_not_tell_either(autojump_clock, connect, venue):
    async with connect() as client, client.live_candles(ASSET, "5s", 2) as stream:
        items = await read_closed(stream, 4)
        hurt(venue, FaultKind.LOSE, event="updateHistoryNew", count=None)
        hurt(venue, FaultKind.LOSE, event="loadHistoryPeriod", count=None)
        hurt(venue, FaultKind.RESTART, delay_ms=30_000)
        items += await read_closed(stream, 5)
        gap = next(item for item in items if isinstance(item, Gap))
        assert gap.reason == "reconnect"
        assert gap.asset == ASSET
        assert gap.until - gap.since > 25
        candles = check_candles(venue, items, 5)
        cut = [it.time for it in candles if not it.complete]
        assert len(cut) in (1, 2)
        assert all(gap.since - 5 < time < gap.until for time in cut)


async def test_a_bucket_that_history_does_not_tell_is_never_called_complete(autojump_clock, connect, venue):
    await trio.sleep(30)
    async with connect() as client:
        hurt(venue, FaultKind.LOSE, event="loadHistoryPeriod", count=None)
        async with client.live_candles(ASSET, "1m") as stream:
            items = await read_closed(stream, 2)
            assert isinstance(items[0], Gap)
            assert items[0].reason == "history"
            first, second = (item for item in items if isinstance(item, Candle))
            assert (first.complete, second.complete) == (False, True)
            check_candles(venue, items, 60)


@pytest.mark.parametrize("seed", SEEDS)
async def test_many_drops_and_every_complete_candle_equals_the_venues_ticks(
    autojump_clock, venue, network, seed
):
    """P4 end to end: an hour of drops, restarts and lost answers, against the venue's own record."""
    chance = random.Random(seed)
    faults = [
        lambda: hurt(venue, FaultKind.DROP),
        lambda: hurt(venue, FaultKind.RESTART, delay_ms=chance.randrange(1000, 60_000)),
        lambda: hurt(venue, FaultKind.HALF_OPEN),
        lambda: hurt(venue, FaultKind.LOSE, event="loadHistoryPeriod", count=3),
        lambda: hurt(venue, FaultKind.LOSE, event="updateHistoryNew", count=1),
        lambda: hurt(venue, FaultKind.DUPLICATE, event="updateStream"),
        lambda: hurt(venue, FaultKind.REORDER, event="updateStream"),
    ]
    config = Config(ssid=SSID, url=venue.url, seam=network)
    async with open_client(config) as client, trio.open_nursery() as nursery:

        async def trouble():
            while True:
                await trio.sleep(chance.uniform(5, 90))
                chance.choice(faults)()

        async with (
            client.live_candles(ASSET, "15s", 10) as quarter,
            client.live_candles(ASSET, "1m") as minute,
        ):
            nursery.start_soon(trouble)
            found = {}

            async def read(stream, period, count):
                found[period] = await read_closed(stream, count, 1e5)

            async with trio.open_nursery() as readers:
                readers.start_soon(read, quarter, 15, 250)
                readers.start_soon(read, minute, 60, 60)
            nursery.cancel_scope.cancel()
    assert client.statistics().reconnects > 5
    for period, items in found.items():
        candles = check_candles(venue, items, period)
        assert sum(it.complete for it in candles) > len(candles) * 0.7
