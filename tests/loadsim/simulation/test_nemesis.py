"""Faults are applied, each kind of them, and they end."""

from __future__ import annotations

import msgspec
import pytest

from loadsim.simulation.cells import KINDS
from loadsim.simulation.nemesis import ACTORS, CRASHES_MAX
from loadsim.simulation.plan import SimFault, draw_sim_plan
from loadsim.simulation.planted import planted
from loadsim.simulation.world import run_world
from potrio.limits import MAILBOX_CAPACITY, READS_WAITING_MAX


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


def test_a_flood_fills_the_mailboxes_to_the_brim_and_the_queues_are_looked_at_then():
    faults = (SimFault(number=0, at=20.0, kind="flood", for_s=1.0, share=0.4, on_order=False),)
    plan = msgspec.structs.replace(draw_sim_plan(2, 0.02), faults=faults)
    outcome = run_world(plan)
    assert outcome.violations == []
    assert any(
        f"a flood, of which {MAILBOX_CAPACITY + READS_WAITING_MAX} found room" in e for e in outcome.events
    )
    with planted("mailboxes_without_bounds"):
        found = run_world(plan).violations
    assert {violation.invariant for violation in found} == {"R7 bounded queues"}


@pytest.mark.parametrize("actor", range(len(ACTORS)), ids=ACTORS)
def test_each_actor_crashes_and_everything_heals(actor):
    faults = tuple(
        SimFault(
            number=n,
            at=20.0 + 9 * n,
            kind="crash",
            for_s=1.0,
            share=(actor + 0.5) / len(ACTORS),
            on_order=False,
        )
        for n in range(CRASHES_MAX)
    )
    plan = msgspec.structs.replace(
        draw_sim_plan(2, 0.015), faults=faults, journal=True, orders_per_hour=600.0
    )
    outcome = run_world(plan)
    assert outcome.violations == []
    assert sum(f"crash of {ACTORS[actor]}" in event for event in outcome.events) == CRASHES_MAX
    assert outcome.counted["crashes"] == CRASHES_MAX


@pytest.mark.parametrize(
    ("kind", "share"),
    [
        ("sleep", 0.2),
        ("sleep", 0.45),
        ("sleep", 0.6),
        ("sleep", 0.99),
        ("doze", 0.1),
        ("doze", 0.9),
        ("venue_clock", 0.05),
        ("venue_clock", 0.4),
        ("venue_clock", 0.55),
        ("venue_clock", 0.95),
    ],
)
def test_clocks_that_part_are_survived_though_orders_are_placed_just_then(kind, share):
    faults = tuple(
        SimFault(number=n, at=20.0 + 40 * n, kind=kind, for_s=6.0, share=share, on_order=n % 2 == 0)
        for n in range(3)
    )
    plan = msgspec.structs.replace(
        draw_sim_plan(2, 0.04), faults=faults, journal=True, orders_per_hour=600.0, latency="near"
    )
    outcome = run_world(plan)
    assert outcome.violations == []
    assert outcome.applied == {kind: 3}
    assert outcome.counted["orders"] > 10
    sleeps = [event for event in outcome.events if "the machine sleeps" in event]
    assert not sleeps or kind in ("sleep", "doze")
