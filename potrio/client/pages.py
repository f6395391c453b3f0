"""Loading candles page by page until there are exactly as many as were asked for."""

from __future__ import annotations

from datetime import datetime

import msgspec

from potrio.actors.history import LoadPage
from potrio.actors.keys import HISTORY
from potrio.client.tree import Shared
from potrio.errors import ConfigError, HistoryShort, RequestError
from potrio.limits import HISTORY_PAGES_MAX
from potrio.protocol.candles import Candle, bucket, from_rows, from_ticks
from potrio.protocol.messages.market import HistoryPeriod, TickRow
from potrio.seam import Seam
from potrio.supervision.supervisor import Supervisor

__all__ = ["load_candles"]

PAGE_CANDLES = 150
"""Candles of one request: what the venue's own web client asks for."""

COUNT_MAX = PAGE_CANDLES * HISTORY_PAGES_MAX // 2
"""Candles of one call: half the pages may be spent on times when the market was closed."""

EMPTY_PAGES_MAX = 3
"""Windows in a row without a candle: a closed market has gaps, but before history begins there is nothing else."""


async def load_candles(
    supervisor: Supervisor,
    shared: Shared,
    seam: Seam,
    asset: str,
    period_s: int,
    count: int,
    end: datetime | None,
) -> list[Candle]:
    """Page backwards from ``end``; see `Client.candles`, whose body this is."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ConfigError("count", f"must be a whole number >= 1, not {count!r}")
    if count > COUNT_MAX:
        raise ConfigError(
            "count", f"must be at most {COUNT_MAX} in one call; go on with end=, the oldest one's time"
        )
    clock = shared.account.clock
    if end is None:
        until = clock.to_utc(clock.stamp_at(seam.wall()))
    elif end.tzinfo is None:
        raise ConfigError("end", "must be an aware datetime; a naive one names no moment")
    else:
        until = end.timestamp()
    boundary = bucket(until, period_s, clock.zone_s)  # where the last closed candle ends
    history = supervisor.ref(HISTORY)
    found: dict[int, Candle] = {}
    empty = 0
    for _ in range(HISTORY_PAGES_MAX):
        window_s = min(PAGE_CANDLES, count - len(found)) * period_s
        # One bucket more on either side: the later one so that a tick on the boundary closes the last candle, the
        # earlier one so that the first candle is known from its first tick on.
        end_stamp = int(clock.to_stamp(boundary)) + period_s - 1
        reply = await history.ask(LoadPage(asset, period_s, end_stamp, window_s + 2 * period_s))
        fresh = [
            candle
            for candle in candles_of(reply, period_s, clock.zone_s, boundary)
            if boundary - window_s <= candle.time < boundary
        ]
        found.update((candle.time, candle) for candle in fresh)
        if len(found) >= count:
            return [found[time] for time in sorted(found)][-count:]
        empty = 0 if fresh else empty + 1
        if empty >= EMPTY_PAGES_MAX:
            raise HistoryShort(len(found), count)
        boundary -= window_s
    raise RequestError(
        f"{len(found)} of the {count} candles are in the last {HISTORY_PAGES_MAX} pages; ask for fewer"
    )


def candles_of(reply: HistoryPeriod, period_s: int, zone_s: int, boundary: int) -> list[Candle]:
    """The candles of one page in UTC, also where the venue answered with ticks (short periods).

    The newest row counts as complete where it is the bucket that ends at ``boundary``; an older one means that the
    venue's history lags behind its stream, and then its newest row may be a part of its bucket.
    """
    if reply.ticks:
        ticks = [TickRow(tick.time - zone_s, tick.price) for tick in reply.ticks]
        return from_ticks(ticks, period_s, zone_s=zone_s)
    candles, _bad = from_rows(reply.candles, period_s, zone_s=zone_s)
    if candles and candles[-1].time == boundary - period_s:
        candles[-1] = msgspec.structs.replace(candles[-1], complete=True)
    return candles
