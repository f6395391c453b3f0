"""The calls that open candle streams: chunks, windows, clock; what is refused; handles that end only their own."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from itertools import pairwise

import pytest
import trio

from loadsim.venue import Fault, FaultKind
from potrio import Candle, Client, ClientClosed, ConfigError, Forming, PotrioError
from potrio.actors.router import BridgeOverdue
from potrio.client import candle_stream, candle_streams
from potrio.client.candle_stream import CandleStream

from .conftest import ASSET, OTHER, check_candles, read_closed, ticks_at, until


@pytest.fixture
def transport():
    return "framed"  # what is tested here is above the transport


async def test_chunks_have_so_many_ticks_each(autojump_clock, connect, venue):
    async with connect() as client, client.chunked_candles(ASSET, 7) as stream:
        items = await read_closed(stream, 5)
    ticks = ticks_at(venue, items[0].time, items[-1].time + 60)
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
        items = await read_closed(stream, 3)
        assert all(it.complete for it in items)
        assert all(10 <= b.time - a.time <= 11 for a, b in pairwise(items))


async def test_aligned_candles_begin_with_what_was_heard(autojump_clock, connect, venue):
    await trio.sleep(3)
    async with connect() as client, client.aligned_candles(ASSET, timedelta(seconds=10)) as stream:
        first, *rest = await read_closed(stream, 4)
        assert not first.complete
        assert len(check_candles(venue, rest, 10)) == 3
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


@pytest.mark.parametrize("seconds", [0.5, 1.0, 3.0, 8.0, 12.0])
@pytest.mark.parametrize("moment", ["beginning", "mending", "history"])
async def test_a_reader_in_the_middle_of_a_back_fill_is_told_that_the_client_is_closed(
    autojump_clock, connect, venue, moment, seconds
):
    ended: list[BaseException] = []
    lose_pages = Fault(kind=FaultKind.LOSE_REQUEST, event="loadHistoryPeriod", count=1000)

    async def read(client: Client) -> None:
        try:
            if moment == "history":
                await client.candles(ASSET, "1m", count=2000)
            stream = await client.live_candles(ASSET, 60, history=3)
            async for _ in stream:
                pass
        except (PotrioError, trio.EndOfChannel) as error:
            ended.append(error)

    with trio.fail_after(100):
        async with trio.open_nursery() as nursery, connect() as client:
            nursery.start_soon(read, client)
            if moment == "mending":
                await trio.sleep(20)
                venue.exchange.plan.add((Fault(kind=FaultKind.LOSE, event="updateHistoryNew", count=100),))
            venue.exchange.plan.add((lose_pages,))
            if moment == "mending":
                await client.reconnect()
                await trio.sleep(10)
            await trio.sleep(seconds)
    assert [type(error) for error in ended] == [ClientClosed]


@pytest.mark.parametrize("ends", ["client", "call"])
async def test_a_stream_whose_opening_ends_is_closed_for_nobody_else_can(
    autojump_clock, connect, monkeypatch, ends
):
    class Made(CandleStream):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments)
            made.append(self)

    async def read(client: Client) -> None:
        with pytest.raises(ClientClosed) if ends == "client" else nullcontext(), scope:
            await client.live_candles(ASSET, 60)

    made: list[CandleStream] = []
    scope = trio.CancelScope()
    monkeypatch.setattr(candle_streams, "CandleStream", Made)
    monkeypatch.setattr(candle_stream, "FIRST_TICK_S", 1000.0)
    async with trio.open_nursery() as nursery, connect() as client:
        client._shared.router.feeds.publish = lambda *_: None  # no tick ever comes
        nursery.start_soon(read, client)
        await trio.sleep(10)
        if ends == "call":
            scope.cancel()
    assert [stream.closed for stream in made] == [True]
