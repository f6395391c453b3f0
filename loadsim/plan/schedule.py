"""The schedule of a run: a pure function of the plan and its seed, the same for every number of shards.

Client number *i* of the whole run belongs to shard *i* mod S, and draws from streams of its own (`chance.py`): what it
does, and when, does not depend on how the run is divided, nor on what happens in it.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from loadsim.plan.chance import Chance
from loadsim.plan.model import Act, FaultSpec, Lane, Load, Plan, RandomFaults, Segment

__all__ = ["Arrival", "PlannedAction", "actions", "arrivals", "fault_schedule", "of_shard"]


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A client of the run comes.

    Attributes:
        index: its number in the whole run, by the order of arrival.
        at_s: seconds of the run.
        client: its class.
        lane: how it is played.
        lifetime_s: seconds until it leaves; None: it stays to the end.
    """

    index: int
    at_s: float
    client: str
    lane: Lane
    lifetime_s: float | None


class PlannedAction(msgspec.Struct, frozen=True):
    """What a client is to do.

    Attributes:
        number: of the action among those of its act, from 0.
        at_s: the intended instant, seconds after the client's arrival; None: ``think_s`` after the former one's end.
        think_s: of the closed model; None in the open one.
        do: which action.
        deadline_s: seconds it may take from the intended instant.
        params: of the action.
    """

    number: int
    at_s: float | None
    think_s: float | None
    do: str
    deadline_s: float
    params: dict[str, Any]


def arrivals(plan: Plan) -> Iterator[Arrival]:
    """Every client of the run by the time it comes; what comes at once is in the order of the plan."""
    streams = [instants(plan, number, load) for number, load in enumerate(plan.loads)]
    merged = heapq.merge(*streams, key=lambda each: each[:2])
    for index, (at_s, number, leaves_at) in enumerate(merged):
        load = plan.loads[number]
        lifetime = None if leaves_at is None else leaves_at - at_s
        if load.lifetime is not None:
            drawn = load.lifetime.draw(Chance(plan.seed, "lifetime", index))
            lifetime = drawn if lifetime is None else min(lifetime, drawn)
        yield Arrival(index, at_s, load.client, load.lane, lifetime)


def of_shard(every: Iterable[Arrival], shard: int, shards: int) -> Iterator[Arrival]:
    """Those that one shard plays."""
    return (each for each in every if each.index % shards == shard)


Instant = tuple[float, int, float | None]
"""When a client comes, the number of its load, and when it has to leave."""


def instants(plan: Plan, number: int, load: Load) -> Iterator[Instant]:
    """When the clients of one load come, in order."""
    if load.model == "closed":
        return iter(sorted(present(load, number), key=lambda each: each[0]))
    chance = Chance(plan.seed, "arrivals", number)
    if load.process == "poisson":
        times = thinned(load.segments, iter(chance.exponential, None))
    else:  # evenly spread arrivals begin in the middle of their first gap
        times = thinned(load.segments, itertools.chain((0.5,), itertools.repeat(1.0)))
    return ((at_s, number, None) for at_s in itertools.takewhile(lambda at_s: at_s < plan.duration_s, times))


def thinned(segments: Iterable[Segment], gaps: Iterator[float]) -> Iterator[float]:
    """Instants at which the expected number of arrivals has grown by another gap (the change of time of Poisson)."""
    due = next(gaps)
    passed = 0.0  # arrivals expected before this segment
    for segment in segments:
        whole = segment.length_s * (segment.rate + segment.to_rate) / 2
        while due - passed <= whole and whole > 0:
            yield segment.at_s + offset_of(segment, due - passed)
            due += next(gaps)
        passed += whole


def offset_of(segment: Segment, expected: float) -> float:
    """Seconds into a segment at which so many arrivals are expected: the positive root of rate*t + slope*t²/2."""
    slope = (segment.to_rate - segment.rate) / segment.length_s
    if abs(slope) * segment.length_s < 1e-9 * max(segment.rate, segment.to_rate):
        return expected / segment.rate
    under = max(0.0, segment.rate**2 + 2 * slope * expected)
    return (math.sqrt(under) - segment.rate) / slope


def present(load: Load, number: int) -> Iterator[Instant]:
    """Clients that come and go as the steps of a closed load say; the last to come is the first to go."""
    staying: list[float] = []
    for step in load.steps:
        while len(staying) > step.n:
            yield staying.pop(), number, step.at_s
        staying += [step.at_s] * (step.n - len(staying))
    for at_s in staying:
        yield at_s, number, None


def actions(plan: Plan, arrival: Arrival) -> list[Iterator[PlannedAction]]:
    """What a client does: one stream for each act of its class, the streams side by side."""
    return [
        stream(act, Chance(plan.seed, f"act{number}", arrival.index), plan.duration_s - arrival.at_s)
        for number, act in enumerate(plan.acts)
        if act.client == arrival.client
    ]


def stream(act: Act, chance: Chance, left_s: float) -> Iterator[PlannedAction]:
    """One act of one client, until the run ends."""
    at_s = act.after_s
    for number in itertools.count() if act.times is None else range(act.times):
        if act.model == "closed":
            think_s = act.after_s if number == 0 else act.every.draw(chance)
            yield PlannedAction(number, None, think_s, act.do, act.deadline_s, pick(act.params, chance))
            continue
        if at_s >= left_s:
            return
        yield PlannedAction(number, at_s, None, act.do, act.deadline_s, pick(act.params, chance))
        at_s += act.every.draw(chance)


def pick(params: dict[str, Any], chance: Chance) -> dict[str, Any]:
    """Parameters with one of several values each, drawn by lot where the plan gives a list."""
    return {
        name: chance.choice(value) if isinstance(value, list | tuple) else value
        for name, value in params.items()
    }


def fault_schedule(plan: Plan) -> tuple[FaultSpec, ...]:
    """What goes wrong when: what the plan says and what is drawn by lot, in order."""
    drawn = [
        fault for number, spec in enumerate(plan.random_faults) for fault in draw_faults(plan, number, spec)
    ]
    return tuple(sorted((*plan.faults, *drawn), key=lambda fault: (fault.at_s, fault.kind)))


def draw_faults(plan: Plan, number: int, spec: RandomFaults) -> Iterator[FaultSpec]:
    """Faults by lot: exponential times between them."""
    chance = Chance(plan.seed, "faults", number)
    at_s = spec.from_s
    while True:
        at_s += chance.exponential() * 60 / spec.per_minute
        if at_s >= min(spec.until_s, plan.duration_s):
            return
        kind = chance.choice(spec.kinds)
        yield FaultSpec(at_s, kind, "venue", spec.lasting.draw(chance))
