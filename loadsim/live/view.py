"""`RunView`: a run at one moment as plain values; one object feeds the terminal, the lines, the browser and JSON.

The controller gives the `Watch` what it knows once a second, and never waits for anybody who looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import trio

from loadsim.metrics.merged import ACTION, Merged, Row
from loadsim.metrics.thresholds import Verdict
from potrio.histogram import Histogram

__all__ = ["HISTORY_S", "FaultView", "RunView", "ShardState", "Watch"]

HISTORY_S = 3600
"""Seconds of the timeline that are kept to be looked at; a report has all of them."""

Stage = Literal["starting", "running", "ended"]


class FaultView(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that was played or is under way; ``duration_s`` None: it has not ended."""

    t: float
    kind: str
    scope: str
    duration_s: float | None = None


class ShardState(msgspec.Struct, frozen=True, kw_only=True):
    """One shard: ``starting`` until its first report, then ``running``, then how it ended."""

    shard: int
    state: str
    t_s: float = 0.0
    gaps: int = 0
    cpu_pct: float = 0.0
    rss_mb: float = 0.0


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A run at one moment.

    Attributes:
        run: the run's id.
        name: of the plan.
        stage: ``ended`` is the last view there is.
        t: seconds since the start instant.
        duration_s: what was planned; 0 where nobody knows.
        clients, clients_planned: there now, and how many there are to be at most (0: not known).
        act_s: actions that ended in the last whole second all shards have reported.
        response_p50_ms: of all actions so far, from the instant they were intended for; and so on.
        started, ok, errors, omitted: actions so far.
        lag_p99_ms: how late the generator itself was.
        coverage: the part of the shards that are at work or done.
        shards: each of them.
        thresholds: as they stand.
        faults: those played so far.
        history: a row for each second, oldest first, `HISTORY_S` at most.
        ending: why it ended or is about to; empty as long as nothing speaks for it.
    """

    run: str
    name: str
    stage: Stage
    t: float
    duration_s: float
    clients: int
    clients_planned: int
    act_s: float
    response_p50_ms: float
    response_p99_ms: float
    service_p50_ms: float
    service_p99_ms: float
    started: int
    ok: int
    errors: int
    omitted: int
    lag_p99_ms: float
    coverage: float
    shards: tuple[ShardState, ...]
    thresholds: tuple[Verdict, ...] = ()
    faults: tuple[FaultView, ...] = ()
    history: tuple[Row, ...] = ()
    ending: str = ""

    @property
    def shards_up(self) -> int:
        """Shards that are at work or done."""
        return sum(each.state in UP for each in self.shards)

    def plain(self, *, history: bool = True) -> dict[str, Any]:
        """As a JSON object; without the timeline where it is sent by itself."""
        found: dict[str, Any] = msgspec.to_builtins(
            self if history else msgspec.structs.replace(self, history=())
        )
        return found


UP = ("running", "done")


class Watch:
    """The latest view of a run and who waits for the next one. Written by one controller, read by anybody.

    Args:
        run: the run's id.
        name: of the plan.
        duration_s: planned seconds.
        clients_planned: how many clients there will be at most.
        shards: how many shards there have to be.
    """

    def __init__(
        self, run: str, name: str, *, duration_s: float = 0.0, clients_planned: int = 0, shards: int = 1
    ) -> None:
        self._run = run
        self._name = name
        self._duration_s = duration_s
        self._clients_planned = clients_planned
        self._shards = shards
        self._changed = trio.Event()
        self._rows: dict[int, tuple[int, Row]] = {}
        self._stop: str | None = None
        self._stopping = trio.Event()
        self.version = 0
        self.view = self._make(Merged(), "starting", (), (), {}, "")

    # --- the controller's side ---------------------------------------------------------------------------------------

    def update(
        self,
        merged: Merged,
        *,
        verdicts: Sequence[Verdict] = (),
        faults: Iterable[FaultView] = (),
        outcomes: Mapping[int, str] | None = None,
        ended: bool = False,
        ending: str = "",
    ) -> RunView:
        """Take in what is known now; returns the view that everybody sees from now on.

        Args:
            merged: all reports so far.
            verdicts: of the thresholds.
            faults: played so far.
            outcomes: shards that have ended, and how.
            ended: there will be no other view.
            ending: why the run ends, or is about to.
        """
        self.version += 1
        rows = list(merged.timeline())[-HISTORY_S:]
        for row in rows:
            known = self._rows.get(row.t)
            if known is None or known[1] != row:
                self._rows[row.t] = (self.version, msgspec.structs.replace(row))
        for second in sorted(self._rows)[:-HISTORY_S]:
            del self._rows[second]
        stage: Stage = "ended" if ended else "running"
        self.view = self._make(merged, stage, verdicts, faults, outcomes or {}, ending)
        changed, self._changed = self._changed, trio.Event()
        changed.set()
        return self.view

    @property
    def stop_reason(self) -> str | None:
        """Why somebody who looks wants the run to end; None: nobody does."""
        return self._stop

    async def wait_stop(self) -> str:
        """Wait until somebody who looks wants the run to end; returns why. Cancelling only stops the waiting."""
        await self._stopping.wait()
        return self._stop or ""

    # --- the readers' side -------------------------------------------------------------------------------------------

    def request_stop(self, reason: str) -> None:
        """Ask the controller to end the run; the first reason counts."""
        if self._stop is None:
            self._stop = reason
        self._stopping.set()

    def rows_since(self, version: int) -> list[Row]:
        """The seconds that are new or have changed since a version, oldest first."""
        return [row for at, row in (self._rows[second] for second in sorted(self._rows)) if at > version]

    async def wait_after(self, version: int) -> None:
        """Wait until there is a later view than that. Cancelling only stops the waiting."""
        while self.version <= version:
            await self._changed.wait()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _make(
        self,
        merged: Merged,
        stage: Stage,
        verdicts: Sequence[Verdict],
        faults: Iterable[FaultView],
        outcomes: Mapping[int, str],
        ending: str,
    ) -> RunView:
        history = tuple(self._rows[second][1] for second in sorted(self._rows))
        actions = merged.select(ACTION)
        parts = actions.histograms if actions is not None else {}
        response, service = parts.get("response", EMPTY), parts.get("service", EMPTY)
        late = merged.select("generator.lag")
        shards = tuple(self._shard(merged, number, outcomes.get(number)) for number in self._numbers(merged))
        ok = actions.outcomes["ok"] if actions is not None else 0
        return RunView(
            run=self._run,
            name=self._name,
            stage=stage,
            t=merged.elapsed_s,
            duration_s=self._duration_s,
            clients=round(merged.gauge("clients")),
            clients_planned=self._clients_planned,
            act_s=pace(history, merged),
            response_p50_ms=ms(response, 50),
            response_p99_ms=ms(response, 99),
            service_p50_ms=ms(service, 50),
            service_p99_ms=ms(service, 99),
            started=merged.counters["started"],
            ok=ok,
            errors=actions.count - ok if actions is not None else 0,
            omitted=merged.counters["omitted"],
            lag_p99_ms=ms(late.histograms["value"], 99) if late is not None else 0.0,
            coverage=sum(each.state in UP for each in shards) / max(1, len(shards)),
            shards=shards,
            thresholds=tuple(verdicts),
            faults=tuple(faults),
            history=history,
            ending=ending,
        )

    def _numbers(self, merged: Merged) -> list[int]:
        return sorted({*range(self._shards), *merged.shards})

    def _shard(self, merged: Merged, number: int, outcome: str | None) -> ShardState:
        view = merged.shards.get(number)
        if view is None:
            return ShardState(shard=number, state=outcome or "starting")
        return ShardState(
            shard=number,
            state=outcome or ("done" if view.finished else "running"),
            t_s=view.last_t_s,
            gaps=view.gaps,
            cpu_pct=view.gauges.get("cpu_pct", 0.0),
            rss_mb=view.gauges.get("rss_mb", 0.0),
        )


EMPTY = Histogram()


def ms(histogram: Histogram, percent: float) -> float:
    """A percentile in milliseconds."""
    return histogram.percentile(percent) / 1000


def pace(history: Sequence[Row], merged: Merged) -> float:
    """Actions that ended in the last second that every shard has reported as a whole."""
    at_work = [view.last_t_s for view in merged.shards.values() if not view.finished]
    latest = int(min(at_work)) if at_work else int(merged.elapsed_s)
    row = next((row for row in reversed(history) if row.t <= latest), None)
    return float(row.ok + row.errors) if row is not None else 0.0
