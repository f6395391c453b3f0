"""The book of pending orders: a ticket has one owner, strangers give way to ours, only ended ones are forgotten."""

from __future__ import annotations

import pytest

from potrio.actors import pending_book as book_module
from potrio.actors.pending_book import PendingBook
from potrio.actors.pending_evidence import PendingState
from potrio.actors.pending_handle import PendingHandle, PendingView

from .pending_stage import intent


def add(book: PendingBook, number: int, **terms):
    return book.add(PendingHandle(intent(number, **terms)))


def show(book: PendingBook, evidence) -> list[str]:
    view = PendingView(state=evidence.state(), ticket=evidence.ticket, anomalies=evidence.anomalies)
    return book.show(evidence, view)


def test_a_ticket_that_was_taken_for_a_strangers_is_ours_once_that_is_known():
    book = PendingBook()
    stranger, ours = add(book, 9, request_id="t1", external=True), add(book, 1)
    book.bind("t1", stranger)
    handle = book.handles["t1"]
    book.bind("t1", ours)
    assert (list(book.orders), book.tickets) == (["p1"], {"t1": "p1"})
    assert (handle.state, handle.reason) == (PendingState.VOID, "it is order p1")
    assert book.find("t1") is book.find("p1") is book.handles["p1"]
    assert book.find("t2") is None


def test_a_second_ticket_for_one_order_is_a_contradiction():
    book = PendingBook()
    ours = add(book, 1)
    book.bind("t1", ours)
    book.bind("t2", ours)
    assert (ours.ticket, book.tickets) == ("t1", {"t1": "p1"})
    assert len(show(book, ours)) == 1
    assert show(book, ours) == [], "news once"


def test_who_could_be_meant():
    book = PendingBook()
    void, doubtful, known = (add(book, number) for number in (1, 2, 3))
    assert book.in_doubt(intent()) is None, "nothing has been written"
    for evidence in (void, doubtful, known):
        evidence.written(1, 0.0, 0.0)
    known.accept("t3")
    void.absences = 2
    assert book.in_doubt(intent()) is doubtful
    assert book.in_doubt(intent(amount=11)) is None
    assert book.twin_in_doubt(intent()) is None
    doubtful.lost(1)
    assert book.twin_in_doubt(intent()) == "p2"


@pytest.mark.parametrize("kept", [2])
def test_only_ended_orders_are_forgotten(monkeypatch, kept):
    monkeypatch.setattr(book_module, "ORDERS_KEPT_MAX", kept)
    book = PendingBook()
    for number in range(4):
        book.bind(f"t{number}", add(book, number))
    assert len(book.orders) == 4
    for evidence in list(book.orders.values()):
        evidence.cancel()
        show(book, evidence)
    add(book, 5)
    assert (list(book.orders), list(book.handles), book.tickets) == (["p3", "p5"], ["p3", "p5"], {"t3": "p3"})
