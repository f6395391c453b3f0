"""What one seed means: weather, work and faults, drawn before anything runs, so that faults can be left out.

A swarm of configurations (FoundationDB, TigerBeetle): some seeds have no faults, some only one kind, and rates,
latencies and readers differ, so that rare mixes come up. What is drawn for a time does not depend on how long the run
is: a shorter run of the same seed is the beginning of the longer one.
"""

from __future__ import annotations

import random
from typing import Final, Literal

from msgspec import Struct, structs

from loadsim.simulation.cells import CELLS, KINDS, Aim

__all__ = ["LATENCIES", "STALE_AFTER_S", "Level", "SimFault", "SimPlan", "draw_sim_plan", "standard_plan"]

Level = Literal["message", "bytes"]

LATENCIES: Final = {
    "none": (0.0, 0.0),
    "grid": (0.01, 0.0),
    "near": (0.005, 0.01),
    "far": (0.12, 0.1),
    "rough": (0.02, 1.5),
}
"""Class -> seconds each message takes at least, and up to how much more. On the grid, arrivals share their instants, so
that the scheduler has something to choose."""

AIM_FIRST_S: Final = 20.0
AIM_EVERY_S: Final = 90.0
"""An aimed fault may take this long: the next one comes after it."""

AIMS_PER_SEED: Final = 8
FAULTLESS_EVERY: Final = 10
"""Of so many seeds one is a world in which nothing goes wrong."""

AIM_STRIDE: Final = 257
"""Neighbouring seeds aim at neighbouring places of a walk that visits every cell before it comes to one again; the
stride, prime to their number, mixes what one seed meets."""

STALE_AFTER_S: Final = 15.0

ASSETS: Final = ("EURUSD_otc", "GBPUSD_otc", "AUDUSD_otc")


class SimFault(Struct, frozen=True):
    """One fault.

    Attributes:
        number: its place in the list that the seed draws.
        at: virtual seconds after the client is ready.
        kind: of `KINDS`.
        for_s: how long it lasts, where it lasts.
        share: from 0 to 1: what else is to be chosen.
        on_order: it waits for the next order that is placed, and comes right behind it.
        aim: it waits until an order is in that state and the link in that phase, and sees to it that they get there.
    """

    number: int
    at: float
    kind: str
    for_s: float
    share: float
    on_order: bool
    aim: Aim | None = None


class SimPlan(Struct, frozen=True, kw_only=True):
    """One run."""

    seed: int
    hours: float
    level: Level
    latency: str
    assets: tuple[str, ...]
    orders_per_hour: float
    requests_per_hour: float
    read_pause_s: float
    """A reader that sleeps so long after each hundred items; 0: one that keeps up."""
    read_capacity: int
    journal: bool
    stale_after_s: float | None
    refusals: float
    """Of all orders, the share that the venue cannot accept."""
    faults: tuple[SimFault, ...]

    @property
    def seconds(self) -> float:
        """How long faults and work go on."""
        return self.hours * 3600


def draw_sim_plan(seed: int, hours: float, level: Level = "message") -> SimPlan:
    """Draw what a seed means."""
    chance = random.Random(f"simulation/{seed}")
    if seed % FAULTLESS_EVERY == 0:
        kinds: tuple[str, ...] = ()
    elif chance.random() < 1 / 3:
        kinds = (chance.choice(KINDS),)
    else:
        kinds = tuple(sorted(chance.sample(KINDS, chance.randint(2, len(KINDS)))))
    per_hour = chance.choice((30.0, 60.0, 120.0))
    faults = _draw_faults(seed, hours, per_hour, kinds)
    aimed = _draw_aimed(seed, hours) if kinds else ()
    to_stale = any(fault.aim is not None and "degraded" in fault.aim for fault in aimed)
    slow_reader = chance.random() < 0.25
    return SimPlan(
        seed=seed,
        hours=hours,
        level=level,
        latency=chance.choice(tuple(LATENCIES)),
        assets=ASSETS[: chance.choice((1, 2, 2, 3))],
        orders_per_hour=chance.choice((160.0, 160.0, 600.0)),
        requests_per_hour=chance.choice((30.0, 120.0)),
        read_pause_s=chance.choice((5.0, 20.0)) if slow_reader else 0.0,
        read_capacity=32 if slow_reader else 10_000,
        journal=chance.random() < 0.5,
        stale_after_s=chance.choice((None, STALE_AFTER_S)) or (STALE_AFTER_S if to_stale else None),
        refusals=chance.choice((0.0, 0.1)),
        faults=_in_order((*faults, *aimed)),
    )


def standard_plan(seed: int, hours: float, level: Level = "message") -> SimPlan:
    """The shape that the budget B9 speaks of: 4 ticks a second, 160 orders and 60 faults an hour, of all kinds."""
    return SimPlan(
        seed=seed,
        hours=hours,
        level=level,
        latency="near",
        assets=ASSETS[:2],
        orders_per_hour=160.0,
        requests_per_hour=30.0,
        read_pause_s=0.0,
        read_capacity=10_000,
        journal=False,
        stale_after_s=None,
        refusals=0.05,
        faults=_draw_faults(seed, hours, 60.0, KINDS),
    )


def _draw_faults(seed: int, hours: float, per_hour: float, kinds: tuple[str, ...]) -> tuple[SimFault, ...]:
    chance = random.Random(f"simulation/{seed}/faults")
    found: list[SimFault] = []
    at = 5.0
    while kinds:
        at += chance.expovariate(per_hour / 3600)
        fault = SimFault(
            number=len(found),
            at=round(at, 3),
            kind=chance.choice(kinds),
            for_s=round(min(60.0, 0.2 + chance.expovariate(1 / 8)), 3),
            share=chance.random(),
            on_order=chance.random() < 0.4,
        )
        if at >= hours * 3600:
            break
        found.append(fault)
    return tuple(found)


def _draw_aimed(seed: int, hours: float) -> tuple[SimFault, ...]:
    """The part of a walk over all cells that falls to this seed."""
    chance = random.Random(f"simulation/{seed}/aims")
    first = AIMS_PER_SEED * (seed - seed // FAULTLESS_EVERY)
    found: list[SimFault] = []
    while (at := AIM_FIRST_S + AIM_EVERY_S * len(found)) < hours * 3600:
        kind, *aim = CELLS[AIM_STRIDE * (first + len(found)) % len(CELLS)]
        found.append(
            SimFault(
                number=0,
                at=at,
                kind=kind,
                for_s=round(min(20.0, 0.2 + chance.expovariate(1 / 5)), 3),
                share=chance.random(),
                on_order=False,
                aim=(aim[0], aim[1]),
            )
        )
    return tuple(found)


def _in_order(faults: tuple[SimFault, ...]) -> tuple[SimFault, ...]:
    ordered = sorted(faults, key=lambda fault: fault.at)
    return tuple(structs.replace(fault, number=number) for number, fault in enumerate(ordered))
