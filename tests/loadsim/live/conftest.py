"""Views of a run that is made up: two shards, one second after the other."""

from __future__ import annotations

import pytest

from loadsim.live.view import FaultView, RunView, Watch
from loadsim.metrics.merged import Merged
from loadsim.metrics.recorder import Recorder
from loadsim.metrics.thresholds import evaluate, parse_threshold


class MadeUp:
    """A run whose seconds pass when they are told to."""

    def __init__(self, shards: int = 2, **options: object) -> None:
        self.merged = Merged()
        self.recorders = [Recorder("r1", shard) for shard in range(shards)]
        self.thresholds = [parse_threshold(text) for text in ("rtt: p99 < 250ms", "rtt.service: p50 < 1ms")]
        self.watch = Watch(
            "r1", "made up <b>", **({"duration_s": 60.0, "clients_planned": 20} | options), shards=shards
        )  # type: ignore[arg-type]
        self.second = 0

    def report(self, shard: int, second: int, *, took_s: float = 0.1, last: bool = False) -> None:
        recorder = self.recorders[shard]
        error = "timeout" if second == 5 else None
        recorder.action(
            "rtt",
            {"event": "openOrder", "lane": "mux"},
            intended_s=second,
            started_s=second + took_s / 2,
            ended_s=second + took_s,
            error=error,
        )
        recorder.observe("generator.lag", 500)
        recorder.count("planned")
        recorder.count("started")
        recorder.gauge("clients", 10)
        recorder.gauge("cpu_pct", 20)
        recorder.gauge("rss_mb", 80)
        self.merged.add(recorder.take_delta(float(second), last=last))

    def tick(self, seconds: int = 1, **options: object) -> RunView:
        """Let seconds pass, each with reports of all shards and one view."""
        for _ in range(seconds):
            for shard in range(len(self.recorders)):
                self.report(shard, self.second)
            self.second += 1
            verdicts = [evaluate(each, self.merged) for each in self.thresholds]
            found = [each for each in verdicts if each is not None]
            faults = (
                [FaultView(t=3.0, kind="stall", scope="venue", duration_s=2.0)] if self.second > 5 else []
            )
            self.watch.update(self.merged, verdicts=found, faults=faults, **options)  # type: ignore[arg-type]
        return self.watch.view


@pytest.fixture
def run() -> MadeUp:
    return MadeUp()
