"""The market: one seed, one market; candles are the candles of their ticks; closed is closed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.venue.market import CandleRow, Market, TickRow

NOW = 1_790_000_000.0
SYMBOLS = ("EURUSD_otc", "#AAPL", "USDJPY_otc", "EURUSD", "#MSFT_otc", "BTCUSD")
MARKET = Market(7)

stamps = st.integers(1_600_000_000, 1_900_000_000)


def candle_of(ticks: list[TickRow], start: int) -> CandleRow | None:
    """The candle of some ticks, by its definition."""
    prices = [tick.price for tick in ticks]
    if not prices:
        return None
    return CandleRow(start, prices[0], prices[-1], max(prices), min(prices), len(prices))


@settings(max_examples=60)
@given(st.sampled_from(SYMBOLS), st.sampled_from((1, 5, 7, 15, 30, 60, 90, 300, 900, 3600)), stamps)
def test_candles_and_ticks_agree(symbol: str, period: int, stamp: int) -> None:
    start = stamp // period * period
    ticks = MARKET.ticks(symbol, start, start + period - 0.001)
    assert MARKET.candle(symbol, period, start) == candle_of(ticks, start)


@settings(max_examples=40)
@given(st.sampled_from(SYMBOLS), st.sampled_from((60, 300, 3600)), stamps, st.floats(0, 1))
def test_a_candle_under_way_is_that_of_the_ticks_so_far(
    symbol: str, period: int, stamp: int, share: float
) -> None:
    start = stamp // period * period
    end = round(start + share * period, 3)
    ticks = MARKET.ticks(symbol, start, min(end, start + period - 0.001))
    assert MARKET.candle(symbol, period, start, end) == candle_of(ticks, start)


@settings(max_examples=30)
@given(st.sampled_from(SYMBOLS), st.sampled_from((14_400, 86_400)), stamps)
def test_long_candles_are_made_of_the_short_ones(symbol: str, period: int, stamp: int) -> None:
    start = stamp // period * period
    parts = [MARKET.candle(symbol, 900, at) for at in range(start, start + period, 900)]
    rows = [row for row in parts if row is not None]
    whole = MARKET.candle(symbol, period, start)
    if not rows:
        assert whole is None
        return
    assert whole == CandleRow(
        start,
        rows[0].open,
        rows[-1].close,
        max(row.high for row in rows),
        min(row.low for row in rows),
        sum(row.volume for row in rows),
    )


@given(st.sampled_from(SYMBOLS), st.floats(1_600_000_000, 1_900_000_000))
def test_the_price_of_a_moment_is_that_of_the_last_tick(symbol: str, stamp: float) -> None:
    last = MARKET.last_tick(symbol, stamp)
    assert last.stamp <= stamp + 0.0005
    assert MARKET.price(symbol, stamp) == last.price
    between = MARKET.ticks(symbol, last.stamp, min(stamp, last.stamp + 60))
    assert between[:1] == [last]
    assert len(between) == 1


@given(st.sampled_from(SYMBOLS), stamps)
def test_next_tick_is_the_one_that_history_shows_later(symbol: str, stamp: int) -> None:
    following = MARKET.next_tick(symbol, stamp)
    seen = [tick for tick in MARKET.ticks(symbol, stamp, stamp + 5) if tick.stamp > stamp]
    assert following == (seen[0] if seen else None)


def test_about_two_ticks_a_second_each_later_than_the_one_before() -> None:
    ticks = MARKET.ticks("EURUSD_otc", NOW - 600, NOW)
    assert 1195 <= len(ticks) <= 1205
    assert all(before.stamp < after.stamp for before, after in pairwise(ticks))
    assert all(round(tick.stamp, 3) == tick.stamp for tick in ticks)
    assert all(round(tick.price, 5) == tick.price for tick in ticks)


def test_prices_move_like_prices() -> None:
    """Lively enough that five-second deals are seldom draws, calm enough that nothing jumps."""
    prices = [MARKET.price("EURUSD_otc", NOW - 5 * step) for step in range(2000)]
    draws = sum(a == b for a, b in pairwise(prices)) / len(prices)
    assert draws < 0.12
    ticks = MARKET.ticks("EURUSD_otc", NOW - 3600, NOW)
    assert max(abs(a.price - b.price) for a, b in pairwise(ticks)) < 0.01 * ticks[0].price


def test_one_seed_one_market_two_seeds_two() -> None:
    again, other = Market(7), Market(8)
    assert again.ticks("EURUSD_otc", NOW, NOW + 60) == MARKET.ticks("EURUSD_otc", NOW, NOW + 60)
    assert again.table(NOW) == MARKET.table(NOW)
    assert other.ticks("EURUSD_otc", NOW, NOW + 60) != MARKET.ticks("EURUSD_otc", NOW, NOW + 60)


def test_a_closed_asset_has_no_ticks_and_keeps_its_price() -> None:
    sunday = 1_751_760_000.0
    assert not MARKET.is_open("#AAPL", sunday)
    assert MARKET.ticks("#AAPL", sunday, sunday + 1800) == []
    assert MARKET.candle("#AAPL", 60, int(sunday)) is None
    assert MARKET.next_tick("#AAPL", sunday) is None
    friday_evening = MARKET.last_tick("#AAPL", sunday)
    assert MARKET.is_open("#AAPL", friday_evening.stamp)
    assert 86_400 < sunday - friday_evening.stamp < 2 * 86_400


def test_history_begins_somewhere() -> None:
    market = Market(7, history_start=int(NOW) - 100)
    assert market.ticks("EURUSD_otc", NOW - 1000, NOW)[0].stamp >= NOW - 100
    assert market.candle("EURUSD_otc", 60, int(NOW) // 60 * 60 - 600) is None


def test_the_table_changes_only_where_it_is_said_to_end() -> None:
    ends = MARKET.table_ends(NOW)
    flags = [(row[5], row[14]) for row in MARKET.table(NOW)]
    assert [(row[5], row[14]) for row in MARKET.table(ends - 0.001)] == flags
    assert any([(row[5], row[14]) for row in MARKET.table(NOW + 900 * step)] != flags for step in range(1, 4))


def test_unknown_assets_are_an_error() -> None:
    with pytest.raises(KeyError):
        MARKET.price("NOPE", NOW)


@pytest.mark.parametrize("period", [1, 60, 86_400])
def test_a_page_of_history_looks_at_few_spans(period: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred candles of any length cost a bounded number of splits: no walk through their ticks."""
    from loadsim.venue import path

    calls = 0
    original = path.split

    def counting(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        return original(*arguments)  # type: ignore[arg-type]  # only counted, not looked at

    monkeypatch.setattr(path, "split", counting)
    market = Market(21)
    start = int(NOW) // period * period
    for step in range(100):
        market.candle("EURUSD_otc", period, start - step * period)
    assert calls < 400
