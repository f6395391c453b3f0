"""Small sums on candles, prices and orders: a summary, the trend, support and resistance, payout, expiry. Pure.

Everything is defined on empty input: what cannot be known is None, not zero.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

import msgspec

from potrio.errors import ConfigError
from potrio.protocol.candles import CandleLike
from potrio.protocol.messages.trading import Side

__all__ = [
    "CandleSummary",
    "Levels",
    "Trend",
    "analyze_candles",
    "determine_trend",
    "order_expiry",
    "payout_percentage",
    "support_resistance",
]

Trend = Literal["bullish", "bearish", "sideways"]

VOLATILITY_CANDLES: Final = 14
TREND_CANDLES: Final = 10
LEVEL_CANDLES: Final = 20
TREND_CHANGE: Final = 0.001
"""The later half's mean must differ by more than a thousandth from the earlier half's."""


class CandleSummary(msgspec.Struct, frozen=True):
    """What `analyze_candles` finds.

    Attributes:
        first_price: the first candle's opening; ``last_price`` the last one's close.
        volatility: the population's standard deviation of the last 14 closes; None below two.
    """

    count: int
    first_price: float | None = None
    last_price: float | None = None
    price_change: float | None = None
    price_change_percent: float | None = None
    highest: float | None = None
    lowest: float | None = None
    average_close: float | None = None
    volatility: float | None = None
    trend: Trend = "sideways"


class Levels(msgspec.Struct, frozen=True):
    """What `support_resistance` finds; None where there is no candle."""

    support: float | None = None
    resistance: float | None = None
    range: float | None = None


def analyze_candles(candles: Sequence[CandleLike]) -> CandleSummary:
    """Sum up candles, oldest first."""
    if not candles:
        return CandleSummary(0)
    closes = [candle.close for candle in candles]
    first, last = candles[0].open, closes[-1]
    recent = closes[-VOLATILITY_CANDLES:]
    return CandleSummary(
        count=len(candles),
        first_price=first,
        last_price=last,
        price_change=last - first,
        price_change_percent=(last - first) / first * 100 if first else None,
        highest=max(candle.high for candle in candles),
        lowest=min(candle.low for candle in candles),
        average_close=statistics.fmean(closes),
        volatility=statistics.pstdev(recent) if len(recent) > 1 else None,
        trend=determine_trend(candles),
    )


def determine_trend(candles: Sequence[CandleLike], count: int = TREND_CANDLES) -> Trend:
    """Compare the mean closes of the two halves of the last ``count`` candles; fewer than two are sideways.

    Raises:
        ConfigError: ``count`` is below 2.
    """
    if count < 2:
        raise ConfigError("count", f"must be at least 2, not {count}")
    closes = [candle.close for candle in candles[-count:]]
    half = len(closes) // 2
    if half == 0:
        return "sideways"
    earlier, later = statistics.fmean(closes[:half]), statistics.fmean(closes[half:])
    if later > earlier * (1 + TREND_CHANGE):
        return "bullish"
    if later < earlier * (1 - TREND_CHANGE):
        return "bearish"
    return "sideways"


def support_resistance(candles: Sequence[CandleLike], count: int = LEVEL_CANDLES) -> Levels:
    """The lowest low and the highest high of the last ``count`` candles, and what lies between.

    Raises:
        ConfigError: ``count`` is below 1.
    """
    if count < 1:
        raise ConfigError("count", f"must be at least 1, not {count}")
    recent = candles[-count:]
    if not recent:
        return Levels()
    low, high = min(candle.low for candle in recent), max(candle.high for candle in recent)
    return Levels(low, high, high - low)


def payout_percentage(
    entry: float, end: float, side: Side | Literal["call", "put"], payout: int | Decimal = 80
) -> Decimal:
    """What an order earns in percent of its amount: the payout, -100, or 0 for a tie.

    Args:
        entry: the price it was opened at.
        end: the price it was settled at.
        side: ``call`` wins above, ``put`` below.
        payout: the asset's, in percent.

    Raises:
        ConfigError: another side.
    """
    try:
        side = Side(side)
    except ValueError:
        raise ConfigError("side", f"must be call or put, not {side!r}") from None
    if end == entry:
        return Decimal(0)
    return Decimal(payout) if (end > entry) == (side is Side.CALL) else Decimal(-100)


def order_expiry(opened: datetime, duration_s: float) -> datetime:
    """When an order opened at this moment of the venue's time ends.

    Raises:
        ConfigError: a naive datetime, or a duration that is not positive.
    """
    if opened.tzinfo is None:
        raise ConfigError("opened", "must be an aware datetime; a naive one names no moment")
    if not duration_s > 0:
        raise ConfigError("duration_s", f"must be more than 0, not {duration_s!r}")
    return opened + timedelta(seconds=duration_s)
