"""Jumps of the system's clock: which of them were sleep, and what that makes of times that were stamped before."""

from __future__ import annotations

import math

import pytest

from potrio.protocol.clock_jumps import AGREE_COUNT, AGREE_OVER_S, DECEIVED_S, OPEN_MAX, ClockJumps


def after(*jumps: tuple[float, float]) -> ClockJumps:
    """The system's clock has jumped so: when, by how much."""
    clock, beyond_s = ClockJumps(), 0.0
    for wall, by_s in jumps:
        beyond_s += by_s
        clock.seen(beyond_s, wall)
    return clock


def test_where_nothing_has_jumped_every_time_is_what_it_was() -> None:
    clock = ClockJumps()
    assert (clock.is_open, clock.may_have_slept(0.0), clock.candidates()) == (False, False, [])
    assert (clock.amended(5.0), clock.to_system(5.0), clock.last) == (5.0, 5.0, -math.inf)


def test_what_may_have_been_sleep_the_sum_first_then_the_latest() -> None:
    assert after((10, 600), (20, -30), (30, 7)).candidates() == [577, 7, 600, 577]
    assert after((10, -600)).candidates() == []


def test_what_was_stamped_between_waking_up_and_finding_out_is_put_right() -> None:
    clock = after((10, 600))
    assert clock.to_system(5.0) == 5.0, "not known yet: as it was"
    assert clock.to_system(15.0) == 615.0, "either way"
    clock.slept(600, 20)
    assert [clock.amended(wall) for wall in (9, 10, 15, 20, 21)] == [9, 610, 615, 620, 21]
    assert [clock.to_system(wall) for wall in (9, 15)] == [9, 615]
    assert (clock.beyond_s, clock.is_open) == (0.0, False)


def test_a_clock_that_was_set_shifts_what_the_next_process_reads_and_nothing_else() -> None:
    clock = after((10, 600))
    clock.settle()
    assert [clock.to_system(wall) for wall in (5, 15)] == [605, 615]
    assert clock.amended(15) == 15
    assert clock.may_have_slept(10 + DECEIVED_S)
    assert not clock.may_have_slept(11 + DECEIVED_S)


def test_of_several_jumps_only_those_that_were_sleep_count() -> None:
    clock = after((10, 613), (20, 3600), (30, 60))
    clock.slept(3600, 40)
    assert [clock.amended(wall) for wall in (15, 25, 35)] == [15, 3625, 3635]
    assert clock.is_open, "the others may have been sleep that was not shown yet"
    assert clock.to_system(15) == 15 + 613
    clock.slept(60, 3650)
    assert clock.amended(35) == 35 + 3600 + 60
    clock.settle()
    assert clock.to_system(5) == 5 + 613


def test_several_may_have_been_sleep() -> None:
    clock = after((10, 61), (20, -5), (30, 607))
    clock.slept(668, 40)
    assert [clock.amended(wall) for wall in (15, 25, 35)] == [76, 86, 703]


def test_sleep_and_set_in_one() -> None:
    clock = after((10, -1200))
    clock.slept(600, 20)
    assert clock.amended(15) == 615
    assert (clock.beyond_s, clock.to_system(5)) == (-1800, 5.0)
    clock.settle()
    assert clock.to_system(5) == 5 - 1800


def test_sleep_that_is_shown_after_all_amends_what_came_after_the_last_jump() -> None:
    clock = after((10, 600))
    clock.settle()
    clock.slept(600, 50)
    assert [clock.amended(wall) for wall in (9, 30)] == [9, 630]
    assert clock.may_have_slept(650 + DECEIVED_S)


def test_enough_that_agrees_over_long_enough_and_after_the_last_jump() -> None:
    clock = after((10, 600))
    assert not any(clock.agreed(wall) for wall in (1, 2, 3, 9.9, 9.9 + AGREE_OVER_S - 10))
    assert not any(clock.agreed(10 + n / 100) for n in range(AGREE_COUNT * 10))
    clock.seen(700, 15)
    assert not clock.agreed(10 + AGREE_OVER_S), "another jump begins it anew"
    for n in range(AGREE_COUNT - 1):
        clock.agreed(25 + n)
    assert clock.agreed(10 + AGREE_OVER_S + AGREE_OVER_S)


@pytest.mark.parametrize("by_s", [600.0, -3.0])
def test_what_is_kept_is_bounded_and_the_sum_stays_true(by_s: float) -> None:
    clock = after(*((float(n), by_s) for n in range(40)))
    assert len(clock._open) == OPEN_MAX
    assert clock.to_system(100.0) == 100 + 40 * by_s
    for n in range(40):
        clock.slept(1.0, 100.0 + n)
    assert len(clock._sleeps) <= 16
