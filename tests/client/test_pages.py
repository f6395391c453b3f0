"""Paging: exactly as many candles as asked for, oldest first, or the truth about how many there are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from potrio.actors.history import LoadPage
from potrio.client.pages import COUNT_MAX, EMPTY_PAGES_MAX, PAGE_CANDLES, load_candles
from potrio.client.tree import Shared
from potrio.errors import ConfigError, HistoryShort, RequestTimeout
from potrio.limits import HISTORY_PAGES_MAX
from potrio.protocol.messages.market import HistoryCandle, HistoryPeriod
from potrio.testing.network import MemoryNetwork

EPOCH = 1_770_000_000.0
ZONE = 7200


class Archive:
    """In the place of supervisor and history actor: knows a candle for each minute from ``since`` on."""

    def __init__(self, since: float = 0.0, error: Exception | None = None) -> None:
        self.since, self.error = since, error
        self.pages: list[LoadPage] = []

    def ref(self, key):
        return self

    async def ask(self, page: LoadPage) -> HistoryPeriod:
        self.pages.append(page)
        if self.error is not None:
            raise self.error
        start, end = page.end_stamp - page.window_s, page.end_stamp
        times = range(-(-start // page.period_s) * page.period_s, end + 1, page.period_s)
        candles = [
            HistoryCandle(time=time, open=1.0, close=1.1, high=1.2, low=0.9)
            for time in times
            if time - ZONE >= self.since
        ]
        return HistoryPeriod(asset=page.asset, index=1, period=page.period_s, candles=candles, ticks=[])


async def load(archive: Archive, count=10, end=None, period_s=60):
    return await load_candles(archive, Shared(), MemoryNetwork(epoch=EPOCH), "A", period_s, count, end)


@pytest.mark.parametrize("count", [1, 2, 10, PAGE_CANDLES, PAGE_CANDLES + 1, 1000])
async def test_exactly_as_many_as_asked_for_without_a_hole(autojump_clock, count):
    archive = Archive()
    candles = await load(archive, count)
    times = [candle.time for candle in candles]
    assert times == list(range(times[0], times[0] + count * 60, 60))
    assert times[-1] + 60 <= EPOCH < times[-1] + 120, "the last closed one"
    assert all(candle.complete for candle in candles)
    assert len(archive.pages) == -(-count // PAGE_CANDLES)


async def test_an_end_in_the_past(autojump_clock):
    end = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
    candles = await load(Archive(), 3, end)
    assert [datetime.fromtimestamp(candle.time, UTC).minute for candle in candles] == [57, 58, 59]


async def test_history_that_begins_too_late_says_how_much_there_is(autojump_clock):
    archive = Archive(since=EPOCH - 100 * 60)
    with pytest.raises(HistoryShort) as caught:
        await load(archive, 500)
    assert (caught.value.have, caught.value.want) == (99, 500) or caught.value.have == 100
    assert len(archive.pages) <= 1 + EMPTY_PAGES_MAX


async def test_an_empty_archive_is_not_asked_for_ever(autojump_clock):
    archive = Archive(since=EPOCH * 2)
    with pytest.raises(HistoryShort):
        await load(archive, COUNT_MAX)
    assert len(archive.pages) == EMPTY_PAGES_MAX


async def test_there_is_a_most_that_one_call_may_ask_for(autojump_clock):
    archive = Archive()
    assert len(await load(archive, COUNT_MAX)) == COUNT_MAX
    asked = len(archive.pages)
    with pytest.raises(ConfigError, match=f"at most {COUNT_MAX}"):
        await load(archive, COUNT_MAX + 1)
    assert len(archive.pages) == asked <= HISTORY_PAGES_MAX


async def test_an_error_on_the_way_is_told_not_half_a_list(autojump_clock):
    with pytest.raises(RequestTimeout):
        await load(Archive(error=RequestTimeout("silent")))


@pytest.mark.parametrize("count", [0, -1, True, 1.0, "5"])
async def test_a_count_that_is_none_is_refused(autojump_clock, count):
    with pytest.raises(ConfigError, match="count"):
        await load(Archive(), count)


async def test_a_naive_end_names_no_moment(autojump_clock):
    with pytest.raises(ConfigError, match="aware"):
        await load(Archive(), 1, datetime(2026, 1, 1))  # the point of the test
