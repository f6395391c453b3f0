"""What readers get is held against the market: missing, doubled, wrong and silently skipped ticks are all seen."""

from __future__ import annotations

import pytest

from loadsim.soak.ticks import CandleAudit, TickAudit
from loadsim.venue.market import Market
from potrio.actors.stream import Gap
from potrio.protocol.candles import Candle
from potrio.protocol.messages.market import Tick

ZONE = 7200
ASSET = "EURUSD_otc"
START = 1_770_000_000.0
MARKET = Market(3)


@pytest.fixture
def wrong():
    return []


@pytest.fixture
def audit(wrong):
    return TickAudit(MARKET, ZONE, wrong.append)


def true_ticks(seconds: float = 30.0) -> list[Tick]:
    rows = MARKET.ticks(ASSET, START + ZONE, START + ZONE + seconds)
    return [Tick(ASSET, row.stamp - ZONE, row.price) for row in rows]


def feed(audit, items) -> None:
    for item in items:
        audit.take(item)


def test_every_tick_once_and_in_order_is_right(audit, wrong):
    ticks = true_ticks()
    feed(audit, ticks)
    audit.check_alive((ASSET,), ticks[-1].timestamp + 1, 5.0)
    assert (wrong, audit.ticks, audit.missed) == ([], len(ticks), 0)


def test_a_missing_tick_that_nobody_tells_of_is_wrong(audit, wrong):
    ticks = true_ticks()
    feed(audit, ticks[:5] + ticks[6:])
    assert len(wrong) == 1
    assert "nothing said of the tick" in wrong[0]


def test_a_gap_that_covers_what_is_missing_makes_it_right(audit, wrong):
    ticks = true_ticks()
    gap = Gap("reconnect", ASSET, since=ticks[4].timestamp, until=ticks[10].timestamp)
    feed(audit, [*ticks[:5], gap, *ticks[10:]])
    assert (wrong, audit.missed, audit.gaps) == ([], 5, {"reconnect": 1})


def test_a_gap_that_covers_only_a_part_does_not(audit, wrong):
    ticks = true_ticks()
    gap = Gap("reconnect", ASSET, since=ticks[4].timestamp, until=ticks[8].timestamp)
    feed(audit, [*ticks[:5], gap, *ticks[10:]])
    assert len(wrong) == 1


def test_an_overflow_covers_everything_up_to_the_next_tick_and_no_more(audit, wrong):
    ticks = true_ticks()
    feed(audit, [*ticks[:5], Gap("overflow", dropped=5), *ticks[10:12], *ticks[13:]])
    assert len(wrong) == 1
    assert str(ticks[12].timestamp) in wrong[0]


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (lambda ticks: [*ticks[:5], ticks[4]], "after one of"),
        (lambda ticks: [ticks[1], ticks[0]], "after one of"),
        (lambda ticks: [Tick(ASSET, ticks[0].timestamp, 9.9)], "where the venue has"),
        (lambda ticks: [Tick(ASSET, ticks[0].timestamp + 0.01, ticks[0].price)], "where the venue has"),
    ],
    ids=["twice", "backwards", "another price", "another time"],
)
def test_what_the_market_never_said_is_wrong(audit, wrong, items, said):
    feed(audit, items(true_ticks()))
    assert said in wrong[0]


def test_a_stream_that_has_dried_up_is_not_alive(audit, wrong):
    ticks = true_ticks()
    feed(audit, ticks)
    audit.check_alive((ASSET,), ticks[-1].timestamp + 60, 5.0)
    assert len(wrong) == 1


# --- candles ----------------------------------------------------------------------------------------------------------


def candle(start: int, *, complete: bool = True, close: float | None = None) -> Candle:
    row = MARKET.candle(ASSET, 5, start + ZONE)
    assert row is not None
    close = row.close if close is None else close
    return Candle(start, row.open, row.high, row.low, close, complete=complete)


@pytest.fixture
def candles(wrong):
    return CandleAudit(MARKET, ZONE, ASSET, 5, wrong.append)


FIRST = int(START)


def test_complete_candles_are_those_of_the_market(candles, wrong):
    feed(candles, [candle(FIRST), candle(FIRST + 5), candle(FIRST + 10)])
    candles.flush()
    assert (wrong, candles.candles, candles.complete) == ([], 3, 3)


def test_a_candle_that_is_called_complete_and_is_not_is_wrong(candles, wrong):
    feed(candles, [candle(FIRST), candle(FIRST + 5, close=9.9), candle(FIRST + 10)])
    assert len(wrong) == 1
    assert "is called complete" in wrong[0]


def test_unless_a_tick_that_came_late_is_told(candles, wrong):
    late = Gap("late", ASSET, since=FIRST + 5, until=FIRST + 10)
    feed(candles, [candle(FIRST), candle(FIRST + 5, close=9.9), late, candle(FIRST + 10)])
    candles.flush()
    assert wrong == []


def test_a_missing_candle_needs_a_gap(candles, wrong):
    feed(candles, [candle(FIRST), candle(FIRST + 15)])
    assert len(wrong) == 1
    wrong.clear()
    feed(candles, [Gap("history", ASSET, since=FIRST + 16, until=FIRST + 30), candle(FIRST + 30)])
    assert wrong == []


def test_an_incomplete_candle_needs_one_too(candles, wrong):
    feed(candles, [candle(FIRST), candle(FIRST + 5, complete=False)])
    assert "no gap says why" in wrong[0]
