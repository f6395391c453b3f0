"""Small sums on candles: what they are, also of nothing."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import ConfigError
from potrio.protocol.analysis import (
    CandleSummary,
    Levels,
    analyze_candles,
    determine_trend,
    order_expiry,
    payout_percentage,
    support_resistance,
)
from potrio.protocol.candles import Candle
from potrio.protocol.messages.trading import Side


def closing(*closes: float) -> list[Candle]:
    return [Candle(n, close, close + 1, close - 1, close) for n, close in enumerate(closes)]


def test_a_summary() -> None:
    assert analyze_candles(closing(10, 14, 12)) == CandleSummary(
        count=3,
        first_price=10,
        last_price=12,
        price_change=2,
        price_change_percent=20.0,
        highest=15,
        lowest=9,
        average_close=12.0,
        volatility=statistics.pstdev([10, 14, 12]),
        trend="bullish",
    )


def test_nothing_is_known_of_nothing() -> None:
    assert analyze_candles([]) == CandleSummary(0)
    assert analyze_candles(closing(5)).volatility is None
    assert determine_trend([]) == determine_trend(closing(5)) == "sideways"
    assert support_resistance([]) == Levels(None, None, None)


def test_volatility_is_of_the_last_fourteen_closes() -> None:
    assert analyze_candles(closing(1000, *[5.0] * 14)).volatility == 0


@pytest.mark.parametrize(
    ("closes", "trend"),
    [
        ((1.0, 1.0), "sideways"),
        ((1.0, 1.0009), "sideways"),
        ((1.0, 1.0011), "bullish"),
        ((1.0, 0.9989), "bearish"),
        ((9.0, *[1.0] * 10), "sideways"),  # only the last ten count
    ],
)
def test_the_trend_is_that_of_the_halves(closes: tuple[float, ...], trend: str) -> None:
    assert determine_trend(closing(*closes)) == trend


def test_support_and_resistance_are_of_the_last_candles() -> None:
    assert support_resistance(closing(100, *[5.0] * 19, 7.0)) == Levels(4, 8, 4)
    assert support_resistance(closing(100, 5, 7), 2) == Levels(4, 8, 4)


@given(st.lists(st.floats(0.5, 2), min_size=1, max_size=40))
def test_levels_hold_every_price(closes: list[float]) -> None:
    levels = support_resistance(closing(*closes), 40)
    summary = analyze_candles(closing(*closes))
    assert (levels.support, levels.resistance) == (summary.lowest, summary.highest)
    assert levels.support is not None
    assert levels.resistance is not None
    assert all(levels.support <= close <= levels.resistance for close in closes)


@pytest.mark.parametrize(
    ("entry", "end", "side", "percent"),
    [(1.0, 1.1, "call", 92), (1.0, 0.9, "call", -100), (1.0, 0.9, "put", 92), (1.0, 1.1, "put", -100),
     (1.0, 1.0, "call", 0), (1.0, 1.0, "put", 0), (1.0, 1.1, Side.CALL, 92)],
)  # fmt: skip
def test_what_an_order_earns(entry: float, end: float, side: Any, percent: int) -> None:
    assert payout_percentage(entry, end, side, 92) == Decimal(percent)


def test_an_order_ends_after_its_duration() -> None:
    opened = datetime(2026, 2, 28, 23, 59, 30, tzinfo=UTC)
    assert order_expiry(opened, 60) - opened == timedelta(seconds=60)


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda: determine_trend([], 1), "count"),
        (lambda: support_resistance([], 0), "count"),
        (lambda: payout_percentage(1, 2, "up"), "side"),  # type: ignore[arg-type]  # the point
        (lambda: order_expiry(datetime(2026, 1, 1), 60), "opened"),  # a naive time is the point
        (lambda: order_expiry(datetime(2026, 1, 1, tzinfo=UTC), 0), "duration_s"),
        (lambda: order_expiry(datetime(2026, 1, 1, tzinfo=UTC), float("nan")), "duration_s"),
    ],
)
def test_bad_questions_are_named(call: Any, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        call()
    assert caught.value.path == path
