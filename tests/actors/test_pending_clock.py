"""What is due for pending orders when: overdue answers, cancellations without an answer, moments that have passed."""

from __future__ import annotations

from potrio.actors.order_clock import RECONCILIATIONS_MAX
from potrio.actors.pending_clock import CANCELS_MAX
from potrio.actors.pending_desk import CancelPending
from potrio.actors.pending_evidence import PendingState
from potrio.limits import ORDER_ACK_TIMEOUT, REQUEST_TIMEOUT, SETTLEMENT_GRACE
from potrio.protocol.messages.pending import CancelPendingOrder

from .pending_stage import OPENS_IN, Stage


def test_an_overdue_answer_makes_it_unknown_and_asks_by_connecting_again():
    stage = Stage()
    handle = stage.place()
    stage.written()
    stage.advance(ORDER_ACK_TIMEOUT - 0.1)
    assert (handle.state, stage.resyncs()) == (PendingState.SENT, 0)
    stage.advance(0.2)
    assert (handle.state, stage.resyncs()) == (PendingState.UNKNOWN, 1)


def test_asking_has_a_limit():
    stage = Stage()
    handle = stage.place(opens_in=None)
    stage.written()
    stage.advance(10_000)
    assert (handle.state, stage.resyncs()) == (PendingState.UNKNOWN, RECONCILIATIONS_MAX)


def test_a_connection_that_never_answers_leaves_it_in_doubt_not_to_be_sent_again():
    stage = Stage()
    handle = stage.place(expires_at=100.0)
    stage.advance(ORDER_ACK_TIMEOUT + 0.1)
    assert handle.state is PendingState.UNKNOWN
    stage.lost()
    stage.up()
    assert stage.submitted() == ["p1"]


def test_a_cancellation_is_asked_for_again_and_then_counts_as_refused():
    stage = Stage()
    handle = stage.working()
    stage.hear(CancelPending(("p1",)))
    assert (handle.state, stage.sent()) == (PendingState.CANCEL_SENT, [CancelPendingOrder("t1")])
    stage.lost()
    assert handle.state is PendingState.WORKING
    stage.up()
    assert stage.sent() == [CancelPendingOrder("t1")] * 2
    stage.advance(CANCELS_MAX * REQUEST_TIMEOUT + 1)
    assert stage.sent() == [CancelPendingOrder("t1")] * CANCELS_MAX
    assert (handle.state, handle.cancel_refused) == (PendingState.WORKING, "the venue does not answer")


def test_a_time_that_has_passed_without_news_is_asked_about():
    stage = Stage()
    stage.working()
    stage.advance(OPENS_IN + SETTLEMENT_GRACE - 0.5)
    assert stage.resyncs() == 0
    stage.advance(1)
    assert stage.resyncs() == 1


def test_a_new_link_brings_the_list_by_itself():
    stage = Stage()
    stage.place(opens_in=500)
    stage.written()
    stage.lost()
    stage.clock.time += ORDER_ACK_TIMEOUT + 5
    stage.up()
    assert stage.resyncs() == 0
    stage.advance(SETTLEMENT_GRACE + 0.1)
    assert stage.resyncs() == 1
