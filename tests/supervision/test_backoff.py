"""Backoff: delays, jitter, and when the count starts again; pure and in a tree."""

from __future__ import annotations

import math
import random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from potrio.supervision import (
    Backoff,
    ChildStarted,
    Context,
    Limit,
    RestartScheduled,
    child,
    open_supervisor,
    supervisor,
)

finite = st.floats(0, 1000)


def test_A9_delays_double_up_to_the_cap() -> None:
    backoff = Backoff(base=1, cap=10, jitter="none")

    assert [backoff.delay(attempt, random.Random(1)) for attempt in range(1, 7)] == [1, 2, 4, 8, 10, 10]


@given(finite, finite, st.integers(1, 10_000), st.integers())
def test_A9_full_jitter_stays_in_its_range(base: float, cap: float, attempt: int, seed: int) -> None:
    backoff = Backoff(base=base, cap=cap)
    delay = backoff.delay(attempt, random.Random(seed))

    assert 0 <= delay <= min(cap, base * 2.0 ** min(attempt - 1, 64))
    assert delay == backoff.delay(attempt, random.Random(seed)), "one seed, one delay"


@given(st.floats(0.001, 1000), st.integers(1, 100), st.integers())
def test_A9_equal_jitter_stays_in_the_upper_half(base: float, attempt: int, seed: int) -> None:
    backoff = Backoff(base=base, cap=500, jitter="equal")
    ceiling = backoff.ceiling(attempt)

    assert ceiling / 2 <= backoff.delay(attempt, random.Random(seed)) <= ceiling


def test_A9_full_jitter_uses_the_whole_range() -> None:
    delays = [Backoff(base=1, cap=1).delay(1, random.Random(seed)) for seed in range(200)]

    assert min(delays) < 0.05
    assert max(delays) > 0.95


def test_A9_none_never_waits() -> None:
    assert Backoff.none().delay(50, random.Random(1)) == 0.0


@pytest.mark.parametrize(
    "values", [{"base": -1}, {"cap": -1}, {"cap": math.inf}, {"reset_after": -1}, {"base": math.nan}]
)
def test_A9_bad_values_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="backoff"):
        Backoff(**values)


def test_A9_unknown_jitter_is_refused() -> None:
    with pytest.raises(ValueError, match="jitter"):
        Backoff(jitter="some")  # type: ignore[arg-type]  # what the test is about


def test_A9_the_count_starts_again_only_after_sustained_ready_time() -> None:
    backoff = Backoff(reset_after=60)

    assert backoff.next_attempt(0, 0.0) == 1
    assert backoff.next_attempt(5, 0.0) == 6, "never ready"
    assert backoff.next_attempt(5, 59.9) == 6, "not for long enough"
    assert backoff.next_attempt(5, 60.0) == 1


def delays_of(log: list[object]) -> list[float]:
    return [event.delay for event in log if isinstance(event, RestartScheduled)]


async def test_A9_sequence_in_a_tree_and_reset_after_health(autojump_clock) -> None:
    log: list[object] = []

    async def flaky(ctx: Context[str]) -> None:
        ctx.ready()
        await trio.sleep(100 if ctx.incarnation == 6 else 0.5)
        raise ValueError("again")

    backoff = Backoff(base=1, cap=60, jitter="none", reset_after=60)
    tree = supervisor(child(flaky, id="a"), id="root", limit=Limit.never(), backoff=backoff)

    async with open_supervisor(tree, observers=[log.append]):
        await trio.sleep(150)

    assert delays_of(log)[:7] == [1, 2, 4, 8, 16, 1, 2]
    starts = [event.at for event in log if isinstance(event, ChildStarted)]
    assert starts[:6] == [0, 1.5, 4, 8.5, 17, 33.5]


async def test_A9_ready_then_crash_never_resets(autojump_clock) -> None:
    log: list[object] = []

    async def crash_when_ready(ctx: Context[str]) -> None:
        ctx.ready()
        raise ValueError("again")

    backoff = Backoff(base=1, cap=64, jitter="none", reset_after=60)
    tree = supervisor(child(crash_when_ready, id="a"), id="root", limit=Limit.never(), backoff=backoff)

    async with open_supervisor(tree, observers=[log.append]):
        await trio.sleep(1000)

    assert delays_of(log)[:9] == [1, 2, 4, 8, 16, 32, 64, 64, 64], "a start that succeeds is not health"


async def test_A9_a_child_may_have_its_own_backoff(autojump_clock) -> None:
    log: list[object] = []

    async def crash_once(ctx: Context[str]) -> None:
        ctx.ready()
        if ctx.incarnation == 1:
            raise ValueError("once")
        await trio.sleep_forever()

    own = Backoff(base=7, jitter="none")
    tree = supervisor(
        child(crash_once, id="a", backoff=own), id="root", backoff=Backoff(base=1, jitter="none")
    )

    async with open_supervisor(tree, observers=[log.append]):
        await trio.sleep(10)

    assert delays_of(log) == [7]
