"""What a seed means does not depend on how long it is looked at."""

from __future__ import annotations

from loadsim.simulation.cells import CELLS, KINDS
from loadsim.simulation.plan import draw_sim_plan, standard_plan


def test_a_shorter_run_is_the_beginning_of_the_longer_one():
    for seed in range(1, 51):
        short, long = draw_sim_plan(seed, 0.1), draw_sim_plan(seed, 1)
        assert short.faults == long.faults[: len(short.faults)]
        assert short.latency == long.latency


def test_some_seeds_have_no_faults_some_one_kind_and_together_all():
    plans = [draw_sim_plan(seed, 1) for seed in range(200)]
    kinds = [{fault.kind for fault in plan.faults if fault.aim is None} for plan in plans]
    assert set() in kinds
    assert any(len(each) == 1 for each in kinds)
    assert set.union(*kinds) == set(KINDS)


def test_the_standard_plan_has_the_shape_of_the_budget():
    plan = standard_plan(1, 10)
    assert 500 < len(plan.faults) < 700
    assert (len(plan.assets), plan.orders_per_hour) == (2, 160)


def test_two_hundred_short_seeds_aim_at_every_cell():
    plans = [draw_sim_plan(seed, 0.2) for seed in range(1, 201)]
    aimed = {(fault.kind, *fault.aim) for plan in plans for fault in plan.faults if fault.aim is not None}
    assert aimed == set(CELLS)


def test_a_seed_that_aims_at_degraded_links_calls_streams_stale():
    for seed in range(100):
        plan = draw_sim_plan(seed, 0.2)
        if any(fault.aim is not None and fault.aim[1] == "degraded" for fault in plan.faults):
            assert plan.stale_after_s is not None


def test_every_tenth_seed_is_a_world_without_faults():
    assert [seed for seed in range(1, 50) if not draw_sim_plan(seed, 1).faults] == [10, 20, 30, 40]
