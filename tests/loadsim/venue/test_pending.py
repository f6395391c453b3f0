"""Waiting orders: due by time, reached by price, owned by an account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from loadsim.venue.accounts import AccountKey
from loadsim.venue.deals import Command
from loadsim.venue.pending import OpenType, PendingBook, PendingOrder, read_time, show_time

KEY = AccountKey(1, True)


def waiting(ticket: str, **changes: Any) -> PendingOrder:
    """An order that waits."""
    fields: dict[str, Any] = {
        "ticket": ticket, "number": 1, "uid": 1, "is_demo": True, "open_type": OpenType.TIME, "asset": "EURUSD_otc",
        "amount": Decimal(1), "command": Command.CALL, "timeframe_s": 60, "min_payout": 0, "created_ms": 0,
        "open_ms": 5000,
    }  # fmt: skip
    return PendingOrder(**(fields | changes))


def test_orders_by_time_are_due_in_order() -> None:
    book = PendingBook()
    book.restore([waiting("late", open_ms=9000), waiting("soon", number=7)])
    assert book.next_time_ms() == 5000
    assert book.due(4999) == []
    assert [order.ticket for order in book.due(10_000)] == ["soon", "late"]
    assert book.next_number == 8
    assert book.watched() == set()


@pytest.mark.parametrize(
    ("rising", "price", "reached"),
    [(True, 1.2, True), (True, 1.19, False), (False, 1.2, True), (False, 1.21, False)],
)
def test_orders_by_price_are_reached_from_their_side(rising: bool, price: float, reached: bool) -> None:
    book = PendingBook()
    book.add(waiting("a", open_type=OpenType.PRICE, open_price=1.2, rising=rising))
    assert bool(book.reached("EURUSD_otc", price)) is reached
    assert book.reached("GBPUSD_otc", price) == []
    assert book.watched() == {"EURUSD_otc"}
    assert book.next_time_ms() is None


def test_only_the_owner_removes_an_order() -> None:
    book = PendingBook()
    book.add(waiting("a"))
    assert book.remove(AccountKey(2, True), "a") is None
    assert [order.ticket for order in book.of(KEY)] == ["a"]
    assert book.remove(KEY, "a") is not None
    assert book.remove(KEY, "a") is None
    assert list(book) == []


def test_times_of_day() -> None:
    assert read_time("2025-07-07 23:53:30") == 1_751_932_410
    assert show_time(1_751_932_410) == "2025-07-07 23:53:30"
    assert read_time("0000-00-00 00:00:00") is None
    assert read_time("tomorrow") is None
