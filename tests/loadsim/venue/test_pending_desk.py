"""Pending orders on the desk: opened by time and by price, refused, cancelled."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest

from loadsim.venue.accounts import AccountKey
from loadsim.venue.config import TradingConfig
from loadsim.venue.deals import Book
from loadsim.venue.market import Market
from loadsim.venue.orders import OrderDesk
from loadsim.venue.pending import PendingBook, show_time
from loadsim.venue.pending_desk import PendingDesk
from loadsim.venue.reply import Reply, Scope
from loadsim.venue.stats import Stats

KEY = AccountKey(1, True)
NOW_MS = 1_790_007_200_000
MARKET = Market(7)
PRICE = MARKET.price("EURUSD_otc", NOW_MS / 1000)


class Desk:
    """A desk of pending orders with everything around it."""

    def __init__(self) -> None:
        config = TradingConfig()
        ids = count(1)
        self.book = Book(config)
        self.pending = PendingBook()
        common: dict[str, Any] = {"new_id": lambda: f"id-{next(ids)}", "save": lambda: None}
        orders = OrderDesk(config, MARKET, self.book, self.pending, Stats(), **common)
        self.desk = PendingDesk(config, MARKET, self.book, self.pending, orders, **common)

    def open(self, refuse: str = "", **changes: Any) -> list[Reply]:
        fields = {
            "openType": 0, "amount": 10, "asset": "EURUSD_otc", "openTime": show_time(NOW_MS // 1000 + 30),
            "openPrice": 0, "timeframe": 60, "minPayout": 0, "command": 0,
        }  # fmt: skip
        return self.desk.open_order(KEY, json.dumps(fields | changes).encode(), NOW_MS, refuse)


def value(reply: Reply) -> Any:
    """What a client reads."""
    return json.loads(reply.payload)


def test_an_order_by_time_is_answered_flat_and_nested_and_opens_at_its_time() -> None:
    desk = Desk()
    success, waiting = desk.open()
    assert (success.event, waiting.event) == ("successopenPendingOrder", "successupdatePending")
    shown = value(success)
    assert shown["data"].items() <= shown.items()
    assert shown["openTime"] == show_time(NOW_MS // 1000 + 30)
    assert value(waiting) == [shown["data"]]
    assert desk.pending.next_time_ms() == NOW_MS + 30_000

    said = desk.desk.trigger(desk.pending.due(NOW_MS + 30_000), NOW_MS + 30_000)
    assert [reply.event for reply in said] == [
        "successopenOrder",
        "successupdateBalance",
        "successupdatePending",
    ]
    assert {reply.scope for reply in said} == {Scope.ACCOUNT}
    assert value(said[0])["openTimestamp"] == NOW_MS // 1000 + 30
    assert "requestId" not in value(said[0])
    assert value(said[2]) == []
    (deal,) = desk.book.opened(KEY)
    assert deal.expires_ms == NOW_MS + 90_000


@pytest.mark.parametrize(("price", "rising"), [(PRICE + 0.01, True), (PRICE - 0.01, False)])
def test_an_order_by_price_waits_for_the_price_from_its_side(price: float, rising: bool) -> None:
    desk = Desk()
    desk.open(openType=1, openPrice=price)
    (order,) = desk.pending
    assert order.rising is rising
    assert desk.pending.reached("EURUSD_otc", PRICE) == []
    assert desk.pending.reached("EURUSD_otc", price) == [order]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"openTime": show_time(NOW_MS // 1000)}, "OPEN_TIME"),
        ({"openTime": "soon"}, "OPEN_TIME"),
        ({"openTime": None}, "OPEN_TIME"),
        ({"openTime": show_time(NOW_MS // 1000 + 8 * 86_400)}, "OPEN_TIME"),
        ({"openType": 2}, "REQUEST_INVALID"),
        ({"command": 7}, "REQUEST_INVALID"),
        ({"openType": 1, "openPrice": -1}, "PRICE_INVALID"),
        ({"asset": "NOPE"}, "ASSET_UNKNOWN"),
        ({"timeframe": 1}, "DURATION_INVALID"),
        ({"amount": 0.1}, "AMOUNT_INVALID"),
    ],
)
def test_refusals(changes: dict[str, Any], error: str) -> None:
    desk = Desk()
    (said,) = desk.open(**changes)
    assert said.event == "failopenPendingOrder"
    assert value(said)["data"]["error"] == error
    assert list(desk.pending) == []


def test_waiting_orders_count_as_trades() -> None:
    desk = Desk()
    for _ in range(10):
        desk.open()
    told = value(desk.open()[0])["data"]
    assert (told["error"], told["amount"]) == ("MaxDemoTrades", 10)


def test_what_cannot_be_read_and_what_a_fault_refuses() -> None:
    desk = Desk()
    assert value(desk.desk.open_order(KEY, b"[]", NOW_MS)[0])["data"]["error"] == "REQUEST_INVALID"
    assert value(desk.open(refuse="NO")[0])["data"]["error"] == "NO"


def test_an_order_whose_payout_fell_fails_when_its_time_comes() -> None:
    desk = Desk()
    desk.open(minPayout=100)
    said = desk.desk.trigger(desk.pending.due(NOW_MS + 30_000), NOW_MS + 30_000)
    assert [reply.event for reply in said] == ["failopenPendingOrder", "successupdatePending"]
    assert value(said[0])["data"]["error"] == "PAYOUT_TOO_LOW"
    assert desk.book.opened(KEY) == []


def test_cancelling_is_answered_as_text() -> None:
    desk = Desk()
    ticket = value(desk.open()[0])["ticket"]
    other = value(desk.open()[0])["ticket"]
    success, waiting = desk.desk.cancel_order(KEY, json.dumps({"ticket": ticket}).encode())
    assert (success.event, success.is_text) == ("successcancelPendingOrder", True)
    assert [order["ticket"] for order in value(waiting)] == [other]
    (fail,) = desk.desk.cancel_order(KEY, json.dumps({"ticket": ticket}).encode())
    assert (fail.event, fail.is_text, value(fail)["error"]) == ("failcancelPendingOrder", True, "NOT_FOUND")
    (bad,) = desk.desk.cancel_order(KEY, b"")
    assert value(bad) == {"error": "REQUEST_INVALID"}
    several, _ = desk.desk.cancel_orders(KEY, json.dumps({"tickets": [other, "nope"]}).encode())
    assert (several.event, value(several)) == ("successcancelPendingOrders", {"cancelled": [other]})
    assert list(desk.pending) == []


@pytest.mark.parametrize(
    ("field", "number"),
    [
        ("amount", "1e99999999"),
        ("openTime", "9" * 25),
        ("minPayout", "9" * 25),
        ("openPrice", "1e999"),
        ("command", "-1e9"),
    ],
)
def test_a_number_out_of_bounds_is_an_invalid_request(field: str, number: str) -> None:
    desk = Desk()
    payload = (
        '{"openType":1,"amount":1,"asset":"EURUSD_otc","openPrice":1.1,"timeframe":60,"command":0,"%s":%s}'
    )
    (failed,) = desk.desk.open_order(KEY, (payload % (field, number)).encode(), NOW_MS)
    assert value(failed)["data"]["error"] == "REQUEST_INVALID"
    assert list(desk.pending) == []
