"""Faults are applied, each kind of them, and they end."""

from __future__ import annotations

import msgspec

from loadsim.simulation.cells import KINDS
from loadsim.simulation.plan import SimFault, draw_sim_plan
from loadsim.simulation.world import run_world


def test_every_kind_is_applied_and_survived():
    faults = tuple(
        SimFault(number=n, at=5.0 + 6 * n, kind=kind, for_s=2.0, share=0.4, on_order=False)
        for n, kind in enumerate(KINDS)
    )
    plan = msgspec.structs.replace(
        draw_sim_plan(2, 0.06), faults=faults, journal=True, orders_per_hour=600.0, latency="near"
    )
    outcome = run_world(plan)
    assert set(outcome.applied) == set(KINDS)
    assert outcome.violations == []
    assert outcome.counted["connections"] > 5
