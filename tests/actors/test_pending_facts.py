"""What the venue says of pending orders: lists, refusals, cancellations, and the deals that came of them."""

from __future__ import annotations

from itertools import permutations

from potrio.actors.evidence import OrderState
from potrio.actors.pending_desk import CancelPending
from potrio.actors.pending_evidence import PendingState
from potrio.protocol.messages.pending import (
    CancelPendingOrders,
    PendingCancelFailed,
    PendingCancelled,
    PendingFailed,
    PendingOpened,
    PendingsCancelFailed,
    PendingsCancelled,
)
from potrio.protocol.messages.trading import ClosedDeals, OpenedDeals, OrderOpened

from .conftest import deal
from .pending_stage import OPENS_IN, Stage, intent, listed, with_open_price

DEAL = deal("d1", opened=OPENS_IN, for_s=5)
CLOSED = deal("d1", opened=OPENS_IN, for_s=5, profit=-10, close_price=1.0)


def test_a_deal_belongs_to_the_ticket_that_is_gone():
    stage = Stage()
    handle = stage.working()
    stage.advance(OPENS_IN)
    stage.hear(OrderOpened(DEAL))
    assert handle.state is PendingState.WORKING, "it may be somebody else's, as long as the ticket is there"
    stage.list()
    order = stage.book.handles["t1"]
    assert (handle.state, handle.order, order.state) == (PendingState.TRIGGERED, order, OrderState.OPEN)
    stage.hear(ClosedDeals([CLOSED]))
    assert (order.state, stage.book.external) == (OrderState.SETTLED, {})


def test_confluence_of_the_deal_its_end_and_the_list():
    """I8 for pending orders: whichever comes first."""
    ends = set()
    for order in permutations(["open", "closed", "list", "list"]):
        stage = Stage()
        handle = stage.working()
        stage.advance(OPENS_IN + 6)
        for what in order:
            match what:
                case "open":
                    stage.hear(OpenedDeals([DEAL]))
                case "closed":
                    stage.hear(ClosedDeals([CLOSED]))
                case _:
                    stage.list()
        known = stage.book.handles.get("t1")
        ends.add((handle.state, known and known.state, tuple(stage.book.external)))
    assert ends == {(PendingState.TRIGGERED, OrderState.SETTLED, ())}


def test_two_alike_have_two_deals():
    stage = Stage()
    one, two = stage.working(1), stage.working(2)
    stage.advance(OPENS_IN)
    stage.hear(OpenedDeals([DEAL, deal("d2", opened=OPENS_IN, for_s=5)]))
    stage.list()
    assert {one.order.deal_id, two.order.deal_id} == {"d1", "d2"}


def test_a_deal_that_opened_after_the_ticket_was_gone_is_not_its():
    stage = Stage()
    handle = stage.working(opens_in=None)
    stage.list()
    stage.advance(20)
    stage.hear(OrderOpened(deal("later", opened=20, for_s=5)))
    stage.list()
    assert handle.state is PendingState.VOID
    assert list(stage.book.external) == ["later"]


def test_gone_before_its_time_is_cancelled_elsewhere_and_after_it_void_until_the_deal_is_told():
    stage = Stage()
    early, late = stage.working(1, opens_in=500), stage.working(2)
    stage.advance(OPENS_IN + 5)
    for _ in range(2):
        stage.list()
        stage.advance(2)
    stage.list()
    assert (early.state, late.state) == (PendingState.CANCELLED, PendingState.VOID)
    stage.hear(ClosedDeals([CLOSED]))
    assert late.state is PendingState.TRIGGERED
    assert [anomaly.request_id for anomaly in stage.book.anomalies] == ["p2"]


def test_one_list_or_an_unreadable_one_proves_nothing():
    stage = Stage()
    handle = stage.working()
    for _ in range(3):
        stage.list(rejected=1)
        stage.advance(2)
    stage.list()
    stage.list()  # told twice
    assert handle.state is PendingState.WORKING
    stage.list(listed("t1", handle.intent))
    stage.advance(2)
    stage.list()
    assert handle.state is PendingState.WORKING, "what is listed again was not gone"


def test_a_refusal_goes_to_the_ticket_it_names_or_to_the_one_in_flight():
    stage = Stage()
    one, two = stage.working(1), stage.place(2, amount=11)
    stage.written(2)
    stage.hear(PendingFailed(error="PAYOUT_TOO_LOW", order={"ticket": "t1"}))
    assert (one.state, one.reason, two.state) == (PendingState.REJECTED, "PAYOUT_TOO_LOW", PendingState.SENT)
    stage.hear(PendingFailed(error="no", asset="OTHER"))
    stage.hear(PendingFailed(error="no", order={"ticket": "unheard-of"}))
    assert two.state is PendingState.SENT
    stage.hear(PendingFailed(error="MaxDemoTrades"))
    assert two.state is PendingState.REJECTED
    stage.hear(PendingOpened(listed("t2", two.intent)))
    assert two.state is PendingState.REJECTED, "a ticket of the same terms is somebody else's by now"


def test_tickets_of_others_are_shown_and_never_taken_for_ours():
    stage = Stage()
    stage.list(listed("theirs", intent(9)))
    stage.advance(5)
    handle = stage.place(1)
    stage.written(1)
    stage.list(listed("theirs", intent(9)))
    assert handle.state is PendingState.SENT, "it was there before ours was written"
    stage.list(listed("theirs", intent(9)), listed("t1", handle.intent))
    assert handle.ticket == "t1"
    assert stage.book.pending.handles["theirs"].intent.external
    stage.list(listed("t1", handle.intent))
    assert stage.book.pending.handles["theirs"].state is PendingState.CANCELLED


def test_a_price_is_recognised_though_it_was_rounded():
    stage = Stage()
    handle = stage.place(opens_in=None)
    stage.written()
    stage.hear(PendingOpened(with_open_price(listed("t1", handle.intent), 1.2 * (1 + 1e-12))))
    assert handle.state is PendingState.WORKING


def test_cancelling_together_reports_each():
    stage = Stage()
    one, two, three = stage.working(1), stage.working(2, amount=11), stage.working(3, amount=12)
    stage.hear(CancelPending(("p1", "p2")))
    assert stage.sent() == [CancelPendingOrders(["t1", "t2"])]
    stage.hear(PendingsCancelled(["t1"]))
    assert (one.state, two.cancel_refused) == (PendingState.CANCELLED, "the venue does not have it")
    assert (two.state, three.state) == (PendingState.WORKING, PendingState.WORKING)
    stage.hear(CancelPending(("p2",)))
    stage.hear(PendingCancelFailed("NOT_FOUND"))
    assert two.cancel_refused == "NOT_FOUND"
    stage.hear(CancelPending(("p2", "p3")))
    stage.hear(PendingsCancelFailed("BUSY"))
    assert (two.cancel_refused, three.cancel_refused) == ("BUSY", "BUSY")
    stage.hear(CancelPending(("p3",)))
    stage.hear(PendingCancelled("t3"))
    assert three.state is PendingState.CANCELLED


def test_a_list_without_it_confirms_a_cancellation_that_was_asked_for():
    stage = Stage()
    handle = stage.working()
    stage.hear(CancelPending(("p1",)))
    stage.list()
    assert (handle.state, handle.anomalies) == (PendingState.CANCELLED, ())


def test_lists_prove_nothing_while_the_request_may_still_arrive():
    """I6 for pending orders: the request outlives its connection."""
    stage = Stage()
    handle = stage.place()
    stage.written()
    stage.lost()
    stage.up()
    for _ in range(3):
        stage.list()
        stage.advance(2)
    assert handle.state is PendingState.UNKNOWN
    stage.list(listed("t1", handle.intent))
    assert handle.state is PendingState.WORKING


def test_a_strangers_deal_is_not_ours():
    """I3 for pending orders: the deal of a ticket that was placed elsewhere stays external, and nobody takes it."""
    stage = Stage()
    stage.list(listed("theirs", intent(9)))
    stage.advance(5)
    handle = stage.place()
    stage.written()
    stage.list(listed("theirs", intent(9)), listed("t1", handle.intent))
    stage.advance(OPENS_IN)
    stage.hear(OpenedDeals([DEAL, deal("d2", opened=OPENS_IN, for_s=5)]))
    stage.list()
    theirs = stage.book.pending.orders["theirs"].deal_id
    assert {theirs, stage.book.pending.orders["p1"].deal_id} == {"d1", "d2"}
    assert list(stage.book.external) == [theirs]
