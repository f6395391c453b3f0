"""The shapes of the wire, against captured ones."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from loadsim.venue.accounts import Account
from loadsim.venue.deals import Command, Deal
from loadsim.venue.pending import OpenType, PendingOrder
from loadsim.venue.wire import balance_object, deal_object, header_of, number, pending_object, to_json

CAPTURED = """{"id":"2b565a3d-30aa-48c8-a06e-2eb63f9c04f8","openTime":"2025-07-07 23:53:30",
"closeTime":"2025-07-07 23:54:30","openTimestamp":1751932410,"closeTimestamp":1751932470,"uid":12345678,"isDemo":1,
"amount":5,"profit":4.6,"percentProfit":92,"percentLoss":100,"openPrice":69.317,"copyTicket":"","closePrice":0,
"command":0,"asset":"#CSCO_otc","requestId":18396039,"openMs":174,"optionType":100,"isCopySignal":false,
"currency":"USD"}"""
"""`protocol.md` 7.2."""

DEAL = Deal(
    id="2b565a3d-30aa-48c8-a06e-2eb63f9c04f8",
    uid=12_345_678,
    is_demo=True,
    asset="#CSCO_otc",
    amount=Decimal(5),
    command=Command.CALL,
    percent=92,
    option_type=100,
    opened_ms=1_751_932_410_174,
    expires_ms=1_751_932_470_174,
    open_price=69.317,
    profit=Decimal("4.60"),
)


def as_sent(value: Any) -> Any:
    """What a client reads."""
    return json.loads(to_json(value))


def test_an_opened_deal_has_all_that_the_captured_one_has() -> None:
    captured = json.loads(CAPTURED)
    sent = as_sent(deal_object(DEAL, "USD", request_id="18396039"))
    assert {name: sent[name] for name in captured} == captured
    assert set(sent) - set(captured) == {"isRollover", "isAI", "amountUSD"}


def test_a_lost_deal_as_captured() -> None:
    closed = msgspec.structs.replace(DEAL, profit=Decimal(-5), close_price=69.313)
    sent = as_sent(deal_object(closed, "USD"))
    assert (sent["profit"], sent["closePrice"], sent["closeMs"]) == (-5, 69.313, 174)
    assert "requestId" not in sent
    assert "refundTime" not in sent
    assert as_sent(deal_object(closed, "USD", in_closed_list=True))["refundTimestamp"] is None


def test_a_cancelled_deal_says_when_it_was_refunded() -> None:
    cancelled = msgspec.structs.replace(
        DEAL, profit=Decimal(0), close_price=69.3, cancelled_ms=1_751_932_412_001
    )
    sent = as_sent(deal_object(cancelled, "USD", in_closed_list=True))
    assert (sent["closeTimestamp"], sent["closeMs"]) == (1_751_932_412, 1)
    assert (sent["refundTime"], sent["refundTimestamp"]) == ("2025-07-07 23:53:32", 1_751_932_412)


@pytest.mark.parametrize("request_id", ['"7b1f"', "18396039", '"buy"', "null", "1.50"])
def test_request_ids_go_back_byte_for_byte(request_id: str) -> None:
    assert f'"requestId":{request_id}'.encode() in to_json(deal_object(DEAL, "USD", request_id=request_id))


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("5", b"5"), ("1.0", b"1"), ("4.60", b"4.6"), ("50000.00", b"50000"), ("-0.05", b"-0.05")],
)
def test_money_has_no_more_digits_than_it_needs(amount: str, shown: bytes) -> None:
    assert to_json(number(Decimal(amount))) == shown


def test_headers_and_balance() -> None:
    assert header_of("updateStream") == '451-["updateStream",{"_placeholder":true,"num":0}]'
    account = Account(uid=7, is_demo=False, is_guest=False, balance=Decimal("49998.50"), deposited=Decimal(0))
    assert to_json(balance_object(account)) == b'{"isDemo":0,"balance":49998.5,"uid":7}'


def test_pending_orders() -> None:
    order = PendingOrder(
        ticket="a0523357",
        number=1943327,
        uid=7,
        is_demo=True,
        open_type=OpenType.TIME,
        asset="EURUSD_otc",
        amount=Decimal(1),
        command=Command.CALL,
        timeframe_s=60,
        min_payout=60,
        created_ms=1_735_675_824_000,
        open_ms=1_735_675_939_000,
    )
    captured = {
        "ticket": "a0523357", "openType": 0, "amount": 1, "symbol": "EURUSD_otc",
        "openTime": "2024-12-31 20:12:19", "openPrice": 0, "timeframe": 60, "minPayout": 60, "command": 0,
        "dateCreated": "2024-12-31 20:10:24", "id": 1943327,
    }  # fmt: skip
    assert as_sent(pending_object(order)).items() >= captured.items()
    by_price = msgspec.structs.replace(order, open_type=OpenType.PRICE, open_price=1.13183)
    assert as_sent(pending_object(by_price))["openTime"] == "0000-00-00 00:00:00"
    assert as_sent(pending_object(by_price))["openPrice"] == 1.13183
