"""Balances: exact to the last digit, with or without the account's kind."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given

from potrio.errors import PayloadInvalid
from potrio.protocol.messages.account import Balance, GetBalance, RefillDemo, UpdateBalance
from potrio.protocol.messages.codec import decode_client_event, decode_server_event, encode
from potrio.testing.strategies import money


def decoded(payload: bytes) -> Balance:
    message = decode_server_event("successupdateBalance", payload)
    assert isinstance(message, Balance)
    return message


@pytest.mark.parametrize(
    ("literal", "amount"),
    [
        (b"49998.5", "49998.5"),
        (b"50000", "50000"),
        (b'"49998.50"', "49998.50"),
        (b"0.30000000000000004", "0.30000000000000004"),
        (b"0.3", "0.3"),
        (b"123456789012.123456", "123456789012.123456"),
        (b"5e2", "5E+2"),
        (b"-3.10", "-3.10"),
    ],
)
def test_balance_is_exact_whether_int_float_or_string(literal: bytes, amount: str) -> None:
    assert str(decoded(b'{"isDemo":1,"balance":%s}' % literal).balance) == amount


def test_sums_are_exact() -> None:
    total = decoded(b'{"balance":0.1}').balance + decoded(b'{"balance":0.2}').balance

    assert encode(Balance(balance=total)) == ("successupdateBalance", b'{"balance":0.3}')


@given(money())
def test_any_amount_comes_back_digit_by_digit(amount: Decimal) -> None:
    name, payload = encode(Balance(is_demo=0, balance=amount))

    back = decode_server_event(name, payload or b"")

    assert isinstance(back, Balance)
    assert back.balance == amount
    assert back.balance.as_tuple().exponent == amount.as_tuple().exponent or amount == 0


@pytest.mark.parametrize(
    ("payload", "balance"),
    [
        (b'{"balance":1}', Balance(balance=Decimal(1))),
        (b'{"isDemo":true,"balance":1}', Balance(is_demo=1, balance=Decimal(1))),
        (b'{"isDemo":null,"balance":1}', Balance(balance=Decimal(1))),
        (b'{"isDemo":0,"balance":1,"uid":7,"login":42,"new":[]}',
         Balance(is_demo=0, balance=Decimal(1), uid=7, login=42)),
        (b'{"balance":1,"login":"me","currency":"EUR"}', Balance(balance=Decimal(1), login="me", currency="EUR")),
    ],
)  # fmt: skip
def test_optional_fields(payload: bytes, balance: Balance) -> None:
    assert decoded(payload) == balance


def test_wire_shape() -> None:
    assert encode(Balance(is_demo=True, balance=Decimal("49998.5"), uid=5)) == (
        "successupdateBalance",
        b'{"isDemo":1,"balance":49998.5,"uid":5}',
    )


@pytest.mark.parametrize(
    "payload",
    [
        b"{}", b'{"isDemo":1}', b'{"balance":null}', b'{"balance":"NaN"}', b'{"balance":"Infinity"}',
        b'{"balance":NaN}', b'{"balance":1e999999}', b'{"balance":""}', b'{"isDemo":2,"balance":1}', b"5",
    ],
)  # fmt: skip
def test_no_value_is_made_up(payload: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        decoded(payload)


def test_requests() -> None:
    for name, request in (
        ("getBalance", GetBalance()),
        ("updateBalance", UpdateBalance()),
        ("td/refill", RefillDemo()),
    ):
        assert decode_client_event(name, b"") == request
        assert encode(request) == (name, None)
