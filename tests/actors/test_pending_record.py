"""Records of pending orders: every fact survives a restart, what may have been sent is presumed to have been (P1)."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.journal_record import NEVER_SENT
from potrio.actors.pending_evidence import PendingEvidence, PendingState
from potrio.actors.pending_record import FACTS, PendingRecord, pending_evidence_of, pending_record_of

from .conftest import EPOCH
from .pending_stage import intent

ME = "public/4711-demo"
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=9)

pending_records = st.builds(
    PendingRecord,
    account=st.sampled_from([ME, "public/4712-demo"]),
    intent=st.builds(
        intent, st.integers(1, 4), opens_in=st.none() | st.integers(0, 999), expires_at=st.just(0.0)
    ),
    sent_wall=st.none() | st.floats(0, 4e9),
    denied=texts,
    refused=texts,
    ticket=texts,
    failed=texts,
    cancel_wanted=st.booleans(),
    cancelled=st.booleans(),
    absences=st.integers(0, 3),
    absent_wall=st.none() | st.floats(0, 4e9),
    gone_early=st.booleans(),
    deal_id=texts,
    anomalies=st.lists(st.text("ab", max_size=3), max_size=2).map(tuple),
)


def after(evidence: PendingEvidence, sent_wall: float | None = None) -> PendingEvidence:
    """What the next process makes of it, a minute later."""
    return pending_evidence_of(pending_record_of(evidence, ME, sent_wall), now=5.0, wall=EPOCH + 60)


def test_what_never_had_its_turn_is_denied() -> None:
    restored = after(PendingEvidence(intent()))
    assert (restored.state(), restored.denied) == (PendingState.DENIED, NEVER_SENT)


@pytest.mark.parametrize("said", ["about to be", "written"])
def test_what_may_have_been_sent_is_in_doubt_and_never_new(said: str) -> None:
    evidence = PendingEvidence(intent())
    if said == "written":
        evidence.written(3, 7.0, EPOCH + 1)
    restored = after(evidence, EPOCH + 1)
    assert restored.state() is PendingState.UNKNOWN
    assert (restored.written_wall, restored.written_at, restored.link_lost) == (EPOCH + 1, -54.0, True)


def test_a_cancellation_that_is_wanted_is_asked_for_anew() -> None:
    evidence = PendingEvidence(intent())
    evidence.written(3, 7.0, EPOCH)
    evidence.accept("t1")
    evidence.want_cancel()
    evidence.ask_cancel(3, 8.0)
    restored = after(evidence)
    assert restored.state() is PendingState.WORKING
    assert (restored.cancel_wanted, restored.cancel_epoch, restored.cancel_asks) == (True, None, 0)


@given(pending_records)
def test_no_fact_is_lost_and_a_restart_changes_no_record(record: PendingRecord) -> None:
    evidence = pending_evidence_of(record, now=0.0, wall=EPOCH)
    again = pending_record_of(evidence, record.account, record.sent_wall)
    if evidence.denied == NEVER_SENT:
        again = msgspec.structs.replace(again, denied=record.denied)
    assert again == record


def test_what_a_list_lacked_once_is_looked_for_from_the_start_on() -> None:
    before = PendingEvidence(intent())
    before.written(1, 1.0, EPOCH)
    before.accept("t1")
    before.absences, before.absent_at, before.absent_wall = 1, 9.0, EPOCH + 9
    again = after(before)
    assert (again.absences, again.absent_at, again.absent_wall) == (1, 5.0, EPOCH + 9)


def test_every_fact_of_the_evidence_is_either_kept_or_of_one_process_only() -> None:
    of_one_process = {
        *("written_epoch", "written_at", "presumed", "link_lost", "overdue"),
        *("cancel_epoch", "cancel_at", "cancel_asks", "cancel_refused", "absent_at"),
    }
    names = {field.name for field in msgspec.structs.fields(PendingEvidence)}
    assert names - of_one_process == {"intent", "written_wall", *FACTS}
