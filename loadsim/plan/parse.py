"""Reading a plan: strict TOML; every error names the place (``load[0].arrivals[1].rate``) and what belongs there."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import tomllib
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec

from loadsim.plan.model import (
    ACTIONS,
    FAULTS,
    Act,
    FaultSpec,
    Limits,
    Load,
    Plan,
    RandomFaults,
    Segment,
    Step,
    Target,
)
from loadsim.plan.units import Distribution, parse_distribution, parse_duration, parse_rate
from potrio.errors import ConfigError

__all__ = ["PlanError", "decode_plan", "encode_plan", "parse_plan", "plan_digest"]

T = TypeVar("T")

DURATION_MAX_S = 24 * 3600.0
EVERY_MIN_S = 0.001
PARAMETERS = {
    "open_order": {"asset", "amount", "side", "duration"},
    "candles": {"asset", "count", "timeframe"},
    "subscribe": {"asset"},
    "unsubscribe": {"asset"},
    "balance": set(),
    "ping": set(),
    "idle": {"for"},
}
DEADLINE = "5s"


class PlanError(ConfigError):
    """A plan cannot be used; ``path`` is the place in it."""


class WireRun(msgspec.Struct, forbid_unknown_fields=True):
    name: str = "unnamed"
    duration: str = ""
    seed: int = 0
    tags: dict[str, str] = {}


class WireTarget(msgspec.Struct, forbid_unknown_fields=True):
    url: str | None = None
    venue: dict[str, Any] = {}
    ca_file: str | None = None


class WireSegment(msgspec.Struct, forbid_unknown_fields=True):
    at: str | None = None
    rate: str | None = None
    ramp: str | None = None
    to: str | None = None
    hold: str | None = None


class WireStep(msgspec.Struct, forbid_unknown_fields=True):
    at: str
    n: int


class WireLoad(msgspec.Struct, forbid_unknown_fields=True):
    client: str
    kind: Literal["sessions"] = "sessions"
    model: Literal["open", "closed"] = "open"
    lane: Literal["full", "light", "mux"] = "light"
    arrivals: list[WireSegment] = []
    arrivals_csv: str | None = None
    users: list[WireStep] = []
    process: Literal["constant", "poisson"] = "constant"
    lifetime: str | None = None


class WireAct(msgspec.Struct, forbid_unknown_fields=True):
    client: str
    do: str
    model: Literal["open", "closed"] = "open"
    every: str | None = None
    jitter: Literal["none", "exp"] = "none"
    after: str | None = None
    deadline: str = DEADLINE
    times: int | None = None
    params: dict[str, Any] = {}


class WireFault(msgspec.Struct, forbid_unknown_fields=True, rename={"for_": "for"}):
    at: str
    kind: str
    scope: Literal["venue", "link"] = "venue"
    for_: str = "0s"
    share: float = 1.0
    params: dict[str, Any] = {}


class WireRandomFaults(msgspec.Struct, forbid_unknown_fields=True, rename={"for_": "for", "from_": "from"}):
    per_minute: float
    kinds: list[str]
    for_: str = "1s"
    from_: str = "0s"
    until: str | None = None


class WireThresholds(msgspec.Struct, forbid_unknown_fields=True, rename={"expressions": "list"}):
    expressions: list[str] = []


class WirePlan(msgspec.Struct, forbid_unknown_fields=True):
    run: WireRun
    load: list[WireLoad]
    target: WireTarget = msgspec.field(default_factory=WireTarget)
    act: list[WireAct] = []
    fault: list[WireFault] = []
    random_faults: list[WireRandomFaults] = []
    thresholds: WireThresholds = msgspec.field(default_factory=WireThresholds)
    limits: Limits = Limits()


def parse_plan(
    text: str,
    *,
    read: Callable[[str], str] | None = None,
    check_threshold: Callable[[str], object] | None = None,
) -> Plan:
    """Read a plan.

    Args:
        text: TOML.
        read: gives the text of a file that the plan names (``arrivals_csv``).
        check_threshold: raises ConfigError for a threshold that cannot be used.

    Raises:
        PlanError: with the place and what belongs there.
    """
    try:
        wire = msgspec.convert(tomllib.loads(text), WirePlan)
    except tomllib.TOMLDecodeError as error:
        raise PlanError("plan", f"is not TOML: {error}") from None
    except msgspec.ValidationError as error:
        said, _, where = str(error).partition(" - at `$.")
        raise PlanError(where.rstrip("`") or "plan", said) from None
    duration_s = at("run.duration", parse_duration, wire.run.duration)
    if not 0 < duration_s <= DURATION_MAX_S:
        raise PlanError("run.duration", f"must be more than nothing and {DURATION_MAX_S / 3600:g} h at most")
    if not wire.load:
        raise PlanError("load", "there must be one at least")
    loads = tuple(load_of(f"load[{number}]", each, duration_s, read) for number, each in enumerate(wire.load))
    classes = {load.client for load in loads}
    acts = tuple(act_of(f"act[{number}]", each, classes) for number, each in enumerate(wire.act))
    for number, each in enumerate(wire.thresholds.expressions):
        if check_threshold is not None:
            at(f"thresholds.list[{number}]", check_threshold, each)
    return Plan(
        name=wire.run.name,
        duration_s=duration_s,
        seed=wire.run.seed,
        loads=loads,
        acts=acts,
        faults=tuple(fault_of(f"fault[{number}]", each) for number, each in enumerate(wire.fault)),
        random_faults=tuple(
            random_faults_of(f"random_faults[{number}]", each, duration_s)
            for number, each in enumerate(wire.random_faults)
        ),
        thresholds=tuple(wire.thresholds.expressions),
        target=Target(wire.target.url, wire.target.venue, wire.target.ca_file),
        limits=wire.limits,
        tags=wire.run.tags,
    )


def encode_plan(plan: Plan) -> dict[str, Any]:
    """A plan as plain values: for shards and reports."""
    found: dict[str, Any] = msgspec.to_builtins(plan)
    return found


def decode_plan(found: Any) -> Plan:
    """Read back what `encode_plan` gave; PlanError where it is something else."""
    try:
        return msgspec.convert(found, Plan)
    except msgspec.ValidationError as error:
        raise PlanError("plan", str(error)) from None


def plan_digest(plan: Plan) -> str:
    """What tells two plans apart: ``sha256:`` and the digest of everything in it."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode(plan, order="deterministic")).hexdigest()


# --- the parts -------------------------------------------------------------------------------------------------------


def at(path: str, parse: Callable[[str], T], text: str) -> T:
    """Parse a part; its error gets the place."""
    try:
        return parse(text)
    except ConfigError as error:
        raise PlanError(path, error.reason) from None
    except ValueError as error:
        raise PlanError(path, str(error)) from None


def load_of(path: str, wire: WireLoad, duration_s: float, read: Callable[[str], str] | None) -> Load:
    lifetime = None if wire.lifetime is None else at(f"{path}.lifetime", parse_distribution, wire.lifetime)
    segments: tuple[Segment, ...] = ()
    steps: tuple[Step, ...] = ()
    if wire.model == "closed":
        if wire.arrivals or wire.arrivals_csv or not wire.users:
            raise PlanError(
                f"{path}.users", "a closed load has users = [{at = ..., n = ...}] and no arrivals"
            )
        steps = tuple(step_of(f"{path}.users[{number}]", each) for number, each in enumerate(wire.users))
        if any(later.at_s <= earlier.at_s for earlier, later in itertools.pairwise(steps)):
            raise PlanError(f"{path}.users", "must be in the order of their times")
    elif wire.users:
        raise PlanError(f"{path}.users", 'an open load has arrivals; users need model = "closed"')
    elif wire.arrivals_csv is not None:
        if read is None:
            raise PlanError(f"{path}.arrivals_csv", "files cannot be read here")
        segments = segments_of_csv(f"{path}.arrivals_csv", read(wire.arrivals_csv))
    else:
        segments = segments_of(f"{path}.arrivals", wire.arrivals, duration_s)
    return Load(wire.client, wire.model, wire.lane, segments, steps, wire.process, lifetime)


def step_of(path: str, wire: WireStep) -> Step:
    if wire.n < 0:
        raise PlanError(f"{path}.n", "must not be negative")
    return Step(at(f"{path}.at", parse_duration, wire.at), wire.n)


def segments_of(path: str, wire: list[WireSegment], duration_s: float) -> tuple[Segment, ...]:
    """``{at, rate}`` sets a rate, ``{ramp, to}`` changes it evenly, ``{hold}`` keeps it; the last one holds on."""
    if not wire or wire[0].rate is None:
        raise PlanError(path, 'begin with a rate: {at = "0s", rate = "5/s"}')
    made: list[Segment] = []
    now, rate = 0.0, 0.0
    for number, each in enumerate(wire):
        where = f"{path}[{number}]"
        match each:
            case WireSegment(rate=str(text), ramp=None, to=None, hold=None):
                start = now if each.at is None else at(f"{where}.at", parse_duration, each.at)
                if start < now:
                    raise PlanError(f"{where}.at", f"is before the end of what comes earlier ({now:g} s)")
                if start > now and rate:
                    made.append(Segment(now, start - now, rate, rate))
                now, rate = start, at(f"{where}.rate", parse_rate, text)
            case WireSegment(at=None, rate=None, ramp=str(text), to=str(to), hold=None):
                length, target = at(f"{where}.ramp", parse_duration, text), at(f"{where}.to", parse_rate, to)
                if length > 0:
                    made.append(Segment(now, length, rate, target))
                now, rate = now + length, target
            case WireSegment(at=None, rate=None, ramp=None, to=None, hold=str(text)):
                length = at(f"{where}.hold", parse_duration, text)
                if length > 0:
                    made.append(Segment(now, length, rate, rate))
                now += length
                if number == len(wire) - 1:
                    rate = 0.0  # an explicit end
            case _:
                raise PlanError(where, "is {at, rate}, or {ramp, to}, or {hold}")
    if rate and now < duration_s:
        made.append(Segment(now, duration_s - now, rate, rate))
    return tuple(segment for segment in made if segment.rate or segment.to_rate)


def segments_of_csv(path: str, text: str) -> tuple[Segment, ...]:
    """Rows of ``seconds,rate per second``; between two rows the rate changes evenly, after the last one it is 0."""
    points: list[tuple[float, float]] = []
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        if not row or (number == 1 and not row[0].strip()[:1].isdigit()):
            continue  # a heading, or an empty line
        try:
            second, rate = (float(cell) for cell in row)
        except ValueError:
            raise PlanError(path, f"line {number} is not seconds,rate") from None
        if rate < 0 or second < 0 or (points and second <= points[-1][0]):
            raise PlanError(path, f"line {number}: seconds must grow, and a rate is not negative")
        points.append((second, rate))
    if len(points) < 2:
        raise PlanError(path, "has fewer than two rows of seconds,rate")
    pairs = itertools.pairwise(points)
    return tuple(Segment(t, later - t, rate, to) for (t, rate), (later, to) in pairs if rate or to)


def act_of(path: str, wire: WireAct, classes: set[str]) -> Act:
    if wire.client not in classes:
        raise PlanError(f"{path}.client", f"no load has clients of class {wire.client!r}")
    if wire.do not in ACTIONS:
        raise PlanError(f"{path}.do", f"{wire.do!r} is not one of {', '.join(ACTIONS)}")
    unknown = sorted(set(wire.params) - PARAMETERS[wire.do])
    if unknown:
        known = ", ".join(sorted(PARAMETERS[wire.do])) or "none"
        raise PlanError(f"{path}.params.{unknown[0]}", f"is not a parameter of {wire.do}, which has {known}")
    once = wire.every is None
    every = parse_distribution("1s") if once else at(f"{path}.every", parse_distribution, wire.every or "")
    if wire.jitter == "exp":
        if every.kind != "constant":
            raise PlanError(f"{path}.jitter", "is for an every that is a plain duration")
        every = Distribution("exp", every.a)
    if every.a < EVERY_MIN_S:
        raise PlanError(f"{path}.every", f"must be {EVERY_MIN_S * 1000:g} ms at least")
    if wire.times is not None and wire.times < 1:
        raise PlanError(f"{path}.times", "must be 1 at least")
    deadline_s = at(f"{path}.deadline", parse_duration, wire.deadline)
    if not deadline_s:
        raise PlanError(f"{path}.deadline", "must be more than nothing")
    after_s = 0.0 if wire.after is None else at(f"{path}.after", parse_duration, wire.after)
    times = 1 if once and wire.times is None else wire.times
    return Act(wire.client, wire.do, wire.model, every, deadline_s, after_s, times, wire.params)


def fault_of(path: str, wire: WireFault) -> FaultSpec:
    check_fault(f"{path}.kind", wire.kind)
    if not 0 < wire.share <= 1:
        raise PlanError(f"{path}.share", "must be above 0 and 1 at most")
    at_s, for_s = at(f"{path}.at", parse_duration, wire.at), at(f"{path}.for", parse_duration, wire.for_)
    return FaultSpec(at_s, wire.kind, wire.scope, for_s, wire.share, wire.params)


def check_fault(path: str, kind: str) -> None:
    if kind not in FAULTS:
        raise PlanError(path, f"{kind!r} is not one of {', '.join(FAULTS)}")


def random_faults_of(path: str, wire: WireRandomFaults, duration_s: float) -> RandomFaults:
    if not 0 < wire.per_minute <= 600:
        raise PlanError(f"{path}.per_minute", "must be above 0 and 600 at most")
    if not wire.kinds:
        raise PlanError(f"{path}.kinds", "name one at least")
    for kind in wire.kinds:
        check_fault(f"{path}.kinds", kind)
    return RandomFaults(
        wire.per_minute,
        tuple(wire.kinds),
        at(f"{path}.for", parse_distribution, wire.for_),
        at(f"{path}.from", parse_duration, wire.from_),
        duration_s if wire.until is None else at(f"{path}.until", parse_duration, wire.until),
    )
