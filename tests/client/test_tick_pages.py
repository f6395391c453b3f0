"""Ticks of the past by pages, and candles of any length made of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from potrio.actors.history import LoadPage
from potrio.client.candle_list import CandleGap
from potrio.client.tick_pages import RANGE_MAX_S, TICK_PAGE_S, compile_candles, load_ticks
from potrio.client.tree import Shared
from potrio.errors import ConfigError
from potrio.protocol.messages.market import HistoryCandle, HistoryPeriod, HistoryTick
from potrio.testing.network import MemoryNetwork

EPOCH = 1_770_000_030.0
NOW = datetime.fromtimestamp(EPOCH, UTC)
ZONE = 7200


class Archive:
    """In the place of supervisor and history actor: two ticks a second, except while it is closed."""

    def __init__(self, closed: tuple[float, float] = (0.0, 0.0)) -> None:
        self.closed = closed
        self.pages: list[LoadPage] = []

    def ref(self, key):
        return self

    async def ask(self, page: LoadPage) -> HistoryPeriod:
        self.pages.append(page)
        start = page.end_stamp - page.window_s - ZONE
        end = min(page.end_stamp - ZONE, EPOCH)
        if page.period_s == 1:
            stamps = [start + step / 2 for step in range(int(2 * (end - start)) + 1)]
            told = [at for at in stamps if not self.closed[0] <= at < self.closed[1]]
            rows = [HistoryTick(time=at + ZONE, price=at % 1000) for at in told]
            return HistoryPeriod(asset="A", index=1, period=0, candles=[], ticks=rows)
        size = page.period_s
        first = -(-(start + ZONE) // size) * size - ZONE
        candles = [
            HistoryCandle(time=time + ZONE, open=1, close=1, high=1, low=1)
            for time in range(first, int(end) - size + 1, size)
            if not self.closed[0] <= time <= time + size <= self.closed[1]
        ]
        return HistoryPeriod(asset="A", index=1, period=size, candles=candles, ticks=[])


async def load(archive: Archive, start: datetime, end: datetime | None = None):
    return await load_ticks(archive, Shared(), MemoryNetwork(epoch=EPOCH), "A", start, end)


@pytest.mark.parametrize("seconds", [1, 10.25, TICK_PAGE_S, TICK_PAGE_S + 0.5, 5000])
async def test_every_tick_of_the_range_once_and_in_order(autojump_clock, seconds):
    archive = Archive()
    end = NOW - timedelta(seconds=100)
    found = await load(archive, end - timedelta(seconds=seconds), end)
    until = EPOCH - 100
    expected = [at / 2 for at in range(int(2 * until) - 12_000, int(2 * until)) if at / 2 >= until - seconds]
    assert [tick.timestamp for tick in found.ticks] == expected
    assert {tick.asset for tick in found.ticks} == {"A"}
    assert found.known_until == until
    assert len(archive.pages) == -(-seconds // TICK_PAGE_S)


async def test_up_to_now(autojump_clock):
    found = await load(Archive(), NOW - timedelta(seconds=10))
    assert len(found.ticks) == 21, "the one of this moment is in it"
    assert found.known_until == EPOCH


async def test_ticks_that_are_not_told_yet_are_not_known(autojump_clock):
    found = await load(Archive((EPOCH - 60, EPOCH * 2)), NOW - timedelta(seconds=100))
    assert found.ticks[-1].timestamp == found.known_until == EPOCH - 60.5


async def test_a_closed_market_is_stepped_over(autojump_clock):
    end = NOW - timedelta(hours=8)
    archive = Archive((EPOCH - 8 * 3600 - 40_000, EPOCH - 8 * 3600 - 100))
    found = await load(archive, end - timedelta(seconds=41_000), end)
    assert len(found.ticks) == 2 * (100 + 1000)
    assert len(archive.pages) < 35


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (NOW, NOW),
        (NOW + timedelta(hours=1), None),
        (NOW - timedelta(seconds=RANGE_MAX_S + 1), None),
        (datetime(2026, 1, 1), None),  # naive, which is the point
        (NOW - timedelta(hours=1), datetime(2026, 2, 2)),
    ],
)
async def test_what_cannot_be_meant_is_refused(autojump_clock, start, end):
    archive = Archive()
    with pytest.raises(ConfigError):
        await load(archive, start, end)
    assert archive.pages == []


async def compile(archive: Archive, period_s: int, start: datetime, end: datetime | None = None):
    network = MemoryNetwork(epoch=EPOCH)
    return await compile_candles(archive, Shared(), network, "A", period_s, start, end)


@pytest.mark.parametrize("period_s", [1, 7, 30, 100, 3600])
async def test_candles_of_any_length(autojump_clock, period_s):
    candles = await compile(Archive(), period_s, NOW - timedelta(seconds=5000))
    assert all((candle.time + ZONE) % period_s == 0 for candle in candles)
    for candle in candles:
        whole = candle.time >= EPOCH - 5000 and candle.time + period_s <= EPOCH
        assert candle.complete is whole
        if whole and candle.time // 1000 == (candle.time + period_s - 1) // 1000:
            assert (candle.open, candle.close) == (candle.time % 1000, (candle.time + period_s - 0.5) % 1000)
    assert candles.gaps == ()
    assert (candles.asset, candles.period_s) == ("A", period_s)


async def test_holes_are_gaps(autojump_clock):
    end = NOW - timedelta(hours=1)
    until = int(end.timestamp())
    candles = await compile(Archive((until - 60, until - 30)), 10, end - timedelta(seconds=100), end)
    assert candles.gaps == (CandleGap(until - 60, until - 30),)
    assert len(candles) == 7
