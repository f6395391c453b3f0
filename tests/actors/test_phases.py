"""The table of phases: whole, closed for good at its end, and what a link really does is in it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.link import LinkState
from potrio.actors.phases import SENDING, TRANSITIONS, LinkPhase, may_follow


def test_every_phase_has_its_row_and_can_be_reached():
    assert set(TRANSITIONS) == set(LinkPhase)
    reached, waiting = set(), [LinkPhase.DISCONNECTED]
    while waiting:
        phase = waiting.pop()
        if phase not in reached:
            reached.add(phase)
            waiting += TRANSITIONS[phase]
    assert reached == set(LinkPhase)


def test_closed_is_for_good_and_can_come_at_any_time():
    assert TRANSITIONS[LinkPhase.CLOSED] == frozenset()
    assert all(may_follow(phase, LinkPhase.CLOSED) for phase in LinkPhase if phase is not LinkPhase.CLOSED)


@given(st.data())
def test_nothing_is_sent_before_authentication(data):
    """P3: every way to a phase in which something is sent leads through `authenticating` on the same link."""
    walk = [LinkPhase.DISCONNECTED]
    for _ in range(30):
        choices = sorted(TRANSITIONS[walk[-1]], key=lambda phase: phase.value)
        if not choices:
            break
        walk.append(data.draw(st.sampled_from(choices)))
    for before, after in pairwise(walk):
        if after in SENDING and before not in SENDING:
            assert (before, after) == (LinkPhase.AUTHENTICATING, LinkPhase.READY)


@given(st.sampled_from(LinkPhase), st.sampled_from(LinkPhase))
def test_a_link_moves_by_the_table_and_refuses_the_rest(before, after):
    link = LinkState()
    link.enter(before, 0.0)
    if may_follow(before, after):
        link.move(after, 1.0)
        assert (link.phase, link.since, link.ready) == (after, 1.0, after in SENDING)
        assert link.transitions[before, after] == 1
    else:
        with pytest.raises(AssertionError, match=after.value):
            link.move(after, 1.0)
        assert link.phase is before
