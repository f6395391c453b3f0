"""Candles, pure: buckets, ticks into candles, stale rows mended by ticks, order, gaps.

Times are whole UTC seconds. Buckets of four hours and of a day are the venue's: they are aligned in the venue's own
zone, which every function therefore takes as ``zone_s`` (0 where all is UTC already).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Protocol

import msgspec

from potrio.protocol.timeframes import bucket_start

__all__ = [
    "Candle",
    "CandleLike",
    "TickLike",
    "bucket",
    "from_rows",
    "from_ticks",
    "gaps",
    "in_order",
    "merge",
]


class Candle(msgspec.Struct, frozen=True):
    """One candle; prices in the usual order, unlike on the wire.

    Attributes:
        time: start of the bucket, whole UTC seconds.
        volume: None where the venue does not count it.
        complete: False where ticks of the bucket may be missing, or are still to come.
    """

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float | None = None
    complete: bool = True

    @property
    def at(self) -> datetime:
        """The start of the bucket as an aware datetime."""
        return datetime.fromtimestamp(self.time, UTC)


class CandleLike(Protocol):
    """A candle row of any message (`CandleRow`, `HistoryCandle`), or a `Candle`."""

    @property
    def time(self) -> float: ...
    @property
    def open(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def close(self) -> float: ...
    @property
    def volume(self) -> float | None: ...


class TickLike(Protocol):
    """A tick of any message (`Tick`, `TickRow`)."""

    @property
    def timestamp(self) -> float: ...
    @property
    def price(self) -> float: ...


# --- buckets ---------------------------------------------------------------------------------------------------------


def bucket(timestamp: float, period_s: int, zone_s: int = 0) -> int:
    """Give the start of the bucket a moment lies in."""
    return bucket_start(timestamp, period_s, zone_s)


# --- building --------------------------------------------------------------------------------------------------------


def from_rows(
    rows: Iterable[CandleLike], period_s: int, *, zone_s: int = 0, until: float | None = None
) -> tuple[list[Candle], int]:
    """Turn candle rows of the wire into candles: UTC, oldest first, each bucket once.

    Args:
        rows: in any order, in the venue's stamps.
        period_s: their length.
        zone_s: of the stamps.
        until: the moment (UTC) up to which the rows are final: what ends later is not complete. By default the newest
            is not, as the newest rows of a `History` are stale parts of their buckets (``protocol.md`` 6.1).

    Returns:
        the candles, and how many rows were bad: not aligned to the period, or without low ≤ open, close ≤ high.
    """
    good: list[Candle] = []
    bad = 0
    for row in rows:
        if (
            row.time % period_s == 0
            and row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high
        ):
            start = int(row.time) - zone_s
            complete = until is None or start + period_s <= until
            good.append(Candle(start, row.open, row.high, row.low, row.close, row.volume, complete))
        else:
            bad += 1
    candles = in_order(good)
    if candles and until is None:
        candles[-1] = msgspec.structs.replace(candles[-1], complete=False)
    return candles, bad


def from_ticks(
    ticks: Iterable[TickLike], period_s: int, *, zone_s: int = 0, until: float | None = None
) -> list[Candle]:
    """Build candles from ticks without holes, in UTC and in any order.

    Args:
        ticks: all there were between the first and ``until``. Of equal times the later given is the later.
        period_s: length of the candles.
        zone_s: of the venue, where longer buckets are aligned in it.
        until: the moment up to which the ticks are known; by default the last tick's.

    Returns:
        one candle for each bucket that has a tick, oldest first. Not complete are the first, unless it starts with
        a tick, and what ends after ``until``.
    """
    in_time = sorted(ticks, key=lambda tick: tick.timestamp)
    if not in_time:
        return []
    first = in_time[0].timestamp
    end = in_time[-1].timestamp if until is None else until
    candles: list[Candle] = []
    start: int | None = None
    prices: list[float] = []

    def close_bucket() -> None:
        if start is not None:
            complete = start >= first and start + period_s <= end
            candles.append(Candle(start, prices[0], max(prices), min(prices), prices[-1], None, complete))

    for tick in in_time:
        its_start = bucket(tick.timestamp, period_s, zone_s)
        if its_start != start:
            close_bucket()
            start, prices = its_start, []
        prices.append(tick.price)
    close_bucket()
    return candles


def merge(
    candles: Iterable[Candle],
    ticks: Sequence[TickLike],
    period_s: int,
    *,
    zone_s: int = 0,
    until: float | None = None,
) -> list[Candle]:
    """Mend candles with the ticks that came beside them: the newest rows of the venue are stale (``protocol.md`` 6.1).

    A bucket that starts inside the ticks is built from them alone. The one bucket that starts before them and reaches
    into them keeps its opening, takes the ticks' extremes in, and closes with their last price.

    Args:
        candles: from `from_rows`.
        ticks: without holes, in UTC.
        period_s: length of the candles.
        zone_s: of the venue.
        until: the moment up to which the ticks are known; by default the last tick's.

    Returns:
        the candles, oldest first, each bucket once.
    """
    known = {candle.time: candle for candle in candles}
    first = min((tick.timestamp for tick in ticks), default=math.inf)
    for fresh in from_ticks(ticks, period_s, zone_s=zone_s, until=until):
        stale = known.get(fresh.time)
        known[fresh.time] = fresh if stale is None or fresh.time >= first else _extended(stale, fresh)
    return [known[time] for time in sorted(known)]


def _extended(stale: Candle, fresh: Candle) -> Candle:
    return msgspec.structs.replace(
        stale, high=max(stale.high, fresh.high), low=min(stale.low, fresh.low), close=fresh.close
    )


# --- order -----------------------------------------------------------------------------------------------------------


def in_order(candles: Iterable[Candle]) -> list[Candle]:
    """Sort candles by time and keep one of each bucket: a complete one where there is one, else the last given."""
    kept: dict[int, Candle] = {}
    for candle in candles:
        before = kept.get(candle.time)
        if before is None or candle.complete or not before.complete:
            kept[candle.time] = candle
    return [kept[time] for time in sorted(kept)]


def gaps(candles: Sequence[Candle], period_s: int) -> list[tuple[int, int]]:
    """List the holes between candles in order: from the first missing bucket to the next that is there, exclusive."""
    return [
        (earlier.time + period_s, later.time)
        for earlier, later in pairwise(candles)
        if later.time - earlier.time > period_s
    ]
