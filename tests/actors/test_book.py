"""The book: a deal is in it exactly once, an order has at most one deal, what the venue names outweighs likeness."""

from __future__ import annotations

from decimal import Decimal

import pytest

from potrio.actors import book as book_module
from potrio.actors.book import Book
from potrio.actors.evidence import NOTES_MAX, Anomaly, Evidence, OrderIntent, OrderState
from potrio.actors.order_handle import OrderView
from potrio.protocol.messages.trading import Side

from .conftest import deal


@pytest.fixture
def book():
    book = Book()
    for request_id in ("one", "two"):
        add(book, request_id)
    return book


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
    book.orders[request_id].written(1, 0.0, 0.0)


def bind(book: Book, request_id: str, one, *, exact: bool, closed: bool = False):
    changed = book.bind(one, book.orders[request_id], exact=exact)
    if book.owner.get(one.id) == request_id:
        book.orders[request_id].join(one, closed=closed)
    owners = [
        rid
        for rid, evidence in book.orders.items()
        if evidence.deal is not None and evidence.deal.id == one.id
    ]
    assert len(owners) + (one.id in book.external) == 1, "exactly once"
    return [evidence.intent.request_id for evidence in changed]


def show(book: Book, evidence: Evidence) -> list[Anomaly]:
    return book.show(
        evidence, OrderView(state=evidence.state(), deal=evidence.deal, anomalies=evidence.anomalies)
    )


def test_a_name_outweighs_likeness(book):
    bind(book, "one", deal("d"), exact=False)
    assert bind(book, "two", deal("d"), exact=True) == ["one", "two"]
    assert book.owner == {"d": "two"}
    assert book.orders["one"].deal is None


def test_likeness_does_not_take_what_was_named(book):
    bind(book, "one", deal("d"), exact=True)
    assert bind(book, "two", deal("d"), exact=False) == ["two"]
    assert book.owner == {"d": "one"}
    assert book.orders["two"].anomalies


def test_a_settled_order_keeps_its_deal(book):
    bind(book, "one", deal("d"), exact=False, closed=True)
    bind(book, "two", deal("d"), exact=True)
    assert book.owner == {"d": "one"}
    assert book.orders["one"].state() is OrderState.SETTLED


def test_the_named_deal_replaces_a_likely_one_which_is_then_external(book):
    bind(book, "one", deal("likely"), exact=False)
    bind(book, "one", deal("named"), exact=True)
    assert book.orders["one"].deal.id == "named"
    assert list(book.external) == ["likely"]


def test_a_second_deal_for_one_order_is_external_and_noted(book):
    bind(book, "one", deal("first"), exact=True)
    bind(book, "one", deal("second"), exact=True)
    assert (book.orders["one"].deal.id, list(book.external)) == ("first", ["second"])
    assert book.orders["one"].anomalies


def test_an_external_deal_that_turns_out_to_be_ours_is_external_no_more(book):
    book.keep_external(deal("d"))
    bind(book, "one", deal("d"), exact=True)
    assert not book.external


def test_what_has_ended_is_not_live_and_hard_evidence_brings_it_back(book):
    evidence = book.orders["one"]
    evidence.refuse("no")
    show(book, evidence)
    assert evidence.intent.request_id not in book.live
    assert list(book.live) == ["two"]
    bind(book, "one", deal("d"), exact=True)
    show(book, evidence)
    assert evidence.intent.request_id in book.live
    assert set(book.live) == {"one", "two"}


def test_only_ended_orders_are_forgotten(book, monkeypatch):
    monkeypatch.setattr(book_module, "ORDERS_KEPT_MAX", 3)
    for number in range(5):
        add(book, f"live{number}")
    assert len(book.orders) == 7, "live ones are never forgotten"
    for request_id in list(book.orders):
        book.orders[request_id].refuse("no")
        show(book, book.orders[request_id])
    add(book, "last")
    assert list(book.orders) == list(book.handles) == ["live3", "live4", "last"]


def test_i10_exposure_counts_what_is_or_may_be_at_stake(book):
    for evidence in book.orders.values():
        show(book, evidence)
    assert book.exposure() == 2
    one, two = book.orders.values()
    one.lost(1)
    show(book, one)
    assert book.exposure() == 2, "UNKNOWN may be open"
    one.join(deal("d1"))
    show(book, one)
    assert book.exposure() == 2
    one.join(deal("d1", profit=-1, close_price=1.0))
    two.refuse("no")
    for evidence in (one, two):
        show(book, evidence)
    assert book.exposure() == 0
    add(book, "three")
    book.orders["three"].written_epoch = None
    show(book, book.orders["three"])
    assert book.exposure() == 0, "NEW is nowhere yet"


def test_a_contradiction_is_recorded_once_and_counted(book, monkeypatch):
    one = book.orders["one"]
    one.refuse("no")
    assert show(book, one) == []
    one.join(deal("d1"))
    (found,) = show(book, one)
    assert (found.request_id, found.text) == ("one", "was rejected, but deal d1 exists")
    assert show(book, one) == []
    one.join(deal("d1", profit=9, close_price=1.2), closed=True)
    for profit in range(50):
        one.join(deal("d1", profit=100 + profit, close_price=1.2), closed=True)
        show(book, one)
    assert len(one.anomalies) == NOTES_MAX
    assert book.anomalies_total == len(book.anomalies) == NOTES_MAX
    assert one.deal.profit == 9


def test_an_order_is_found_by_either_id(book):
    bind(book, "one", deal("d1"), exact=True)
    assert book.find("one") is book.find("d1") is book.handles["one"]
    assert book.find("nobody") is None
