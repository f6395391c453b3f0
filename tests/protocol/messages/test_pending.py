"""Pending orders: answers nested, flat and both, text events, refusals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from potrio.errors import PayloadInvalid
from potrio.protocol.messages.codec import TEXT_EVENTS, decode_client_event, decode_server_event, encode
from potrio.protocol.messages.pending import (
    CancelPendingOrder,
    CancelPendingOrders,
    OpenPendingOrder,
    PendingCancelFailed,
    PendingCancelled,
    PendingFailed,
    PendingOpened,
    PendingOrder,
    PendingOrders,
    PendingsCancelFailed,
    PendingsCancelled,
)
from potrio.protocol.messages.trading import Side

ORDER: dict[str, Any] = {
    "ticket": "a0523357", "openType": 0, "amount": 1, "symbol": "EURUSD_otc", "openTime": "2024-12-31 20:12:19",
    "openPrice": 0, "timeframe": 60, "minPayout": 60, "command": 0, "dateCreated": "2024-12-31 20:10:24",
    "id": 1943327,
}  # fmt: skip
PENDING = PendingOrder(
    ticket="a0523357", open_type=0, amount=Decimal(1), symbol="EURUSD_otc", open_time="2024-12-31 20:12:19",
    open_price=0.0, timeframe=60, min_payout=60, command=0, date_created="2024-12-31 20:10:24", id=1943327,
)  # fmt: skip


def decoded(name: str, fields: Any) -> Any:
    return decode_server_event(name, msgspec.json.encode(fields))


@pytest.mark.parametrize(
    "fields", [{"data": ORDER}, ORDER, {**ORDER, "data": ORDER}], ids=["nested", "flat", "both"]
)
def test_opened_nested_flat_and_both(fields: dict[str, Any]) -> None:
    assert decoded("successopenPendingOrder", fields) == PendingOpened(PENDING)


def test_opened_is_written_flat_with_a_nested_copy() -> None:
    name, payload = encode(PendingOpened(PENDING))

    assert name == "successopenPendingOrder"
    assert msgspec.json.decode(payload or b"") == {**ORDER, "data": ORDER}


def test_asset_is_read_as_symbol() -> None:
    fields = {**{key: value for key, value in ORDER.items() if key != "symbol"}, "asset": "EURUSD_otc"}

    assert decoded("successopenPendingOrder", fields) == PendingOpened(PENDING)


def test_an_order_bets_on_a_side() -> None:
    assert PENDING.side is Side.CALL
    assert msgspec.structs.replace(PENDING, command=1).side is Side.PUT


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"data": {}}, {**ORDER, "symbol": ""}, {**ORDER, "ticket": ""}, {**ORDER, "openType": 2},
        {**ORDER, "amount": "NaN"}, {**ORDER, "command": 7}, {**ORDER, "symbol": "A\x1b"}, [],
    ],
)  # fmt: skip
def test_bad_orders_are_refused(fields: Any) -> None:
    with pytest.raises(PayloadInvalid):
        decoded("successopenPendingOrder", fields)


FAILED = PendingFailed(error="MaxDemoTrades", amount=Decimal(10), asset="EURUSD_otc", order=ORDER)


@pytest.mark.parametrize(
    "fields",
    [
        {"data": {"data": ORDER, "error": "MaxDemoTrades", "amount": 10, "asset": "EURUSD_otc"}},
        {"data": ORDER, "error": "MaxDemoTrades", "amount": 10, "asset": "EURUSD_otc"},
    ],
    ids=["captured", "flat"],
)
def test_refused(fields: dict[str, Any]) -> None:
    assert decoded("failopenPendingOrder", fields) == FAILED


def test_refused_is_written_as_captured() -> None:
    assert msgspec.json.decode(encode(FAILED)[1] or b"") == {
        "data": {"data": ORDER, "error": "MaxDemoTrades", "amount": 10, "asset": "EURUSD_otc"}
    }


def test_refused_without_a_word() -> None:
    assert decoded("failopenPendingOrder", {}) == PendingFailed(error="")
    assert decoded("failopenPendingOrder", {"data": None}) == PendingFailed(error="")


def test_the_list_of_pending_orders() -> None:
    at_price = {
        **ORDER,
        "openType": 1,
        "openPrice": 1.13183,
        "openTime": "0000-00-00 00:00:00",
        "uid": 5,
        "isDemo": 1,
    }

    message = decoded("successupdatePending", [ORDER, at_price, {"ticket": "x"}])

    assert isinstance(message, PendingOrders)
    assert message.orders[0] == PENDING
    assert (message.orders[1].open_price, message.orders[1].is_demo) == (1.13183, 1)
    assert message.rejected == 1


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("successcancelPendingOrder", {"ticket": "t"}, PendingCancelled("t")),
        ("successcancelPendingOrder", {"data": {"ticket": "t"}}, PendingCancelled("t")),
        ("successcancelPendingOrder", {"ticket": "t", "data": {"other": 1}}, PendingCancelled("t")),
        ("successcancelPendingOrders", {"cancelled": ["a", "b"]}, PendingsCancelled(["a", "b"])),
        ("failcancelPendingOrder", {"error": "E", "ticket": "t"}, PendingCancelFailed("E", "t")),
        ("failcancelPendingOrder", {"data": {"error": "E"}}, PendingCancelFailed("E")),
        ("failcancelPendingOrders", {"error": "E"}, PendingsCancelFailed("E")),
    ],
)
def test_cancelled(name: str, fields: dict[str, Any], message: Any) -> None:
    assert decoded(name, fields) == message
    assert encode(message)[0] == name
    assert name in TEXT_EVENTS


def test_requests() -> None:
    opening = OpenPendingOrder(
        open_type=0, amount=Decimal(10), asset="EURUSD_otc", open_time="2026-07-26 15:28:07", open_price=0.0,
        timeframe=60, min_payout=60, command=0,
    )  # fmt: skip
    name, payload = encode(opening)

    assert (name, msgspec.json.decode(payload or b"")) == (
        "openPendingOrder",
        {"openType": 0, "amount": 10, "asset": "EURUSD_otc", "openTime": "2026-07-26 15:28:07", "openPrice": 0,
         "timeframe": 60, "minPayout": 60, "command": 0},
    )  # fmt: skip
    assert decode_client_event(name, payload or b"") == opening
    assert encode(CancelPendingOrder("t")) == ("cancelPendingOrder", b'{"ticket":"t"}')
    assert encode(CancelPendingOrders(["a"])) == ("cancelPendingOrders", b'{"tickets":["a"]}')
