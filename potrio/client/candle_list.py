"""`CandleList`: the candles of one answer, with what is missing between them and what was wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from potrio.protocol.candles import Candle
from potrio.protocol.candles import gaps as gaps_between

__all__ = ["CandleGap", "CandleList", "gaps_in"]


class CandleGap(msgspec.Struct, frozen=True):
    """No candle starts in ``[since, until)`` (UTC Unix seconds): the market was closed, or the venue does not know."""

    since: int
    until: int

    @property
    def since_at(self) -> datetime:
        """Its begin as an aware datetime."""
        return datetime.fromtimestamp(self.since, UTC)

    @property
    def until_at(self) -> datetime:
        """Its end as an aware datetime."""
        return datetime.fromtimestamp(self.until, UTC)


class CandleList(list[Candle]):
    """A list of candles, oldest first, each bucket once; slices of it are plain lists.

    Attributes:
        asset: the symbol.
        period_s: length of a candle.
        gaps: where there is no candle between the first bucket that was asked for and the end of the last.
        bad_rows: rows of the venue that broke the rules of candles (low ≤ open, close ≤ high; aligned) and were left
            out, or could not be read.
    """

    def __init__(
        self,
        candles: Iterable[Candle] = (),
        *,
        asset: str = "",
        period_s: int = 0,
        gaps: Sequence[CandleGap] = (),
        bad_rows: int = 0,
    ) -> None:
        super().__init__(candles)
        self.asset = asset
        self.period_s = period_s
        self.gaps = tuple(gaps)
        self.bad_rows = bad_rows

    @property
    def complete(self) -> bool:
        """Is every candle whole, and is none missing?"""
        return not self.gaps and all(candle.complete for candle in self)


def gaps_in(candles: Sequence[Candle], period_s: int, start: int, end: int) -> list[CandleGap]:
    """List the holes in ``[start, end)``, at its edges too; candles in order, buckets aligned with ``start``."""
    if start >= end:
        return []
    if not candles:
        return [CandleGap(start, end)]
    edges = [
        (start, candles[0].time),
        *gaps_between(candles, period_s),
        (candles[-1].time + period_s, end),
    ]
    return [CandleGap(since, until) for since, until in edges if since < until]
