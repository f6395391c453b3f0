"""Blocks of history: what is settled is kept, what is new is mended by ticks, and nothing uncertain counts as whole."""

from __future__ import annotations

import pytest

from potrio.actors.history import HistoryState, LoadPage
from potrio.client.blocks import LAG_MAX_S, BlockReader, History, reach, ticks_of
from potrio.protocol.messages.market import HistoryCandle, HistoryPeriod, HistoryTick, TickRow
from potrio.protocol.server_clock import ServerClock
from potrio.testing.network import MemoryNetwork

NOW = 1_770_000_030.0
ZONE = 7200
NEWEST = 1_769_999_940  # the last closed minute
BORDER = NEWEST + 60


class Script:
    """In the place of supervisor and history actor: answers one page after another."""

    def __init__(self, *replies: HistoryPeriod) -> None:
        self.replies = list(replies)
        self.pages: list[LoadPage] = []

    def ref(self, key):
        return self

    async def ask(self, page: LoadPage) -> HistoryPeriod:
        self.pages.append(page)
        return self.replies.pop(0)


def rows(*candles: tuple, rejected: int = 0) -> HistoryPeriod:
    told = [
        HistoryCandle(time=time + ZONE, open=open_, high=high, low=low, close=close, volume=9)
        for time, open_, high, low, close in candles
    ]
    return HistoryPeriod(asset="A", index=1, period=60, candles=told, ticks=[], rejected=rejected)


def ticks(*told: tuple[float, float]) -> HistoryPeriod:
    rows = [HistoryTick(time=at + ZONE, price=price) for at, price in told]
    return HistoryPeriod(asset="A", index=1, period=0, candles=[], ticks=rows)


def reader(script: Script, period_s: int = 60, state: HistoryState | None = None) -> BlockReader:
    network = MemoryNetwork(epoch=NOW)
    history = History(script, state or HistoryState(), ServerClock(), network, NOW)
    return BlockReader(history, "A", period_s)


async def test_what_may_still_change_is_not_whole_and_not_kept(autojump_clock):
    old = BORDER - LAG_MAX_S - 60
    script = Script(rows((old, 1, 2, 1, 2), (NEWEST, 1, 2, 1, 2)))
    one = reader(script)
    assert [candle.complete for candle in await one.block(old, BORDER)] == [True, False]
    assert len(one.history.state.blocks) == 0


async def test_what_is_settled_is_asked_for_once(autojump_clock):
    start, end, state = NEWEST - 6000, NEWEST - 3000, HistoryState()
    script = Script(rows((start, 1, 2, 1, 2), (start + 60, 1, 1, 2, 2), rejected=1))
    first = reader(script, state=state)
    told = await first.block(start, end)
    assert [(candle.time, candle.complete) for candle in told] == [(start, True)]
    again = reader(script, state=state)
    assert await again.block(start, end) == told
    assert (first.bad_rows, again.bad_rows, state.rows_bad, len(script.pages)) == (2, 2, 2, 1)


async def test_a_stale_newest_row_is_computed_anew(autojump_clock):
    script = Script(
        rows((NEWEST, 1.0, 1.1, 1.0, 1.1)),
        ticks((NEWEST + 0.2, 1.0), (NEWEST + 30, 5.0), (NEWEST + 59.5, 2.0), (BORDER + 29, 3.0)),
    )
    one = reader(script)
    (newest,) = await one.mend(await one.block(NEWEST, BORDER), NEWEST, BORDER)
    assert (newest.open, newest.high, newest.low, newest.close, newest.complete) == (1.0, 5.0, 1.0, 2.0, True)
    assert (one.forming.time, one.forming.close, one.forming.complete) == (BORDER, 3.0, False)
    asked = script.pages[1]
    assert (asked.period_s, asked.end_stamp) == (1, int(NOW) + 1 + ZONE)
    assert asked.window_s >= LAG_MAX_S


async def test_where_ticks_lag_too_the_newest_is_not_whole(autojump_clock):
    script = Script(rows((NEWEST, 1.0, 1.1, 1.0, 1.1)), ticks((NEWEST + 0.2, 1.0), (NEWEST + 30, 5.0)))
    one = reader(script)
    (newest,) = await one.mend(await one.block(NEWEST, BORDER), NEWEST, BORDER)
    assert (newest.high, newest.complete) == (5.0, False)
    assert one.forming is None


async def test_without_ticks_rows_stay_as_they_were_told(autojump_clock):
    script = Script(rows((NEWEST, 1.0, 1.1, 1.0, 1.1)), ticks())
    one = reader(script)
    told = await one.block(NEWEST, BORDER)
    assert await one.mend(told, NEWEST, BORDER) == told
    assert not told[0].complete


async def test_ticks_that_begin_within_a_bucket_extend_its_row(autojump_clock):
    """A candle longer than the ticks reach back keeps its opening and its extremes."""
    start = 1_769_997_600
    script = Script(
        rows((start - 3600, 1.0, 9.0, 0.5, 1.1)),
        ticks((start - 60, 10.0), (start - 1, 4.0), (start + 30, 2.0)),
    )
    one = reader(script, 3600)
    one.history = History(script, HistoryState(), ServerClock(), MemoryNetwork(epoch=NOW), start + 31.0)
    (mended,) = await one.mend(await one.block(start - 3600, start), start - 3600, start)
    assert (mended.open, mended.high, mended.low, mended.close) == (1.0, 10.0, 0.5, 4.0)
    assert mended.complete


async def test_a_block_told_in_ticks_needs_no_mending(autojump_clock):
    border = int(NOW) // 5 * 5
    script = Script(ticks(*((border - 20 + n, float(n)) for n in range(20)), (border, 7.0)))
    one = reader(script, 5)
    told = await one.block(border - 10, border)
    assert [(c.open, c.close, c.complete) for c in told] == [(10.0, 14.0, True), (15.0, 19.0, True)]
    assert await one.mend(told, border - 10, border) == told
    assert (one.forming.time, one.forming.open) == (border, 7.0)


def test_candles_of_a_second_are_taken_for_four_ticks():
    found = ticks_of(rows((10, 1.0, 4.0, 0.5, 2.0)), ZONE)
    assert [(tick.timestamp, tick.price) for tick in found] == [(10, 1.0), (10, 4.0), (10, 0.5), (10, 2.0)]


@pytest.mark.parametrize(
    ("last", "asked", "known"), [(99.0, 100.0, 100.0), (97.9, 100.0, 97.9), (101.0, 100.0, 100.0)]
)
def test_ticks_reach_as_far_as_they_show(last, asked, known):
    assert reach([TickRow(1.0, 1.0), TickRow(last, 1.0)], asked) == known
    assert reach([], asked) == float("-inf")
