"""Who a user is, how fast it works, and when its orders have ended."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from loadsim.soak.habits import Habits, faster, has_ended, ssid_of
from potrio.actors.evidence import OrderState
from potrio.actors.pending_evidence import PendingState
from potrio.actors.pending_handle import PendingHandle
from potrio.protocol.ssid import parse_ssid
from potrio.secrets import Secret


def test_each_session_of_an_account_is_another_one():
    first, second = (parse_ssid(Secret(ssid_of(4711, number))) for number in (0, 1))
    assert first.uid == second.uid == 4711
    assert first.session != second.session


def test_in_a_hurry_everything_happens_more_often_but_reading():
    habits = faster(Habits(), 3.0)
    assert habits.orders_per_hour == 3 * Habits().orders_per_hour
    assert habits.pauses_per_hour == 3 * Habits().pauses_per_hour
    assert habits.slow_s == Habits().slow_s


@pytest.mark.parametrize(
    ("state", "order", "ended"),
    [
        (PendingState.WORKING, None, False),
        (PendingState.CANCELLED, None, True),
        (PendingState.TRIGGERED, OrderState.OPEN, False),
        (PendingState.TRIGGERED, OrderState.SETTLED, True),
    ],
)
def test_a_pending_order_has_ended_when_what_it_became_has(state, order, ended):
    handle = PendingHandle.__new__(PendingHandle)
    handle.state, handle.order = state, None if order is None else SimpleNamespace(state=order)
    assert has_ended(handle) is ended


def test_an_order_that_was_refused_here_has_ended():
    assert has_ended(None)
