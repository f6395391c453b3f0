"""Drawing a plan as text: who comes when, what each class does, and what goes wrong, on one time axis."""

from __future__ import annotations

from collections.abc import Iterator

from loadsim.plan.model import Act, Plan
from loadsim.plan.schedule import Arrival, arrivals, fault_schedule
from loadsim.plan.units import Distribution

__all__ = ["draw_plan"]

WIDTH = 60
BARS = " ▁▂▃▄▅▆▇█"
FAULTS_SHOWN = 20


def draw_plan(plan: Plan, width: int = WIDTH) -> str:
    """The plan as lines of text."""
    every = list(arrivals(plan))
    target = plan.target.url or "embedded venue"
    lines = [
        f"{plan.name}: {plan.duration_s:g} s, seed {plan.seed}, {len(every)} clients, target {target}",
        "",
    ]
    for client in dict.fromkeys(load.client for load in plan.loads):
        lines += draw_class(plan, client, [each for each in every if each.client == client], width)
    faults = fault_schedule(plan)
    if faults:
        lines += ["", "faults", f"  {axis_of(faults_in(plan, width))}"]
        lines += [
            f"  {fault.at_s:8.1f} s  {fault.kind} of the {fault.scope} for {fault.for_s:g} s"
            for fault in faults[:FAULTS_SHOWN]
        ]
        if len(faults) > FAULTS_SHOWN:
            lines.append(f"  … and {len(faults) - FAULTS_SHOWN} more")
    if plan.thresholds:
        lines += ["", "thresholds", *(f"  {text}" for text in plan.thresholds)]
    return "\n".join(lines)


def draw_class(plan: Plan, client: str, clients: list[Arrival], width: int) -> Iterator[str]:
    """One class: clients present over time, and its acts."""
    lanes = ", ".join(dict.fromkeys(each.lane for each in clients)) or "none"
    present = [
        sum(is_present(each, plan.duration_s * (column + 0.5) / width) for each in clients)
        for column in range(width)
    ]
    yield f"{client} ({lanes}): {len(clients)} clients, {max(present, default=0)} at once"
    yield f"  {axis_of(present)}"
    for act in plan.acts:
        if act.client == client:
            yield f"  {describe_act(act)}"


def is_present(arrival: Arrival, at_s: float) -> bool:
    """Is this client there at that moment?"""
    return arrival.at_s <= at_s and (arrival.lifetime_s is None or at_s < arrival.at_s + arrival.lifetime_s)


def faults_in(plan: Plan, width: int) -> list[int]:
    """How many faults are under way in each column."""
    step = plan.duration_s / width
    return [
        sum(
            fault.at_s < (column + 1) * step and fault.at_s + max(fault.for_s, step / 2) > column * step
            for fault in fault_schedule(plan)
        )
        for column in range(width)
    ]


def describe_act(act: Act) -> str:
    """What is done how often."""
    often = "once" if act.times == 1 else f"every {duration_text(act.every)}"
    if act.times is not None and act.times > 1:
        often += f", {act.times} times"
    pace = "" if act.model == "open" else " after the former ended"
    params = "".join(f" {name}={value}" for name, value in act.params.items())
    return f"{act.do}{params} {often}{pace}, first after {act.after_s:g} s, deadline {act.deadline_s:g} s"


def duration_text(every: Distribution) -> str:
    """A duration in the words of a plan."""
    match every.kind:
        case "constant":
            return f"{every.a:g} s"
        case "exp":
            return f"exp({every.a:g} s)"
        case "uniform":
            return f"uniform({every.a:g} s, {every.b:g} s)"
        case "lognormal":
            return f"lognormal({every.a:g} s, {every.b:g})"


def axis_of(values: list[int]) -> str:
    """A row of bars, the highest one full."""
    top = max(values, default=0)
    if not top:
        return "·" * len(values)
    return "".join(BARS[0 if not value else max(1, value * (len(BARS) - 1) // top)] for value in values)
