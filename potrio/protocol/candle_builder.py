"""`CandleBuilder`: ticks one after another into a candle that forms and candles that are closed. Pure.

A rule says where one candle ends and the next begins: `ClockBuckets` (aligned in the venue's zone), `TickChunks` (so
many ticks each), `TickWindows` (so long from the first tick). A candle is *complete* where every tick of it is known:
the builder is told of holes in the ticks, and of the moment from which on there is none. It invents nothing: a bucket
without a tick has no candle.
"""

from __future__ import annotations

import math
from typing import Protocol

import msgspec

from potrio.protocol.candles import Candle
from potrio.protocol.timeframes import bucket_start

__all__ = ["BucketRule", "CandleBuilder", "ClockBuckets", "Forming", "TickChunks", "TickWindows", "regroup"]


class Forming(msgspec.Struct, frozen=True):
    """The candle under way, as its ticks have made it so far; its ``complete`` is False."""

    candle: Candle


class Bucket:
    """A candle under way: extremes and ends, and the stamps of the ends, so that a tick that comes late fits in."""

    __slots__ = ("close", "count", "first", "high", "last", "low", "open", "start", "whole")

    def __init__(self, start: float, stamp: float, price: float) -> None:
        self.start = start
        self.first = self.last = stamp
        self.open = self.high = self.low = self.close = price
        self.count = 1
        self.whole = True

    def add(self, stamp: float, price: float) -> None:
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        if stamp >= self.last:
            self.last, self.close = stamp, price
        elif stamp < self.first:
            self.first, self.open = stamp, price
        self.count += 1

    def candle(self, complete: bool) -> Candle:
        return Candle(int(self.start), self.open, self.high, self.low, self.close, None, complete)


class BucketRule(Protocol):
    """Where candles begin and end."""

    @property
    def aligned(self) -> bool:
        """Is the beginning given by the clock, so that the first known tick may not be the candle's first?"""

    def start(self, stamp: float) -> float:
        """The beginning of the candle whose first tick has this stamp."""

    def end(self, start: float) -> float:
        """When the candle ends by the clock; inf where it does not."""

    def full(self, count: int) -> bool:
        """Does the candle end with its last tick?"""


class ClockBuckets(msgspec.Struct, frozen=True):
    """Buckets of ``period_s`` aligned in the venue's zone."""

    period_s: int
    zone_s: int = 0
    aligned: bool = True

    def start(self, stamp: float) -> float:
        """The bucket's border."""
        return bucket_start(stamp, self.period_s, self.zone_s)

    def end(self, start: float) -> float:
        """The next border."""
        return start + self.period_s

    def full(self, count: int) -> bool:
        """Never."""
        return False


class TickChunks(msgspec.Struct, frozen=True):
    """Candles of ``size`` ticks each."""

    size: int
    aligned: bool = False

    def start(self, stamp: float) -> float:
        """The first tick."""
        return stamp

    def end(self, start: float) -> float:
        """Not by the clock."""
        return math.inf

    def full(self, count: int) -> bool:
        """With its ``size``-th tick."""
        return count >= self.size


class TickWindows(msgspec.Struct, frozen=True):
    """Candles of the ticks within ``window_s`` from the first one; the next begins with the next tick."""

    window_s: float
    aligned: bool = False

    def start(self, stamp: float) -> float:
        """The first tick."""
        return stamp

    def end(self, start: float) -> float:
        """So long after it."""
        return start + self.window_s

    def full(self, count: int) -> bool:
        """Never."""
        return False


class CandleBuilder:
    """Ticks (UTC seconds) in, candles out.

    Attributes:
        last: the stamp of the newest tick; None before the first.
        late: ticks that came when their candle had been closed already. They change nothing; see `add`.
    """

    def __init__(self, rule: BucketRule) -> None:
        self.rule = rule
        self.last: float | None = None
        self.late = 0
        self._last_price = math.nan
        self._bucket: Bucket | None = None
        self._known_from = math.inf  # from here to the newest tick every tick is known
        self._closed_until = -math.inf

    def begin(self, stamp: float) -> None:
        """From here on every tick will be given."""
        self._known_from = stamp

    def hole(self) -> None:
        """Ticks are missing between the last one given and the next."""
        self._known_from = math.inf

    @property
    def forming(self) -> Candle | None:
        """The candle under way, if there is a tick of it."""
        return None if self._bucket is None else self._bucket.candle(complete=False)

    @property
    def forming_ends(self) -> float:
        """When the candle under way ends by the clock; inf where there is none, or where it does not."""
        return math.inf if self._bucket is None else self.rule.end(self._bucket.start)

    def is_late(self, stamp: float) -> bool:
        """Would a tick of this moment belong to a candle that is closed?"""
        return stamp < self._closed_until

    def add(self, stamp: float, price: float) -> list[Candle]:
        """Take the next tick; returns the candles that it closes.

        A tick older than the newest one finds its place in the candle under way. One that belongs to a closed candle
        is counted in ``late`` and changes nothing: ask `is_late` before, and say so. The newest tick given once more
        is no tick.
        """
        if stamp < self._closed_until:
            self.late += 1
            return []
        if stamp == self.last and price == self._last_price:
            return []
        known_from = self._known_from
        if known_from == math.inf:  # the first tick of all, or the first after a hole
            self._known_from = stamp
        closed: list[Candle] = []
        bucket = self._bucket
        if bucket is not None and (
            stamp >= self.rule.end(bucket.start) or (known_from == math.inf and not self.rule.aligned)
        ):
            closed.append(self._close(bucket, hole=known_from == math.inf))
            bucket = None
        if bucket is None:
            bucket = self._bucket = Bucket(self.rule.start(stamp), stamp, price)
            self._closed_until = max(self._closed_until, bucket.start)  # also those between that had no tick
        else:
            if known_from == math.inf:
                bucket.whole = False
            bucket.add(stamp, price)
        if self.last is None or stamp >= self.last:
            self.last, self._last_price = stamp, price
        if self.rule.full(bucket.count):
            closed.append(self._close(bucket))
        return closed

    def close_due(self, until: float) -> Candle | None:
        """Close the candle under way where it has ended by ``until``, up to which every tick has been given."""
        bucket = self._bucket
        if bucket is None or self._known_from == math.inf or self.rule.end(bucket.start) > until:
            return None
        return self._close(bucket)

    def absorb(self, candle: Candle, period_s: int) -> list[Candle]:
        """Take a candle of a shorter period that divides this one's, in the place of its ticks.

        To be given in order, before the ticks that follow. Returns the candles that it closes.
        """
        last = candle.time + period_s - 1e-6  # where in its time the extremes were makes no difference
        closed = self.add(candle.time, candle.open)
        for price in (candle.high, candle.low):
            closed += self.add((candle.time + last) / 2, price)
        closed += self.add(last, candle.close)
        if not candle.complete and self._bucket is not None:
            self._bucket.whole = False
        return closed

    def _close(self, bucket: Bucket, *, hole: bool = False) -> Candle:
        end = self.rule.end(bucket.start)
        self._closed_until = end if self.rule.aligned else bucket.last
        self._bucket = None
        whole = bucket.whole and not hole and (not self.rule.aligned or self._known_from <= bucket.start)
        return bucket.candle(complete=whole)


def regroup(candles: list[Candle], period_s: int, rule: ClockBuckets, *, until: float) -> list[Candle]:
    """Make longer candles of shorter ones, oldest first and without holes other than of a closed market.

    Args:
        candles: of ``period_s`` each.
        period_s: it divides the rule's.
        rule: the longer ones.
        until: where the last of the shorter ones ends, or would.

    Returns:
        the longer ones; the first is not complete unless its bucket begins with a shorter one.
    """
    builder = CandleBuilder(rule)
    found = [closed for candle in candles for closed in builder.absorb(candle, period_s)]
    last = builder.close_due(until)
    if last is None:
        last = builder.forming
    return found if last is None else [*found, last]
