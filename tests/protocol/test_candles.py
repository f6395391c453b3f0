"""Candles: buckets, ticks into candles, stale rows mended, order, gaps; the captured frame rebuilt."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potrio.protocol.candles import (
    Candle,
    bucket,
    from_rows,
    from_ticks,
    gaps,
    in_order,
    merge,
)
from potrio.protocol.messages.market import CandleRow, HistoryCandle, Tick, TickRow
from potrio.protocol.timeframes import PERIODS_S

FEW = settings(max_examples=100, deadline=None)


class Price(NamedTuple):
    timestamp: float
    price: float


PRICES = st.lists(
    st.builds(Price, st.floats(1_000_000, 1_002_000), st.floats(0.5, 2.0)), min_size=1, max_size=60
)
PERIODS = st.sampled_from([1, 5, 60, 300, 14400])

# --- buckets ---


@given(st.floats(0, 4e9), st.sampled_from(PERIODS_S), st.sampled_from([0, 7200, -18000]))
def test_a_moment_lies_in_its_bucket(moment: float, period: int, zone: int) -> None:
    start = bucket(moment, period, zone)

    assert (start + zone) % period == 0
    assert start + zone <= moment + zone < start + zone + period


def test_the_last_moment_of_a_bucket_is_in_it() -> None:
    assert bucket(math.nextafter(1_700_006_400, 0), 86400) == 1_700_006_400 - 86400


def test_long_buckets_are_aligned_in_the_zone_of_the_venue() -> None:
    midnight = 1_770_854_400 - 86400  # UTC

    assert bucket(midnight + 1, 86400) == midnight
    assert bucket(midnight + 1, 86400, 7200) == midnight - 7200
    assert bucket(midnight - 7200, 86400, 7200) == midnight - 7200
    assert bucket(midnight - 7201, 86400, 7200) == midnight - 7200 - 86400
    assert bucket(midnight + 61, 60, 7200) == bucket(midnight + 61, 60)


# --- from ticks ------------------------------------------------------------------------------------------------------


@FEW
@given(PRICES, PERIODS)
def test_candles_are_what_the_definition_says(prices: list[Price], period: int) -> None:
    candles = from_ticks(prices, period)

    assert [candle.time for candle in candles] == sorted(
        {bucket(price.timestamp, period) for price in prices}
    )
    in_time = sorted(prices, key=lambda it: it.timestamp)
    for candle in candles:
        inside = [it.price for it in in_time if candle.time <= it.timestamp < candle.time + period]
        assert (candle.open, candle.close) == (inside[0], inside[-1])
        assert (candle.high, candle.low) == (max(inside), min(inside))
        assert candle.volume is None
        first, last = in_time[0].timestamp, in_time[-1].timestamp
        assert candle.complete == (candle.time >= first and candle.time + period <= last)


@FEW
@given(PRICES, PERIODS, st.randoms(use_true_random=False))
def test_the_order_of_ticks_does_not_matter(prices: list[Price], period: int, rng: Any) -> None:
    unique = list({price.timestamp: price for price in prices}.values())
    shuffled = unique.copy()
    rng.shuffle(shuffled)

    assert from_ticks(shuffled, period) == from_ticks(unique, period)


@FEW
@given(PRICES)
def test_long_candles_are_made_of_short_ones(prices: list[Price]) -> None:
    short, long = from_ticks(prices, 60), from_ticks(prices, 300)

    for candle in long:
        parts = [part for part in short if candle.time <= part.time < candle.time + 300]
        assert (candle.open, candle.close) == (parts[0].open, parts[-1].close)
        assert (candle.high, candle.low) == (max(it.high for it in parts), min(it.low for it in parts))


def test_no_ticks_no_candles() -> None:
    assert from_ticks([], 60) == []


def test_what_is_complete() -> None:
    ticks = [Price(60, 1), Price(90, 2), Price(130, 3), Price(185, 4)]

    assert [(it.time, it.complete) for it in from_ticks(ticks, 60)] == [(60, True), (120, True), (180, False)]
    assert [it.complete for it in from_ticks(ticks[1:], 60)] == [False, True, False]
    assert [it.complete for it in from_ticks(ticks, 60, until=240)] == [True, True, True]


def test_ticks_of_any_message() -> None:
    assert from_ticks([Tick("A", 61.0, 1.5)], 60) == from_ticks([TickRow(61.0, 1.5)], 60)


# --- from rows -------------------------------------------------------------------------------------------------------

ROWS = [
    CandleRow(1754518860, 0.90062, 0.90065, 0.90098, 0.90026),
    CandleRow(1754518680, 0.89783, 0.90059, 0.90145, 0.89783),
]


def test_rows_of_the_wire_become_candles_in_utc_oldest_first() -> None:
    candles, bad = from_rows(ROWS, 180, zone_s=7200)

    assert bad == 0
    assert candles == [
        Candle(1754511480, open=0.89783, high=0.90145, low=0.89783, close=0.90059),
        Candle(1754511660, open=0.90062, high=0.90098, low=0.90026, close=0.90065, complete=False),
    ]
    assert candles[0].at == datetime(2025, 8, 6, 20, 18, tzinfo=UTC)


def test_rows_known_to_be_final() -> None:
    candles, _ = from_rows(ROWS, 180, until=1754518860 + 180)

    assert all(candle.complete for candle in candles)
    assert [it.complete for it in from_rows(ROWS, 180, until=1754518860)[0]] == [True, False]


@pytest.mark.parametrize(
    "row",
    [
        CandleRow(60, 1.0, 1.0, 0.9, 0.8),  # high below open
        CandleRow(60, 1.0, 2.0, 1.5, 0.8),  # high below close
        CandleRow(60, 1.0, 1.0, 1.2, 1.1),  # low above open
        CandleRow(60, 1.2, 1.0, 1.3, 1.1),  # low above close
        CandleRow(60, 1.0, 1.0, 0.5, 1.5),  # low above high
        CandleRow(61, 1.0, 1.0, 1.0, 1.0),  # between two buckets
        CandleRow(60.5, 1.0, 1.0, 1.0, 1.0),
        CandleRow(60, 1.0, 1.0, math.nan, 1.0),
    ],
)
def test_one_bad_row_is_counted_and_does_not_lose_the_others(row: CandleRow) -> None:
    good = CandleRow(120, 1.0, 1.0, 1.0, 1.0)

    candles, bad = from_rows([good, row], 60)

    assert [candle.time for candle in candles] == [120]
    assert bad == 1


@FEW
@given(st.lists(st.tuples(st.integers(0, 10), *[st.floats(0.5, 2.0)] * 4), max_size=20))
def test_every_candle_keeps_the_order_of_its_prices(
    rows: list[tuple[int, float, float, float, float]],
) -> None:
    candles, bad = from_rows([CandleRow(minute * 60, *prices) for minute, *prices in rows], 60)

    assert all(it.low <= min(it.open, it.close) <= max(it.open, it.close) <= it.high for it in candles)
    assert [it.time for it in candles] == sorted({it.time for it in candles})
    assert bad == sum(not low <= min(o, c) <= max(o, c) <= high for _, o, c, high, low in rows)


def test_rows_of_any_message_with_volume() -> None:
    row = HistoryCandle(time=60, open=1.0, close=1.0, high=1.0, low=1.0, volume=7)

    assert from_rows([row], 60)[0][0].volume == 7


# --- merge -----------------------------------------------------------------------------------------------------------


def candle(time: int, *prices: float, complete: bool = True) -> Candle:
    return Candle(time, prices[0], max(prices), min(prices), prices[-1], None, complete)


def test_the_stale_row_is_rebuilt_from_the_ticks() -> None:
    """``protocol.md`` 6.1: the newest row is how the bucket was, minutes ago, and the buckets after it are missing."""
    stale, _ = from_rows(
        [CandleRow(180, 1.0, 1.1, 1.2, 0.9), CandleRow(120, 1.0, 1.0, 1.3, 0.8)], 60, until=190
    )
    ticks = [Price(175, 1.05), Price(181, 1.0), Price(230, 1.5), Price(239, 1.4), Price(250, 1.45)]

    assert merge(stale, ticks, 60) == [
        candle(120, 1.0, 1.3, 0.8, 1.05),
        candle(180, 1.0, 1.5, 1.4),
        candle(240, 1.45, complete=False),
    ]


def test_a_bucket_that_starts_with_the_ticks_is_theirs_alone() -> None:
    stale = [candle(60, 1.0, 9.0, 0.1, 1.0), candle(120, 1.0, 9.0, 0.1, 1.0)]

    merged = merge(stale, [Price(60, 2.0), Price(125, 3.0)], 60)

    assert merged == [candle(60, 2.0), candle(120, 3.0, complete=False)]


def test_a_longer_bucket_takes_the_ticks_in() -> None:
    stale, _ = from_rows([CandleRow(0, 1.0, 1.1, 1.2, 0.9)], 3600)

    (merged,) = merge(stale, [Price(2000, 1.5), Price(2500, 0.5), Price(2600, 1.3)], 3600)

    assert merged == Candle(0, 1.0, 1.5, 0.5, 1.3, None, complete=False)


def test_merge_without_one_or_the_other() -> None:
    candles = [candle(0, 1.0), candle(60, 2.0)]
    ticks = [Price(120, 1.0), Price(130, 2.0)]

    assert merge(candles, [], 60) == candles
    assert merge([], ticks, 60) == from_ticks(ticks, 60)
    assert merge([], [], 60) == []


@FEW
@given(PRICES, st.sampled_from([5, 60, 300]), st.data())
def test_any_snapshot_and_its_ticks_give_the_whole_truth(
    prices: list[Price], period: int, data: st.DataObject
) -> None:
    """Whatever part of its life a bucket was snapshot at: rows before the ticks plus the ticks are the whole."""
    in_time = sorted({it.timestamp: it for it in prices}.values(), key=lambda it: it.timestamp)
    seen = data.draw(st.integers(0, len(in_time)))
    window = data.draw(st.integers(0, seen))
    snapshot = from_ticks(in_time[:seen], period)
    rows = [CandleRow(it.time, it.open, it.close, it.high, it.low) for it in reversed(snapshot)]

    candles, bad = from_rows(rows, period)
    mended = merge(candles, in_time[window:], period)

    truth = from_ticks(in_time, period)
    assert bad == 0
    assert [(it.time, it.open, it.high, it.low, it.close) for it in mended] == [
        (it.time, it.open, it.high, it.low, it.close) for it in truth
    ]
    for ours, real in zip(mended, truth, strict=True):
        assert not ours.complete or real.complete or ours.time < in_time[0].timestamp


def test_in_the_zone_of_the_venue() -> None:
    stale, _ = from_rows([CandleRow(86400 * 3, 1.0, 1.0, 1.0, 1.0)], 86400, zone_s=7200)
    ticks = [Price(86400 * 3 - 7200 + 5, 2.0), Price(86400 * 4 - 7200 + 5, 3.0)]

    merged = merge(stale, ticks, 86400, zone_s=7200)

    assert [(it.time, it.high) for it in merged] == [(86400 * 3 - 7200, 2.0), (86400 * 4 - 7200, 3.0)]


# --- order and gaps --------------------------------------------------------------------------------------------------


def test_each_bucket_once() -> None:
    old, new, part = candle(60, 1.0), candle(60, 2.0), candle(60, 3.0, complete=False)

    assert in_order([candle(120, 1.0), old, new]) == [new, candle(120, 1.0)]
    assert in_order([old, part]) == in_order([part, old]) == [old]
    assert in_order([part, candle(60, 4.0, complete=False)])[0].close == 4.0


def test_gaps() -> None:
    candles = [candle(0, 1.0), candle(60, 1.0), candle(240, 1.0), candle(360, 1.0)]

    assert gaps(candles, 60) == [(120, 240), (300, 360)]
    assert gaps(candles[:2], 60) == gaps([], 60) == gaps(candles[:1], 60) == []


@FEW
@given(st.sets(st.integers(0, 50), min_size=1))
def test_gaps_and_candles_together_have_no_hole(minutes: set[int]) -> None:
    candles = [candle(minute * 60, 1.0) for minute in sorted(minutes)]

    missing = {time for start, end in gaps(candles, 60) for time in range(start, end, 60)}

    assert missing | {it.time for it in candles} == set(range(candles[0].time, candles[-1].time + 60, 60))
    assert missing.isdisjoint(it.time for it in candles)
