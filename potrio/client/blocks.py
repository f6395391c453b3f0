"""`BlockReader`: candles of one asset and period block by block, as the venue's history has them, and mended by ticks.

The venue's history lags minutes behind its stream, and its newest rows are parts of their buckets (`protocol.md` 6).
So there are two kinds of blocks: *settled* ones, old enough to be final, which are cached; and the newest, whose
buckets are computed anew from the ticks of the last minutes. What cannot be known whole says ``complete=False``.
"""

from __future__ import annotations

from typing import Final

import msgspec
import trio

from potrio.actors.history import Block, BlockKey, HistoryState, LoadPage
from potrio.actors.keys import HISTORY
from potrio.actors.limiter import Lane, check_rate
from potrio.actors.repeat import Repeater
from potrio.protocol.candles import Candle, from_rows, from_ticks, merge
from potrio.protocol.messages.market import HistoryPeriod, TickRow
from potrio.protocol.server_clock import ServerClock
from potrio.protocol.timeframes import bucket_start
from potrio.seam import Seam
from potrio.supervision.supervisor import Supervisor

__all__ = ["COARSE_S", "LAG_MAX_S", "PAGE_CANDLES", "BlockReader", "History", "reach", "ticks_of"]

PAGE_CANDLES: Final = 150
"""Candles of one request: what the venue's own web client asks for."""

LAG_MAX_S: Final = 600
"""How far the venue's history may lag behind its stream; one to seven minutes have been seen."""

FRESH_S: Final = 2.0
"""Ticks that reach this near to now are all there are: an asset that is open ticks more often."""

COARSE_S: Final = 14_400
"""Length of the candles that show where a market was closed: 150 of them reach back 25 days."""

FINE_S: Final = 60


class History(msgspec.Struct, frozen=True):
    """Whom to ask, where to keep it, and the moment that everything refers to: ``now``, the venue's own, UTC."""

    supervisor: Supervisor
    state: HistoryState
    clock: ServerClock
    seam: Seam
    now: float

    @property
    def zone_s(self) -> int:
        """The zone that buckets are aligned in."""
        return self.clock.zone_s

    async def page(self, asset: str, period_s: int, end: float, window_s: int) -> HistoryPeriod:
        """Ask for ``[end - window_s, end]`` (UTC), and again where no answer comes and the caller has the time.

        Waits for the answer; cancelling only stops the waiting. Raises CircuitOpen where no page has come lately.
        """
        end_stamp = int(self.clock.to_stamp(end))
        self.check_rate()
        ref, page = self.supervisor.ref(HISTORY), LoadPage(asset, period_s, end_stamp, window_s)
        return await Repeater(self.state.breaker, self.seam).ask(lambda: ref.ask(page))

    def check_rate(self) -> None:
        """Raise RateLimited where the caller's deadline comes before the limiter lets another page pass."""
        now, until = self.seam.now(), trio.current_effective_deadline()
        check_rate(Lane.REQUESTS, self.state.forecast(Lane.REQUESTS), now, self.seam.wall(), until)

    def is_settled(self, end: int) -> bool:
        """Is everything before this moment final, however late the venue's history is?"""
        return end + LAG_MAX_S <= self.now


class BlockReader:
    """One reader for one answer; ``bad_rows`` adds up, ``forming`` is the candle of the bucket under way if known."""

    def __init__(self, history: History, asset: str, period_s: int) -> None:
        self.history = history
        self.asset = asset
        self.period_s = period_s
        self.bad_rows = 0
        self.forming: Candle | None = None
        self._by_ticks = False  # the venue answers this period with ticks: nothing to mend

    async def block(self, start: int, end: int) -> list[Candle]:
        """Return the candles that start in ``[start, end)``, bucket borders in UTC, oldest first.

        Waits for the venue unless the block is known. Cancelling keeps nothing.
        """
        history = self.history
        state = history.state
        settled = history.is_settled(end)
        key = BlockKey(self.asset, self.period_s, start, end, history.zone_s)
        found = state.blocks.get(key, history.seam.now()) if settled else None
        if found is None:
            # One bucket more on either side: the later one so that a tick on the boundary closes the last candle, the
            # earlier one so that the first candle is known from its first tick on.
            window_s = end - start + 2 * self.period_s
            reply = await history.page(self.asset, self.period_s, end + self.period_s - 1, window_s)
            candles, bad = self._candles_of(reply, end, settled)
            found = Block(tuple(candle for candle in candles if start <= candle.time < end), bad)
            state.rows_bad += bad
            if settled:
                state.blocks.put(key, found, history.seam.now())
            elif self._by_ticks and candles and candles[-1].time == end:
                self.forming = msgspec.structs.replace(candles[-1], complete=False)
        self.bad_rows += found.bad_rows
        return list(found.candles)

    async def mend(self, candles: list[Candle], start: int, end: int) -> list[Candle]:
        """Compute the newest of these candles, which start in ``[start, end)``, from the last minutes' ticks.

        Waits for the ticks, where the block is not settled and was not made of ticks already.
        """
        history, period_s = self.history, self.period_s
        if self._by_ticks or history.is_settled(end):
            return candles
        since = int(history.now) - LAG_MAX_S
        if period_s <= LAG_MAX_S:
            since = bucket_start(since, period_s, history.zone_s)
        until = int(history.now) + 1
        reply = await history.page(self.asset, 1, until, until - since)
        history.state.rows_bad += reply.rejected
        ticks = [tick for tick in ticks_of(reply, history.zone_s) if tick.timestamp >= since]
        if not ticks:
            return candles
        known_until = reach(ticks, history.now)
        told = {candle.time for candle in candles}
        mended = []
        for candle in merge(candles, ticks, period_s, zone_s=history.zone_s, until=known_until):
            ends = candle.time + period_s
            if ends > history.now - LAG_MAX_S:
                whole = ends <= known_until and (candle.time >= since or candle.time in told)
                candle = msgspec.structs.replace(candle, complete=whole)
            if start <= candle.time < end:
                mended.append(candle)
            elif candle.time == end and candle.time >= since:
                self.forming = msgspec.structs.replace(candle, complete=False)
        return mended

    async def closed_before(self, low: int) -> int | None:
        """Find where to read on below ``low``, where there was nothing: at or after the end of what comes next.

        A closed market is stepped over with long candles. None: there is nothing before.
        """
        for length_s in (COARSE_S, FINE_S):
            if length_s <= self.period_s:
                continue
            top = bucket_start(low - 1, length_s, self.history.zone_s) + length_s
            if not self.history.is_settled(top):
                return low  # the newest of them may not be known yet
            longer = BlockReader(self.history, self.asset, length_s)
            candles = await longer.block(top - PAGE_CANDLES * length_s, top)
            if length_s == FINE_S and not candles:
                break  # more than they reach, but less than the long ones
            if not candles:
                return None
            low = min(low, candles[-1].time + length_s)
        return low

    def _candles_of(self, reply: HistoryPeriod, end: int, settled: bool) -> tuple[list[Candle], int]:
        """The candles of one page in UTC, also where the venue answered with ticks (short periods)."""
        zone_s, now = self.history.zone_s, self.history.now
        if reply.ticks or (reply.period == 0 and not reply.candles):
            self._by_ticks = True
            ticks = ticks_of(reply, zone_s)
            asked_until = float(end + self.period_s - 1)
            until = asked_until if settled else reach(ticks, min(now, asked_until))
            return from_ticks(ticks, self.period_s, zone_s=zone_s, until=until), reply.rejected
        certain = end if settled else now - LAG_MAX_S
        candles, bad = from_rows(reply.candles, self.period_s, zone_s=zone_s, until=certain)
        return candles, bad + reply.rejected


def ticks_of(reply: HistoryPeriod, zone_s: int) -> list[TickRow]:
    """The ticks of a page in UTC, in time order; candles of a second, which some sessions get, as four ticks each."""
    ticks = [TickRow(tick.time - zone_s, tick.price) for tick in reply.ticks]
    if not ticks:
        ticks = [
            TickRow(row.time - zone_s, price)
            for row in reply.candles
            for price in (row.open, row.high, row.low, row.close)
        ]
    return sorted(ticks, key=lambda tick: tick.timestamp)


def reach(ticks: list[TickRow], asked_until: float) -> float:
    """The moment up to which these ticks are all there were: what was asked for, if they reach there, else the last."""
    if not ticks:
        return float("-inf")
    last = ticks[-1].timestamp
    return asked_until if asked_until - last <= FRESH_S else last
