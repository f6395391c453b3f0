"""A seat: deadlines of login and `ps`, and the budget of events."""

from __future__ import annotations

from loadsim.venue.accounts import AccountKey
from loadsim.venue.seat import Seat
from loadsim.venue.visitor import Visitor


def test_deadlines() -> None:
    seat = Seat(100.0, auth_timeout_s=15, budget=10)
    assert seat.deadline(180) == 115
    seat.login(Visitor(AccountKey(1, True), fast=True, is_guest=False, streams_max=4), 110.0)
    assert seat.deadline(180) == 290
    seat.last_ps = 200.0
    assert seat.deadline(180) == 380
    seat.logout(210.0)
    assert seat.deadline(180) == 225


def test_events_are_a_token_bucket() -> None:
    seat = Seat(0.0, auth_timeout_s=15, budget=10)
    assert sum(seat.allow(0.0) for _ in range(200)) == 100, "ten seconds' worth at once"
    assert sum(seat.allow(0.5) for _ in range(200)) == 5
    assert sum(seat.allow(1000.0) for _ in range(200)) == 100, "and never more is saved up"


def test_work_is_weighed() -> None:
    seat = Seat(0.0, auth_timeout_s=15, budget=1)
    assert sum(seat.allow(0.0, 0.5) for _ in range(100)) == 20
    assert not seat.allow(0.0)
    assert seat.allow(0.5, 0.5)
    assert not seat.allow(0.5, 0.1)
