"""Loading candles page by page: exactly as many as were asked for, or all of a range with its gaps."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from potrio.actors.history import Block
from potrio.client.blocks import COARSE_S, LAG_MAX_S, PAGE_CANDLES, BlockReader, History
from potrio.client.candle_list import CandleList, gaps_in
from potrio.client.tree import Shared
from potrio.errors import ConfigError, HistoryShort, RequestError
from potrio.limits import HISTORY_PAGES_MAX
from potrio.protocol.candles import Candle
from potrio.protocol.timeframes import PERIODS_S, bucket_start
from potrio.seam import Seam
from potrio.supervision.supervisor import Supervisor

__all__ = ["load_candles", "moment"]

COUNT_DEFAULT: Final = 100
COUNT_MAX: Final = PAGE_CANDLES * HISTORY_PAGES_MAX // 2
"""Candles of one call: half the pages may be spent on times when the market was closed."""

EMPTY_PAGES_MAX: Final = 3
"""Windows in a row without a candle where there should be some: before history begins there is nothing else."""

SHORTER_MIN_S: Final = 60
"""The shortest candles of which the candle under way is put together: shorter ones come as ticks."""


class Wanted(msgspec.Struct, frozen=True):
    """What a call asks for; calls that want the same at the same time share one answer.

    Attributes:
        count: so many candles before ``end``; None: all from ``start``.
        end: where the last closed candle ends, on a bucket border (UTC).
    """

    asset: str
    period_s: int
    count: int | None
    start: int
    end: int
    forming: bool
    zone_s: int


async def load_candles(
    supervisor: Supervisor,
    shared: Shared,
    seam: Seam,
    asset: str,
    period_s: int,
    count: int | None = None,
    end: datetime | None = None,
    *,
    start: datetime | None = None,
    include_forming: bool = False,
) -> CandleList:
    """Page backwards from ``end``; see `HistoryCalls.candles`, whose body this is."""
    clock, state = shared.account.clock, shared.history
    now = clock.to_utc(clock.stamp_at(seam.wall()))
    if include_forming and end is not None:
        raise ConfigError("include_forming", "there is a forming candle only where end is now: leave end out")
    until = now if end is None else min(now, moment("end", end))  # what is to come is no gap
    boundary = bucket_start(until, period_s, clock.zone_s)  # where the last closed candle ends
    if start is None:
        count, since = checked_count(count), boundary
    else:
        if count is not None:
            raise ConfigError("count", "give either count or start: a range has as many candles as there are")
        since = first_bucket(moment("start", start), boundary, period_s, clock.zone_s)
    wanted = Wanted(asset, period_s, count, since, boundary, include_forming, clock.zone_s)
    history = History(supervisor, state, clock, seam, now)

    async def ask() -> Block:
        return await load(history, wanted)

    answer = await state.flights.share(wanted, ask)
    closed = [candle for candle in answer.candles if candle.time < boundary]
    begin = since if count is None else closed[0].time
    return CandleList(
        answer.candles,
        asset=asset,
        period_s=period_s,
        gaps=gaps_in(closed, period_s, begin, boundary),
        bad_rows=answer.bad_rows,
    )


def moment(name: str, value: datetime) -> float:
    """Unix seconds of an aware datetime.

    Raises:
        ConfigError: it is a naive one, or none.
    """
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ConfigError(name, "must be an aware datetime; a naive one names no moment")
    return value.timestamp()


def checked_count(count: int | None) -> int:
    """The number of candles to load."""
    if count is None:
        return COUNT_DEFAULT
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ConfigError("count", f"must be a whole number >= 1, not {count!r}")
    if count > COUNT_MAX:
        raise ConfigError(
            "count", f"must be at most {COUNT_MAX} in one call; go on with end=, the oldest one's time"
        )
    return count


def first_bucket(start: float, end: int, period_s: int, zone_s: int) -> int:
    """The first bucket border at or after ``start``."""
    first = bucket_start(start, period_s, zone_s)
    if first < start:
        first += period_s
    if first > end:
        raise ConfigError("start", "must be before end")
    if end - first > COUNT_MAX * period_s:
        raise ConfigError("start", f"must be at most {COUNT_MAX} candles before end; load them in parts")
    return first


async def load(history: History, wanted: Wanted) -> Block:
    """Do what one call wants; the forming candle comes last."""
    reader = BlockReader(history, wanted.asset, wanted.period_s)
    candles = await load_closed(reader, wanted)
    if wanted.forming:
        if reader.forming is None and wanted.period_s > LAG_MAX_S:
            reader.forming = await load_forming(history, wanted, reader)
        if reader.forming is not None:
            candles.append(reader.forming)
    return Block(tuple(candles), reader.bad_rows)


async def load_closed(reader: BlockReader, wanted: Wanted) -> list[Candle]:
    """Read blocks backwards until there are enough candles, or all of the range."""
    count, low, empty = wanted.count, wanted.end, 0
    empty_max = max(EMPTY_PAGES_MAX, COARSE_S // (PAGE_CANDLES * wanted.period_s) + 2)
    found: list[Candle] = []
    if count is None and low <= wanted.start:  # less than a bucket: only the forming candle can be meant
        if wanted.forming:
            await reader.mend([], low, low)
        return []
    for _ in range(HISTORY_PAGES_MAX):
        high, low = low, next_border(reader, wanted, low, len(found))
        fresh = await reader.block(low, high)
        if high == wanted.end:
            fresh = await reader.mend(fresh, low, high)
        found[:0] = fresh
        if count is not None and len(found) >= count:
            return found[-count:]
        if count is None and low <= wanted.start:
            break
        empty = 0 if fresh else empty + 1
        if not fresh:
            further = await reader.closed_before(low)
            if further is None or empty >= empty_max:
                break
            low = further
    else:
        raise RequestError(
            f"{len(found)} candles are in the last {HISTORY_PAGES_MAX} pages, and that is not all; ask for fewer"
        )
    if count is not None:
        raise HistoryShort(len(found), count)
    return [candle for candle in found if candle.time >= wanted.start]


def next_border(reader: BlockReader, wanted: Wanted, high: int, have: int) -> int:
    """Where the block below ``high`` begins: on a border of a grid, so that other calls find it in the cache."""
    grid = bucket_start(high - 1, PAGE_CANDLES * wanted.period_s, wanted.zone_s)
    exact = wanted.start
    if wanted.count is not None:
        missing = wanted.count - have
        exact = high - missing * wanted.period_s
        if high == wanted.end and missing <= PAGE_CANDLES:
            return exact
    return grid if reader.history.is_settled(high) else max(grid, exact)


async def load_forming(history: History, wanted: Wanted, whole: BlockReader) -> Candle | None:
    """Put a long candle that is under way together from shorter ones; None where nothing has happened in it yet."""
    period_s = next(
        shorter
        for shorter in PERIODS_S
        if shorter >= SHORTER_MIN_S
        and wanted.period_s % shorter == 0
        and wanted.period_s // shorter <= PAGE_CANDLES
    )
    end = bucket_start(history.now, period_s, wanted.zone_s)
    parts = await load(history, Wanted(wanted.asset, period_s, None, wanted.end, end, True, wanted.zone_s))
    whole.bad_rows += parts.bad_rows
    if not parts.candles:
        return None
    return Candle(
        wanted.end,
        parts.candles[0].open,
        max(candle.high for candle in parts.candles),
        min(candle.low for candle in parts.candles),
        parts.candles[-1].close,
        complete=False,
    )
