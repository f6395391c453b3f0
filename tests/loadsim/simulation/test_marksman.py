"""An aimed fault meets the order and the link that it is aimed at, and what brought them there is undone."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from loadsim.simulation.cells import POSSIBLE
from loadsim.simulation.clock import SimClock
from loadsim.simulation.history import History
from loadsim.simulation.marksman import Marksman
from loadsim.simulation.network import SimNetwork
from loadsim.simulation.plan import SimFault, draw_sim_plan
from loadsim.simulation.world import run_world


def aimed(*aims: tuple[str, str], hours: float = 0.03):
    """A run whose only faults are aimed, each at its cell, and change nothing but the clock on the wall."""
    faults = tuple(
        SimFault(number=n, at=10.0 + 90 * n, kind="wall_jump", for_s=1.0, share=0.5, on_order=False, aim=aim)
        for n, aim in enumerate(aims)
    )
    plan = draw_sim_plan(2, hours)
    return msgspec.structs.replace(
        plan, faults=faults, orders_per_hour=160.0, latency="near", stale_after_s=15.0, read_pause_s=0.0
    )


@pytest.mark.parametrize("aim", POSSIBLE, ids="/".join)
def test_each_cell_that_can_be_is_reached_and_everything_heals(aim):
    outcome = run_world(aimed(aim))
    assert ("wall_jump", *aim) in outcome.cells
    assert outcome.violations == []


def test_the_end_of_faults_ends_the_aiming():
    outcome = run_world(
        aimed(("settling", "degraded"), hours=30 / 3600)
    )  # in the silence before it is called one
    assert outcome.applied == {}
    assert outcome.violations == []


@pytest.mark.parametrize("phase", ["reconnecting", "connecting", "authenticating"])
def test_what_is_held_up_is_calm_again_though_a_fault_held_it_up_before_and_has_ended_since(phase):
    clock = SimClock()
    network = SimNetwork(1, clock, History(clock), level="message", latency="near")
    network.unreachable, network.accept_s, network.weather.extra_s = True, 3.0, 3.0  # the fault
    client, work = SimpleNamespace(phase=SimpleNamespace(value="ready")), SimpleNamespace(quiet_until=0.0)
    marksman = Marksman(network, None, client, work)
    marksman._bring_link_to(phase)
    network.unreachable, network.accept_s, network.weather.extra_s = False, 0.0, 0.0  # is over
    marksman.give_up()
    assert (network.unreachable, network.accept_s, network.weather.extra_s) == (False, 0.0, 0.0)
