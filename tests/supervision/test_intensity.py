"""Restart intensity: the sliding window, pure and in a tree."""

from __future__ import annotations

import math

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from potrio.supervision import (
    Backoff,
    ChildStarted,
    Context,
    Limit,
    SupervisorFailed,
    child,
    open_supervisor,
    supervisor,
)
from potrio.supervision.intensity import Intensity


def test_A8_one_more_than_allowed_within_the_window() -> None:
    window = Intensity(Limit(3, within=10))

    assert [window.add(now) for now in (0, 1, 2)] == [True] * 3
    assert not window.add(9.999)


def test_A8_boundary_is_exactly_at_within() -> None:
    window = Intensity(Limit(1, within=5))
    assert window.add(0.0)
    assert window.add(5.0), "a restart exactly `within` ago is outside"

    window = Intensity(Limit(1, within=5))
    assert window.add(0.0)
    assert not window.add(4.999)


def test_A8_never_has_no_limit() -> None:
    window = Intensity(Limit.never())

    assert all(window.add(0.0) for _ in range(10_000))


def test_A8_zero_allows_none() -> None:
    assert not Intensity(Limit(0, within=1)).add(0.0)


@pytest.mark.parametrize(
    ("restarts", "within"), [(-1, 1), (math.nan, 1), (1, 0), (1, -1), (1, math.inf), (1, math.nan)]
)
def test_A8_a_bad_limit_is_refused(restarts: float, within: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        Limit(restarts, within)


@given(st.integers(0, 5), st.floats(0.1, 10), st.lists(st.floats(0, 3), max_size=40))
def test_A8_agrees_with_counting(restarts: int, within: float, gaps: list[float]) -> None:
    window = Intensity(Limit(restarts, within))
    moments: list[float] = []
    now = 0.0
    for gap in gaps:
        now += gap
        moments.append(now)
        recent = [at for at in moments if at > now - within]
        assert window.add(now) == (len(recent) <= restarts)


async def crash_every_second(ctx: Context[str]) -> None:
    ctx.ready()
    await trio.sleep(1)
    raise ValueError("again")


async def test_A8_n_restarts_every_window_go_on_for_ever(autojump_clock) -> None:
    log = []
    tree = supervisor(
        child(crash_every_second, id="a"), id="root", limit=Limit(5, within=5), backoff=Backoff.none()
    )

    async with open_supervisor(tree, observers=[log.append]):
        await trio.sleep(100.5)

    assert len([event for event in log if isinstance(event, ChildStarted)]) == 101


async def test_A8_one_more_ends_the_supervisor(autojump_clock) -> None:
    log = []
    tree = supervisor(
        child(crash_every_second, id="a"), id="root", limit=Limit(4, within=5), backoff=Backoff.none()
    )

    with pytest.raises(SupervisorFailed, match="too many restarts"):
        async with open_supervisor(tree, observers=[log.append]):
            await trio.sleep_forever()

    assert len([event for event in log if isinstance(event, ChildStarted)]) == 5
    assert trio.current_time() == 5.0


async def test_A8_a_group_restart_counts_once(autojump_clock) -> None:
    async def quiet(ctx: Context[str]) -> None:
        async for _ in ctx.inbox:
            pass

    others = [child(quiet, id=f"q{number}") for number in range(5)]
    tree = supervisor(
        child(crash_every_second, id="a"),
        *others,
        id="root",
        strategy="one_for_all",
        limit=Limit(1, within=1),
        backoff=Backoff.none(),
    )

    async with open_supervisor(tree) as sup:
        await trio.sleep(10.5)
        assert {node.incarnation for node in sup.tree().children} == {11}
