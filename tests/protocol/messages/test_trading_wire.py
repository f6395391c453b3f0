"""Answers to orders: the request id comes back, refusals flat and nested, settlements with and without a sum."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import UNSET

from potrio.errors import PayloadInvalid
from potrio.protocol.messages.codec import decode_server_event, encode
from potrio.protocol.messages.trading import Deal, DealsClosed, OrderFailed, OrderOpened
from potrio.testing.strategies import message_of

DEAL: dict[str, Any] = {
    "id": "2b565a3d", "openTimestamp": 1751932410, "closeTimestamp": 1751932470, "amount": 5, "profit": 4.6,
    "percentProfit": 92, "openPrice": 69.317, "command": 0, "asset": "#CSCO_otc",
}  # fmt: skip
ID = b'"0c8a1d1e-5f3b-4c55-9a53-52a3b6d4d7a1"'


def decoded(name: str, fields: Any) -> Any:
    return decode_server_event(name, msgspec.json.encode(fields))


# --- opened ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_id", ["uuid-1", 18396039, "buy", None, 1.5, True])
def test_the_request_id_comes_back_with_its_type(request_id: Any) -> None:
    opened = decoded("successopenOrder", {**DEAL, "requestId": request_id})

    assert isinstance(opened, OrderOpened)
    assert opened.request_id == request_id
    assert type(opened.request_id) is type(request_id)
    _, payload = encode(opened)
    assert msgspec.json.decode(payload or b"") == {**DEAL, "requestId": request_id}


def test_an_answer_that_is_not_for_the_one_who_asked_has_no_request_id() -> None:
    opened = decoded("successopenOrder", DEAL)

    assert opened.request_id is UNSET
    assert b"requestId" not in (encode(opened)[1] or b"")


@pytest.mark.parametrize("outer", [{}, {"requestId": 5}])
def test_a_deal_nested_under_data(outer: dict[str, Any]) -> None:
    inner = DEAL if outer else {**DEAL, "requestId": 5}

    assert decoded("successopenOrder", {"data": inner, **outer}).request_id == 5


@pytest.mark.parametrize("payload", [b"{}", b"[]", b'{"data":{}}', b'{"requestId":1}', b"null", b""])
def test_what_is_no_deal_is_refused(payload: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        decode_server_event("successopenOrder", payload)


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "failed"),
    [
        ({"error": "LOW_BALANCE", "amount": 1, "asset": "EURUSD_otc"},
         OrderFailed(error="LOW_BALANCE", amount=Decimal(1), asset="EURUSD_otc")),
        ({"data": {"error": "MaxDemoTrades", "amount": 10, "asset": "A"}},
         OrderFailed(error="MaxDemoTrades", amount=Decimal(10), asset="A")),
        ({"error": "X"}, OrderFailed(error="X")),
        ({"error": "X", "amount": 1.5, "asset": "A", "requestId": "r"},
         OrderFailed(error="X", amount=Decimal("1.5"), asset="A", request_id="r")),
        ({"amount": 1, "asset": "A"}, OrderFailed(error="", amount=Decimal(1), asset="A")),
        ({"error": "evil\x1b[2J\u202e", "asset": "A"}, OrderFailed(error="evil[2J", asset="A")),
    ],
)  # fmt: skip
def test_refusals(fields: dict[str, Any], failed: OrderFailed) -> None:
    assert decoded("failopenOrder", fields) == failed


def test_refusal_wire_shape() -> None:
    failed = OrderFailed(error="LOW_BALANCE", amount=Decimal("1"), asset="EURUSD_otc")

    assert encode(failed) == ("failopenOrder", b'{"error":"LOW_BALANCE","amount":1,"asset":"EURUSD_otc"}')


@pytest.mark.parametrize("payload", [b"[]", b'{"error":5}', b'{"error":"X","amount":"NaN"}', b'"X"', b""])
def test_bad_refusals(payload: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        decode_server_event("failopenOrder", payload)


# --- settled ---------------------------------------------------------------------------------------------------------


def test_the_captured_settlement() -> None:
    lost = {**DEAL, "profit": -5, "closePrice": 69.313, "closeMs": 293}
    closed = decoded("successcloseOrder", {"profit": 0, "deals": [lost]})

    assert isinstance(closed, DealsClosed)
    assert closed.profit == 0
    assert closed.deals[0].lost
    assert closed.deals[0].profit == Decimal(-5)
    assert msgspec.json.decode(encode(closed)[1] or b"") == {"profit": 0, "deals": [lost]}


def test_several_deals_at_once_and_a_bad_one_among_them() -> None:
    closed = decoded(
        "successcloseOrder", {"profit": 4.6, "deals": [DEAL, {"id": 5}, {**DEAL, "id": "other"}]}
    )

    assert [deal.id for deal in closed.deals] == ["2b565a3d", "other"]
    assert closed.rejected == 1


def test_a_bare_list() -> None:
    closed = decoded("successcloseOrder", [DEAL])

    assert closed == DealsClosed(None, [closed.deals[0]])
    assert (encode(closed)[1] or b"").startswith(b"[{")


@pytest.mark.parametrize(
    "payload", [b"{}", b'{"profit":0}', b'{"profit":0,"deals":[{}]}', b'{"deals":5}', b"[{}]", b""]
)
def test_what_is_no_settlement_is_refused(payload: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        decode_server_event("successcloseOrder", payload)


@settings(max_examples=60, deadline=None)
@given(deal=message_of(Deal))
def test_a_settled_deal_is_the_deal_of_every_other_event(deal: Deal) -> None:
    closed = DealsClosed(Decimal("4.6"), [deal])
    opened = OrderOpened(deal, "r")

    for message in (closed, opened):
        name, payload = encode(message)
        back = decode_server_event(name, payload or b"")
        assert back == message
