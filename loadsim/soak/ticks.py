"""P4 of one reader: every tick of the market once and in order, and wherever one is missing, a `Gap` that covers it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from loadsim.venue.market import Market
from potrio.actors.stream import Gap
from potrio.protocol.candle_builder import Forming
from potrio.protocol.candles import Candle
from potrio.protocol.messages.market import Tick

__all__ = ["CandleAudit", "TickAudit"]

SAME_S: Final = 0.0005
"""The wire's stamps have milliseconds; floats of them differ by less than this."""

HOLE_TICKS_MAX: Final = 100_000

Say = Callable[[str], None]


class TickAudit:
    """One reader of ticks, beside the market's own record.

    Args:
        market: the venue's; or one of the same seed, if that is in another process.
        zone_s: its clock is ahead of UTC by so much.
        wrong: told of every breach.
    """

    def __init__(self, market: Market, zone_s: int, wrong: Say) -> None:
        self.ticks = self.missed = 0
        self.gaps: dict[str, int] = {}
        self.last: dict[str, float] = {}
        self._market = market
        self._zone_s = zone_s
        self._wrong = wrong
        self._told: dict[str, list[tuple[float, float]]] = {}  # holes told of, that end after the last tick
        self._open: dict[str, float] = {}  # the same of those whose end is the next tick, whenever it comes

    def take(self, item: Tick | Gap) -> None:
        """Check what comes next."""
        if isinstance(item, Gap):
            self._gap(item)
            return
        asset, stamp = item.asset, item.timestamp
        self.ticks += 1
        last = self.last.get(asset)
        if last is not None and stamp <= last:
            self._wrong(f"{asset}: a tick of {stamp} after one of {last}")
            return
        self.last[asset] = stamp
        true = self._market.last_tick(asset, stamp + self._zone_s + SAME_S)
        if abs(true.stamp - self._zone_s - stamp) > SAME_S or true.price != item.price:
            self._wrong(f"{asset}: {item.price} at {stamp}, where the venue has {true}")
        if last is not None:
            self._hole(asset, last, stamp)
        self._told.pop(asset, None)
        self._open.pop(asset, None)

    def _hole(self, asset: str, last: float, stamp: float) -> None:
        """Everything between two ticks has to be told as missing."""
        zone = self._zone_s
        after, before = (
            round(last + zone, 3) + 0.001,
            round(stamp + zone, 3) - 0.001,
        )  # the wire has milliseconds
        following = self._market.next_tick(asset, after - 0.001)
        if following is not None and following.stamp - zone > stamp - SAME_S:
            return
        missing = self._market.ticks(asset, after, before)[:HOLE_TICKS_MAX]
        told = self._told.get(asset, [])
        opened = self._open.get(asset, math.inf)
        for tick in missing:
            at = tick.stamp - zone
            self.missed += 1
            if at < opened - SAME_S and not any(a - SAME_S <= at <= b + SAME_S for a, b in told):
                self._wrong(f"{asset}: nothing said of the tick of {at}, between {last} and {stamp}")
                return

    def _gap(self, gap: Gap) -> None:
        self.gaps[gap.reason] = self.gaps.get(gap.reason, 0) + 1
        for asset in self.last if gap.asset is None else (gap.asset,):
            since = self.last.get(asset, -math.inf) if gap.since is None else gap.since
            if gap.until is None:
                self._open[asset] = min(since, self._open.get(asset, math.inf))
            else:
                self._told.setdefault(asset, []).append((since, gap.until))

    def check_alive(self, assets: tuple[str, ...], utc: float, within_s: float) -> None:
        """Are all of them flowing?"""
        for asset in assets:
            due = self._market.last_tick(asset, utc + self._zone_s - within_s).stamp - self._zone_s
            last = self.last.get(asset, -math.inf)
            if last < due - SAME_S:
                self._wrong(f"{asset}: the last tick is of {last}, the venue had one at {due}; it is {utc}")


class CandleAudit:
    """One reader of candles of one asset, beside the market's own."""

    def __init__(self, market: Market, zone_s: int, asset: str, period_s: int, wrong: Say) -> None:
        self.candles = self.complete = self.forming = 0
        self.gaps: dict[str, int] = {}
        self._market = market
        self._zone_s = zone_s
        self._asset = asset
        self._period_s = period_s
        self._wrong = wrong
        self._last: int | None = None
        self._told: list[tuple[float, float]] = []
        self._doubted: tuple[int, str] | None = None  # what the next item may explain: a tick that came late

    def take(self, item: Forming | Candle | Gap) -> None:
        """Check what comes next."""
        match item:
            case Gap():
                self._gap(item)
            case Forming():
                self.forming += 1
            case Candle():
                self.flush()
                self._candle(item)

    def _gap(self, gap: Gap) -> None:
        self.gaps[gap.reason] = self.gaps.get(gap.reason, 0) + 1
        since = -math.inf if gap.since is None else gap.since
        until = math.inf if gap.until is None else gap.until
        self._told.append((since, until))
        if (
            self._doubted is not None
            and since <= self._doubted[0] + self._period_s
            and until >= self._doubted[0]
        ):
            self._doubted = None

    def _candle(self, candle: Candle) -> None:
        self.candles += 1
        last, self._last = self._last, candle.time
        if last is not None:
            if candle.time <= last:
                self._wrong(f"{self._asset}: the candle of {candle.time} after that of {last}")
                return
            for start in range(last + self._period_s, candle.time, self._period_s):
                if not self._is_told(start) and self._true(start) is not None:
                    self._wrong(f"{self._asset}: no candle of {start}, and no gap")
                    break
        if candle.complete:
            self.complete += 1
            true = self._true(candle.time)
            ours = (candle.open, candle.high, candle.low, candle.close)
            if true != ours:
                self._doubted = (
                    candle.time,
                    f"{self._asset}: {candle} is called complete, the venue has {true}",
                )
        elif not self._is_told(candle.time) and last is not None:
            self._wrong(f"{self._asset}: {candle} is not complete, and no gap says why")
        self._told = [(since, until) for since, until in self._told if until > candle.time]

    def _is_told(self, start: int) -> bool:
        return any(since <= start + self._period_s and until >= start for since, until in self._told)

    def _true(self, start: int) -> tuple[float, float, float, float] | None:
        row = self._market.candle(self._asset, self._period_s, start + self._zone_s)
        return None if row is None else (row.open, row.high, row.low, row.close)

    def flush(self) -> None:
        """Nothing has explained the difference: it is a breach."""
        if self._doubted is not None:
            doubted, self._doubted = self._doubted, None
            self._wrong(doubted[1])
