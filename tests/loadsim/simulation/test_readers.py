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


def test_a_hole_at_a_leap_of_the_venues_clock_is_forgiven_and_nothing_else():
    rows = Market(1).ticks(ASSET, START, START + 60)
    all_of_them = [Tick(ASSET, row.stamp - ZONE, row.price) for row in rows]

    def found(items) -> int:
        check = TickCheck(Market(1), ZONE, History(SimClock()))
        check.forgive(all_of_them[5].timestamp, all_of_them[7].timestamp)
        for item in items:
            check.take(item)
        return len(check.violations)

    assert found([*all_of_them[:6], *all_of_them[8:]]) == 0
    assert found([*all_of_them[:9], *all_of_them[11:]]) == 1
    assert found([*all_of_them[:6], Tick(ASSET, all_of_them[6].timestamp, 1e6)]) == 1
    assert found([*all_of_them[:6], Tick(ASSET, all_of_them[6].timestamp + 0.01, all_of_them[6].price)]) == 1
    assert found([*all_of_them[:7], all_of_them[6]]) == 1
