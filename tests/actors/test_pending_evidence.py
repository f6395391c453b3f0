"""Pending orders from evidence: any order of arrival ends in the same state; soft states give way to hard facts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potrio.actors.pending_evidence import PendingEvidence, PendingState, intent_of, is_for, same_pending
from potrio.protocol.messages.pending import NO_OPEN_TIME

from .pending_stage import intent, listed


def sent() -> PendingEvidence:
    evidence = PendingEvidence(intent())
    evidence.written(1, 5.0, 1005.0)
    return evidence


def test_the_plain_life():
    evidence = PendingEvidence(intent())
    assert evidence.state() is PendingState.NEW
    evidence.written(1, 5.0, 1005.0)
    assert evidence.state() is PendingState.SENT
    evidence.accept("t")
    assert evidence.state() is PendingState.WORKING
    evidence.want_cancel()
    evidence.ask_cancel(1, 6.0)
    assert evidence.state() is PendingState.CANCEL_SENT
    evidence.refuse_cancel("no")
    assert evidence.state() is PendingState.WORKING
    evidence.trigger("d")
    assert (evidence.state(), evidence.anomalies) == (PendingState.TRIGGERED, ())


def test_written_once_and_denied_never_written():
    with pytest.raises(AssertionError, match="at most once"):
        sent().written(2, 6.0, 1006.0)
    with pytest.raises(AssertionError):
        sent().deny("late")


@pytest.mark.parametrize("soft", ["refused", "void"])
def test_a_ticket_contradicts_a_soft_state_and_leaves_a_note(soft):
    evidence = sent()
    if soft == "refused":
        evidence.refuse("no")
        assert evidence.state() is PendingState.REJECTED
    else:
        evidence.lost(1)
        evidence.absences = 2
        assert evidence.state() is PendingState.VOID
    evidence.accept("t")
    assert evidence.state() is PendingState.WORKING
    assert len(evidence.anomalies) == 1


FACTS = {
    "lost": lambda e: e.lost(1),
    "refused": lambda e: e.refuse("no"),
    "accepted": lambda e: e.accept("t"),
    "failed": lambda e: e.fail("PAYOUT_TOO_LOW"),
    "cancelled": lambda e: e.cancel(),
    "triggered": lambda e: e.trigger("d"),
}


def after(facts) -> tuple:
    evidence = sent()
    for name in facts:
        FACTS[name](evidence)
    return evidence.state(), evidence.ticket, evidence.deal_id


@settings(max_examples=2000, deadline=None)
@given(st.lists(st.sampled_from(sorted(FACTS)), max_size=8), st.randoms(use_true_random=False))
def test_property_confluence_under_permutation_and_duplication(facts, chance):
    """I8 for pending orders."""
    shuffled = facts + [fact for fact in facts if chance.random() < 0.5]
    chance.shuffle(shuffled)
    assert after(shuffled) == after(facts)


def test_what_the_venue_lists_is_compared_by_its_terms():
    by_time, by_price = intent(), intent(opens_in=None)
    assert is_for(listed("t", by_time), by_time)
    assert is_for(listed("t", by_price), by_price)
    assert not is_for(listed("t", by_time), by_price)
    assert not same_pending(by_time, intent(amount=11))
    assert not same_pending(by_time, intent(opens_in=61))
    assert not same_pending(by_price, intent(opens_in=None, open_price=1.3))
    back = intent_of(listed("t", by_price), None)
    assert (back.waits_for_price, back.open_time, back.external) == (True, NO_OPEN_TIME, True)


@pytest.mark.parametrize("state", list(PendingState))
def test_every_state_has_a_cause_in_words(state):
    assert PendingEvidence(intent(), deal_id="d", ticket="t").cause(state)
