"""Market data of a client, on both transports: candles, live ticks, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import trio

from potrio import (
    ClientClosed,
    ConfigError,
    HistoryShort,
    NotConnected,
    PotrioError,
    RequestError,
)
from potrio.actors.router import Routes

from .conftest import ASSET, EPOCH, OTHER, until


async def test_candles_are_exactly_as_many_as_asked_for_oldest_first(autojump_clock, connect):
    async with connect() as client:
        for timeframe, period, count in (("1m", 60, 100), ("5m", 300, 7), ("1m", 60, 333), ("1d", 86400, 3)):
            candles = await client.candles(ASSET, timeframe, count)
            assert len(candles) == count
            times = [candle.time for candle in candles]
            assert times == list(range(times[0], times[0] + count * period, period))
            assert times[-1] + period <= EPOCH + trio.current_time()
            assert all(c.low <= min(c.open, c.close) <= max(c.open, c.close) <= c.high for c in candles)
            assert all(candle.complete for candle in candles)


async def test_candles_of_seconds_are_built_from_ticks(autojump_clock, connect):
    async with connect() as client:
        candles = await client.candles(ASSET, "5s", 50)
        assert len(candles) == 50
        assert {candle.time % 5 for candle in candles} == {0}


async def test_candles_end_where_they_are_told_to(autojump_clock, connect):
    end = datetime.fromtimestamp(EPOCH - 86_400 * 3 + 30, UTC)
    async with connect() as client:
        candles = await client.candles(ASSET, "1m", 10, end)
        assert candles[-1].time + 60 == int(EPOCH - 86_400 * 3 + 30) // 60 * 60
        assert candles == await client.candles(ASSET, 60, 10, end)


async def test_more_candles_than_there_are_is_an_error_that_says_how_many(autojump_clock, connect):
    async with connect() as client:
        long_ago = datetime(2015, 1, 1, tzinfo=UTC)
        with pytest.raises(HistoryShort) as caught:
            await client.candles(ASSET, "1m", 10, long_ago)
        assert (caught.value.have, caught.value.want) == (0, 10)


async def test_equal_requests_share_one_on_the_wire(autojump_clock, connect, venue):
    async with connect() as client:
        end = datetime.fromtimestamp(EPOCH - 600, UTC)
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(client.candles, ASSET, "1m", 20, end)
        assert venue.stats()["events_received"]["loadHistoryPeriod"] == 1


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("NOSUCH",), "asset"),
        ((ASSET, "7m"), "timeframe"),
        ((ASSET, "1m", 0), "count"),
        ((ASSET, "1m", 1.5), "count"),
        ((ASSET, "1m", 5, datetime(2026, 1, 1)), "end"),  # a naive time is the point
    ],
)
async def test_bad_questions_are_named(autojump_clock, connect, arguments, path):
    async with connect() as client:
        with pytest.raises(ConfigError) as caught:
            await client.candles(*arguments)
        assert caught.value.path == path


async def test_ticks_come_in_order_and_in_utc(autojump_clock, connect, network):
    async with connect() as client, client.ticks(ASSET, OTHER) as stream:
        seen = [await stream.receive() for _ in range(12)]
        assert {tick.asset for tick in seen} == {ASSET, OTHER}
        for asset in (ASSET, OTHER):
            times = [tick.timestamp for tick in seen if tick.asset == asset]
            assert times == sorted(times)
        assert abs(seen[-1].timestamp - network.wall()) < 3
        assert seen[-1].time.tzinfo is UTC
        assert abs((client.venue_time() - seen[-1].time).total_seconds()) < 3


async def test_readers_share_a_subscription_and_the_last_one_ends_it(autojump_clock, connect, venue):
    def heard(event: str) -> int:
        return venue.stats()["events_received"].get(event, 0)

    async with connect() as client:
        await until(lambda: heard("unSubscribeSymbol") == 1)  # of the look at the venue's clock
        before, before_end = heard("changeSymbol"), heard("unSubscribeSymbol")
        async with client.ticks(ASSET) as first:
            async with client.ticks(ASSET) as second:
                await first.receive()
                await second.receive()
            await first.receive()
            assert heard("unSubscribeSymbol") == before_end
        await until(lambda: heard("unSubscribeSymbol") == before_end + 1)
        assert heard("changeSymbol") == before + 1


async def test_a_fifth_asset_is_refused_before_it_ends_the_first(autojump_clock, connect, venue):
    otc = ("EURUSD_otc", "GBPUSD_otc", "AUDCAD_otc", "USDJPY_otc")
    async with connect() as client, client.ticks(*otc):
        with pytest.raises(RequestError, match="streams 4 assets"):
            async with client.ticks("AUDUSD_otc"):
                pass
        async with client.ticks(otc[0]):
            pass


@pytest.mark.parametrize(("closes", "told"), [(True, ClientClosed), (False, NotConnected)])
async def test_who_waits_for_the_router_when_it_ends_is_told_what_that_means(
    autojump_clock, connect, monkeypatch, closes, told
):
    def broken(*arguments):
        raise RuntimeError("drill")

    async def read(client):
        with pytest.raises(PotrioError) as caught:
            await client.ticks(ASSET)
        assert type(caught.value) is told

    async with trio.open_nursery() as nursery, connect() as client:
        if closes:
            await client.supervisor.ref("link/router").suspend()
            nursery.start_soon(read, client)
            await trio.sleep(1)
        else:
            with monkeypatch.context() as patch:
                patch.setattr(Routes, "subscribe", broken)
                await read(client)
            async with client.ticks(ASSET) as stream:
                assert (await stream.receive()).asset == ASSET


@pytest.mark.parametrize("assets", [(), ("NOSUCH",)])
async def test_streams_of_nothing_are_refused(autojump_clock, connect, assets):
    async with connect() as client:
        with pytest.raises(ConfigError):
            async with client.ticks(*assets):
                pass


# --- opening ---------------------------------------------------------------------------------------------------------
