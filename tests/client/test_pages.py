"""Paging: exactly as many candles as asked for, or all of a range, or the truth about how many there are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from potrio.actors.history import LoadPage
from potrio.client.candle_list import CandleGap
from potrio.client.pages import COUNT_MAX, EMPTY_PAGES_MAX, PAGE_CANDLES, load_candles
from potrio.client.tree import Shared
from potrio.errors import ConfigError, HistoryShort, RequestTimeout
from potrio.limits import HISTORY_PAGES_MAX
from potrio.protocol.messages.market import HistoryCandle, HistoryPeriod, HistoryTick
from potrio.testing.network import MemoryNetwork

EPOCH = 1_770_000_030.0
ZONE = 7200
LONG_AGO = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


class Archive:
    """In the place of supervisor and history actor: knows a tick for each second it is open, candles made of them.

    ``closed``: UTC seconds [since, until) without ticks. ``lag_s``: candles are told as they stood so long ago.
    The price of a second is the second, within its hour.
    """

    def __init__(
        self,
        since: float = 0.0,
        error: Exception | None = None,
        closed: tuple[tuple[float, float], ...] = (),
        lag_s: int = 0,
        bad: int = 0,
    ) -> None:
        self.closed, self.error, self.lag_s, self.bad = ((0.0, since), *closed), error, lag_s, bad
        self.pages: list[LoadPage] = []
        self.now = int(EPOCH)

    def ref(self, key):
        return self

    def is_open(self, second: int) -> bool:
        return not any(since <= second < until for since, until in self.closed)

    def prices(self, start: int, end: int) -> list[int]:
        """The prices of [start, end): only the edges of what is open matter, they only rise."""
        for since, until in self.closed:
            if since <= start < until:
                start = int(until)
            if since < end <= until:
                end = int(since)
        return [start % 3600, (end - 1) % 3600] if start < end else []

    async def ask(self, page: LoadPage) -> HistoryPeriod:
        self.pages.append(page)
        if self.error is not None:
            raise self.error
        end = min(page.end_stamp - ZONE, self.now)
        start = page.end_stamp - page.window_s - ZONE
        if page.period_s < 60:
            ticks = [
                HistoryTick(time=second + ZONE, price=second % 3600)
                for second in range(start, end + 1)
                if self.is_open(second)
            ]
            return HistoryPeriod(asset=page.asset, index=1, period=0, candles=[], ticks=ticks)
        known, candles = self.now - self.lag_s, []
        first = -(-(start + ZONE) // page.period_s) * page.period_s - ZONE
        for time in range(first, end - page.period_s + 1, page.period_s):
            prices = self.prices(time, min(time + page.period_s, known + 1))
            if prices and time <= known:
                low, high = min(prices), max(prices)
                candles.append(
                    HistoryCandle(time=time + ZONE, open=prices[0], close=prices[-1], high=high, low=low)
                )
        wrong = HistoryCandle(time=end + ZONE, open=1.0, close=1.0, high=0.5, low=2.0)
        candles += [wrong] * self.bad
        return HistoryPeriod(asset=page.asset, index=1, period=page.period_s, candles=candles, ticks=[])


async def load(archive: Archive, count=None, end=None, period_s=60, shared=None, **options):
    network = MemoryNetwork(epoch=EPOCH)
    return await load_candles(archive, shared or Shared(), network, "A", period_s, count, end, **options)


@pytest.mark.parametrize("count", [1, 2, 10, PAGE_CANDLES, PAGE_CANDLES + 1, 1000])
async def test_exactly_as_many_as_asked_for_without_a_hole(autojump_clock, count):
    archive = Archive()
    candles = await load(archive, count)
    times = [candle.time for candle in candles]
    assert times == list(range(times[0], times[0] + count * 60, 60))
    assert times[-1] + 60 <= EPOCH < times[-1] + 120, "the last closed one"
    assert all(candle.complete for candle in candles)
    assert (candles.gaps, candles.complete, candles.period_s, candles.asset) == ((), True, 60, "A")
    assert len(archive.pages) <= -(-count // PAGE_CANDLES) + 2, "one more to get to the grid, one for ticks"


async def test_without_a_count_it_is_a_hundred(autojump_clock):
    assert len(await load(Archive())) == 100


async def test_an_end_in_the_past_needs_one_page(autojump_clock):
    archive = Archive()
    candles = await load(archive, 3, LONG_AGO)
    assert [candle.at.minute for candle in candles] == [57, 58, 59]
    assert len(archive.pages) == 1


async def test_a_range_is_all_that_starts_in_it(autojump_clock):
    candles = await load(Archive(), start=LONG_AGO - timedelta(hours=10), end=LONG_AGO)
    assert candles[0].at == datetime(2026, 1, 1, 2, 1, tzinfo=UTC)
    assert candles[-1].at == datetime(2026, 1, 1, 11, 59, tzinfo=UTC)
    assert len(candles) == 599
    assert candles.gaps == ()
    assert await load(Archive(), start=LONG_AGO, end=LONG_AGO + timedelta(seconds=40)) == []


async def test_an_end_that_is_to_come_counts_as_now(autojump_clock):
    """No gap in the future, and no candle under way among the closed ones."""
    now = datetime.fromtimestamp(EPOCH, UTC)
    for later in (timedelta(seconds=1), timedelta(minutes=10), timedelta(days=300)):
        candles = await load(Archive(), 5, now + later)
        assert candles == await load(Archive(), 5)
        assert (candles.gaps, candles.complete) == ((), True)
        assert await load(Archive(), start=now - timedelta(minutes=5), end=now + later) == candles[1:]


async def test_gaps_are_listed_also_at_the_edges_of_a_range(autojump_clock):
    noon = int(LONG_AGO.timestamp()) - 30
    archive = Archive(since=noon - 3600, closed=((noon - 1800, noon - 1200), (noon - 300, noon + 900)))
    candles = await load(archive, start=LONG_AGO - timedelta(hours=2), end=LONG_AGO)
    assert candles.gaps == (
        CandleGap(noon - 7200 + 60, noon - 3600),
        CandleGap(noon - 1800, noon - 1200),
        CandleGap(noon - 300, noon),
    )
    assert candles.gaps[1].since_at == datetime(2026, 1, 1, 11, 30, tzinfo=UTC)
    assert len(candles) == 60 - 10 - 5
    assert not candles.complete


async def test_a_range_of_nothing_is_one_gap(autojump_clock):
    start = LONG_AGO - timedelta(hours=2)
    candles = await load(Archive(since=EPOCH * 2), start=start, end=LONG_AGO)
    assert candles == []
    assert [(gap.since_at.hour, gap.until_at.hour) for gap in candles.gaps] == [(10, 12)]


@pytest.mark.parametrize("period_s", [5, 60, 300])
@pytest.mark.parametrize("days", [0.25, 2, 20])
async def test_a_closed_market_is_stepped_over(autojump_clock, period_s, days):
    until = int(EPOCH) // 300 * 300 - 300
    archive = Archive(closed=((until - days * 86_400, until),))
    candles = await load(archive, 100, period_s=period_s)
    assert len(candles) == 100
    assert len(candles.gaps) == 1
    assert candles.gaps[0].until == until
    assert candles.gaps[0].until - candles.gaps[0].since == days * 86_400
    assert len(archive.pages) <= 25


async def test_history_that_begins_too_late_says_how_much_there_is(autojump_clock):
    archive = Archive(since=EPOCH - 100 * 60)
    with pytest.raises(HistoryShort) as caught:
        await load(archive, 500)
    assert (caught.value.have, caught.value.want) == (100, 500)
    assert len(archive.pages) <= 8


@pytest.mark.parametrize("period_s", [5, 60, 86_400])
async def test_an_empty_archive_is_not_asked_for_ever(autojump_clock, period_s):
    archive = Archive(since=EPOCH * 2)
    with pytest.raises(HistoryShort):
        await load(archive, COUNT_MAX, LONG_AGO, period_s=period_s)
    assert len(archive.pages) <= 2 * EMPTY_PAGES_MAX


async def test_there_is_a_most_that_one_call_may_ask_for(autojump_clock):
    archive = Archive()
    assert len(await load(archive, COUNT_MAX)) == COUNT_MAX
    asked = len(archive.pages)
    with pytest.raises(ConfigError, match=f"at most {COUNT_MAX}"):
        await load(archive, COUNT_MAX + 1)
    with pytest.raises(ConfigError, match=f"at most {COUNT_MAX}"):
        await load(archive, start=LONG_AGO - timedelta(minutes=COUNT_MAX + 2), end=LONG_AGO)
    assert len(archive.pages) == asked <= HISTORY_PAGES_MAX


async def test_an_error_on_the_way_is_told_not_half_a_list(autojump_clock):
    with pytest.raises(RequestTimeout):
        await load(Archive(error=RequestTimeout("silent")))


@pytest.mark.parametrize(
    ("options", "path"),
    [
        *(({"count": count}, "count") for count in (0, -1, True, 1.0, "5")),
        ({"count": 5, "start": LONG_AGO}, "count"),
        ({"end": datetime(2026, 1, 1)}, "end"),  # naive, which is the point
        ({"start": datetime(2026, 1, 1)}, "start"),
        ({"start": LONG_AGO + timedelta(hours=1), "end": LONG_AGO}, "start"),
        ({"include_forming": True, "end": LONG_AGO}, "include_forming"),
    ],
)
async def test_what_cannot_be_meant_is_refused(autojump_clock, options, path):
    archive = Archive()
    with pytest.raises(ConfigError) as caught:
        await load(archive, **options)
    assert (caught.value.path, archive.pages) == (path, [])


async def test_older_pages_come_out_of_the_cache(autojump_clock):
    archive, shared = Archive(), Shared()
    first = await load(archive, 1000, shared=shared)
    asked = len(archive.pages)
    assert await load(archive, 1000, shared=shared) == first
    assert len(archive.pages) == asked + 2, "the newest page and its ticks are asked for again"
    await load(archive, 700, shared=shared)
    assert len(archive.pages) == asked + 4, "another count finds the same pages"
    facts = shared.history.blocks.statistics()
    assert (facts.size, facts.misses, facts.hits) == (asked - 2, asked - 2, 2 * (asked - 2) - 2)


async def test_bad_rows_are_left_out_and_counted(autojump_clock):
    archive, shared = Archive(bad=2), Shared()
    candles = await load(archive, 10, LONG_AGO, shared=shared)
    assert (len(candles), candles.bad_rows, shared.history.rows_bad) == (10, 2, 2)
    again = await load(archive, 10, LONG_AGO, shared=shared)
    assert (again, again.bad_rows, shared.history.rows_bad) == (candles, 2, 2)
    again.clear()
    assert len(await load(archive, 10, LONG_AGO, shared=shared)) == 10, "everyone has a list of their own"


@pytest.mark.parametrize("lag_s", [0, 20, 90, 420, 590])
@pytest.mark.parametrize("period_s", [60, 300, 900, 3600])
async def test_newest_candles_are_computed_from_ticks_where_history_lags(autojump_clock, lag_s, period_s):
    late, prompt = Archive(lag_s=lag_s), Archive()
    assert await load(late, 20, period_s=period_s) == await load(prompt, 20, period_s=period_s)


@pytest.mark.parametrize("lag_s", [0, 300])
@pytest.mark.parametrize("period_s", [5, 60, 300, 900, 3600, 14_400, 86_400])
async def test_the_forming_candle(autojump_clock, period_s, lag_s):
    archive = Archive(lag_s=lag_s)
    *closed, forming = await load(archive, 3, period_s=period_s, include_forming=True)
    assert len(closed) == 3
    assert all(candle.complete for candle in closed)
    assert not forming.complete
    assert forming.time == closed[-1].time + period_s
    assert forming.time <= EPOCH < forming.time + period_s
    hour_began = forming.time // 3600 != int(EPOCH) // 3600
    assert forming.close == int(EPOCH) % 3600
    assert forming.open == forming.time % 3600
    assert forming.low == (0 if hour_began else forming.open)
    alone = await load(archive, period_s=period_s, start=forming.at, include_forming=True)
    assert alone == [forming]
    assert alone.gaps == ()


async def test_where_nothing_has_happened_yet_there_is_no_forming_candle(autojump_clock):
    archive = Archive(closed=((EPOCH - 3600, EPOCH * 2),))
    candles = await load(archive, 5, include_forming=True)
    assert len(candles) == 5
    assert candles[-1].time < EPOCH - 3600
