"""`CandleStream`: a reader that makes candles of live ticks, joined without a seam to those of the past.

All work is done in the task that reads: it takes whatever ticks have come, and gives back the candles they closed and
the newest state of the one that forms. So a slow reader sees the newest one and misses no closed candle, and nothing
runs that nobody reads. Where ticks are missing, for whatever reason, they are loaded from the venue's history before
the stream goes on; where that has them not either, a `Gap` says from when to when, and no candle that it touches is
called complete.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, Literal

import msgspec
import trio

from potrio.actors.stream import Gap, Policy, Stream, StreamStatistics
from potrio.client.candle_source import CandleSource
from potrio.protocol.candle_builder import CandleBuilder, ClockBuckets, Forming
from potrio.protocol.candles import Candle
from potrio.protocol.messages.market import Tick
from potrio.protocol.timeframes import bucket_start

__all__ = ["CandleItem", "CandleStatistics", "CandleStream"]

CandleItem = Forming | Candle | Gap

Reason = Literal["reconnect", "overflow", "stamp", "history", "late"]

FIRST_TICK_S: Final = 1.5
"""An opening waits so long for a live tick before it asks for the past: most assets tick twice a second, and a page
that reaches past the first live tick needs no second one to prove that nothing lies between."""

CLOSE_GRACE_S: Final = 2.0
"""A candle is closed without a later tick when the venue was heard, on an unbroken link, this long after its end."""

LOOK_S: Final = 0.5
"""How often to look for that, once the time has come."""


class CandleStatistics(msgspec.Struct, frozen=True):
    """A candle stream's counters; ``ticks`` are those of the ticks it reads.

    Attributes:
        closed: candles handed out.
        conflated: closed candles that policy ``latest`` has overwritten.
        mended: holes in the ticks that were filled from history.
        gaps: holes that were not, and ticks that came too late.
    """

    ticks: StreamStatistics
    closed: int
    conflated: int
    mended: int
    gaps: int


class CandleStream(trio.abc.ReceiveChannel[CandleItem]):
    """An asynchronous iterator over `Forming`, closed `Candle` and `Gap`. One reader at a time.

    Iteration ends when the stream or the client is closed; a client that died raises what it died of. Cancelling a
    wait loses nothing.
    """

    def __init__(
        self, ticks: Stream[Tick | Gap], builder: CandleBuilder, source: CandleSource, policy: Policy
    ) -> None:
        self._ticks = ticks
        self._builder = builder
        self._source = source
        self._policy = policy
        self._in: deque[Tick | Gap] = deque()
        self._out: deque[Candle | Gap] = deque()
        self._past = 0  # so many of _out were loaded before the stream began
        self._changed = False  # has the forming candle changed since it was handed out?
        self._hole: Reason | None = None  # why ticks may be missing before the next one
        self._proven = -math.inf  # up to here, history has told every tick
        self._reading = False
        self._closed = self._conflated = self._mended = self._gaps = 0

    # --- the reader's side -------------------------------------------------------------------------------------------

    async def receive(self) -> CandleItem:
        """Return the next closed candle or gap, or else the newest forming candle, waiting until there is one.

        A checkpoint. Cancelling loses nothing.

        Raises:
            trio.EndOfChannel: the stream has ended in good order.
            trio.ClosedResourceError: this reader closed it.
            StreamOverflow: policy ``lossless``, and too slow.
            ClientFailed: the client died.
        """
        if self._reading:
            raise trio.BusyResourceError("another task is already reading this stream")
        await trio.lowlevel.checkpoint()
        self._reading = True
        try:
            while True:
                if self._ticks.closed:
                    raise trio.ClosedResourceError
                if self._out:
                    return self._take()
                if self._changed and not self._in and not self._ticks.statistics().waiting:
                    self._changed = False
                    forming = self._builder.forming
                    if forming is not None:
                        return Forming(forming)
                await self._advance()
        finally:
            self._reading = False

    async def receive_batch(self) -> list[CandleItem]:
        """Return what is at hand, in order, waiting until there is something. Else like `receive`."""
        batch: list[CandleItem] = [await self.receive()]
        while self._out:
            batch.append(self._take())
        return batch

    async def aclose(self) -> None:
        """Stop reading: unsubscribes this reader and no other. Idempotent; a checkpoint."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Stop reading, without a checkpoint."""
        self._in.clear()
        self._out.clear()
        self._ticks.close()

    @property
    def closed(self) -> bool:
        """Has the reader closed it?"""
        return self._ticks.closed

    @property
    def forming(self) -> Candle | None:
        """The candle under way, as far as its ticks have been read."""
        return self._builder.forming

    def statistics(self) -> CandleStatistics:
        """The counters now."""
        ticks = self._ticks.statistics()
        return CandleStatistics(ticks, self._closed, self._conflated, self._mended, self._gaps)

    # --- the beginning -----------------------------------------------------------------------------------------------

    async def begin(self, history: int) -> None:
        """Load the past, up to a live tick: ``history`` closed candles, and the bucket under way from its beginning.

        Waits for the venue's answers. Raises as `HistoryCalls.candles` does; where only the bucket under way cannot
        be had, there is a gap.
        """
        source, builder = self._source, self._builder
        rule = builder.rule
        assert isinstance(rule, ClockBuckets)
        with trio.move_on_after(FIRST_TICK_S):
            self._in.extend(await self._ticks.receive_batch())
        start = bucket_start(source.now(), rule.period_s, rule.zone_s)
        if history:
            self._out.extend(await source.candles(history, rule.period_s, start))
            self._past = len(self._out)
        parts, part_s, since = await source.parts_of_bucket(rule.period_s, start)
        first = self._in[0] if self._in else None
        found = await source.ticks(since - 1, first.timestamp if isinstance(first, Tick) else -math.inf)
        self._hole = "history"
        builder.begin(start)
        for part in parts:
            self._emit(builder.absorb(part, part_s))
        self._proven = since
        if found is None:
            return  # the first live tick will find the hole
        for tick in found.ticks:
            if tick.timestamp >= since:
                self._give(tick)
            self._proven = max(self._proven, tick.timestamp)

    # --- live --------------------------------------------------------------------------------------------------------

    async def _advance(self) -> None:
        """Take what ticks there are, or wait for some; nothing is lost where this is cancelled."""
        if not self._in:
            self._in.extend(await self._next_batch())
        while self._in:
            item = self._in[0]
            if isinstance(item, Gap):
                self._hole = item.reason
            elif item.timestamp <= self._proven:
                self._hole = None  # live ticks and history overlap
            else:
                if self._hole is not None:
                    await self._mend(item)
                self._give(item)
            self._in.popleft()

    async def _next_batch(self) -> list[Tick | Gap]:
        """Wait for ticks, or until the candle under way can be closed without any: then return nothing."""
        while True:
            due = self._builder.forming_ends + CLOSE_GRACE_S
            with trio.move_on_after(max(due - self._source.now(), LOOK_S)):
                return await self._ticks.receive_batch()
            unread = self._ticks.statistics().waiting
            if not unread and self._hole is None and self._source.known_until() >= due:
                candle = self._builder.close_due(due - CLOSE_GRACE_S)
                if candle is not None:
                    self._emit([candle])
                    return []

    async def _mend(self, tick: Tick) -> None:
        """Fill the hole before this tick from history, or tell of it."""
        builder, source = self._builder, self._source
        known = max(self._proven, -math.inf if builder.last is None else builder.last)
        if known == -math.inf:
            self._hole = None
            return  # nothing came before
        reason = self._hole or "history"
        found = await source.ticks(known - 1, tick.timestamp)
        self._hole = None
        if found is None:
            builder.hole()
            self._tell(Gap(reason, source.asset, since=known, until=tick.timestamp))
            return
        for missing in found.ticks:
            if known < missing.timestamp < tick.timestamp:
                self._give(missing)
        self._mended += 1

    def _give(self, tick: Tick) -> None:
        builder = self._builder
        if builder.is_late(tick.timestamp):
            start = builder.rule.start(tick.timestamp)
            until = builder.rule.end(start)
            self._tell(Gap("late", tick.asset, since=start, until=until if until < math.inf else None))
        self._emit(builder.add(tick.timestamp, tick.price))
        self._changed = True

    # --- what is handed out ------------------------------------------------------------------------------------------

    def _emit(self, candles: list[Candle]) -> None:
        for candle in candles:
            if self._policy == "latest" and len(self._out) > self._past:
                items = list(self._out)
                live = items[self._past :]
                gaps = [item for item in live if isinstance(item, Gap)]
                self._conflated += len(live) - len(gaps)
                self._out = deque([*items[: self._past], *gaps])
            self._out.append(candle)
            self._closed += 1

    def _tell(self, gap: Gap) -> None:
        self._out.append(gap)
        self._gaps += 1

    def _take(self) -> Candle | Gap:
        self._past = max(0, self._past - 1)
        return self._out.popleft()
