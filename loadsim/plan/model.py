"""A plan as values: times in seconds, rates a second; everything checked, nothing left to be guessed."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from loadsim.plan.units import Distribution

__all__ = [
    "ACTIONS",
    "FAULTS",
    "Act",
    "FaultSpec",
    "Lane",
    "Limits",
    "Load",
    "Plan",
    "RandomFaults",
    "Segment",
    "Step",
    "Target",
]

Lane = Literal["full", "light", "mux"]
Model = Literal["open", "closed"]

ACTIONS = ("open_order", "candles", "subscribe", "unsubscribe", "balance", "ping", "idle")
"""What a client can do. Parameters: ``asset`` (all but balance, ping, idle), ``count`` and ``timeframe`` (candles),
``amount``, ``side`` and ``duration`` (open_order), ``for`` (idle)."""

FAULTS = (
    "stall",
    "drop",
    "half_open",
    "refuse",
    "restart",
    "latency",
    "lose_replies",
    "duplicate_replies",
    "reorder_replies",
    "reject_auth",
    "garbage",
)
"""What can go wrong, on the link or at the venue; ``loadsim/swarm/faults.py`` says what each does."""


class Segment(msgspec.Struct, frozen=True):
    """Arrivals from ``at_s`` for ``length_s`` seconds, from one rate (a second) to another, changing evenly."""

    at_s: float
    length_s: float
    rate: float
    to_rate: float


class Step(msgspec.Struct, frozen=True):
    """From ``at_s`` on there are ``n`` clients."""

    at_s: float
    n: int


class Load(msgspec.Struct, frozen=True):
    """Clients of one class.

    Open: they arrive by ``segments``, evenly or by lot. Closed: there are as many as ``steps`` say. Each stays for
    its ``lifetime`` (None: to the end).
    """

    client: str
    model: Model
    lane: Lane
    segments: tuple[Segment, ...] = ()
    steps: tuple[Step, ...] = ()
    process: Literal["constant", "poisson"] = "constant"
    lifetime: Distribution | None = None


class Act(msgspec.Struct, frozen=True):
    """Something every client of a class does again and again.

    Open: at instants that are fixed beforehand, ``every`` so often. Closed: ``every`` is the time between the end of
    one and the start of the next. ``times`` bounds how often; None: as long as the client lives.
    """

    client: str
    do: str
    model: Model
    every: Distribution
    deadline_s: float
    after_s: float
    times: int | None
    params: dict[str, Any]


class FaultSpec(msgspec.Struct, frozen=True):
    """Something that goes wrong at a certain time. ``share`` of the clients are hit where it is one of the link."""

    at_s: float
    kind: str
    scope: Literal["venue", "link"]
    for_s: float
    share: float = 1.0
    params: dict[str, Any] = {}


class RandomFaults(msgspec.Struct, frozen=True):
    """Faults drawn by lot: so many a minute, of these kinds, each so long, between two moments of the run."""

    per_minute: float
    kinds: tuple[str, ...]
    lasting: Distribution
    from_s: float
    until_s: float


class Target(msgspec.Struct, frozen=True):
    """Whom the load is for: the embedded venue, or an address."""

    url: str | None = None
    venue: dict[str, Any] = {}
    ca_file: str | None = None


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What makes a run invalid, and how large it may be (P14: loads are bounded in time and count)."""

    lag_p99_ms: float = 20.0
    cpu_pct: float = 85.0
    omitted: int = 0
    coverage_pct: float = 100.0
    clients_max: int = 20_000
    connects_per_s: float = 1_000.0
    handshakes_max: int = 200


class Plan(msgspec.Struct, frozen=True):
    """A whole run."""

    name: str
    duration_s: float
    seed: int
    loads: tuple[Load, ...]
    acts: tuple[Act, ...] = ()
    faults: tuple[FaultSpec, ...] = ()
    random_faults: tuple[RandomFaults, ...] = ()
    thresholds: tuple[str, ...] = ()
    target: Target = Target()
    limits: Limits = Limits()
    tags: dict[str, str] = {}
