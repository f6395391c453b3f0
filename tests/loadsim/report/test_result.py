"""A run is valid only where everything was covered, in time, and nothing was omitted."""

from __future__ import annotations

import pytest

from loadsim.metrics.merged import Merged
from loadsim.metrics.recorder import Recorder
from loadsim.plan.model import Limits
from loadsim.report.result import ShardResult, judge

from .conftest import merged_run

DONE = [ShardResult(shard=0, state="done"), ShardResult(shard=1, state="done")]


def one(*, lag_us: int = 100, omitted: int = 0, cpu: tuple[float, ...] = (20.0,) * 15) -> Merged:
    recorder, merged = Recorder("r", 0), Merged()
    for second, used in enumerate(cpu):
        recorder.observe("generator.lag", lag_us)
        recorder.gauge("cpu_pct", used)
        recorder.count("omitted", omitted if second == 3 else 0)
        merged.add(recorder.take_delta(float(second)))
    return merged


def test_a_good_run_is_valid() -> None:
    found = judge(merged_run(), DONE, Limits(), expected=2)

    assert (found.verdict, found.reasons, found.coverage) == ("valid", [], 1.0)
    assert (found.planned, found.started) == (24, 24)


@pytest.mark.parametrize(
    ("merged", "reason"),
    [
        (one(lag_us=25_000), "generator lag p99 25.0 ms is not below 20 ms"),
        (one(omitted=2), "2 actions were omitted, 0 are allowed"),
        (one(cpu=(95.0,) * 12), "a generator used 95 % of a core"),
    ],
)
def test_what_makes_a_run_invalid(merged: Merged, reason: str) -> None:
    found = judge(merged, DONE[:1], Limits(), expected=1)

    assert found.verdict == "invalid"
    assert any(reason in each for each in found.reasons)
    assert judge(merged, DONE[:1], Limits(), expected=1, allow_degraded=True).verdict == "degraded"


def test_a_busy_moment_is_no_busy_generator() -> None:
    assert (
        judge(one(cpu=(20.0,) * 10 + (100.0,) + (20.0,) * 10), DONE[:1], Limits(), expected=1).verdict
        == "valid"
    )


@pytest.mark.parametrize("state", ["lost", "stalled", "refused", "stopped"])
def test_a_shard_that_is_missing_is_said(state: str) -> None:
    found = judge(merged_run(), [DONE[0], ShardResult(shard=1, state=state)], Limits(), expected=2)

    assert found.verdict == "invalid"
    assert found.coverage == 0.5
    assert f"shard 1 {state}" in found.reasons[0]


def test_a_report_that_never_came_is_said() -> None:
    recorder, merged = Recorder("r", 0), Merged()
    deltas = [recorder.take_delta(float(second)) for second in range(3)]
    for delta in (deltas[0], deltas[2]):
        merged.add(delta)

    assert "1 reports of shards are missing" in judge(merged, DONE[:1], Limits(), expected=1).reasons
