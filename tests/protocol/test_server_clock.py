"""The venue's clock: found through delay, outliers, stale prices and jumps of our clock, within its stated error."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potrio.protocol.server_clock import ServerClock

START = 1_770_856_131.0
FEW = settings(max_examples=100, deadline=None)


def feed(
    clock: ServerClock, *, true_offset: float, delays: list[float], start: float = START, every: float = 0.5
) -> float:
    """Ticks that leave regularly and arrive late; gives the time of the last arrival."""
    arrived = start
    for number, delay in enumerate(delays):
        sent = start + number * every
        arrived = max(arrived, sent + delay)  # one connection: nothing overtakes
        clock.observe(sent + true_offset, arrived)
    return arrived


def test_before_anything_is_known() -> None:
    clock = ServerClock()

    assert (clock.zone_s, clock.offset_s, clock.error_s, clock.is_measured) == (7200, 0.0, math.inf, False)
    assert clock.to_utc(START + 7200) == START
    assert clock.to_stamp(START) == START + 7200


@FEW
@given(
    hours=st.integers(-12, 14),
    skew=st.floats(-9.0, 9.0),
    delays=st.lists(st.floats(0.0, 0.9), min_size=1, max_size=40),
)
def test_zone_and_offset_are_found_within_the_error(hours: int, skew: float, delays: list[float]) -> None:
    clock = ServerClock()
    if hours != 2:
        skew = max(-8.0, min(8.0, skew))

    wall = feed(clock, true_offset=hours * 3600 + skew, delays=delays)

    assert clock.zone_s == hours * 3600
    assert abs(clock.offset_s - skew) <= clock.error_s
    assert clock.to_utc(clock.to_stamp(wall)) == pytest.approx(wall, abs=1e-6)
    assert abs(clock.stamp_at(wall) - (wall + hours * 3600 + skew)) <= clock.error_s
    assert clock.to_wall(clock.stamp_at(wall)) == pytest.approx(wall, abs=1e-6)


def test_the_first_tick_already_tells_the_zone() -> None:
    clock = ServerClock()

    clock.observe(START - 0.02, START)

    assert clock.zone_s == 0
    assert clock.offset_s == pytest.approx(-0.02)


def test_the_least_delayed_sample_counts() -> None:
    clock = ServerClock()
    feed(clock, true_offset=7200.25, delays=[0.4, 0.3, 0.02, 0.5, 0.9, 0.6])

    assert clock.offset_s == pytest.approx(0.23, abs=1e-6)


def test_to_utc_keeps_the_clock_error_of_the_venue() -> None:
    clock = ServerClock()
    feed(clock, true_offset=7230.0, delays=[0.0] * 5)

    assert clock.to_utc(START + 7230) == START + 30
    assert clock.to_wall(START + 7230) == pytest.approx(START)


def test_a_measured_round_trip_tightens_the_error() -> None:
    clock = ServerClock()
    feed(clock, true_offset=7200, delays=[0.01] * 4)
    loose = clock.error_s

    clock.bound_delay(0.05)
    tight = clock.error_s
    clock.bound_delay(5.0)
    clock.bound_delay(-1.0)

    assert tight == clock.error_s < 0.06 < loose < 1.1
    assert abs(clock.offset_s) <= tight


def test_the_error_grows_while_nothing_better_comes() -> None:
    clock = ServerClock()
    clock.observe(START + 7200, START)
    fresh = clock.error_s
    clock.observe(START + 60 + 7200 - 0.5, START + 60)

    assert clock.error_s == pytest.approx(fresh + 60 * 100e-6)


# --- what must not steer it ------------------------------------------------------------------------------------------


@FEW
@given(
    wild=st.lists(
        st.tuples(st.integers(0, 38), st.floats(-1e10, 1e10, allow_nan=False)), min_size=1, max_size=3
    )
)
def test_single_wild_stamps_do_not_move_it(wild: list[tuple[int, float]]) -> None:
    clock = ServerClock()
    feed(clock, true_offset=7200, delays=[0.01] * 5, start=START - 10)
    at = dict(wild)

    for number in range(40):
        sent = START + number * 0.5
        clock.observe(sent + 7200, sent + 0.01)
        if number in at and not -3 <= at[number] <= 1:
            clock.observe(sent + 7200 + at[number], sent + 0.01)
            assert clock.zone_s == 7200
            assert abs(clock.offset_s) <= 0.011

    assert clock.jumps == 0
    assert clock.rejected == len([number for number, error in at.items() if not -3 <= error <= 1])


@pytest.mark.parametrize("stamp", [math.nan, math.inf, -math.inf, 0.0, 253402300800.0])
def test_stamps_that_are_no_times(stamp: float) -> None:
    clock = ServerClock()
    for second in range(30):
        clock.observe(stamp, START + second)

    assert not clock.is_measured
    assert clock.rejected == clock.observed == 30


@pytest.mark.parametrize("age", [60 * 20, 3600 * 3 + 600, 3600 * 62.4, 3600 * 5 + 30])
def test_a_stale_price_that_comes_first_does_not_set_the_zone(age: float) -> None:
    clock = ServerClock()
    for second in range(60):  # a closed asset: the same old stamp again and again
        clock.observe(START - age + 7200, START + second)

    assert clock.zone_s == 7200
    assert not clock.is_measured

    feed(clock, true_offset=7200.1, delays=[0.05] * 10, start=START + 60)
    assert clock.zone_s == 7200
    assert clock.offset_s == pytest.approx(0.05, abs=1e-6)


def test_a_stale_price_that_looks_live_is_corrected_by_live_ones() -> None:
    clock = ServerClock()
    clock.observe(START - 3600 * 5 - 4 + 7200, START)
    assert clock.zone_s == -3 * 3600

    feed(clock, true_offset=7200, delays=[0.01] * 10, start=START + 1)
    assert (clock.zone_s, clock.jumps) == (7200, 1)


def test_congestion_does_not_look_like_a_jump() -> None:
    rng = random.Random(5)
    clock = ServerClock()
    feed(clock, true_offset=7200, delays=[0.02] * 20)

    feed(clock, true_offset=7200, delays=[2.5 + 3 * rng.random() for _ in range(18)], start=START + 10)

    assert clock.offset_s == pytest.approx(-0.02, abs=1e-6)
    assert clock.jumps == 0


# --- jumps of our own clock ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [-30.0, -600.0, 7.0, 30.0, 600.0])
def test_a_jump_of_our_clock_is_noticed(jump: float) -> None:
    clock = ServerClock()
    feed(clock, true_offset=7200, delays=[0.02] * 20)

    feed(clock, true_offset=7200 - jump, delays=[0.02] * 30, start=START + 10 + jump)

    assert clock.zone_s == 7200
    assert clock.offset_s == pytest.approx(-jump - 0.02, abs=1e-6)
    assert clock.jumps == 1


def test_a_large_step_back_is_followed_when_several_agree() -> None:
    clock = ServerClock()
    feed(clock, true_offset=7200, delays=[0.02] * 20)
    clock.observe(START + 10 + 7200, START + 10 - 200)
    assert clock.offset_s == pytest.approx(-0.02), "one may be of a connection that lags behind"
    feed(clock, true_offset=7400, delays=[0.0] * 6, start=START + 10 - 199)

    assert clock.offset_s == pytest.approx(200)
    assert clock.jumps == 1
    assert clock.error_s < 1.1


def test_of_several_connections_one_may_lag_behind() -> None:
    clock = ServerClock()
    feed(clock, true_offset=7200, delays=[0.02] * 20)
    error = clock.error_s
    clock.observe(START + 2 + 7200, START + 2.02)

    assert (clock.jumps, clock.zone_s) == (0, 7200)
    assert clock.offset_s == pytest.approx(-0.02, abs=1e-6)
    assert clock.error_s == error


def test_a_small_step_back_is_followed_at_once() -> None:
    clock = ServerClock()
    feed(clock, true_offset=7200, delays=[0.02] * 20)
    clock.observe(START + 10 + 7200, START + 10 - 0.5)

    assert clock.offset_s == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("drift", [50e-6, -50e-6])
def test_slow_drift_is_followed(drift: float) -> None:
    clock = ServerClock()
    for second in range(3600):
        wall = START + second
        clock.observe(wall + 7200 + second * drift, wall + 0.02)

    assert abs(clock.offset_s - 3599 * drift) <= clock.error_s
    assert clock.offset_s == pytest.approx(3599 * drift - 0.02, abs=0.01)
    assert clock.jumps == 0


def test_what_is_remembered_is_bounded() -> None:
    clock = ServerClock(window_s=30.0)
    for number in range(5000):
        wall = START + number * 0.1
        clock.observe(wall + 7200 - 0.0001 * (number % 300), wall)

    assert len(clock._best) <= 32


def test_the_window_forgets() -> None:
    clock = ServerClock(window_s=30.0)
    clock.observe(START + 7200 + 0.9, START)
    for second in range(1, 40):
        clock.observe(START + second + 7200, START + second)

    assert clock.offset_s == pytest.approx(0.0, abs=1e-6)


def test_another_prior() -> None:
    assert ServerClock(prior_zone_s=0).to_utc(START) == START
