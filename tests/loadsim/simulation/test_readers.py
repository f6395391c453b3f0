"""A reader that knows the market sees what is missing, doubled, late or false."""

from __future__ import annotations

import pytest

from loadsim.simulation.clock import SimClock
from loadsim.simulation.history import History
from loadsim.simulation.readers import TickCheck
from loadsim.venue.market import Market
from potrio.actors.stream import Gap
from potrio.protocol.messages.market import Tick

ASSET, START, ZONE = "EURUSD_otc", 1_770_007_200.0, 7200


@pytest.fixture
def ticks():
    rows = Market(1).ticks(ASSET, START, START + 10)
    return [Tick(ASSET, row.stamp - ZONE, row.price) for row in rows]


def wrong(items) -> int:
    check = TickCheck(Market(1), ZONE, History(SimClock()))
    for item in items:
        check.take(item)
    return len(check.violations)


def test_what_the_market_did_is_right(ticks):
    assert wrong(ticks) == 0


def test_holes_must_be_said(ticks):
    assert wrong([*ticks[:5], *ticks[7:]]) == 1
    assert wrong([*ticks[:5], Gap("reconnect", ASSET), *ticks[7:]]) == 0
    assert wrong([*ticks[:5], Gap("overflow"), *ticks[7:]]) == 0


def test_doubles_disorder_and_false_prices(ticks):
    assert wrong([*ticks[:5], ticks[4], *ticks[5:]]) == 1
    assert wrong([ticks[1], ticks[0]]) == 1
    assert wrong([Tick(ASSET, ticks[0].timestamp, ticks[0].price + 1)]) == 1
