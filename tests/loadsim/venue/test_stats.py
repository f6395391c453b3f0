"""Counters: bounded by name, plain values, no money lost in them."""

from __future__ import annotations

import json
from decimal import Decimal

from loadsim.venue.accounts import AccountKey
from loadsim.venue.config import TradingConfig
from loadsim.venue.deals import Book
from loadsim.venue.stats import NAMES_MAX, Stats
from loadsim.venue.wire import to_json


def test_frames_are_counted_by_kind_and_direction() -> None:
    stats = Stats()
    stats.received(["3", '42["ps"]', b"x", "3"])
    stats.sent(["2", "451-[]", b"{}"])
    assert (stats.text_received, stats.binary_received, stats.pongs_received) == (3, 1, 2)
    assert (stats.text_sent, stats.binary_sent, stats.pings_sent) == (2, 1, 1)


def test_connections_and_their_ends() -> None:
    stats = Stats()
    stats.opened()
    stats.opened()
    stats.closed("client")
    stats.opened()
    assert (stats.connections, stats.connections_peak, stats.closes) == (2, 2, {"client": 1})


def test_names_are_bounded() -> None:
    stats = Stats()
    for number in range(2 * NAMES_MAX):
        stats.events_received.count(f"event-{number}")
    stats.events_received.count("x" * 1000)
    stats.events_received.count("event-0")
    assert len(stats.events_received) == NAMES_MAX + 1
    assert stats.events_received["(other)"] == NAMES_MAX + 1
    assert stats.events_received["event-0"] == 2


def test_the_snapshot_is_plain_json_with_every_account() -> None:
    book = Book(TradingConfig())
    book.account(AccountKey(7, False))
    book.count_order("a")
    shown = json.loads(to_json(Stats().snapshot(book, uptime_s=1.23456, stamp=5.0)), parse_float=Decimal)
    assert shown["uptime_s"] == Decimal("1.235")
    assert shown["orders"] == {"a": 1}
    assert shown["accounts"] == [
        {
            "uid": 7, "isDemo": 0, "balance": 1000, "staked": 0, "deposited": 1000, "earned": 0, "open": 0,
            "won": 0, "lost": 0, "draw": 0, "cancelled": 0,
        }
    ]  # fmt: skip


def test_ticks_are_counted_when_they_are_on_the_wire_like_every_event():
    stats = Stats()
    assert stats.ticks_sent == 0
    stats.events_sent.count("updateStream", 3)
    assert stats.ticks_sent == 3
