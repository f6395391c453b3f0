"""A list of candles that knows what is missing in it."""

from __future__ import annotations

from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from potrio.client.candle_list import CandleGap, CandleList, gaps_in
from potrio.protocol.candles import Candle


def candle(time: int, complete: bool = True) -> Candle:
    return Candle(time, 1.0, 1.0, 1.0, 1.0, None, complete)


def test_it_is_a_list_with_more_to_say():
    candles = CandleList(
        [candle(0), candle(60)], asset="A", period_s=60, gaps=[CandleGap(120, 180)], bad_rows=3
    )
    assert candles == [candle(0), candle(60)]
    assert (candles.asset, candles.period_s, candles.bad_rows) == ("A", 60, 3)
    assert type(candles[:1]) is list
    assert not candles.complete


def test_complete_is_every_candle_whole_and_none_missing():
    assert CandleList([candle(0)]).complete
    assert not CandleList([candle(0, complete=False)]).complete


def test_gaps_have_aware_times():
    gap = CandleGap(0, 86_400)
    assert (gap.since_at.tzinfo, (gap.until_at - gap.since_at).days) == (UTC, 1)


@given(st.sets(st.integers(0, 30)), st.integers(0, 30), st.integers(0, 30))
def test_candles_and_gaps_together_are_the_whole_range(found, start, end):
    candles = [candle(60 * number) for number in sorted(found) if start <= number < end]
    gaps = gaps_in(candles, 60, 60 * start, 60 * end)
    covered = [one.time for one in candles]
    covered += [time for gap in gaps for time in range(gap.since, gap.until, 60)]
    assert sorted(covered) == list(range(60 * start, 60 * end, 60))
    assert all(gap.since < gap.until for gap in gaps)
