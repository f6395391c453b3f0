"""The breaker against a model: who is let through, one probe only, and no outcome of an old call counts."""

from __future__ import annotations

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from potrio.actors.breaker import Breaker, BreakerState, Ticket
from potrio.errors import ConfigError

FAILURES, RECOVERY = 3, 10.0
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def entered(breaker: Breaker, now: float) -> Ticket:
    ticket = breaker.enter(now)
    assert isinstance(ticket, Ticket)
    return ticket


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker("x", failures=FAILURES, recovery_s=RECOVERY)
    for _ in range(FAILURES):
        breaker.failed(entered(breaker, now), now)
    assert breaker.state(now) is OPEN
    return breaker


def test_failures_in_a_row_open_it_and_a_success_between_does_not():
    breaker = Breaker("x", failures=2, recovery_s=RECOVERY)
    for outcome in (breaker.failed, breaker.succeeded, breaker.failed):
        outcome(entered(breaker, 0.0), 0.0)
    assert breaker.state(0.0) is CLOSED
    breaker.failed(entered(breaker, 0.0), 0.0)
    assert breaker.state(0.0) is OPEN
    assert breaker.enter(4.0) == 6.0


def test_of_fifty_that_ask_when_it_may_be_tried_one_is_let_through():
    breaker = opened()
    let_through = [ticket for _ in range(50) if isinstance(ticket := breaker.enter(RECOVERY), Ticket)]
    assert len(let_through) == 1
    assert breaker.enter(RECOVERY) == RECOVERY, "and how long the others should wait is said"
    breaker.succeeded(let_through[0], RECOVERY)
    assert breaker.state(RECOVERY) is CLOSED


def test_a_probe_that_fails_opens_it_for_as_long_again():
    breaker = opened()
    breaker.failed(entered(breaker, 10.0), 11.0)
    assert breaker.enter(11.0) == RECOVERY
    assert breaker.state(21.0) is HALF_OPEN


def test_a_probe_that_goes_away_gives_its_place_to_the_next():
    breaker = opened()
    gone = entered(breaker, 10.0)
    breaker.abandoned(gone)
    probe = entered(breaker, 10.0)
    breaker.succeeded(gone, 10.0)
    assert breaker.state(10.0) is HALF_OPEN, "what is told of the one that went away counts no more"
    breaker.succeeded(probe, 10.0)
    assert breaker.state(10.0) is CLOSED


def test_what_comes_of_an_old_call_opens_and_closes_nothing():
    breaker = Breaker("x", failures=FAILURES, recovery_s=RECOVERY)
    old = [entered(breaker, 0.0) for _ in range(10)]
    for ticket in old[:FAILURES]:
        breaker.failed(ticket, 0.0)
    breaker.succeeded(old[3], 1.0)
    assert breaker.state(1.0) is OPEN
    probe = entered(breaker, 10.0)
    breaker.succeeded(old[4], 10.0)
    assert breaker.state(10.0) is HALF_OPEN
    breaker.succeeded(probe, 10.0)
    for ticket in old[5:]:
        breaker.failed(ticket, 10.0)
    assert breaker.state(10.0) is CLOSED
    assert breaker.statistics(10.0).ignored == 7


@pytest.mark.parametrize(
    "options", [{"failures": 0}, {"recovery_s": 0.0}, {"recovery_s": math.inf}, {"recovery_s": math.nan}]
)
def test_what_cannot_be(options):
    with pytest.raises(ConfigError):
        Breaker("x", **options)


class Model(RuleBasedStateMachine):
    """The same said with explicit sets: calls of now, calls of before, and the one probe."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker("x", failures=FAILURES, recovery_s=RECOVERY)
        self.now = 0.0
        self.state = CLOSED
        self.failures = 0
        self.opened_at = -math.inf
        self.current: list[Ticket] = []
        self.old: list[Ticket] = []
        self.probe: Ticket | None = None

    def become(self, state: BreakerState) -> None:
        self.old += self.current
        self.current = []
        if self.probe is not None:
            self.old.append(self.probe)
        self.state, self.failures, self.probe = state, 0, None

    def tick(self) -> None:
        if self.state is OPEN and self.now >= self.opened_at + RECOVERY:
            self.become(HALF_OPEN)

    @rule(seconds=st.sampled_from([0.0, 1.0, RECOVERY - 1.0, RECOVERY]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def enter(self) -> None:
        self.tick()
        ticket = self.breaker.enter(self.now)
        allowed = self.state is CLOSED or (self.state is HALF_OPEN and self.probe is None)
        assert isinstance(ticket, Ticket) == allowed
        if isinstance(ticket, Ticket):
            if self.state is HALF_OPEN:
                self.probe = ticket
            else:
                self.current.append(ticket)
        else:
            assert 0.0 < ticket <= RECOVERY

    @precondition(lambda self: self.current or self.probe)
    @rule(fails=st.booleans(), data=st.data())
    def a_call_of_now_ends(self, fails: bool, data: st.DataObject) -> None:
        self.tick()
        calls = [self.probe] if self.probe is not None else self.current
        if not calls:
            return
        ticket = data.draw(st.sampled_from(calls))
        if ticket == self.probe:
            self.probe = None
        else:
            self.current.remove(ticket)
        if fails:
            self.breaker.failed(ticket, self.now)
            self.failures += 1
            if self.state is HALF_OPEN or self.failures == FAILURES:
                self.become(OPEN)
                self.opened_at = self.now
        else:
            self.breaker.succeeded(ticket, self.now)
            self.failures = 0
            if self.state is HALF_OPEN:
                self.become(CLOSED)

    @precondition(lambda self: self.old)
    @rule(fails=st.booleans(), data=st.data())
    def a_call_of_before_ends(self, fails: bool, data: st.DataObject) -> None:
        self.tick()
        ticket = data.draw(st.sampled_from(self.old))
        self.old.remove(ticket)
        (self.breaker.failed if fails else self.breaker.succeeded)(ticket, self.now)

    @rule(data=st.data())
    def a_caller_goes_away(self, data: st.DataObject) -> None:
        self.tick()
        everybody = [*self.current, *self.old, *([self.probe] if self.probe else [])]
        if not everybody:
            return
        ticket = data.draw(st.sampled_from(everybody))
        self.breaker.abandoned(ticket)
        if ticket == self.probe:
            self.probe = None
            self.old.append(ticket)

    @invariant()
    def states_agree(self) -> None:
        self.tick()
        assert self.breaker.state(self.now) is self.state


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
