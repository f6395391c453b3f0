"""Candle streams of a client on a venue: joined with history without a seam, over drops too, and true to its ticks."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
import trio

from loadsim.venue import FaultKind
from potrio import ConfigError, Gap, StreamOverflow
from potrio.actors.router import BridgeOverdue
from potrio.protocol.candle_builder import Forming
from potrio.protocol.candles import Candle, from_ticks
from potrio.protocol.messages.market import TickRow

from .conftest import ASSET, EPOCH, OTHER, hurt, until

ZONE = 7200


@pytest.fixture
def transport():
    return "framed"  # what is tested here is above the transport


def told_by(venue, start: float, end: float, asset: str = ASSET) -> list[TickRow]:
    """The venue's own record of its ticks, in UTC."""
    rows = venue.exchange._market.ticks(asset, start + ZONE, end + ZONE)
    return [TickRow(row.stamp - ZONE, row.price) for row in rows]


def true_candles(venue, period: int, start: int, end: float) -> dict[int, tuple[float, ...]]:
    return {
        it.time: (it.open, it.high, it.low, it.close)
        for it in from_ticks(told_by(venue, start, end), period, zone_s=ZONE)
    }


def check(venue, items: list, period: int) -> list[Candle]:
    """What is called complete equals the venue's ticks; every bucket is there once, or a gap says that it is not."""
    candles = [item for item in items if isinstance(item, Candle)]
    gaps = [item for item in items if isinstance(item, Gap)]
    true = true_candles(venue, period, candles[0].time, candles[-1].time + period - 0.001)
    times = [it.time for it in candles]
    assert times == sorted(set(times))
    for it in candles:
        if it.complete:
            assert (it.open, it.high, it.low, it.close) == true[it.time]
    for time in true.keys() - set(times):
        assert any(gap.since < time + period and (gap.until is None or time < gap.until) for gap in gaps), (
            time
        )
    for it in candles:
        if not it.complete:
            assert any(gap.since < it.time + period for gap in gaps)
    return candles


async def closed(stream, count: int, within: float = 1000.0) -> list:
    """Read until so many candles are closed; forming ones are checked and left out."""
    seen: list = []
    with trio.fail_after(within):
        while sum(isinstance(item, Candle) for item in seen) < count:
            item = await stream.receive()
            if isinstance(item, Forming):
                assert not item.candle.complete
            else:
                seen.append(item)
    return seen


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
        items = await closed(stream, history + live)
        candles = check(venue, items, period)
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
        items = await closed(stream, 3)
        while not isinstance(item := await stream.receive(), Forming):
            items.append(item)
        start = item.candle.time
        assert start == items[-1].time + period
        now = EPOCH + trio.current_time()
        want = from_ticks(told_by(venue, start, now), period, zone_s=ZONE)[0]
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
        assert len(check(venue, items, 5)) == 12
        newest = told_by(venue, EPOCH, EPOCH + trio.current_time())[-1]
        assert item.candle.close == newest.price
        assert stream.forming == item.candle


async def test_what_a_full_ring_dropped_is_loaded_again(autojump_clock, connect, venue):
    async with connect() as client, client.live_candles(ASSET, "5s", capacity=8) as stream:
        await stream.receive()
        await trio.sleep(120)
        items = await closed(stream, 24)
        assert all(it.complete for it in check(venue, items, 5))
        assert stream.statistics().mended == 1
        assert stream.statistics().ticks.dropped > 200


async def test_latest_keeps_the_newest_closed_candle_only(autojump_clock, connect, venue):
    async with connect() as client, client.live_candles(ASSET, "5s", 3, policy="latest") as stream:
        past = await closed(stream, 3)
        assert len(check(venue, past, 5)) == 3
        await trio.sleep(61)
        newest = await closed(stream, 1)
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


# --- outages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restart_s", [0, 40, 1000])
async def test_candles_missed_in_an_outage_are_loaded(autojump_clock, connect, venue, restart_s):
    """A thousand seconds are more than the venue tells when an asset is asked for again."""
    async with connect() as client, client.live_candles(ASSET, "5s", 2) as stream:
        items = await closed(stream, 5)
        if restart_s:
            hurt(venue, FaultKind.RESTART, delay_ms=restart_s * 1000)
        else:
            hurt(venue, FaultKind.DROP)
        items += await closed(stream, 5 + restart_s // 5, 2000)
        candles = check(venue, items, 5)
        assert all(it.complete for it in candles)
        assert candles[-1].time - candles[0].time == 5 * (len(candles) - 1)


async def test_a_gap_says_from_when_to_when_if_history_does_not_tell_either(autojump_clock, connect, venue):
    async with connect() as client, client.live_candles(ASSET, "5s", 2) as stream:
        items = await closed(stream, 4)
        hurt(venue, FaultKind.LOSE, event="updateHistoryNew", count=None)
        hurt(venue, FaultKind.LOSE, event="loadHistoryPeriod", count=None)
        hurt(venue, FaultKind.RESTART, delay_ms=30_000)
        items += await closed(stream, 5)
        gap = next(item for item in items if isinstance(item, Gap))
        assert gap.reason == "reconnect"
        assert gap.asset == ASSET
        assert gap.until - gap.since > 25
        candles = check(venue, items, 5)
        cut = [it.time for it in candles if not it.complete]
        assert len(cut) in (1, 2)
        assert all(gap.since - 5 < time < gap.until for time in cut)


async def test_a_bucket_that_history_does_not_tell_is_never_called_complete(autojump_clock, connect, venue):
    await trio.sleep(30)
    async with connect() as client:
        hurt(venue, FaultKind.LOSE, event="loadHistoryPeriod", count=None)
        async with client.live_candles(ASSET, "1m") as stream:
            items = await closed(stream, 2)
            assert isinstance(items[0], Gap)
            assert items[0].reason == "history"
            first, second = (item for item in items if isinstance(item, Candle))
            assert (first.complete, second.complete) == (False, True)
            check(venue, items, 60)


async def test_many_drops_and_every_complete_candle_equals_the_venues_ticks(
    autojump_clock, connect, venue, network
):
    """P4 end to end: an hour of drops, restarts and lost answers, against the venue's own record."""
    chance = network.generator()
    faults = [
        lambda: hurt(venue, FaultKind.DROP),
        lambda: hurt(venue, FaultKind.RESTART, delay_ms=chance.randrange(1000, 60_000)),
        lambda: hurt(venue, FaultKind.HALF_OPEN),
        lambda: hurt(venue, FaultKind.LOSE, event="loadHistoryPeriod", count=3),
        lambda: hurt(venue, FaultKind.LOSE, event="updateHistoryNew", count=1),
        lambda: hurt(venue, FaultKind.DUPLICATE, event="updateStream"),
        lambda: hurt(venue, FaultKind.REORDER, event="updateStream"),
    ]
    async with connect() as client, trio.open_nursery() as nursery:

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
                found[period] = await closed(stream, count, 1e5)

            async with trio.open_nursery() as readers:
                readers.start_soon(read, quarter, 15, 250)
                readers.start_soon(read, minute, 60, 60)
            nursery.cancel_scope.cancel()
    assert client.statistics().reconnects > 5
    for period, items in found.items():
        late = {item.since for item in items if isinstance(item, Gap) and item.reason == "late"}
        exact = [it for it in items if not isinstance(it, Candle) or it.time not in late]
        candles = check(venue, exact, period)
        assert sum(it.complete for it in candles) > len(candles) * 0.7


# --- other candles ---------------------------------------------------------------------------------------------------


async def test_chunks_have_so_many_ticks_each(autojump_clock, connect, venue):
    async with connect() as client, client.chunked_candles(ASSET, 7) as stream:
        items = await closed(stream, 5)
    ticks = told_by(venue, items[0].time, items[-1].time + 60)
    places = [
        n
        for n, tick in enumerate(ticks)
        if tick.price == items[0].open and int(tick.timestamp) == items[0].time
    ]
    matches = [
        all(
            (it.open, it.close, it.high, it.low) == (prices[0], prices[-1], max(prices), min(prices))
            for k, it in enumerate(items)
            for prices in [[t.price for t in ticks[place + 7 * k : place + 7 * k + 7]]]
        )
        for place in places
    ]
    assert any(matches)


async def test_a_timed_window_begins_with_its_first_tick(autojump_clock, connect, venue):
    async with connect() as client, client.timed_candles(ASSET, timedelta(seconds=10)) as stream:
        items = await closed(stream, 3)
        assert all(it.complete for it in items)
        assert all(10 <= b.time - a.time <= 11 for a, b in pairwise(items))


async def test_aligned_candles_begin_with_what_was_heard(autojump_clock, connect, venue):
    await trio.sleep(3)
    async with connect() as client, client.aligned_candles(ASSET, timedelta(seconds=10)) as stream:
        first, *rest = await closed(stream, 4)
        assert not first.complete
        assert len(check(venue, rest, 10)) == 3
        assert all(it.complete for it in rest)
        assert not (venue.stats()["events_received"].get("loadHistoryPeriod"))


@pytest.mark.parametrize(
    ("call", "arguments", "path"),
    [
        ("live_candles", ("NOSUCH",), "asset"),
        ("live_candles", (ASSET, "1mo"), "timeframe"),
        ("live_candles", (ASSET, "x"), "timeframe"),
        ("live_candles", (ASSET, "1m", -1), "history"),
        ("live_candles", (ASSET, "1m", 5000), "history"),
        ("live_candles", (ASSET, "1799s", 3), "history"),
        ("chunked_candles", (ASSET, 0), "size"),
        ("chunked_candles", (ASSET, 1.5), "size"),
        ("timed_candles", (ASSET, 0), "window"),
        ("timed_candles", (ASSET, timedelta(weeks=2)), "window"),
        ("aligned_candles", (ASSET, timedelta(seconds=1.5)), "timeframe"),
        ("aligned_candles", (ASSET, timedelta(0)), "timeframe"),
    ],
)
async def test_bad_questions_are_named_and_leave_no_reader(autojump_clock, connect, call, arguments, path):
    async with connect() as client:
        with pytest.raises(ConfigError) as caught:
            await getattr(client, call)(*arguments)
        assert caught.value.path == path
        assert client._shared.router.feeds.assets == ()


# --- handles ---------------------------------------------------------------------------------------------------------


async def test_kinds_of_streams_share_a_subscription_and_end_only_their_own(autojump_clock, connect, venue):
    def heard(event: str) -> int:
        return venue.stats()["events_received"].get(event, 0)

    async with connect() as client:
        await until(lambda: heard("unSubscribeSymbol") == 1)  # of the look at the venue's clock
        before = heard("changeSymbol")
        handles = [
            await client.ticks(ASSET),
            await client.live_candles(ASSET, "5s"),
            await client.chunked_candles(ASSET, 3),
            await client.timed_candles(ASSET, 2.5),
        ]
        await trio.sleep(1)
        assert heard("changeSymbol") == before + 1
        while handles:
            for stream in handles:
                with trio.fail_after(30):
                    await stream.receive()
            gone = handles.pop(0)
            await gone.aclose()
            with pytest.raises(trio.ClosedResourceError):
                await gone.receive()
            await trio.sleep(1)
            assert heard("unSubscribeSymbol") == (1 if handles else 2)
        async with client.ticks(OTHER):
            pass


async def test_subscribing_waits_while_the_reads_that_wait_leave_no_room(autojump_clock, connect):
    async with connect() as client:
        router = client.supervisor.ref("link/router")
        await router.suspend()
        while router.tell(BridgeOverdue("none", -1)):
            pass
        with trio.move_on_after(1) as scope:
            await client.ticks(ASSET)
        assert scope.cancelled_caught, "waited, and was cancelled without leaving a reader"
        async with trio.open_nursery() as nursery:

            async def later():
                await trio.sleep(3)
                router.resume()

            nursery.start_soon(later)
            stream = await client.ticks(ASSET)
        assert trio.current_time() >= 3
        assert (await stream.receive()).asset == ASSET


async def test_a_stream_ends_with_its_client(autojump_clock, connect):
    async with connect() as client:
        stream = await client.live_candles(ASSET, "5s", 2)
    assert len([item async for item in stream if isinstance(item, Candle)]) == 2
    await stream.aclose()


async def test_one_reader_at_a_time(autojump_clock, connect):
    async with (
        connect() as client,
        client.chunked_candles(ASSET, 100_000) as stream,
        trio.open_nursery() as nursery,
    ):
        while isinstance(await stream.receive(), Forming):
            nursery.start_soon(stream.receive_batch)
            await trio.testing.wait_all_tasks_blocked(0.0)
            with pytest.raises(trio.BusyResourceError):
                await stream.receive()
            break
        nursery.cancel_scope.cancel()
