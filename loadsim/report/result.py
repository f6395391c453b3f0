"""The result of a run, as the controller hands it over: everything a report is made of."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from loadsim.metrics.merged import Merged
from loadsim.metrics.thresholds import Verdict
from loadsim.plan.model import Limits, Plan
from loadsim.report.exits import Exit

__all__ = ["Check", "FaultRecord", "RunResult", "ShardResult", "Validity", "judge"]

ShardState = Literal["done", "lost", "stalled", "refused", "stopped"]


class ShardResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one shard."""

    shard: int
    state: ShardState
    reason: str | None = None
    host: str = ""
    pid: int = 0
    clock_offset_ms: float | None = None


class FaultRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that was played; ``recovered_s``: seconds after its end until the swarm was well again (None: never)."""

    t: float
    kind: str
    duration_s: float
    scope: str
    recovered_s: float | None = None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the oracle: the swarm's book and the venue's, and whether they agree."""

    what: str
    ours: str
    venue: str
    ok: bool


class Validity(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the run measured what it says; ``reasons`` where it did not."""

    verdict: Literal["valid", "degraded", "invalid"]
    coverage: float
    reasons: list[str]
    planned: int
    started: int
    omitted: int
    late_p99_ms: float


class RunResult(msgspec.Struct, kw_only=True):
    """A run that has ended, however it did."""

    run_id: str
    started_wall: float
    duration_s: float
    plan: Plan
    merged: Merged
    clients_planned: int
    validity: Validity
    exit: Exit
    clock: Literal["real", "virtual"] = "real"
    argv: list[str] = []
    env: dict[str, Any] = {}
    target: dict[str, Any] = {}
    engine: dict[str, str] = {}
    shards: list[ShardResult] = []
    verdicts: list[Verdict] = []
    faults: list[FaultRecord] = []
    checks: list[Check] = []


def judge(
    merged: Merged, shards: list[ShardResult], limits: Limits, *, expected: int, allow_degraded: bool = False
) -> Validity:
    """Say whether a run is valid.

    Args:
        merged: what was reported.
        shards: what became of each.
        limits: of the plan.
        expected: how many shards there had to be.
        allow_degraded: what would make it invalid is a warning only.
    """
    done = sum(each.state == "done" for each in shards)
    coverage = done / expected if expected else 0.0
    late = merged.select("generator.lag")
    late_p99_ms = late.histograms["value"].percentile(99) / 1000 if late is not None else 0.0
    cpu_pct = busiest(merged)
    omitted = merged.counters["omitted"]
    reasons = []
    if coverage * 100 < limits.coverage_pct:
        lost = ", ".join(f"shard {each.shard} {each.state}" for each in shards if each.state != "done")
        reasons.append(
            f"coverage {coverage:.0%} is below {limits.coverage_pct:g} %: {lost or 'shards are missing'}"
        )
    if late_p99_ms >= limits.lag_p99_ms:
        reasons.append(f"generator lag p99 {late_p99_ms:.1f} ms is not below {limits.lag_p99_ms:g} ms")
    if cpu_pct >= limits.cpu_pct:
        reasons.append(f"a generator used {cpu_pct:.0f} % of a core, the limit is {limits.cpu_pct:g} %")
    if omitted > limits.omitted:
        reasons.append(f"{omitted} actions were omitted, {limits.omitted} are allowed")
    if merged.gaps:
        reasons.append(f"{merged.gaps} reports of shards are missing")
    return Validity(
        verdict="valid" if not reasons else "degraded" if allow_degraded else "invalid",
        coverage=coverage,
        reasons=reasons,
        planned=merged.counters["planned"],
        started=merged.counters["started"],
        omitted=omitted,
        late_p99_ms=late_p99_ms,
    )


BUSY_OVER_S = 10
"""A processor may be busy for a moment: what counts is the mean of so many seconds."""


def busiest(merged: Merged) -> float:
    """The highest mean over ten seconds of what the shards used of a core, taken together."""
    rows = [row.cpu_pct / max(1, len(merged.shards)) for row in merged.timeline()]
    windows = [rows[start : start + BUSY_OVER_S] for start in range(max(1, len(rows) - BUSY_OVER_S + 1))]
    return max((sum(window) / len(window) for window in windows if window), default=0.0)
