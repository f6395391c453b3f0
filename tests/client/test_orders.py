"""Checks before an order: every argument a user could get wrong is denied here, and nothing else reaches the book."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.book import Book
from potrio.actors.evidence import OrderIntent, OrderState
from potrio.actors.order_handle import OrderView
from potrio.client.orders import as_amount, as_side, check_order
from potrio.errors import OrderDenied
from potrio.limits import CONCURRENT_ORDERS_MAX, MONEY_MAX, SYMBOL_CHARS_MAX
from potrio.protocol.messages.codec import encode
from potrio.protocol.messages.market import Asset, Duration
from potrio.protocol.messages.trading import OpenOrder, Side


def asset(symbol: str = "A", *, active: bool = True, durations=(60, 300)) -> Asset:
    return Asset(
        id=1,
        symbol=symbol,
        label=symbol,
        kind="currency",
        digits=5,
        payout=92,
        default_expiration_s=60,
        minimum_expiration_s=30,
        expiration_step_s=60,
        is_otc=1,
        otc_id=0,
        real_id=0,
        signals=[],
        schedule=0,
        is_active=active,
        durations=[Duration(time=time) for time in durations],
        scheduled_until=0,
        minimum_timeframe_s=5,
        scheduled_at=0,
    )


def check(
    symbol="A",
    side="call",
    amount=10,
    duration_s=60,
    book=None,
    *,
    live=False,
    arm_live=False,
    request_id=None,
):
    assets = {"A": asset(), "SHUT": asset("SHUT", active=False), "ANY": asset("ANY", durations=())}
    return check_order(
        assets,
        symbol,
        side,
        amount,
        duration_s,
        book or Book(),
        live=live,
        arm_live=arm_live,
        request_id=request_id,
    )


def test_a_good_order_passes_in_its_own_types():
    assert check(side="PUT", amount="10.50") == (Side.PUT, Decimal("10.50"))
    assert check("ANY", duration_s=5) == (Side.CALL, Decimal(10))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"live": True}, "arm_live"),
        ({"symbol": "B"}, "not among"),
        ({"symbol": "SHUT"}, "closed"),
        ({"side": "up"}, "side"),
        ({"duration_s": 4}, "at least"),
        ({"duration_s": 301}, "at most"),
        ({"duration_s": True}, "whole seconds"),
        ({"duration_s": 60.0}, "whole seconds"),
        ({"request_id": ""}, "1 to"),
        ({"request_id": "x" * (SYMBOL_CHARS_MAX + 1)}, "1 to"),
        ({"request_id": "\ud800"}, "printable"),
        ({"request_id": "a\nb"}, "printable"),
        ({"request_id": 7}, "printable"),
    ],
)
def test_what_cannot_be_right_is_denied(changes, said):
    with pytest.raises(OrderDenied, match=said):
        check(**changes)


def test_a_live_account_that_is_armed_trades():
    assert check(live=True, arm_live=True)


@pytest.mark.parametrize(
    "amount",
    [
        0,
        -1,
        "0.001",
        "1.005",
        "NaN",
        "sNaN",
        "Infinity",
        "-Infinity",
        "ten",
        "",
        None,
        [],
        1.5,
        True,
        10**16,
        "1e30",
        "1e999999",
        "1e-999999",
        MONEY_MAX + 1,
    ],
)
def test_an_amount_that_is_no_stake_is_denied_whatever_it_is(amount):
    with pytest.raises(OrderDenied, match="amount"):
        as_amount(amount)


@given(st.one_of(st.text(), st.integers(), st.decimals(), st.floats(), st.none(), st.booleans()))
def test_property_any_amount_is_a_stake_or_denied_and_a_stake_can_be_sent(amount):
    try:
        exact = as_amount(amount)
    except OrderDenied:
        return
    order = OpenOrder(asset="A", amount=exact, action=Side.CALL, is_demo=1, request_id="r", time=60)
    name, payload = encode(order)
    assert name == "openOrder"
    assert payload


def test_more_digits_than_the_callers_context_has_do_not_matter():
    with localcontext(prec=3):
        assert as_amount("123456.78") == Decimal("123456.78")
    assert str(as_amount("10.000000000000000000000000")) == "10.00"


@pytest.mark.parametrize("side", [Side.CALL, "call", "CALL", "Call"])
def test_sides_by_value_or_name(side):
    assert as_side(side) is Side.CALL


def test_the_venues_limit_of_orders_at_once_counts_those_that_may_be_open():
    book = Book()
    for number in range(CONCURRENT_ORDERS_MAX):
        check(book=book)
        add(book, f"r{number}")
    with pytest.raises(OrderDenied, match="no more at once"):
        check(book=book)
    assert check(book=book, request_id="r3"), "asking for an order's handle again is not another order"
    book.orders["r0"].deny("expired")
    book.show(book.orders["r0"], OrderView(state=OrderState.DENIED, cause="expired"))
    assert book.handles["r0"].state is OrderState.DENIED
    assert check(book=book)


def add(book: Book, request_id: str) -> None:
    book.add(
        OrderIntent(
            request_id=request_id,
            asset="A",
            side=Side.CALL,
            amount=Decimal(1),
            duration_s=60,
            is_demo=True,
            created_wall=0.0,
            expires_at=1.0,
        )
    )
