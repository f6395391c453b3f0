"""The bucket against its law: never more than ``burst + rate * t`` in any window, and a wait that is long enough."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.token_bucket import TokenBucket
from potrio.errors import ConfigError

RATES = st.floats(0.01, 1000.0)
BURSTS = st.floats(1.0, 100.0)
STEPS = st.lists(st.tuples(st.floats(0.0, 10.0), st.integers(1, 5)), min_size=1, max_size=60)


@given(rate=RATES, burst=BURSTS, steps=STEPS)
def test_no_window_has_more_than_burst_and_rate_allow(rate, burst, steps):
    bucket, now = TokenBucket(rate, burst), 0.0
    taken: list[tuple[float, int]] = []
    for pause, count in steps:
        now += pause
        if bucket.take(now, count) == 0.0:
            taken.append((now, count))
    for first, (start, _) in enumerate(taken):
        total = 0
        for at, count in taken[first:]:
            total += count
            assert total <= burst + rate * (at - start) + 1e-6


@given(rate=RATES, burst=BURSTS, steps=STEPS)
def test_a_wait_is_long_enough_and_no_longer(rate, burst, steps):
    bucket, now = TokenBucket(rate, burst), 0.0
    for pause, count in steps:
        now += pause
        count = min(count, math.floor(burst))
        wait = bucket.take(now, count)
        if wait > 0.0:
            early = bucket.wait(now + wait * 0.5, count)
            assert early > 0.0 or wait * rate < 1e-6, "half the wait is not enough"
            now += wait
            assert bucket.take(now, count) <= 1e-9 / rate + 1e-9, "the whole of it is"


@given(rate=RATES, burst=BURSTS, steps=STEPS)
def test_it_never_refuses_what_has_come(rate, burst, steps):
    """The other side of the law: a client that always waits as told is not slower than the rate."""
    bucket, now, sent = TokenBucket(rate, burst), 0.0, 0
    for _, count in steps:
        for _ in range(count):
            now += bucket.wait(now)
            while bucket.take(now) > 0.0:
                now += 1e-9 + 1e-9 / rate
            sent += 1
    assert now <= max(0.0, sent - math.floor(burst)) / rate + 1e-3 + sent * (1e-8 + 1e-8 / rate)


def test_a_clock_that_jumps_back_gives_nothing_for_free():
    bucket = TokenBucket(1.0, 2)
    assert bucket.take(100.0, 2) == 0.0
    assert bucket.take(50.0) == pytest.approx(1.0)
    assert bucket.take(50.5) == pytest.approx(0.5)
    assert bucket.take(51.0) == 0.0


def test_more_than_it_holds_is_a_time_and_never_a_grant():
    bucket = TokenBucket(2.0, 4)
    assert bucket.wait(0.0, 10) == pytest.approx(3.0)
    assert bucket.take(1000.0, 10) == pytest.approx(3.0)


def test_a_wait_of_nothing_takes_nothing():
    bucket = TokenBucket(1.0, 1)
    assert bucket.wait(0.0) == 0.0
    assert bucket.is_full(0.0)
    assert bucket.take(0.0) == 0.0
    assert not bucket.is_full(0.5)
    assert bucket.is_full(1.0)


def test_without_limits():
    bucket = TokenBucket(math.inf, math.inf)
    assert [bucket.take(0.0, 1000) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.is_full(0.0)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (math.nan, 1), (1, 0.5), (1, math.nan)])
def test_what_cannot_be(rate, burst):
    with pytest.raises(ConfigError):
        TokenBucket(rate, burst)
