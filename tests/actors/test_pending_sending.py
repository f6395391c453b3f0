"""Pending orders on their way out: handed over once, one unanswered at a time, alike ones not while one is in doubt."""

from __future__ import annotations

import pytest

from potrio.actors.pending_evidence import PendingState
from potrio.protocol.messages.pending import PendingFailed

from .conftest import ASSET
from .pending_stage import Stage, intent, listed


def test_one_unanswered_at_a_time_and_each_once():
    stage = Stage()
    one, two = stage.place(1), stage.place(2, amount=11)
    assert stage.submitted() == ["p1"]
    stage.written(1)
    assert stage.submitted() == ["p1"]
    stage.list(listed("t1", one.intent))
    assert stage.submitted() == ["p1", "p2"]
    stage.written(2)
    stage.hear(PendingFailed(error="no", asset=ASSET))
    assert (one.state, two.state) == (PendingState.WORKING, PendingState.REJECTED)
    for _ in range(3):
        stage.lost()
        stage.up()
        stage.hear("crash")
    assert stage.submitted() == ["p1", "p2"]


def test_not_sent_waits_for_the_link_until_it_expires():
    stage = Stage()
    handle = stage.place()
    stage.lost()
    stage.not_sent(final=False)
    stage.up()
    assert stage.submitted() == ["p1", "p1"], "the first was never written"
    stage.lost()
    stage.not_sent(final=False)
    stage.advance(11)
    assert (handle.state, handle.reason) == (
        PendingState.DENIED,
        "expired before it could be sent: not connected",
    )


def test_what_the_connection_finds_final_is_denied():
    stage = Stage()
    handle = stage.place()
    stage.not_sent(final=True)
    assert handle.state is PendingState.DENIED


def test_one_just_like_one_in_doubt_waits_for_its_fate():
    stage = Stage()
    one = stage.place(1)
    stage.written(1)
    stage.lost()
    stage.up()
    assert one.state is PendingState.UNKNOWN
    stage.place(2, expires_at=100.0)
    stage.place(3, amount=11)
    assert stage.submitted() == ["p1", "p3"]
    stage.written(3)
    stage.list(listed("t1", one.intent), listed("t3", intent(3, amount=11)))
    assert stage.submitted() == ["p1", "p3", "p2"]


def test_same_id_same_handle_other_terms_refused():
    stage = Stage()
    handle = stage.place(1)
    assert stage.place(1) is handle
    with pytest.raises(ValueError, match="other terms"):
        stage.place(1, amount=99)
