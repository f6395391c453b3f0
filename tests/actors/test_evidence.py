"""Orders from evidence: any order of arrival and any repetition end in the same state, and soft states give way."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.evidence import Evidence, OrderIntent, OrderState, same_terms
from potrio.protocol.messages.trading import Deal, Side

INTENT = OrderIntent(
    request_id="r1",
    asset="EURUSD_otc",
    side=Side.CALL,
    amount=Decimal(10),
    duration_s=60,
    is_demo=True,
    created_wall=1000.0,
    expires_at=10.0,
)
OPEN = Deal(
    id="d1",
    open_timestamp=8200,
    close_timestamp=8260,
    amount=Decimal(10),
    profit=Decimal("9.20"),
    percent_profit=92,
    open_price=1.1,
    command=0,
    asset="EURUSD_otc",
)
CLOSED = Deal(
    id="d1",
    open_timestamp=8200,
    close_timestamp=8260,
    amount=Decimal(10),
    profit=Decimal(-10),
    percent_profit=92,
    open_price=1.1,
    close_price=1.0,
    command=0,
    asset="EURUSD_otc",
)


def sent() -> Evidence:
    evidence = Evidence(INTENT)
    evidence.written(epoch=1, at=5.0, wall=1005.0)
    return evidence


def test_the_plain_life_of_an_order():
    evidence = Evidence(INTENT)
    assert evidence.state() is OrderState.NEW
    evidence.written(epoch=1, at=5.0, wall=1005.0)
    assert evidence.state() is OrderState.SENT
    evidence.join(OPEN)
    assert evidence.state() is OrderState.OPEN
    assert evidence.state(closing_passed=True) is OrderState.SETTLING
    evidence.join(CLOSED)
    assert evidence.state() is OrderState.SETTLED
    assert evidence.anomalies == ()


def test_a_lost_link_makes_it_unknown_not_failed():
    evidence = sent()
    evidence.lost(epoch=1)
    assert evidence.state() is OrderState.UNKNOWN
    evidence.absent()
    assert evidence.state() is OrderState.UNKNOWN
    evidence.absent()
    assert evidence.state() is OrderState.VOID


def test_the_loss_of_an_earlier_link_is_not_its_business():
    evidence = Evidence(INTENT)
    evidence.written(epoch=2, at=5.0, wall=1005.0)
    evidence.lost(epoch=1)
    assert evidence.state() is OrderState.SENT


@pytest.mark.parametrize("soft", ["refused", "void"])
def test_a_deal_contradicts_a_soft_state_and_leaves_a_note(soft):
    evidence = sent()
    if soft == "refused":
        evidence.refuse("MaxDemoTrades")
        assert evidence.state() is OrderState.REJECTED
    else:
        evidence.lost(1)
        evidence.absent()
        evidence.absent()
    evidence.join(OPEN)
    assert evidence.state() is OrderState.OPEN
    assert len(evidence.anomalies) == 1


def test_a_settled_order_stays_as_it_was():
    evidence = sent()
    evidence.join(CLOSED)
    evidence.join(OPEN)
    evidence.join(Deal(**{**{f: getattr(CLOSED, f) for f in CLOSED.__struct_fields__}, "profit": Decimal(5)}))
    assert evidence.state() is OrderState.SETTLED
    assert evidence.deal is not None
    assert evidence.deal.profit == Decimal(-10)
    assert any("then reported with 5" in note for note in evidence.anomalies)


def test_a_close_event_settles_even_without_a_closing_price():
    evidence = sent()
    evidence.join(OPEN, closed=True)
    assert evidence.state() is OrderState.SETTLED


def test_an_order_is_written_at_most_once():
    evidence = sent()
    with pytest.raises(AssertionError, match="at most once"):
        evidence.written(epoch=2, at=6.0, wall=1006.0)


def test_a_written_order_cannot_be_denied_nor_a_denied_one_written():
    with pytest.raises(AssertionError):
        sent().deny("late")
    denied = Evidence(INTENT)
    denied.deny("expired")
    assert denied.state() is OrderState.DENIED
    with pytest.raises(AssertionError):
        denied.written(epoch=1, at=1.0, wall=1.0)


FACTS = {
    "open": lambda e: e.join(OPEN),
    "closed": lambda e: e.join(CLOSED, closed=True),
    "lost": lambda e: e.lost(1),
    "refused": lambda e: e.refuse("no"),
    "absent": lambda e: e.absent(),
}


def after(facts) -> OrderState:
    evidence = sent()
    for name in facts:
        FACTS[name](evidence)
    return evidence.state()


@pytest.mark.parametrize(
    "facts", [("open", "closed", "lost", "refused"), ("lost", "absent", "absent", "open")]
)
def test_any_permutation_ends_the_same(facts):
    assert len({after(order) for order in permutations(facts)}) == 1


@given(st.lists(st.sampled_from(sorted(FACTS)), max_size=8), st.randoms(use_true_random=False))
def test_property_confluence_under_permutation_and_duplication(facts, random):
    """I8. Absences are counted, so they are the one fact that may not be repeated."""
    again = [fact for fact in facts if fact != "absent" and random.random() < 0.5]
    shuffled = [*facts, *again]
    random.shuffle(shuffled)
    assert after(shuffled) is after(facts)


def test_same_terms_look_at_what_is_asked_not_when():
    later = msgspec.structs.replace(INTENT, created_wall=1005.0, expires_at=99.0)
    assert same_terms(INTENT, later)
    assert not same_terms(INTENT, msgspec.structs.replace(INTENT, amount=Decimal(11)))
