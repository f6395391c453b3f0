"""Pending orders in the order book actor: what it takes, what it leaves to the orders; a crash costs nothing."""

from __future__ import annotations

import pytest

from potrio.actors.link import Written
from potrio.actors.pending_evidence import PendingState
from potrio.protocol.messages.trading import OpenedDeals

from .pending_stage import Stage, listed


def test_what_is_not_about_pending_orders_is_left_alone():
    stage = Stage()
    for message in (OpenedDeals([]), Written("somebody's", 1, 0.0, 0.0), object()):
        assert not stage.pending.take(message)
    with pytest.raises(AssertionError, match="no use"):
        stage.hear(object())


def test_a_crash_between_handing_over_and_the_answer():
    stage = Stage()
    handle = stage.place()
    stage.hear("crash")
    assert handle.state is PendingState.UNKNOWN
    stage.written()
    assert handle.state is PendingState.SENT
    stage.list(listed("t1", handle.intent))
    assert (handle.state, stage.submitted()) == (PendingState.WORKING, ["p1"])


def test_those_that_waited_leave_after_a_crash():
    stage = Stage()
    one, _ = stage.place(1), stage.place(2, amount=11)
    stage.written(1)
    stage.hear("crash")
    stage.list(listed("t1", one.intent))
    assert stage.submitted() == ["p1", "p2"]


def test_a_new_link_proves_that_an_older_answer_was_lost():
    stage = Stage()
    handle = stage.place(expires_at=100.0)
    stage.lost()
    stage.up()
    assert (handle.state, stage.submitted()) == (PendingState.UNKNOWN, ["p1"])


def test_two_lists_past_the_grace_end_a_doubt():
    """I9 for pending orders."""
    stage = Stage()
    handle = stage.place(opens_in=500)
    stage.written()
    for _ in range(4):
        stage.lost()
        stage.up()
        stage.list()
        stage.advance(8)
    assert handle.state is PendingState.VOID
