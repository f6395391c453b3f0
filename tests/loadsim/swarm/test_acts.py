"""Acts: one thing at a time, from fixed instants; nothing planned is begun twice or forgotten uncounted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.metrics.recorder import Recorder
from loadsim.plan.schedule import PlannedAction
from loadsim.swarm.acts import Acts


def opened(times: list[float], deadline_s: float = 5.0) -> list[PlannedAction]:
    return [PlannedAction(n, at, None, "ping", deadline_s, {}) for n, at in enumerate(times)]


def closed(think_s: float, times: int) -> list[PlannedAction]:
    return [PlannedAction(n, None, think_s, "ping", 5.0, {}) for n in range(times)]


def acts(*streams: list[PlannedAction], arrived_s: float = 0.0) -> tuple[Acts, Recorder]:
    recorder = Recorder("r", 0)
    return Acts([iter(each) for each in streams], arrived_s, recorder), recorder


def counts(recorder: Recorder) -> dict[str, int]:
    return recorder.take_delta(0.0).counters


def test_instants_count_from_the_arrival() -> None:
    some, _ = acts(opened([1.0, 2.0]), arrived_s=10.0)

    assert some.next_due() == 11.0
    assert some.take_due(10.9) == []
    (due,) = some.take_due(11.0)
    assert due.intended_s == 11.0


def test_one_at_a_time_and_what_waited_is_measured_from_its_instant() -> None:
    some, recorder = acts(opened([1.0, 2.0, 3.0]))
    (first,) = some.take_due(1.0)
    assert some.take_due(3.5) == []
    assert some.next_due() == math.inf
    some.ended(first.act, 3.5)
    (second,) = some.take_due(3.5)
    some.ended(second.act, 3.6)
    (third,) = some.take_due(3.6)

    assert (second.intended_s, third.intended_s) == (2.0, 3.0)
    assert counts(recorder) == {"planned": 3, "started": 3}


def test_what_could_not_begin_before_its_deadline_is_omitted() -> None:
    some, recorder = acts(opened([1.0, 2.0, 3.0, 8.0], deadline_s=2.0))
    (first,) = some.take_due(1.0)
    some.ended(first.act, 8.0)
    (last,) = some.take_due(8.0)

    assert last.intended_s == 8.0
    assert counts(recorder) == {"planned": 4, "started": 2, "omitted": 2}


def test_a_client_that_is_not_ready_begins_nothing_until_it_is() -> None:
    some, recorder = acts(opened([1.0, 2.0], deadline_s=3.0))

    assert some.take_due(2.0, ready=False) == []
    (first,) = some.take_due(3.0)
    assert first.intended_s == 1.0
    assert some.take_due(9.0, ready=False) == [], "and what is under way keeps the other waiting"
    some.ended(first.act, 9.0)
    assert some.take_due(9.0, ready=False) == []
    assert counts(recorder) == {"planned": 2, "started": 1, "omitted": 1}


def test_a_closed_act_thinks_after_the_end_of_the_former_one() -> None:
    some, recorder = acts(closed(2.0, 3))
    (first,) = some.take_due(2.0)
    some.ended(first.act, 2.5)

    assert some.next_due() == 4.5
    assert counts(recorder) == {"planned": 1, "started": 1}


def test_a_closed_act_counts_what_it_hid() -> None:
    some, recorder = acts(closed(0.2, 3))
    (first,) = some.take_due(0.2)
    some.ended(first.act, 2.25)

    assert counts(recorder)["omitted"] == 10


def test_acts_of_a_client_do_not_wait_for_each_other() -> None:
    some, _ = acts(opened([1.0, 2.0]), opened([1.5]))

    assert [due.act for due in some.take_due(2.0)] == [0, 1]


def test_what_the_end_of_the_run_finds_undone_is_omitted() -> None:
    some, recorder = acts(opened([1.0, 2.0, 30.0]), closed(1.0, 9))
    some.take_due(1.0)
    some.finish(10.0)

    assert counts(recorder) == {"planned": 3, "started": 2, "omitted": 1}
    assert some.next_due() == math.inf


@given(
    st.lists(st.floats(0, 20), max_size=12).map(sorted),
    st.floats(0.1, 5),
    st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=30),
)
def test_everything_planned_is_started_or_omitted(
    times: list[float], deadline_s: float, steps: list[tuple[float, bool]]
) -> None:
    some, recorder = acts(opened(times, deadline_s))
    now, begun, under_way = 0.0, [], []
    for wait, ready in steps:
        now += wait
        for due in some.take_due(now, ready=ready):
            begun.append(due.intended_s)
            under_way.append(due)
        if under_way:
            some.ended(under_way.pop().act, now)
    some.finish(now)
    found = counts(recorder)

    assert begun == sorted(begun)
    assert len(begun) == len(set(begun)) or len(set(times)) < len(times)
    assert found.get("planned", 0) == found.get("started", 0) + found.get("omitted", 0)
    assert found.get("planned", 0) == sum(each <= now for each in times)


@pytest.mark.parametrize("streams", [[], [[]]])
def test_a_client_without_acts_has_nothing_to_do(streams: list[list[PlannedAction]]) -> None:
    some, _ = acts(*streams)

    assert some.next_due() == math.inf
    assert some.take_due(99.0) == []
