"""Where messages lie: order, conflation, priorities (rows C3-C5), by examples and against models."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from potrio.supervision import bounded, lanes, latest, unbounded
from potrio.supervision.lanes import Lane, Stamped, content, make_lane


def drained(lane: Lane) -> list[Any]:
    items = []
    while True:
        try:
            items.append(lane.pop())
        except trio.WouldBlock:
            return items


def test_C3_a_channel_lane_is_first_in_first_out_and_bounded() -> None:
    lane = make_lane(bounded(2))
    assert lane.put("a") is None
    assert lane.put("b") is None
    with pytest.raises(trio.WouldBlock):
        lane.put("c")
    assert len(lane) == 2
    assert drained(lane) == ["a", "b"]


def test_C3_unbounded_has_room() -> None:
    lane = make_lane(unbounded())
    for number in range(5000):
        lane.put(number)
    assert drained(lane) == list(range(5000))


@pytest.mark.parametrize("overflow", ["reject", "drop_oldest", "drop_newest"])
def test_C3_overflow_is_what_the_spec_says(overflow) -> None:
    lane = make_lane(bounded(2, overflow))
    for item in ("a", "b"):
        lane.put(item)
    assert lane.overflow("c") == overflow
    assert lane.drop_oldest("c") == "a"


def test_C4_latest_tells_what_it_replaced() -> None:
    lane = make_lane(latest(key=lambda item: item[0]))
    assert lane.put(("a", 1)) is None
    assert lane.put(("b", 1)) is None
    assert lane.put(("a", 2)) == (("a", 1),)
    assert drained(lane) == [("a", 2), ("b", 1)]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers()), max_size=60))
def test_C4_latest_against_a_model(moves: list[tuple[bool, int, int]]) -> None:
    """At most one unread per key, the newest, and no key overtaken by a later first arrival."""
    lane = make_lane(latest(key=lambda item: item[0]))
    model: list[tuple[int, int]] = []
    for put, key, value in moves:
        if put:
            lane.put((key, value))
            places = [index for index, item in enumerate(model) if item[0] == key]
            assert len(places) <= 1
            if places:
                model[places[0]] = (key, value)
            else:
                model.append((key, value))
        elif model:
            assert lane.pop() == model.pop(0)
        else:
            with pytest.raises(trio.WouldBlock):
                lane.pop()
        assert len(lane) == len(model)
    assert drained(lane) == model


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.integers()), max_size=60))
def test_C5_lanes_against_a_model(moves: list[tuple[bool, int, int]]) -> None:
    """No inversion between lanes, first in first out within one."""
    lane = make_lane(lanes(unbounded(), unbounded(), unbounded(), lane=lambda item: item[0]))
    model: list[list[tuple[int, int]]] = [[], [], []]
    for put, which, value in moves:
        if put:
            lane.put((which, value))
            model[which].append((which, value))
        else:
            expected = next((each.pop(0) for each in model if each), None)
            if expected is None:
                with pytest.raises(trio.WouldBlock):
                    lane.pop()
            else:
                assert lane.pop() == expected
        assert len(lane) == sum(map(len, model))


def test_C5_each_lane_keeps_its_own_bound() -> None:
    lane = make_lane(lanes(bounded(1), bounded(2, "drop_oldest"), lane=lambda item: item[0]))
    lane.put((1, "a"))
    lane.put((1, "b"))
    lane.put((0, "urgent"))
    with pytest.raises(trio.WouldBlock):
        lane.put((0, "x"))
    assert lane.overflow((0, "x")) == "reject"
    assert lane.overflow((1, "x")) == "drop_oldest"
    assert lane.drop_oldest((1, "x")) == (1, "a")


def test_content_is_what_the_user_sent() -> None:
    assert content("x") == "x"
    assert content(Stamped("x", 1.0)) == "x"


def test_stamped_items_have_the_keys_of_their_messages() -> None:
    lane = make_lane(latest(key=lambda item: item))
    assert lane.put(Stamped("a", 1.0)) is None
    assert lane.put(Stamped("a", 2.0)) is not None
    assert len(lane) == 1


def test_a_latest_lane_never_overflows() -> None:
    lane = make_lane(latest(key=type))
    for call in (lane.overflow, lane.drop_oldest):
        with pytest.raises(AssertionError):
            call("x")
