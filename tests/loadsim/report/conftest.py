"""A run that is made up: two shards, orders and candles, one fault, one error, thresholds kept and missed."""

from __future__ import annotations

import pytest

from loadsim.metrics.merged import Merged
from loadsim.metrics.recorder import Recorder
from loadsim.metrics.thresholds import evaluate, parse_threshold
from loadsim.plan.parse import parse_plan
from loadsim.report.exits import Exit
from loadsim.report.result import Check, FaultRecord, RunResult, ShardResult, judge

PLAN = """
[run]
name = "made up <b>"
duration = "12s"
seed = 3
[[load]]
client = "trader"
arrivals = [{ at = "0s", rate = "2/s" }]
[thresholds]
list = ["rtt{event=openOrder}: p99 < 250ms", "rtt: p99 < 1ms", "connect: p95 < 2s soft"]
"""


def merged_run(shards: int = 2, seconds: int = 12, took_s: float = 0.1) -> Merged:
    merged = Merged()
    for shard in range(shards):
        recorder = Recorder("r1", shard)
        for second in range(seconds):
            recorder.action(
                "rtt",
                {"event": "openOrder", "lane": "light"},
                intended_s=second,
                started_s=second + took_s / 2,
                ended_s=second + took_s,
                error="timeout" if second == 5 else None,
                text="</script><script>alert(1)</script>",
            )
            recorder.observe("generator.lag", 500)
            for name in ("planned", "started", "orders"):
                recorder.count(name)
            recorder.gauge("clients", 10)
            recorder.gauge("cpu_pct", 20)
            merged.add(recorder.take_delta(float(second), last=second == seconds - 1))
    return merged


def made_up(**changes: object) -> RunResult:
    plan, merged = parse_plan(PLAN), changes.pop("merged", None) or merged_run()
    shards = [ShardResult(shard=number, state="done", host="here", pid=1) for number in range(2)]
    verdicts = [evaluate(parse_threshold(text), merged) for text in plan.thresholds]
    values = {
        "run_id": "r1",
        "started_wall": 1_770_000_000.0,
        "duration_s": 12.0,
        "plan": plan,
        "merged": merged,
        "clients_planned": 24,
        "validity": judge(merged, shards, plan.limits, expected=2),
        "exit": Exit.THRESHOLD,
        "engine": {"name": "inline", "version": "0"},
        "shards": shards,
        "verdicts": [each for each in verdicts if each is not None],
        "faults": [FaultRecord(t=3.0, kind="stall", duration_s=2.0, scope="venue", recovered_s=0.4)],
        "checks": [Check(what="orders accepted", ours="24", venue="24", ok=True)],
    }
    return RunResult(**(values | changes))


@pytest.fixture
def result() -> RunResult:
    return made_up()
