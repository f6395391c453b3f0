"""The controller of a run: preflight, venue, engine, thresholds each second, oracle, verdict."""

from __future__ import annotations

import os
import platform
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

import msgspec
import trio

from loadsim.engines.base import Engine, EngineError, Outcome
from loadsim.engines.choose import open_engine
from loadsim.live.view import FaultView, RunView, Watch
from loadsim.metrics.merged import Merged
from loadsim.metrics.thresholds import Threshold, Verdict, evaluate, parse_threshold
from loadsim.plan.model import FaultSpec, Plan
from loadsim.plan.schedule import fault_schedule
from loadsim.report.exits import Exit, winner
from loadsim.report.result import Check, FaultRecord, RunResult, ShardResult, judge
from loadsim.swarm.control import VenueControl
from loadsim.swarm.faults import LOSSY, Freezer, check_faults, play_venue_faults, recovered_s
from loadsim.swarm.oracle import check_books
from loadsim.swarm.preflight import check_acts, check_descriptors, check_login, raise_nofile
from loadsim.swarm.safety import check_size, check_target
from loadsim.swarm.shard import run_shard
from loadsim.swarm.spec import ShardSpec
from loadsim.swarm.venue_process import open_embedded_venue
from potrio.errors import ConfigError, PotrioError
from potrio.seam import REAL, Seam

__all__ = ["Controller", "RunOptions", "run_plan"]

STOP_GRACE_S: Final = 3.0
STATS_ATTEMPTS: Final = 6
BREACHES: Final = 3
"""So many seconds in a row a threshold with ``abort`` has to be broken."""

LEAD_S: Final = {"inline": 0.2, "process": 2.0, "dask": 4.0}
"""From the specs to second 0: what it takes to start the shards on a machine that has nothing else to do."""

LEAD_MAX_S: Final = 30.0


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is not the plan's to say.

    Attributes:
        engine: ``inline``, ``process`` or ``dask``.
        shards: parts of the run; one, in the controller itself, for ``inline``.
        engine_options: for the engine's opening function.
        target: URL of a venue; None: what the plan says.
        allowed: hosts besides this machine that may be put under load.
        allow_degraded: what makes a run invalid is only a warning.
        argv: for the report.
    """

    engine: str = "inline"
    shards: int = 1
    engine_options: dict[str, Any] = {}
    target: str | None = None
    allowed: Collection[str] = frozenset()
    allow_degraded: bool = False
    argv: list[str] = []


class Target(msgspec.Struct, frozen=True):
    """What is put under load."""

    url: str
    kind: str
    control: VenueControl
    freezer: Freezer | None


async def run_plan(
    plan: Plan,
    options: RunOptions | None = None,
    *,
    seam: Seam = REAL,
    on_second: Callable[[RunView], None] | None = None,
) -> RunResult:
    """Run a plan to its end: `Controller` in one call; raises, waits and cancels as `Controller.run`."""
    return await Controller(plan, options or RunOptions(), seam=seam, on_second=on_second).run()


class Controller:
    """One run.

    Args:
        plan: what is to be played.
        options: how.
        seam: the door to clock and network.
        on_second: called each second, and at the end, with what is to be seen; it must not wait.

    Raises:
        ConfigError: the plan cannot be run with these options.

    Attributes:
        watch: the run as others see it; who looks may ask it to end the run.
    """

    def __init__(
        self,
        plan: Plan,
        options: RunOptions,
        *,
        seam: Seam = REAL,
        on_second: Callable[[RunView], None] | None = None,
    ) -> None:
        self._plan = plan
        self._options = options
        self._seam = seam
        self._on_second = on_second
        self._url = options.target or plan.target.url
        self._planned = check_size(plan)
        check_acts(plan)
        check_faults(plan, embedded=self._url is None)
        if self._url is not None:
            check_target(self._url, options.allowed)
        if options.shards < 1 or (options.engine == "inline" and options.shards != 1):
            raise ConfigError("shards", "one at least; several need an engine of processes")
        self._thresholds = [parse_threshold(text) for text in plan.thresholds]
        self._run_id = seam.new_id()
        self._merged = Merged()
        self._verdicts: list[Verdict] = []
        self._breaches: dict[str, int] = {}
        self._played: list[FaultSpec] = []
        self._opening = 0.0
        self._stopping = trio.Event()
        self._stopped: tuple[Exit, str] | None = None
        self.watch = Watch(
            self._run_id,
            plan.name,
            duration_s=plan.duration_s,
            clients_planned=self._planned,
            shards=options.shards,
        )

    def stop(self, code: Exit, reason: str) -> None:
        """End the run early; the first reason counts."""
        if self._stopped is None:
            self._stopped = (code, reason)
        self._stopping.set()

    async def run(self) -> RunResult:
        """Run to the end, or until stopped.

        Raises:
            ConfigError: there are not enough descriptors or ports.
            TargetUnusable: the target does not answer, or lets nobody in.
            EngineError: the engine could not start the shards.

        Waits for the whole run. Cancelling ends venue and shards at once, without a result.
        """
        options, seam = self._options, self._seam
        nofile = raise_nofile()
        nofile_min = check_descriptors(self._planned, options.shards, nofile, seam)
        engine_options = {"nofile_min": nofile_min} if options.engine == "dask" else {}
        started_wall = seam.wall()
        checks: list[Check] = []
        self._opening = seam.now()
        async with self._open_target() as target:
            await check_login(target.url, self._plan.seed, self._plan.target.ca_file, seam)
            before = await counters_of(target)
            async with open_engine(
                options.engine, run_shard, seam=seam, options=engine_options | options.engine_options
            ) as engine:
                outcomes = await self._play(engine, target)
                name, engine_version = engine.name, engine.version
            if before is not None and self._stopped is None:
                checks = await self._check_books(target, before, outcomes)
        return self._result(
            started_wall=started_wall,
            outcomes=outcomes,
            checks=checks,
            engine={"name": name, "version": engine_version},
            target={"url": target.url.partition("?")[0], "kind": target.kind, "oracle": before is not None},
            env={
                "potrio": version("potrio"),
                "python": platform.python_version(),
                "trio": trio.__version__,
                "os": platform.platform(),
                "cpus": os.cpu_count() or 0,
                "nofile": nofile,
            },
        )

    # --- target and shards -------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _open_target(self) -> AsyncGenerator[Target, None]:
        if self._url is not None:
            yield Target(self._url, "external", VenueControl(self._url), None)
            return
        async with open_embedded_venue(self._plan.target.venue, self._plan.seed, self._seam) as venue:
            yield Target(venue.url, "bundled", VenueControl(venue.url), venue)

    def _specs(self, url: str) -> list[ShardSpec]:
        lead_s = LEAD_S.get(self._options.engine, 4.0)
        if (
            self._options.engine != "inline"
        ):  # a busy machine took long for the venue, and will for the shards
            lead_s = min(LEAD_MAX_S, lead_s + self._options.shards * (self._seam.now() - self._opening))
        start = self._seam.wall() + lead_s
        return [
            ShardSpec(
                run=self._run_id,
                shard=number,
                shards=self._options.shards,
                plan=self._plan,
                url=url,
                start_at_wall=start,
                ca_file=self._plan.target.ca_file,
            )
            for number in range(self._options.shards)
        ]

    async def _play(self, engine: Engine, target: Target) -> dict[int, Outcome]:
        """Start the shards, take their reports, play faults, watch thresholds."""
        specs = self._specs(target.url)
        began = self._seam.now() + specs[0].start_at_wall - self._seam.wall()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._stop_engine, engine)
            nursery.start_soon(self._hear_watchers)
            try:
                await engine.start(specs)
            except EngineError:
                if self._stopped is None:
                    raise
            nursery.start_soon(
                play_venue_faults, self._plan, began, target.control, target.freezer, self._played
            )
            nursery.start_soon(self._each_second, began)
            async for delta in engine.deltas():
                if delta.run == self._run_id:
                    self._merged.add(delta)
            nursery.cancel_scope.cancel("the shards have ended")
        return await engine.close()

    async def _stop_engine(self, engine: Engine) -> None:
        await self._stopping.wait()
        assert self._stopped is not None, "there is a reason"
        await engine.stop(self._stopped[1], STOP_GRACE_S)

    async def _hear_watchers(self) -> None:
        self.stop(Exit.INTERRUPTED, await self.watch.wait_stop())

    async def _each_second(self, began: float) -> None:
        second = 0
        while True:
            second += 1
            await trio.sleep_until(began + second + 0.1)  # behind the reports of that second
            self._verdicts = self._judge_thresholds()
            for verdict in self._verdicts:
                broken = verdict.abort and not verdict.ok and verdict.observed != "no data"
                times = self._breaches[verdict.expr] = (
                    self._breaches.get(verdict.expr, 0) + 1 if broken else 0
                )
                if times >= BREACHES:
                    self.stop(Exit.THRESHOLD, f"{verdict.expr}: {verdict.observed}")
            self._show()

    def _show(self, *, ended: bool = False, outcomes: dict[int, Outcome] | None = None) -> None:
        view = self.watch.update(
            self._merged,
            verdicts=self._verdicts,
            faults=[
                FaultView(t=each.at_s, kind=each.kind, scope=each.scope, duration_s=each.for_s)
                for each in self._played
            ],
            outcomes={number: each.state for number, each in (outcomes or {}).items()},
            ended=ended,
            ending=self._stopped[1] if self._stopped is not None else "",
        )
        if self._on_second is not None:
            self._on_second(view)

    # --- verdicts ----------------------------------------------------------------------------------------------------

    def _judge_thresholds(self, coverage: float | None = None) -> list[Verdict]:
        gauges = {} if coverage is None else {"coverage": coverage}
        found = [
            evaluate(each, self._merged, gauges)
            for each in self._thresholds
            if coverage is not None or each.metric != "coverage"
        ]
        return [verdict for verdict in found if verdict is not None]

    async def _check_books(
        self, target: Target, before: dict[str, Any], outcomes: dict[int, Outcome]
    ) -> list[Check]:
        """Ask the oracle; a venue that is out of breath is asked again, and one that stays silent has no books."""
        whole = len(outcomes) == self._options.shards and all(
            each.state in ("done", "stopped") for each in outcomes.values()
        )
        for _ in range(STATS_ATTEMPTS):
            try:
                after = await target.control.stats()
            except PotrioError:
                await trio.sleep(1.0)
            else:
                return check_books(self._merged, before, after, lossy=self._is_lossy(), whole=whole)
        return [Check(what="the venue's counters", ours="asked for", venue="no answer", ok=False)]

    def _is_lossy(self) -> bool:
        return any(fault.scope == "venue" and fault.kind in LOSSY for fault in self._played)

    def _result(
        self,
        *,
        started_wall: float,
        outcomes: dict[int, Outcome],
        checks: list[Check],
        engine: dict[str, str],
        target: dict[str, Any],
        env: dict[str, Any],
    ) -> RunResult:
        merged, options, plan = self._merged, self._options, self._plan
        shards = [
            shard_result(number, outcomes.get(number), aborted=self._is_aborted())
            for number in range(options.shards)
        ]
        validity = judge(
            merged, shards, plan.limits, expected=options.shards, allow_degraded=options.allow_degraded
        )
        self._verdicts = self._judge_thresholds(validity.coverage) + [
            not_reached(each) for each in self._thresholds if merged.elapsed_s < each.after_s
        ]
        found = [Exit.OK] if self._stopped is None else [self._stopped[0]]
        if validity.verdict == "invalid":
            found.append(Exit.INVALID)
        if any(not verdict.ok and not verdict.soft for verdict in self._verdicts):
            found.append(Exit.THRESHOLD)
        if any(not check.ok for check in checks):
            found.append(Exit.ORACLE)
        self._show(ended=True, outcomes=outcomes)
        rows = list(merged.timeline())
        return RunResult(
            run_id=self._run_id,
            started_wall=started_wall,
            duration_s=round(merged.elapsed_s, 3),
            plan=plan,
            merged=merged,
            clients_planned=self._planned,
            validity=validity,
            exit=winner(found),
            argv=options.argv,
            env=env,
            target=target,
            engine=engine,
            shards=shards,
            verdicts=self._verdicts,
            faults=[
                FaultRecord(
                    t=each.at_s,
                    kind=each.kind,
                    duration_s=each.for_s,
                    scope=each.scope,
                    recovered_s=recovered_s(each, rows),
                )
                for each in fault_schedule(plan)
                if each in self._played
            ],
            checks=checks,
        )

    def _is_aborted(self) -> bool:
        return self._stopped is not None and self._stopped[0] is Exit.THRESHOLD


async def counters_of(target: Target) -> dict[str, Any] | None:
    """The venue's counters; None where a target that is not ours does not tell them."""
    try:
        return await target.control.stats()
    except PotrioError:
        if target.kind == "bundled":
            raise
        return None


def shard_result(number: int, outcome: Outcome | None, *, aborted: bool) -> ShardResult:
    """What became of a shard; one that a threshold has ended did its part."""
    if outcome is None:
        return ShardResult(shard=number, state="lost", reason="nothing is known of its end")
    state = "done" if aborted and outcome.state == "stopped" else outcome.state
    return ShardResult(**(msgspec.structs.asdict(outcome) | {"shard": number, "state": state}))


def not_reached(threshold: Threshold) -> Verdict:
    """A threshold whose time never came is not kept, unless it is soft."""
    return Verdict(threshold.expr, "not reached", threshold.soft, threshold.soft, threshold.abort, 0.0)
