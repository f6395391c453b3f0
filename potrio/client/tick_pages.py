"""Loading ticks of the past page by page, and candles of any length made of them."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

import msgspec

from potrio.client.blocks import BlockReader, History, reach, ticks_of
from potrio.client.candle_list import CandleList, gaps_in
from potrio.client.pages import moment
from potrio.client.tree import Shared
from potrio.errors import ConfigError
from potrio.limits import HISTORY_PAGES_MAX
from potrio.protocol.candles import from_ticks
from potrio.protocol.messages.market import Tick
from potrio.protocol.timeframes import bucket_start
from potrio.seam import Seam
from potrio.supervision.supervisor import Supervisor

__all__ = ["TICK_PAGE_S", "TickRange", "compile_candles", "load_ticks"]

TICK_PAGE_S: Final = 1000
"""Seconds of one request for ticks: 2000 of them, as public clients ask."""

RANGE_MAX_S: Final = TICK_PAGE_S * HISTORY_PAGES_MAX


class TickRange(msgspec.Struct, frozen=True):
    """Ticks of ``[start, end)``, all of them as far as ``known_until`` (all UTC Unix seconds)."""

    ticks: list[Tick]
    start: float
    end: float
    known_until: float


async def load_ticks(
    supervisor: Supervisor, shared: Shared, seam: Seam, asset: str, start: datetime, end: datetime | None
) -> TickRange:
    """Page backwards from ``end``; see `HistoryCalls.tick_history`, whose body this is."""
    clock = shared.account.clock
    now = clock.to_utc(clock.stamp_at(seam.wall()))
    since, until = moment("start", start), now if end is None else min(now, moment("end", end))
    if since >= until:
        raise ConfigError("start", "must be before end, and in the past")
    if until - since > RANGE_MAX_S:
        raise ConfigError("start", f"must be at most {RANGE_MAX_S} s before end; load the ticks in parts")
    history = History(supervisor, shared.history, clock, seam, now)
    reader = BlockReader(history, asset, 1)
    pages: list[list[Tick]] = []
    known_until, high = until, until
    told_until = (
        math.inf if end is None else moment("end", end)
    )  # a tick of just now may be ahead of our idea of now
    while high > since:
        low = max(since, high - TICK_PAGE_S)
        reply = await history.page(asset, 1, int(high) + 1, int(high) + 2 - int(low))
        shared.history.rows_bad += reply.rejected
        told = ticks_of(reply, history.zone_s)
        if high == until and not history.is_settled(int(until) + 1):
            known_until = max(since, reach(told, until))
        fresh = [
            Tick(asset, tick.timestamp, tick.price) for tick in told if low <= tick.timestamp < told_until
        ]
        pages.append(fresh)
        high = told_until = low
        if not fresh and low > since:
            further = await reader.closed_before(int(low))
            if further is None:
                break
            high = told_until = min(low, float(further))
    return TickRange([tick for page in reversed(pages) for tick in page], since, until, known_until)


async def compile_candles(
    supervisor: Supervisor,
    shared: Shared,
    seam: Seam,
    asset: str,
    period_s: int,
    start: datetime,
    end: datetime | None,
) -> CandleList:
    """Candles of any length out of ticks; see `HistoryCalls.compile_candles`, whose body this is."""
    found = await load_ticks(supervisor, shared, seam, asset, start, end)
    zone_s = shared.account.clock.zone_s
    candles = [
        msgspec.structs.replace(
            candle, complete=candle.time >= found.start and candle.time + period_s <= found.known_until
        )
        for candle in from_ticks(found.ticks, period_s, zone_s=zone_s, until=found.known_until)
    ]
    first = bucket_start(found.start, period_s, zone_s)
    last = bucket_start(found.end, period_s, zone_s)
    gaps = gaps_in([candle for candle in candles if candle.time < last], period_s, first, last)
    return CandleList(candles, asset=asset, period_s=period_s, gaps=gaps)
