"""The heap of deadlines: order, cancelling, sweeping, moving the sleeper's deadline."""

from __future__ import annotations

import math

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from potrio.supervision.timers import COMPACT_MIN, Timers


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_due_timers_fire_in_order_of_their_due_time_and_then_of_arming() -> None:
    clock = Clock()
    timers = Timers(clock)
    fired: list[str] = []
    for due, name in ((2, "c"), (1, "a"), (1, "b"), (9, "later")):
        timers.at(due, lambda name=name: fired.append(name))
    clock.now = 5
    assert timers.fire_due() == 9
    assert fired == ["a", "b", "c"]
    assert len(timers) == 1


def test_a_cancelled_timer_does_not_fire() -> None:
    clock = Clock()
    timers = Timers(clock)
    fired: list[str] = []
    timer = timers.at(1, lambda: fired.append("x"))
    assert timer.active
    timer.cancel()
    timer.cancel()
    assert not timer.active
    clock.now = 5
    assert timers.fire_due() == math.inf
    assert fired == []
    assert len(timers) == 0


def test_cancelling_after_firing_does_nothing() -> None:
    timers = Timers(Clock())
    timer = timers.at(0, lambda: None)
    timers.fire_due()
    timer.cancel()
    assert len(timers) == 0


def test_a_timer_may_arm_another_that_is_due_too() -> None:
    timers = Timers(Clock())
    fired: list[str] = []
    timers.at(0, lambda: timers.at(0, lambda: fired.append("second")) and None)
    timers.fire_due()
    assert fired == ["second"]


def test_cancelled_timers_are_swept() -> None:
    timers = Timers(Clock())
    kept = timers.at(1e9, lambda: None)
    for _ in range(100 * COMPACT_MIN):
        timers.at(1e6, lambda: None).cancel()
    assert len(timers) == 1
    assert len(timers._heap) <= 2 * COMPACT_MIN
    assert kept.active


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=150), st.floats(0, 100))
def test_against_a_model(armed: list[tuple[float, bool]], until: float) -> None:
    clock = Clock()
    timers = Timers(clock)
    fired: list[int] = []
    for number, (due, cancelled) in enumerate(armed):
        timer = timers.at(due, lambda number=number: fired.append(number))
        if cancelled:
            timer.cancel()
    clock.now = until
    following = timers.fire_due()
    alive = sorted((due, number) for number, (due, cancelled) in enumerate(armed) if not cancelled)
    assert fired == [number for due, number in alive if due <= until]
    assert following == min((due for due, _ in alive if due > until), default=math.inf)


@pytest.mark.shuffled
async def test_the_task_fires_at_the_moment_also_one_that_is_armed_later_for_earlier() -> None:
    timers = Timers(trio.current_time)
    fired: list[tuple[str, float]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        await trio.sleep(0.5)
        for due, name in ((10.0, "far"), (3.0, "near"), (5.0, "between")):
            timers.at(due, lambda name=name: fired.append((name, trio.current_time())))
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    assert fired == [("near", 3), ("between", 5), ("far", 10)]
