"""The kinds of mailbox as values (row C3)."""

from __future__ import annotations

import pytest

from potrio.supervision import ChildSpecInvalid, bounded, lanes, latest, unbounded
from potrio.supervision.mailbox_spec import Bounded, Lanes, Latest, Unbounded


def test_C3_values() -> None:
    assert bounded() == Bounded(capacity=1024, overflow="reject")
    assert bounded(3, "drop_oldest") == Bounded(capacity=3, overflow="drop_oldest")
    assert unbounded(on_restart="drop") == Unbounded(on_restart="drop")
    assert latest(key=type) == Latest(key=type)
    assert lanes(unbounded(), bounded(2), lane=len) == Lanes(specs=(unbounded(), bounded(2)), lane=len)


@pytest.mark.parametrize("capacity", [0, -1, 1.5, "many"])
def test_A1_a_bad_capacity_is_refused(capacity) -> None:
    with pytest.raises(ValueError, match="capacity"):
        bounded(capacity)


def test_A1_an_unknown_overflow_is_refused() -> None:
    with pytest.raises(ChildSpecInvalid, match="overflow"):
        bounded(1, "explode")  # type: ignore[arg-type]  # what the test is about


def test_lanes_need_a_lane_and_do_not_nest() -> None:
    with pytest.raises(ChildSpecInvalid, match="at least one"):
        lanes(lane=len)
    with pytest.raises(ChildSpecInvalid, match="cannot hold"):
        lanes(lanes(bounded(1), lane=len), lane=len)


def test_values_are_immutable() -> None:
    with pytest.raises(AttributeError):
        bounded(1).capacity = 2  # type: ignore[misc]  # what the test is about
