"""The order desk: every refusal, the order of what is said, and that it is saved before it is said."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import count
from typing import Any

import msgspec
import pytest

from loadsim.venue.accounts import AccountKey
from loadsim.venue.config import TradingConfig
from loadsim.venue.deals import Book
from loadsim.venue.market import Market
from loadsim.venue.orders import OrderDesk
from loadsim.venue.pending import PendingBook
from loadsim.venue.reply import Reply, Scope
from loadsim.venue.stats import Stats

KEY = AccountKey(1, True)
NOW_MS = 1_790_007_200_250
MARKET = Market(7)


class Desk:
    """An order desk with everything around it."""

    def __init__(self, **config: Any) -> None:
        self.saves = 0
        ids = count(1)
        self.book = Book(TradingConfig(**config))
        self.stats = Stats()
        self.desk = OrderDesk(
            TradingConfig(**config), MARKET, self.book, PendingBook(), self.stats,
            new_id=lambda: f"id-{next(ids)}", save=self.save,
        )  # fmt: skip

    def save(self) -> None:
        self.saves += 1

    def order(self, now_ms: int = NOW_MS, refuse: str = "", **changes: Any) -> list[Reply]:
        fields = {
            "asset": "EURUSD_otc",
            "amount": 10,
            "action": "call",
            "isDemo": 1,
            "time": 60,
            "requestId": "r",
        }
        return self.desk.open_order(KEY, json.dumps(fields | changes).encode(), now_ms, refuse)


def failure(said: list[Reply]) -> dict[str, Any]:
    """The only reply, which says no."""
    (reply,) = said
    assert (reply.event, reply.scope) == ("failopenOrder", Scope.HERE)
    return dict(json.loads(reply.payload))


def test_an_order_is_answered_with_the_deal_then_the_balance() -> None:
    desk = Desk()
    said = desk.order()
    assert [(reply.event, reply.scope) for reply in said] == [
        ("successopenOrder", Scope.HERE),
        ("successopenOrder", Scope.OTHERS),
        ("successupdateBalance", Scope.ACCOUNT),
    ]
    deal, copy, balance = (json.loads(reply.payload) for reply in said)
    assert deal == copy | {"requestId": "r"}
    assert balance["balance"] == 49_990
    assert deal["openPrice"] == MARKET.price("EURUSD_otc", NOW_MS / 1000)
    assert deal["percentProfit"] == MARKET.payout("EURUSD_otc", NOW_MS / 1000)
    assert (deal["openTimestamp"], deal["openMs"]) == (1_790_007_200, 250)
    assert deal["closeTimestamp"] == 1_790_007_260
    assert (desk.saves, desk.stats.deals_opened, desk.book.orders) == (1, 1, {"r": 1})


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"asset": "NOPE"}, "ASSET_UNKNOWN"),
        ({"amount": 0.5}, "AMOUNT_INVALID"),
        ({"amount": 20_000.01}, "AMOUNT_INVALID"),
        ({"amount": 1.005}, "AMOUNT_INVALID"),
        ({"action": "up"}, "ACTION_INVALID"),
        ({"isDemo": 0}, "ACCOUNT_MISMATCH"),
        ({"time": 4}, "DURATION_INVALID"),
        ({"time": 43_201}, "DURATION_INVALID"),
        ({"asset": "BTCUSD", "time": 29}, "DURATION_INVALID"),
        ({"time": 0}, "DURATION_INVALID"),
    ],
)
def test_refusals(changes: dict[str, Any], error: str) -> None:
    desk = Desk()
    told = failure(desk.order(**changes))
    assert told["error"] == error
    assert told["asset"] == changes.get("asset", "EURUSD_otc")
    assert told["amount"] == changes.get("amount", 10)
    assert desk.book.opened(KEY) == []
    assert desk.book.orders == {"r": 1}, "a refused order was on the wire too"


def test_a_closed_asset_is_refused() -> None:
    sunday_ms = 1_751_760_000_000
    assert failure(Desk().order(now_ms=sunday_ms, asset="#AAPL"))["error"] == "ASSET_CLOSED"


def test_the_eleventh_is_max_demo_trades_whose_amount_is_the_limit() -> None:
    desk = Desk()
    for _ in range(10):
        assert len(desk.order()) == 3
    assert failure(desk.order(amount=3)) == {"error": "MaxDemoTrades", "amount": 10, "asset": "EURUSD_otc"}


def test_no_more_than_there_is() -> None:
    desk = Desk(demo_balance=Decimal(25))
    desk.order()
    desk.order()
    assert failure(desk.order())["error"] == "NOT_ENOUGH_MONEY"


def test_what_cannot_be_read_and_what_a_fault_refuses() -> None:
    desk = Desk()
    assert failure(desk.desk.open_order(KEY, b"{", NOW_MS))["error"] == "REQUEST_INVALID"
    assert failure(desk.order(refuse="OUT_OF_ORDER"))["error"] == "OUT_OF_ORDER"
    assert desk.book.opened(KEY) == []


def test_settlement_says_balance_result_closed_list_in_this_order() -> None:
    desk = Desk()
    desk.order(time=5)
    desk.order(time=5, action="put")
    assert desk.desk.settle(NOW_MS + 4_999) == []
    said = desk.desk.settle(NOW_MS + 5_000)
    assert [reply.event for reply in said] == [
        "successupdateBalance",
        "successcloseOrder",
        "updateClosedDeals",
    ]
    assert {reply.scope for reply in said} == {Scope.ACCOUNT}
    result = json.loads(said[1].payload)
    price = MARKET.price("EURUSD_otc", (NOW_MS + 5_000) / 1000)
    assert [deal["closePrice"] for deal in result["deals"]] == [price, price]
    assert (desk.saves, desk.stats.deals_settled) == (3, 2)
    assert desk.desk.settle(NOW_MS + 10**6) == []


def test_a_deal_can_be_taken_back_for_a_moment() -> None:
    desk = Desk()
    deal = json.loads(desk.order()[0].payload)
    ticket = json.dumps({"ticket": deal["id"]}).encode()
    said = desk.desk.cancel_order(KEY, ticket, NOW_MS + 1000)
    assert [reply.event for reply in said] == [
        "successupdateBalance",
        "successcancelOrder",
        "updateClosedDeals",
    ]
    assert json.loads(said[0].payload)["balance"] == 50_000
    (again,) = desk.desk.cancel_order(KEY, ticket, NOW_MS + 1000)
    assert json.loads(again.payload) == {"error": "NOT_FOUND", "ticket": deal["id"]}
    (bad,) = desk.desk.cancel_order(KEY, b"[]", NOW_MS)
    assert json.loads(bad.payload) == {"error": "REQUEST_INVALID"}
    assert desk.stats.deals_cancelled == 1


def test_it_is_saved_before_anything_is_said() -> None:
    desk = Desk()

    def fail() -> None:
        raise OSError("disk full")

    desk.desk._save = fail
    with pytest.raises(OSError, match="disk full"):
        desk.order()


@pytest.mark.parametrize(("sent", "counted"), [("r", "r"), (7, "7"), (None, "null"), ("7", "7")])
def test_orders_are_counted_by_what_the_client_calls_them(sent: Any, counted: str) -> None:
    desk = Desk()
    desk.order(requestId=sent)
    assert desk.book.orders == {counted: 1}


@pytest.mark.parametrize("amount", ["1e99999999", "1e5000", "1e-99999", '"NaN"'])
def test_an_amount_that_cannot_be_reckoned_with_is_an_invalid_request(amount: str) -> None:
    desk = Desk()
    payload = f'{{"asset":"EURUSD_otc","amount":{amount},"action":"call","time":60,"requestId":"r"}}'
    failed = failure(desk.desk.open_order(KEY, payload.encode(), NOW_MS))
    assert failed == {"error": "REQUEST_INVALID", "amount": 0, "asset": ""}


def test_whatever_number_is_asked_for_the_book_can_still_be_saved() -> None:
    desk = Desk()
    assert failure(desk.order(optionType=10**22))["error"] == "REQUEST_INVALID"
    desk.order(optionType=2**53 - 1)
    msgspec.json.encode(desk.book.deals())
