"""Orders and deals: the captured deal, sides, outcomes, and what may be missing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from msgspec import UNSET

from potrio.errors import PayloadInvalid
from potrio.protocol.messages.base import Message
from potrio.protocol.messages.codec import decode_client_event, decode_server_event, encode
from potrio.protocol.messages.trading import (
    CancelOrder,
    ClosedDeals,
    CopyOrder,
    CopySignalOrder,
    Deal,
    DoubleUp,
    OpenedDeals,
    OpenOrder,
    Outcome,
    RequestOpenedDeals,
    Rollover,
    Side,
)
from potrio.testing.strategies import money

OPEN: dict[str, Any] = {
    "id": "2b565a3d-30aa-48c8-a06e-2eb63f9c04f8", "openTime": "2025-07-07 23:53:30",
    "closeTime": "2025-07-07 23:54:30", "openTimestamp": 1751932410, "closeTimestamp": 1751932470, "uid": 12345678,
    "isDemo": 1, "amount": 5, "profit": 4.6, "percentProfit": 92, "percentLoss": 100, "openPrice": 69.317,
    "copyTicket": "", "closePrice": 0, "command": 0, "asset": "#CSCO_otc", "openMs": 174, "optionType": 100,
    "isRollover": False, "isCopySignal": False, "isAI": False, "currency": "USD", "amountUSD": 5,
}  # fmt: skip
CLOSED = {
    **OPEN,
    "profit": -5,
    "closePrice": 69.313,
    "closeMs": 293,
    "refundTime": None,
    "refundTimestamp": None,
}
MINIMUM = {
    key: OPEN[key]
    for key in ("id", "openTimestamp", "closeTimestamp", "amount", "profit", "percentProfit", "openPrice",
                "command", "asset")
}  # fmt: skip


def deal(**changes: Any) -> Deal:
    fields = {key: value for key, value in {**OPEN, **changes}.items() if value is not Ellipsis}
    message = decode_server_event("updateOpenedDeals", msgspec.json.encode([fields]))
    assert isinstance(message, OpenedDeals)
    return message.deals[0]


# --- deals -----------------------------------------------------------------------------------------------------------


def test_the_captured_deal() -> None:
    it = deal()

    assert (it.id, it.asset, it.side, it.uid, it.is_demo) == (OPEN["id"], "#CSCO_otc", Side.CALL, 12345678, 1)
    assert (it.amount, it.profit, it.amount_usd) == (Decimal(5), Decimal("4.6"), Decimal(5))
    assert (it.open_timestamp, it.close_timestamp, it.open_ms, it.close_ms) == (
        1751932410,
        1751932470,
        174,
        None,
    )
    assert (it.open_price, it.close_price, it.percent_profit, it.percent_loss) == (69.317, 0.0, 92, 100)
    assert (it.is_rollover, it.is_copy_signal, it.is_ai, it.currency, it.option_type) == (
        False,
        False,
        False,
        "USD",
        100,
    )


@pytest.mark.parametrize("fields", [OPEN, CLOSED, MINIMUM, {**CLOSED, "refundTime": "2025-07-07 23:54:30"}])
def test_a_deal_is_written_with_the_keys_and_values_it_came_with(fields: dict[str, Any]) -> None:
    message = decode_server_event("updateClosedDeals", msgspec.json.encode([fields]))

    name, payload = encode(message)

    assert name == "updateClosedDeals"
    assert msgspec.json.decode(payload or b"") == [fields]


def test_amounts_are_numbers_on_the_wire() -> None:
    payload = encode(OpenedDeals([deal()]))[1] or b""

    assert b'"amount":5,' in payload
    assert b'"profit":4.6,' in payload


@pytest.mark.parametrize("key", sorted(set(OPEN) - set(MINIMUM)))
def test_optional_fields_may_be_missing_or_null(key: str) -> None:
    assert deal(**{key: ...}) == deal(**{key: None})


@pytest.mark.parametrize("key", sorted(MINIMUM))
def test_needed_fields_may_not_be_missing(key: str) -> None:
    with pytest.raises(PayloadInvalid, match="missing required field"):
        deal(**{key: ...})


def test_null_and_absent_refunds_are_told_apart() -> None:
    assert deal().refund_time is UNSET
    assert deal(refundTime=None).refund_time is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", ""), ("id", 5), ("id", "x\x1by"), ("asset", "A\x00"), ("asset", ""), ("command", 2), ("isDemo", 3),
        ("amount", "NaN"), ("amount", "Infinity"), ("profit", None), ("amountUSD", "1e400"), ("openPrice", "1"),
        ("openTimestamp", 253402300800), ("closeTimestamp", -1), ("uid", 10**30), ("percentProfit", -1e15),
    ],
)  # fmt: skip
def test_one_bad_deal_does_not_lose_the_others(key: str, value: Any) -> None:
    payload = msgspec.json.encode([OPEN, {**OPEN, key: value}, CLOSED])

    message = decode_server_event("updateClosedDeals", payload)

    assert isinstance(message, ClosedDeals)
    assert (len(message.deals), message.rejected) == (2, 1)


@given(money())
def test_profit_is_exact(profit: Decimal) -> None:
    it = deal(profit=msgspec.Raw(str(profit).encode()))

    assert it.profit == profit


# --- outcomes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profit", "outcome"),
    [
        ("4.6", Outcome.WON),
        ("0.01", Outcome.WON),
        ("0", Outcome.DRAW),
        ("-0.0", Outcome.DRAW),
        ("-5", Outcome.LOST),
    ],
)
def test_outcome(profit: str, outcome: Outcome) -> None:
    closed = deal(profit=msgspec.Raw(profit.encode()), closePrice=69.3, closeMs=1)

    assert closed.outcome is Outcome.of(Decimal(profit)) is outcome
    assert (closed.won, closed.lost, closed.draw) == (
        outcome is Outcome.WON, outcome is Outcome.LOST, outcome is Outcome.DRAW,
    )  # fmt: skip


def test_an_open_deal_has_no_outcome_however_much_it_may_win() -> None:
    it = deal(profit=4.6)

    assert not it.is_closed
    assert it.outcome is None
    assert (it.won, it.lost, it.draw) == (False, False, False)


@pytest.mark.parametrize("signs", [{"closePrice": 69.3}, {"closeMs": 0}, {"closePrice": None, "closeMs": 5}])
def test_signs_of_a_closed_deal(signs: dict[str, Any]) -> None:
    assert deal(**signs).is_closed


# --- sides -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "side"),
    [("call", Side.CALL), ("put", Side.PUT), ("CALL", Side.CALL), (0, Side.CALL), (1, Side.PUT)],
)
def test_side_from_wire(wire: str | int, side: Side) -> None:
    assert Side.from_wire(wire) is side
    assert Side.from_wire(side.value) is side
    assert Side.from_wire(side.command) is side


@pytest.mark.parametrize("wire", ["", "up", "0", 2, -1, None, 0.5])
def test_what_is_no_side(wire: Any) -> None:
    with pytest.raises(ValueError):
        Side.from_wire(wire)


# --- requests --------------------------------------------------------------------------------------------------------


def test_open_order_wire_shape() -> None:
    order = OpenOrder(
        asset="EURUSD_otc", amount=Decimal("1"), action=Side.CALL, is_demo=True, request_id="b0fc", time=60
    )

    assert encode(order) == (
        "openOrder",
        b'{"asset":"EURUSD_otc","amount":1,"action":"call","isDemo":1,"requestId":"b0fc","optionType":100,"time":60}',
    )


@pytest.mark.parametrize(
    "request_id", [b'"uuid"', b"18396039", b'"buy"', b"null", b"1.5", b"true", b"9007199254740993"]
)
def test_a_request_id_of_any_type_is_kept(request_id: bytes) -> None:
    payload = (
        b'{"asset":"A","amount":1.0,"action":"put","isDemo":0,"requestId":%s,"optionType":100}' % request_id
    )

    order = decode_client_event("openOrder", payload)

    assert encode(order) == ("openOrder", payload)


def test_an_order_without_request_id_or_option_type() -> None:
    order = decode_client_event("openOrder", b'{"asset":"A","amount":"1","action":"put","isDemo":0}')

    assert isinstance(order, OpenOrder)
    assert order.request_id is UNSET
    assert order.option_type == 100
    assert order.time is None


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "NaN"}, {"amount": "-Infinity"}, {"amount": None}, {"amount": [1]}, {"action": "up"},
        {"action": 0}, {"asset": ""}, {"asset": 5}, {"isDemo": 2}, {"time": -60}, {"time": 1e300},
        {"requestId": {}}, {"requestId": []},
    ],
)  # fmt: skip
def test_bad_orders(change: dict[str, Any]) -> None:
    fields = {"asset": "A", "amount": 1, "action": "put", "isDemo": 0, "requestId": 1, "time": 60, **change}

    with pytest.raises(PayloadInvalid):
        decode_client_event("openOrder", msgspec.json.encode(fields))


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1e99"])
def test_an_order_cannot_be_built_with_an_amount_that_is_none(amount: str) -> None:
    with pytest.raises(ValueError, match="an amount is"):
        OpenOrder(asset="A", amount=Decimal(amount), action=Side.PUT, is_demo=1)


@pytest.mark.parametrize(
    ("message", "name", "payload"),
    [
        (CancelOrder("8924b0f1"), "cancelOrder", b'{"ticket":"8924b0f1"}'),
        (CopyOrder("8924b0f1"), "copyOrder", b'{"copyTicket":"8924b0f1"}'),
        (DoubleUp("8924b0f1"), "deals/double-up", b'{"ticket":"8924b0f1"}'),
        (Rollover("8924b0f1", Decimal("2.50")), "deals/rollover", b'{"ticket":"8924b0f1","amount":2.50}'),
        (RequestOpenedDeals(), "updateOpenedDeals", None),
        (
            CopySignalOrder(
                symbol="EURUSD_otc", amount=Decimal(1), expired_at=1785008880, action=Side.PUT, is_demo=1, request_id=7,
                created_at=1784998080, timeframe=10800, signal_id="1784998080-EURUSD_otc-10800",
            ),
            "copySignalOrder",
            b'{"symbol":"EURUSD_otc","amount":1,"expiredAt":1785008880,"action":"put","isDemo":1,"requestId":7,'
            b'"createdAt":1784998080,"timeframe":10800,"signalId":"1784998080-EURUSD_otc-10800"}',
        ),
    ],
)  # fmt: skip
def test_other_requests(message: Message, name: str, payload: bytes | None) -> None:
    assert encode(message) == (name, payload)
    assert decode_client_event(name, payload or b"") == message


def test_lists_of_deals_are_told_apart_by_name() -> None:
    assert decode_server_event("updateOpenedDeals", b"[]") == OpenedDeals([])
    assert decode_server_event("updateClosedDeals", b"[]") == ClosedDeals([])
