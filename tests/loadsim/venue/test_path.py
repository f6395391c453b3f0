"""The price path: what is cut apart fits together again, exactly, at every level."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from loadsim.venue.noise import Noise
from loadsim.venue.path import LEAF_S, LEAF_TICKS, LEVELS_S, Path, Span, Walk, leaf_ticks, split

WALK = Walk(66, 108_500, 0.02)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    """Any span a path can have."""
    low = draw(st.integers(1, 10**7))
    high = low + draw(st.one_of(st.just(0), st.integers(0, 5), st.integers(0, 10**5)))
    return Span(draw(st.integers(low, high)), draw(st.integers(low, high)), high, low)


@given(spans(), st.integers(2, 12), st.integers(0, 2**64 - 1), st.floats(0, 1000))
def test_split_gives_parts_that_are_exactly_the_whole(
    span: Span, parts: int, key: int, tick_points: float
) -> None:
    found = split(span, parts, Noise(key), tick_points)

    assert len(found) == parts
    assert (found[0].first, found[-1].last) == (span.first, span.last)
    assert max(part.high for part in found) == span.high
    assert min(part.low for part in found) == span.low
    for part in found:
        assert part.low <= min(part.first, part.last) <= max(part.first, part.last) <= part.high


@given(spans(), st.integers(0, 2**64 - 1))
def test_leaf_ticks_are_exactly_the_span(span: Span, key: int) -> None:
    ticks = leaf_ticks(span, Noise(key))
    prices = [points for _, points in ticks]

    assert len(ticks) == LEAF_TICKS
    assert Span(prices[0], prices[-1], max(prices), min(prices)) == span
    assert all(index * 500 <= after_ms < index * 500 + 450 for index, (after_ms, _) in enumerate(ticks))


def test_levels_divide_each_other_down_to_the_leaf() -> None:
    assert LEVELS_S[-1] == LEAF_S
    assert all(above % below == 0 for above, below in pairwise(LEVELS_S))


@given(st.integers(15_000, 25_000), st.integers(0, len(LEVELS_S) - 2))
def test_every_span_of_a_day_is_made_of_the_next_level(day: int, level: int) -> None:
    path = Path(5)
    index = day * LEVELS_S[0] // LEVELS_S[level]
    parts = LEVELS_S[level] // LEVELS_S[level + 1]
    whole = path.span(WALK, level, index)
    below = [path.span(WALK, level + 1, index * parts + place) for place in range(parts)]

    assert whole == Span(
        below[0].first, below[-1].last, max(s.high for s in below), min(s.low for s in below)
    )


def test_days_follow_each_other_without_a_jump() -> None:
    """A day ends where the next begins, up to the step of one tick."""
    path = Path(11)
    for day in range(19_000, 19_100):
        today, tomorrow = path.span(WALK, 0, day), path.span(WALK, 0, day + 1)
        assert abs(tomorrow.first - today.last) <= 4 * WALK.base * WALK.volatility / 400


def test_same_seed_same_path_in_any_order_of_asking() -> None:
    one, other = Path(42), Path(42)
    wanted = [(level, 20_000 * LEVELS_S[0] // LEVELS_S[level] + 3) for level in range(len(LEVELS_S))]
    forwards = [one.span(WALK, *place) for place in wanted]
    backwards = [other.span(WALK, *place) for place in reversed(wanted)]

    assert forwards == backwards[::-1]
    assert Path(43).span(WALK, 3, wanted[3][1]) != forwards[3]


def test_no_volatility_is_a_standing_market() -> None:
    still = Walk(66, 108_500, 0.0)
    assert Path(1).span(still, 0, 20_000) == Span(108_500, 108_500, 108_500, 108_500)
    assert {points for _, points in Path(1).leaf(still, 345_600_000)} == {108_500}


def test_prices_never_fall_to_zero() -> None:
    wild = Walk(1, 30, 2.0)
    path = Path(3)
    assert all(path.span(wild, 0, day).low >= 1 for day in range(18_000, 18_400))
