"""The users of a simulated client do what the plan says, and what they saw is in the history."""

from __future__ import annotations

import msgspec
import pytest

from loadsim.simulation.plan import SimFault, draw_sim_plan
from loadsim.simulation.workload import CHECKPOINTS
from loadsim.simulation.world import run_world


def test_orders_questions_and_streams(outcome_of):
    outcome = outcome_of(3)
    assert outcome.counted["orders"] == len(outcome.orders) > 3
    assert outcome.counted["answers"] > 0
    assert all("is new: taken on" in " ".join(story) for story in outcome.orders.values())


@pytest.mark.parametrize("checkpoint", range(1, CHECKPOINTS + 1))
@pytest.mark.parametrize("is_order", [True, False])
def test_calls_that_are_cancelled_at_each_of_their_checkpoints(is_order, checkpoint):
    share = (checkpoint - 1 + (0 if is_order else CHECKPOINTS) + 0.5) / (2 * CHECKPOINTS)
    faults = tuple(
        SimFault(number=n, at=5.0 + 3 * n, kind="cancel_call", for_s=1.0, share=share, on_order=False)
        for n in range(6)
    )
    plan = msgspec.structs.replace(draw_sim_plan(2, 0.01), faults=faults, orders_per_hour=600.0)
    outcome = run_world(plan)
    assert outcome.violations == []
    told = [line for line in outcome.events if f"was cancelled at its checkpoint {checkpoint}" in line]
    assert told or checkpoint > (1 if is_order else 2)
