"""The demo's facts: one counter that differs by one is a disagreement."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from potrio.actors.link import LinkCounters
from potrio.cli.facts import account_facts, agree, order_facts, wire_facts


def counters(**changes) -> LinkCounters:
    fields = {
        "messages_sent": 5,
        "messages_received": 9,
        "pongs_sent": 1,
        "events_sent": Counter({"auth": 1, "ps": 2}),
        "events_received": Counter({"updateStream": 3}),
    }
    return LinkCounters(**{**fields, **changes})


def stats(**changes) -> dict:
    fields = {
        "frames": {"text_received": 5, "binary_received": 0, "text_sent": 6, "binary_sent": 3},
        "pongs_received": 1,
        "ticks_sent": 3,
        "events_received": {"auth": 1, "ps": 2},
        "orders": {"a": 1, "b": 1},
        "accounts": [{"uid": 7, "balance": 50009.2, "won": 1, "lost": 1, "draw": 0}],
    }
    return {**fields, **changes}


def test_equal_counters_agree():
    assert agree(wire_facts("x", counters(), stats()))


@pytest.mark.parametrize(
    "changes",
    [
        {"messages_sent": 6},
        {"messages_received": 8},
        {"pongs_sent": 0},
        {"events_received": Counter({"updateStream": 2})},
        {"events_sent": Counter({"auth": 1, "ps": 1})},
        {"events_sent": Counter({"auth": 1, "ps": 2, "getBalance": 1})},
    ],
)
def test_any_counter_that_is_off_by_one_disagrees(changes):
    assert not agree(wire_facts("x", counters(**changes), stats()))


def test_an_event_only_the_venue_saw_disagrees():
    assert not agree(wire_facts("x", counters(), stats(events_received={"auth": 1, "ps": 2, "openOrder": 1})))


@pytest.mark.parametrize("orders", [{"a": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 1, "c": 1}])
def test_orders_lost_doubled_or_strange_disagree(orders):
    assert agree(order_facts(["a", "b"], stats()))
    assert not agree(order_facts(["a", "b"], stats(orders=orders)))


def test_the_balance_is_compared_to_the_cent():
    assert agree(account_facts(Decimal("50009.20"), ["won", "lost"], 7, stats()))
    assert not agree(account_facts(Decimal("50009.21"), ["won", "lost"], 7, stats()))


def test_an_outcome_that_differs_disagrees():
    assert not agree(account_facts(Decimal("50009.20"), ["won", "draw"], 7, stats()))


def test_an_unknown_account_disagrees():
    assert not agree(account_facts(Decimal("50009.20"), [], 8, stats()))
