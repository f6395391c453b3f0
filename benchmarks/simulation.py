"""B9: the simulation: how many times faster than real time one core lives through client, venue and faults.

At message level, with the shape that the budget names: 4 ticks a second, about 160 orders and 60 faults an hour. The
figure is virtual seconds, the minutes of healing included, for each second of processor time; bytes for comparison.
"""

from __future__ import annotations

import time
from statistics import median
from typing import NamedTuple

from benchmarks.budget import Verdict
from loadsim.simulation.plan import Level, standard_plan
from loadsim.simulation.world import run_world

__all__ = ["measured", "verdicts"]

SPEED_MIN = 1800.0
HOURS = 1.0


class Run(NamedTuple):
    """What one run was."""

    speed: float
    ticks: int
    orders: int
    faults: int
    hash: str


def measured(seed: int, hours: float, level: Level) -> Run:
    """Run one seed and take the time.

    Raises:
        AssertionError: an invariant was broken: a figure of something wrong is none.
    """
    began = time.process_time()
    outcome = run_world(standard_plan(seed, hours, level))
    seconds = time.process_time() - began
    assert not outcome.violations, outcome.violations
    counted = outcome.counted
    return Run(
        outcome.virtual_s / seconds, counted["ticks"], counted["orders"], counted["faults"], outcome.hash
    )


def verdicts(rounds: int, scale: float) -> list[Verdict]:
    """Measure B9, one seed a round."""
    hours = HOURS * scale
    measured(1, min(hours, 0.05), "message")  # caches, as any sweep has them warm
    runs = [measured(seed, hours, "message") for seed in range(1, rounds + 1)]
    on_bytes = [measured(seed, hours, "bytes") for seed in range(1, rounds + 1)]
    speed = median(run.speed for run in runs)
    return [
        Verdict(
            "B9",
            "simulation, message level",
            "x real time",
            speed,
            {"bytes": median(run.speed for run in on_bytes)},
            speed / SPEED_MIN,
            f">= {SPEED_MIN:g} x real time per core",
            speed >= SPEED_MIN,
            {"hours": hours, "runs": [run._asdict() for run in runs]},
        )
    ]
