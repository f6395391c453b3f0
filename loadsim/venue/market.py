"""The market: ticks, candles, payouts and opening hours of every asset at any moment, from one seed.

Everything is a pure function of (seed, asset, stamp). Candles and ticks come from the same path (`path.py`), so a
candle built from its ticks is the candle. An asset has no ticks while it is closed; its price is then the last one.
Stamps are venue stamps: Unix time plus the venue's offset.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from loadsim.venue.assets import ASSETS, AssetRow, VenueAsset, row_of
from loadsim.venue.path import LEAF_S, LEVELS_S, Path, Walk
from loadsim.venue.schedule import SLOT_S, Session, is_open, payout_percent

__all__ = ["CandleRow", "Market", "TickRow"]

LEAF_MS = LEAF_S * 1000
SLOT_LEVEL = LEVELS_S.index(SLOT_S)
CLOSED_SLOTS_MAX = 14 * 86_400 // SLOT_S
"""No asset of ours is closed for two weeks."""

CACHE_LEAVES: Final = 4_096
"""Five seconds of ticks as they are told, for all assets together: about 4 MB when full."""

CACHE_CANDLES: Final = 16_384
"""Whole candles kept in memory, for all assets together: about 4 MB when full. A page of history is up to 1 500."""


class TickRow(NamedTuple):
    """One price change: the `[ts, price]` of a history reply."""

    stamp: float
    price: float


class CandleRow(NamedTuple):
    """One candle in the order of the wire: close is third (`protocol.md` rule 11)."""

    stamp: int
    open: float
    close: float
    high: float
    low: float
    volume: int


class Bar:
    """Four prices in points, and a count, being gathered."""

    __slots__ = ("count", "first", "high", "last", "low")

    def __init__(self) -> None:
        self.first = self.last = self.high = self.low = self.count = 0

    def add(self, first: int, last: int, high: int, low: int, count: int) -> None:
        """Append what comes next in time."""
        if self.count == 0:
            self.first, self.high, self.low = first, high, low
        self.last = last
        self.high = max(self.high, high)
        self.low = min(self.low, low)
        self.count += count


class Market:
    """All assets of one seed. Holds no state but a cache.

    Args:
        seed: decides every price, payout and closing.
        volatility: scales every movement; 0 gives a market that stands still (every deal a draw).
        payout_period_s: payouts change at its multiples.
        history_start: stamp before which there is no history.
    """

    def __init__(
        self,
        seed: int,
        *,
        assets: Sequence[VenueAsset] = ASSETS,
        volatility: float = 1.0,
        payout_period_s: int = 900,
        history_start: int = 0,
    ) -> None:
        self.assets = {asset.symbol: asset for asset in assets}
        self.history_start = history_start
        self._seed = seed
        self._path = Path(seed)
        self._payout_period_s = payout_period_s
        self._walks: dict[str, Walk] = {asset.symbol: asset.walk(volatility) for asset in assets}
        self._scales = {asset.symbol: 10**asset.digits for asset in assets}
        self._leaf = lru_cache(CACHE_LEAVES)(self._draw_leaf)
        self._whole_candle = lru_cache(CACHE_CANDLES)(self._draw_candle)
        self._table = lru_cache(2)(self._draw_table)

    # --- the asset table ---

    def is_open(self, symbol: str, stamp: float) -> bool:
        """Tell whether the asset trades now."""
        asset = self.assets[symbol]
        return is_open(self._seed, asset.id, asset.session, stamp)

    def payout(self, symbol: str, stamp: float) -> int:
        """Return the payout percent of a deal opened now."""
        asset = self.assets[symbol]
        return payout_percent(self._seed, asset.id, asset.payout, stamp, self._payout_period_s)

    def table(self, stamp: float) -> list[AssetRow]:
        """Return all rows of `updateAssets` as they read now."""
        return list(self._table(self.table_ends(stamp) - 1))

    def _draw_table(self, stamp: int) -> tuple[AssetRow, ...]:
        return tuple(
            row_of(asset, seed=self._seed, stamp=stamp, payout_period_s=self._payout_period_s)
            for asset in self.assets.values()
        )

    def table_ends(self, stamp: float) -> int:
        """Return the stamp until which the table stays as it is now, at least."""
        return min((int(stamp) // step + 1) * step for step in (SLOT_S, self._payout_period_s))

    # --- prices ---

    def last_tick(self, symbol: str, stamp: float) -> TickRow:
        """Return the last tick at or before ``stamp``: the price deals are opened and settled at.

        Raises:
            KeyError: there is no such asset.
        """
        until_ms = to_ms(stamp)
        slots = 0
        while not self.is_open(symbol, until_ms / 1000):
            # Closed: the last moment of the half hour before.
            until_ms = until_ms // (SLOT_S * 1000) * SLOT_S * 1000 - 1
            slots += 1
            assert slots < CLOSED_SLOTS_MAX, f"{symbol} has been closed for two weeks"
        ticks = self._leaf(symbol, until_ms // LEAF_MS)
        place = bisect_right(ticks, (until_ms / 1000, math.inf))
        if place == 0:
            # The first tick of this leaf is still to come; the leaf before may lie before the opening.
            return self.last_tick(symbol, (until_ms // LEAF_MS * LEAF_MS - 1) / 1000)
        return ticks[place - 1]

    def price(self, symbol: str, stamp: float) -> float:
        """Return the price at any moment: that of the last tick."""
        return self.last_tick(symbol, stamp).price

    def next_tick(self, symbol: str, stamp: float) -> TickRow | None:
        """Return the first tick after ``stamp``, or None while the asset is closed for the rest of this half hour."""
        after_ms = to_ms(stamp)
        leaf = after_ms // LEAF_MS
        ticks = self._leaf(symbol, leaf)
        place = bisect_right(ticks, (after_ms / 1000, math.inf))
        if place < len(ticks):
            return ticks[place]
        return next(iter(self._leaf(symbol, leaf + 1)), None)

    def ticks(self, symbol: str, start: float, end: float) -> list[TickRow]:
        """Return the ticks with ``start <= stamp <= end``, oldest first."""
        start_ms, end_ms = max(to_ms(start), self.history_start * 1000), to_ms(end)
        found: list[TickRow] = []
        for leaf in range(start_ms // LEAF_MS, end_ms // LEAF_MS + 1):
            found += self._leaf(symbol, leaf)
        del found[bisect_right(found, (end_ms / 1000, math.inf)) :]
        del found[: bisect_left(found, (start_ms / 1000,))]
        return found

    def candle(self, symbol: str, period_s: int, start: int, end: float | None = None) -> CandleRow | None:
        """Return the candle that starts at ``start``, as it stood at ``end``; None if it has no tick.

        Args:
            symbol: the asset.
            period_s: seconds of the candle, any positive number.
            start: its stamp.
            end: look at the candle as it was then; None for the whole of it.
        """
        return (
            self._whole_candle(symbol, period_s, start)
            if end is None
            else self._draw_candle(symbol, period_s, start, end)
        )

    def _draw_candle(
        self, symbol: str, period_s: int, start: int, end: float | None = None
    ) -> CandleRow | None:
        bar = Bar()
        begin_ms = max(start, self.history_start) * 1000
        until_ms = (start + period_s) * 1000
        if end is not None:
            until_ms = min(until_ms, to_ms(end) + 1)
        if begin_ms >= until_ms:
            return None
        self._gather(symbol, begin_ms, until_ms, bar)
        if bar.count == 0:
            return None
        scale = self._scales[symbol]
        return CandleRow(
            start, bar.first / scale, bar.last / scale, bar.high / scale, bar.low / scale, bar.count
        )

    # --- gathering ---

    def _draw_leaf(self, symbol: str, leaf: int) -> tuple[TickRow, ...]:
        scale = self._scales[symbol]
        return tuple(
            TickRow(stamp_ms / 1000, points / scale) for stamp_ms, points in self._open_leaf(symbol, leaf)
        )

    def _open_leaf(self, symbol: str, leaf: int) -> tuple[tuple[int, int], ...]:
        if not self.is_open(symbol, leaf * LEAF_S):
            return ()
        return self._path.leaf(self._walks[symbol], leaf)

    def _gather(self, symbol: str, begin_ms: int, until_ms: int, bar: Bar) -> None:
        """Add everything in [begin, until) to ``bar``, by the largest aligned spans that fit."""
        walk = self._walks[symbol]
        never_closes = self.assets[symbol].session is Session.ALWAYS
        for level, index in _cover(begin_ms, until_ms, 0 if never_closes else SLOT_LEVEL):
            if level == len(LEVELS_S):
                for stamp_ms, points in self._open_leaf(symbol, index):
                    if begin_ms <= stamp_ms < until_ms:
                        bar.add(points, points, points, points, 1)
            elif never_closes or self.is_open(symbol, index * LEVELS_S[level]):
                first, last, high, low = self._path.span(walk, level, index)
                bar.add(first, last, high, low, 2 * LEVELS_S[level])


def to_ms(stamp: float) -> int:
    """Return a stamp in whole milliseconds: the resolution of ticks."""
    return round(stamp * 1000)


def _cover(begin_ms: int, until_ms: int, top: int) -> Iterator[tuple[int, int]]:
    """Yield (level, index) of spans that cover [begin, until); a level past the last stands for part of a leaf."""
    at = begin_ms
    while at < until_ms:
        for level in range(top, len(LEVELS_S)):
            size = LEVELS_S[level] * 1000
            if at % size == 0 and at + size <= until_ms:
                yield level, at // size
                at += size
                break
        else:
            yield len(LEVELS_S), at // LEAF_MS
            at = (at // LEAF_MS + 1) * LEAF_MS
