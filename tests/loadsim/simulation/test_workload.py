"""The users of a simulated client do what the plan says, and what they saw is in the history."""

from __future__ import annotations

import msgspec
import pytest
import trio

from loadsim.simulation.plan import SimFault, draw_sim_plan
from loadsim.simulation.workload import CALLS, CHECKPOINTS_MAX, Workload
from loadsim.simulation.world import run_world

CHECKPOINTS = {"order": 1, "candles": 2, "balance": 1, "history": 3, "ticks": 3}
"""What each of them passes on a link that is there; nobody has more than that to be cancelled at."""


def test_orders_questions_and_streams(outcome_of):
    outcome = outcome_of(3)
    assert outcome.counted["orders"] == len(outcome.orders) > 3
    assert outcome.counted["answers"] > 0
    assert all("is new: taken on" in " ".join(story) for story in outcome.orders.values())


@pytest.mark.parametrize("call", range(1, len(CALLS)), ids=CALLS[1:])
def test_calls_that_are_cancelled_at_each_of_their_checkpoints(call):
    faults = tuple(
        SimFault(
            number=n,
            at=5.0 + 4 * n,
            kind="cancel_call",
            for_s=1.0,
            share=(call + 0.999 - 0.999 * n / 11) / len(CALLS),  # from the last of them down to the first
            on_order=False,
        )
        for n in range(12)
    )
    plan = msgspec.structs.replace(
        draw_sim_plan(2, 0.015), faults=faults, orders_per_hour=600.0, latency="near", journal=True
    )
    outcome = run_world(plan)
    assert outcome.violations == []
    told = [line for line in outcome.events if "was cancelled at its checkpoint" in line]
    numbers = {int(line.rsplit(" ", 1)[1]) for line in told}
    assert numbers == set(range(1, CHECKPOINTS[CALLS[call]] + 1)), told


def test_a_call_that_is_not_cancelled_shows_how_many_checkpoints_it_has():
    async def main():
        work = Workload(draw_sim_plan(2, 0.01), None, None, None)
        with work._cancelled_at("two", 0):
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
        assert work.passed == {"two": 2}
        for number in (1, 2):
            with work._cancelled_at("two", number) as scope:
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()
            assert scope.cancelled_caught
        with work._cancelled_at("two", 3) as scope:
            for _ in range(2 * CHECKPOINTS_MAX):
                await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert work.passed == {"two": 2}
        with work._cancelled_at("many", 0):
            for _ in range(2 * CHECKPOINTS_MAX):
                await trio.lowlevel.checkpoint()
        assert work.passed["many"] == CHECKPOINTS_MAX

    trio.run(main)
