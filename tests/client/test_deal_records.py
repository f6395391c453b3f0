"""Deals of the book as one list: each once, in one order, and totals that are exact whatever the context is."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.book import Book
from potrio.actors.evidence import OrderIntent, OrderState
from potrio.client.deal_records import page_of, records_of, totals_of
from potrio.protocol.messages.trading import Deal, Outcome, Side
from potrio.protocol.server_clock import ServerClock

AT = 1_770_000_000


def deal(id: str, profit: str | None = "9.2", closes: int = AT, amount: str = "10", **more) -> Deal:
    return Deal(
        id=id,
        open_timestamp=closes + 7200 - 60,
        close_timestamp=closes + 7200,
        amount=Decimal(amount),
        profit=Decimal(profit or "9.2"),
        percent_profit=92,
        open_price=1.1,
        close_price=None if profit is None else 1.2,
        command=0,
        asset="A",
        **more,
    )


def own(book: Book, request_id: str, its: Deal | None, state: OrderState) -> None:
    """An order of ours as the order book shows it."""
    intent = OrderIntent(
        request_id=request_id,
        asset="A",
        side=Side.CALL,
        amount=Decimal(10),
        duration_s=60,
        is_demo=True,
        created_wall=0.0,
        expires_at=1.0,
    )
    handle = book.add(intent)
    handle.deal, handle.state = its, state


def test_own_and_external_deals_each_once_the_last_to_close_first():
    book = Book()
    own(book, "r1", deal("d1", closes=AT + 5), OrderState.SETTLED)
    own(book, "r2", deal("d2", None, closes=AT + 50), OrderState.OPEN)
    own(book, "r3", None, OrderState.REJECTED)
    book.keep_external(deal("d3", "-10"))
    book.keep_external(deal("d4", None, closes=AT + 70))
    book.external["d1"] = deal("d1", "1")  # were it told as both, it would be the order's
    found = records_of(book, ServerClock())
    assert [(record.id, record.request_id, record.is_closed) for record in found] == [
        ("d4", None, False),
        ("d2", "r2", False),
        ("d1", "r1", True),
        ("d3", None, True),
    ]
    assert found[2].profit == Decimal("9.2")


def test_times_are_utc():
    book = Book()
    book.keep_external(deal("d", open_ms=250))
    (record,) = records_of(book, ServerClock())
    assert record.closes_at == datetime.fromtimestamp(AT, UTC)
    assert record.opened_at == datetime.fromtimestamp(AT - 60 + 0.25, UTC)
    assert (record.asset, record.side, record.amount) == ("A", Side.CALL, 10)


def test_an_open_deal_has_no_result_and_does_not_count():
    book = Book()
    book.keep_external(deal("d", None))
    (record,) = records_of(book, ServerClock())
    assert (record.profit, record.outcome) == (None, None)
    assert totals_of([record]).count == 0


CENTS = st.decimals("-999999999999", "999999999999", places=18).map(str)


@given(st.lists(CENTS, max_size=8))
def test_totals_are_exact(profits):
    book = Book()
    for number, profit in enumerate(profits):
        book.keep_external(deal(f"d{number}", profit, amount="0.1"))
    with localcontext(prec=3):
        totals = totals_of(records_of(book, ServerClock()))
    with localcontext(prec=100):
        assert totals.profit == sum(map(Decimal, profits), Decimal(0))
        assert totals.staked == Decimal("0.1") * len(profits)
    outcomes = [Outcome.of(Decimal(profit)) for profit in profits]
    assert (totals.won, totals.lost, totals.draw) == tuple(map(outcomes.count, Outcome))
    assert totals.count == len(profits)


@pytest.mark.parametrize(
    ("page", "ids"), [(1, ["d4", "d3"]), (2, ["d2", "d1"]), (3, ["d0"]), (4, []), (10**9, [])]
)
def test_pages(page, ids):
    book = Book()
    for number in range(5):
        book.keep_external(deal(f"d{number}", closes=AT + number))
    found = page_of(records_of(book, ServerClock()), page, 2)
    assert [record.id for record in found.deals] == ids
    assert (found.page, found.pages, found.total, found.totals.count) == (page, 3, 5, 5)


def test_of_nothing_there_is_one_empty_page():
    found = page_of([], 1, 50)
    assert (found.deals, found.pages, found.total, found.totals.staked) == ((), 1, 0, 0)
