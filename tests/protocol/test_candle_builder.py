"""The candle builder: each rule, late and repeated ticks, holes, and that what it calls complete equals the ticks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potrio.protocol.candle_builder import CandleBuilder, ClockBuckets, TickChunks, TickWindows, regroup
from potrio.protocol.candles import Candle, from_ticks
from potrio.protocol.messages.market import TickRow

MINUTE = ClockBuckets(60)


def built(builder: CandleBuilder, *ticks: tuple[float, float]) -> list[Candle]:
    return [closed for stamp, price in ticks for closed in builder.add(stamp, price)]


def candle(time: int, *prices: float, complete: bool = True) -> Candle:
    return Candle(time, prices[0], max(prices), min(prices), prices[-1], None, complete)


# --- rules -----------------------------------------------------------------------------------------------------------


def test_buckets_close_with_the_first_tick_past_them() -> None:
    builder = CandleBuilder(MINUTE)
    builder.begin(60)
    assert built(builder, (60, 1.0), (90, 3.0), (119.9, 2.0)) == []
    assert builder.forming == candle(60, 1.0, 3.0, 2.0, complete=False)
    assert builder.forming_ends == 120
    assert built(builder, (120, 5.0)) == [candle(60, 1.0, 3.0, 2.0)]
    assert built(builder, (310, 7.0)) == [candle(120, 5.0)], "what had no tick has no candle"


def test_a_bucket_that_began_before_the_first_tick_is_not_complete() -> None:
    assert built(CandleBuilder(MINUTE), (70, 1.0), (120, 2.0), (180, 3.0)) == [
        candle(60, 1.0, complete=False),
        candle(120, 2.0),
    ]
    builder = CandleBuilder(MINUTE)
    builder.begin(60)  # and before the first tick there was none
    assert built(builder, (70, 1.0), (120, 2.0)) == [candle(60, 1.0)]


def test_buckets_are_aligned_in_the_zone() -> None:
    builder = CandleBuilder(ClockBuckets(14_400, 7200))
    assert built(builder, (7200, 1.0), (21_600, 2.0)) == [candle(7200, 1.0)]


def test_chunks_close_with_their_last_tick() -> None:
    builder = CandleBuilder(TickChunks(3))
    assert built(builder, (1, 1.0), (2, 5.0)) == []
    assert built(builder, (2, 4.0), (2, 6.0)) == [candle(1, 1.0, 5.0, 4.0)]
    assert builder.forming == candle(2, 6.0, complete=False)
    assert builder.close_due(1e9) is None, "a clock does not end them"


def test_a_window_begins_with_a_tick() -> None:
    builder = CandleBuilder(TickWindows(2.5))
    assert built(builder, (10.2, 1.0), (12.6, 2.0), (12.7, 3.0), (99, 4.0)) == [
        candle(10, 1.0, 2.0),
        candle(12, 3.0),
    ]
    assert builder.close_due(101.4) is None
    assert builder.close_due(101.5) == candle(99, 4.0)


def test_the_clock_closes_what_has_ended_but_not_over_a_hole() -> None:
    builder = CandleBuilder(MINUTE)
    assert builder.close_due(1e9) is None
    built(builder, (60, 1.0))
    assert builder.close_due(119) is None
    builder.hole()
    assert builder.close_due(120) is None
    assert built(builder, (130, 2.0)) == [candle(60, 1.0, complete=False)]
    assert builder.close_due(180) == candle(120, 2.0, complete=False)


# --- late, repeated, missing -----------------------------------------------------------------------------------------


def test_a_late_tick_finds_its_place() -> None:
    builder = CandleBuilder(MINUTE)
    builder.begin(0)
    built(builder, (70, 2.0), (80, 3.0), (75, 9.0), (65, 1.0))
    assert builder.forming == Candle(60, 1.0, 9.0, 1.0, 3.0, None, False)


def test_a_tick_of_a_closed_candle_changes_nothing_and_is_counted() -> None:
    builder = CandleBuilder(MINUTE)
    built(builder, (60, 1.0), (130, 2.0), (250, 3.0))
    for stamp in (
        119,
        150,
        200,
    ):  # of a closed candle, of another, and of a minute that had no tick until now
        assert builder.is_late(stamp)
        assert built(builder, (stamp, 99.0)) == []
    assert builder.forming == candle(240, 3.0, complete=False)
    assert builder.late == 3


def test_the_newest_tick_given_again_is_no_tick() -> None:
    builder = CandleBuilder(TickChunks(2))
    assert built(builder, (1, 1.0), (1, 1.0)) == []
    assert built(builder, (1, 2.0)) == [candle(1, 1.0, 2.0)]


@pytest.mark.parametrize("rule", [TickChunks(3), TickWindows(60)])
def test_a_hole_ends_what_the_clock_does_not_align(rule: TickChunks | TickWindows) -> None:
    builder = CandleBuilder(rule)
    built(builder, (1, 1.0), (2, 2.0))
    builder.hole()
    assert built(builder, (9, 3.0)) == [candle(1, 1.0, 2.0, complete=False)]
    assert builder.forming == candle(9, 3.0, complete=False)


def test_a_hole_inside_a_bucket_makes_it_incomplete_and_no_other() -> None:
    builder = CandleBuilder(MINUTE)
    built(builder, (60, 1.0))
    builder.hole()
    assert built(builder, (90, 2.0), (120, 3.0), (180, 4.0)) == [
        candle(60, 1.0, 2.0, complete=False),
        candle(120, 3.0),
    ]


# --- longer candles of shorter ones ----------------------------------------------------------------------------------


def test_longer_candles_are_made_of_shorter_ones() -> None:
    short = [
        Candle(30, 1, 2, 1, 2),
        Candle(60, 2, 9, 2, 3),
        Candle(90, 3, 4, 0.5, 4),
        Candle(150, 4, 4, 4, 4),
    ]
    assert regroup(short, 30, MINUTE, until=180) == [
        Candle(0, 1, 2, 1, 2, None, False),
        Candle(60, 2, 9, 0.5, 4),
        Candle(120, 4, 4, 4, 4),
    ]
    assert not regroup(short, 30, MINUTE, until=179)[-1].complete
    assert regroup([], 30, MINUTE, until=180) == []


def test_a_longer_candle_is_as_complete_as_its_parts() -> None:
    short = [Candle(0, 1, 1, 1, 1), Candle(30, 1, 1, 1, 1, None, False), Candle(60, 1, 1, 1, 1)]
    assert [it.complete for it in regroup(short, 30, MINUTE, until=120)] == [False, True]


TICKS = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(1, 9)), min_size=1, max_size=80, unique_by=lambda t: t[0]
)


@given(TICKS, st.sampled_from([(5, 1), (6, 3), (60, 15), (90, 30)]))
def test_property_regrouped_is_as_built_from_ticks(
    ticks: list[tuple[int, int]], lengths: tuple[int, int]
) -> None:
    long, short = lengths
    rows = [TickRow(stamp / 10, float(price)) for stamp, price in sorted(ticks)]
    parts = from_ticks(rows, short)
    whole = from_ticks(rows, long)
    found = regroup(parts, short, ClockBuckets(long), until=rows[-1].timestamp)
    assert [(c.time, c.open, c.high, c.low, c.close) for c in found] == [
        (c.time, c.open, c.high, c.low, c.close) for c in whole
    ]


# --- the property ----------------------------------------------------------------------------------------------------

FATES = st.sampled_from(["told", "told", "told", "told", "twice", "late", "missed"])


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(1, 9), FATES), min_size=1, max_size=120),
    st.sampled_from([1, 5, 7, 60]),
    st.sampled_from([0, 7200, 3]),
)
def test_property_what_is_complete_equals_the_ticks_and_no_candle_is_missing_unsaid(
    steps: list[tuple[int, int, str]], period: int, zone: int
) -> None:
    """Random ticks, told twice, told late, or missed: told holes make incomplete candles, and the rest is exact."""
    true: list[TickRow] = []
    told: list[TickRow | None] = []  # None: a hole is announced
    held: TickRow | None = None
    now = 1000.0
    for step, price, fate in steps:
        now += step / 10
        tick = TickRow(now, float(price))
        true.append(tick)
        if fate == "missed":
            told.append(None)
        elif fate == "late" and held is None:
            held = tick
        else:
            told += [tick] * (2 if fate == "twice" else 1)
            if held is not None:
                told.append(held)
                held = None
    if held is not None:
        told.append(held)
    builder = CandleBuilder(ClockBuckets(period, zone))
    builder.begin(0.0)
    out: list[Candle] = []
    spoilt: set[int] = set()  # buckets about which it was said that a tick came too late
    for item in told:
        if item is None:
            builder.hole()
        else:
            if builder.is_late(item.timestamp):
                spoilt.add(int(builder.rule.start(item.timestamp)))
            out += builder.add(item.timestamp, item.price)
    expected = {it.time: it for it in from_ticks([TickRow(0.0, 1.0), *true], period, zone_s=zone)}
    times = [it.time for it in out]
    assert times == sorted(set(times))
    for got in out:
        if got.complete and got.time not in spoilt:
            want = expected[got.time]
            assert (got.open, got.high, got.low, got.close) == (want.open, want.high, want.low, want.close)
    if not any(item is None for item in told):
        closed = {time for time in expected if time > 0 and out and time <= out[-1].time}
        assert closed <= set(times) | spoilt
        assert all(got.complete for got in out)
