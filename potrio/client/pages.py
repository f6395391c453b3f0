"""Loading candles page by page until there are exactly as many as were asked for."""

from __future__ import annotations

from datetime import datetime

from potrio.actors.history import LoadPage
from potrio.actors.keys import HISTORY
from potrio.client.tree import Shared
from potrio.errors import ConfigError, HistoryShort
from potrio.limits import HISTORY_PAGES_MAX
from potrio.protocol.candles import Candle, from_rows, from_ticks
from potrio.protocol.messages.market import HistoryPeriod
from potrio.seam import Seam
from potrio.supervision.supervisor import Supervisor

__all__ = ["load_candles"]

PAGE_CANDLES = 150
"""Candles of one request: what the venue's own web client asks for."""

EMPTY_PAGES_MAX = 3
"""Windows in a row without a single candle: a closed market has gaps, but history before its beginning has only these."""


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
    clock = shared.account.clock
    if end is None:
        until = clock.to_utc(clock.to_stamp(seam.wall()))
    elif end.tzinfo is None:
        raise ConfigError("end", "must be an aware datetime; a naive one names no moment")
    else:
        until = end.timestamp()
    boundary = int(until // period_s) * period_s  # the end of the last closed candle, UTC seconds
    history = supervisor.ref(HISTORY)
    found: dict[int, Candle] = {}
    empty = 0
    for _ in range(HISTORY_PAGES_MAX):
        wanted = min(PAGE_CANDLES, count - len(found))
        window_s = wanted * period_s
        page = LoadPage(asset, period_s, int(clock.to_stamp(boundary)), window_s)
        reply = await history.ask(page, timeout=None)
        fresh = [
            candle
            for candle in candles_of(reply, period_s, clock.zone_s)
            if boundary - window_s <= candle.time < boundary
        ]
        found.update((candle.time, candle) for candle in fresh)
        if len(found) >= count:
            return [found[time] for time in sorted(found)][-count:]
        empty = 0 if fresh else empty + 1
        if empty >= EMPTY_PAGES_MAX:
            break
        boundary -= window_s
    raise HistoryShort(len(found), count)


def candles_of(reply: HistoryPeriod, period_s: int, zone_s: int) -> list[Candle]:
    """The candles of one page in UTC, also where the venue answered with ticks (short periods)."""
    candles = from_rows(reply.candles, zone_s=zone_s)
    if reply.ticks:
        ticks = [(tick.time - zone_s, tick.price) for tick in reply.ticks]
        candles += from_ticks(ticks, period_s)
    return candles
