"""The engine of many machines: each shard is a process under a task of Dask, on a worker of its own.

Dask adds places, transport, TLS, and quick news of a death; it is not trusted to run a shard once: a task that begins
too late sends nothing, one that is run again is not believed, and what is lost stays lost (``loadsim.md`` 2.3).
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import Any, Literal

import msgspec
import trio

from loadsim.engines.base import EngineError, Outcome
from loadsim.engines.dask_cluster import Cluster, Tls, attempt, in_thread, open_cluster
from loadsim.engines.dask_greeting import ClockOffset, shake_hands
from loadsim.engines.dask_shard import Shard, submit, take_back, unsubscribe, why
from loadsim.engines.dask_task import Said, stop_shard
from loadsim.engines.process import check_hello
from loadsim.engines.scope import open_tasks
from loadsim.engines.watchdog import Watchdog
from loadsim.engines.wire import Bye, Hello, Report, decode_line
from loadsim.metrics.delta import Delta
from loadsim.swarm.spec import ShardSpec
from potrio.errors import PotrioError
from potrio.limits import SHARD_REPORTS_WAITING_MAX
from potrio.seam import REAL, Seam

__all__ = ["DaskEngine", "OnShardLoss", "open_dask_engine"]

OnShardLoss = Literal["invalidate", "degrade", "abort"]

HANDSHAKE_TIMEOUT_S = 30.0
WORKERS_TIMEOUT_S = 15.0
"""Workers that are on their way are waited for so long."""

BEGIN_TIMEOUT_S = 30.0
LOOK_EVERY_S = 0.1
LEAVE_WITHIN_S = 3.0
"""What has been taken back from the scheduler ends within tenths of a second, where anybody is left to say so."""

ABORT_GRACE_S = 5.0


@asynccontextmanager
async def open_dask_engine(
    scheduler: str | None = None,
    *,
    workers: int = 2,
    tls: Tls | None = None,
    insecure_engine: bool = False,
    on_shard_loss: OnShardLoss = "invalidate",
    nofile_min: int = 0,
    command: Sequence[str] | None = None,
    seam: Seam = REAL,
) -> AsyncGenerator[DaskEngine, None]:
    """An engine on Dask; its shards end with the block at the latest, and so does a cluster of our own.

    Args:
        scheduler: ``tls://HOST:PORT``; None starts a cluster on this machine.
        workers: of a cluster of our own.
        tls: certificates; needed for ``tls://``, and used by our own cluster.
        insecure_engine: believe a scheduler without TLS that is not on this machine.
        on_shard_loss: ``abort`` stops the others when one is lost; with the other two they go on, and the report says
            that the run is not valid (``invalidate``) or less than was planned (``degrade``). None is ever run again.
        nofile_min: descriptors that a shard needs.
        command: what a worker starts for a shard; None: ``python -m loadsim shard`` of its own Python.
        seam: clocks and names.

    Raises:
        ConfigError: the address cannot be used as it is.
        EngineError: the package is not installed, or there is no scheduler.
    """
    async with open_cluster(scheduler, workers, tls, insecure_engine) as cluster, open_tasks() as nursery:
        engine = DaskEngine(nursery, cluster, on_shard_loss, nofile_min, command, seam)
        try:
            yield engine
        finally:
            with trio.move_on_after(2 * LEAVE_WITHIN_S, shield=True):
                await engine.leave()


class DaskEngine:
    """Shards as processes under tasks. See `Engine` for the verbs.

    Attributes:
        on_shard_loss: what the run is worth after a loss; for the report.
        reruns: times the scheduler began a shard again though it was told not to; their reports are not taken.
        clocks: how far the clock of each shard's worker is off.
    """

    name = "dask"

    def __init__(
        self,
        nursery: trio.Nursery,
        cluster: Cluster,
        on_shard_loss: OnShardLoss,
        nofile_min: int,
        command: Sequence[str] | None,
        seam: Seam,
    ) -> None:
        self.on_shard_loss: OnShardLoss = on_shard_loss
        self.reruns = 0
        self.clocks: dict[int, ClockOffset] = {}
        self._nursery = nursery
        self._cluster = cluster
        self._nofile_min = nofile_min
        self._command = None if command is None else list(command)
        self._seam = seam
        self._topics: list[str] = []
        self._out, self._reports = trio.open_memory_channel[Delta](SHARD_REPORTS_WAITING_MAX)
        self._shards: dict[int, Shard] = {}
        self._watchdog = Watchdog()
        self._stopping = ""
        self._left = False
        self._ended = trio.Event()

    @property
    def version(self) -> str:
        """Of the package."""
        try:
            return version_of("distributed")
        except PackageNotFoundError:
            return ""

    # --- start -------------------------------------------------------------------------------------------------------

    async def start(self, specs: Sequence[ShardSpec]) -> None:
        """Find a free worker for each, compare, submit, and wait until all have begun. Cancelling takes them back.

        Raises:
            EngineError: there are too few workers, one does not fit, or a shard did not begin.
        """
        if not specs:
            return
        # Who runs a plan of this name at the same time, or ran it a moment ago, has other keys.
        unique = f"loadsim-{specs[0].run}-{self._seam.new_id()}"
        with trio.move_on_after(HANDSHAKE_TIMEOUT_S) as scope:
            workers = await in_thread(self._free_workers, len(specs))
            known = await shake_hands(
                self._cluster.client, dict(zip(workers, specs, strict=True)), self._nofile_min, self._seam
            )
        if scope.cancelled_caught:
            raise EngineError(f"the workers did not answer within {HANDSHAKE_TIMEOUT_S:g} s")
        for worker, spec in zip(workers, specs, strict=True):
            greeting, clock = known[worker]
            if (
                abs(clock.seconds) > clock.uncertainty_s
            ):  # second 0 is at one instant, whatever clocks call it
                spec = msgspec.structs.replace(spec, start_at_wall=spec.start_at_wall + clock.seconds)
            shard = self._shards[spec.shard] = Shard(spec, f"{unique}-{spec.shard}", worker)
            shard.worker_pid, self.clocks[spec.shard] = greeting.hello.pid, clock
        await in_thread(self._submit, unique, trio.lowlevel.current_trio_token())
        self._nursery.start_soon(self._watch)
        with trio.move_on_after(BEGIN_TIMEOUT_S):
            for shard in self._shards.values():
                await shard.began.wait()
        for shard in self._shards.values():
            if not shard.attempt:
                reason = (
                    shard.outcome.reason if shard.outcome else f"it said nothing for {BEGIN_TIMEOUT_S:g} s"
                )
                raise EngineError(f"shard {shard.spec.shard} did not begin: {reason}")

    def _free_workers(self, count: int) -> list[str]:
        """Addresses of workers that do nothing; blocks until there are so many workers at all."""
        client = self._cluster.client
        try:
            client.wait_for_workers(count, timeout=WORKERS_TIMEOUT_S)
        except TimeoutError:
            pass  # the sentence below has the number
        tasks = client.processing()
        free = sorted(worker for worker, keys in tasks.items() if not keys)
        if len(free) < count:
            raise EngineError(
                f"{count} shards need {count} workers that do nothing else; there are {len(free)} free of {len(tasks)}"
            )
        return free[:count]

    def _submit(self, topic: str, token: trio.lowlevel.TrioToken) -> None:
        """Listen first, then hand out the tasks. In a thread; what is heard comes from Dask's own."""
        client = self._cluster.client

        def hear(take: Any, *values: Any) -> None:
            try:
                token.run_sync_soon(take, *values)
            except trio.RunFinishedError:
                pass  # the controller has ended

        self._topics = [topic, *(shard.worker for shard in self._shards.values())]
        client.subscribe_topic(topic, lambda event: hear(self._take, event[1]))
        for shard in self._shards.values():
            # The scheduler writes the life of a worker down under its address.
            client.subscribe_topic(shard.worker, lambda event, of=shard: hear(self._take_news, of, event[1]))
            shard.future = submit(client, shard, topic, self._command)

    # --- what is heard -----------------------------------------------------------------------------------------------

    def _take(self, said: Any) -> None:
        """An event of our topic; whoever reaches the scheduler can make one up."""
        try:
            heard = msgspec.convert(said, Said)
            shard = self._shards[heard.shard]
        except (msgspec.ValidationError, KeyError):
            return
        if shard.attempt and heard.attempt != shard.attempt:
            self.reruns += heard.first
            return
        if shard.outcome is not None or self._left:
            return
        self._watchdog.heard(shard.spec.shard, trio.current_time())
        shard.stalled = False
        try:
            match decode_line(heard.line):
                case Hello() as hello:
                    check_hello(hello, shard.spec)
                    shard.attempt = heard.attempt
                    shard.began.set()
                    before_start_s = max(0.0, shard.spec.start_at_wall - self._seam.wall())
                    self._watchdog.heard(shard.spec.shard, trio.current_time() + before_start_s)
                case Report(delta=delta):
                    self._forward(shard, delta)
                case Bye(outcome=outcome):
                    if outcome.state == "stopped" and self._stopping:  # by the word, or by being taken back
                        outcome = msgspec.structs.replace(outcome, reason=self._stopping)
                    self._end(shard, outcome)
        except PotrioError as error:  # what it says is no line of ours: it is not to be believed any more
            self._end(shard, Outcome("lost", str(error)))

    def _forward(self, shard: Shard, delta: Delta) -> None:
        """Hand a report over; one that finds no room is a gap, which shows."""
        if delta.shard == shard.spec.shard and delta.run == shard.spec.run:
            try:
                self._out.send_nowait(delta)
            except trio.WouldBlock:
                pass

    def _take_news(self, shard: Shard, news: Any) -> None:
        """An event of a worker's life."""
        if isinstance(news, dict) and news.get("action") == "remove-worker":
            self._end(shard, Outcome("lost", f"its worker {shard.worker} is gone"))

    def _end(self, shard: Shard, outcome: Outcome) -> None:
        """The first word about its end counts. What is left of it at the scheduler is taken back."""
        if shard.outcome is not None or self._left:
            return
        shard.outcome = outcome
        shard.stalled = False
        self._watchdog.forget(shard.spec.shard)
        shard.began.set()
        if shard.future is not None:
            self._nursery.start_soon(self._take_back, [shard])
        if all(each.outcome is not None for each in self._shards.values()):
            self._out.close()
            self._ended.set()
        elif outcome.state in ("lost", "stalled") and self.on_shard_loss == "abort" and not self._stopping:
            self._nursery.start_soon(self.stop, f"shard {shard.spec.shard} was lost", ABORT_GRACE_S)

    async def _take_back(self, shards: Sequence[Shard]) -> None:
        """Release what has ended and cancel what has not: a task that nobody wants ends by itself."""
        for shard in shards:
            shard.taken_back = True
        futures = [shard.future for shard in shards if shard.future is not None]
        await attempt(take_back, self._cluster.client, futures, within_s=LEAVE_WITHIN_S)

    # --- the watch ---------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """See what nobody says: a dead scheduler, a frozen worker, a task that failed outside of our code."""
        while not self._ended.is_set():
            now = trio.current_time()
            for number, shard in self._shards.items():
                if shard.outcome is not None:
                    continue
                self._look(shard, now)
                silence = self._watchdog.state(number, now)
                shard.stalled = silence == "stalled"
                if silence == "lost":
                    self._end(shard, Outcome("lost", "nothing was heard of it; its worker may be frozen"))
                    self._kill_worker(shard)
            await trio.sleep(LOOK_EVERY_S)

    def _look(self, shard: Shard, now: float) -> None:
        match shard.future.status:
            case "pending":
                return
            case "finished":  # its last word is an event sent before; it has been heard, or never will be
                shard.finished_at = min(shard.finished_at, now)
                if now - shard.finished_at > 1.0:
                    self._end(shard, Outcome("lost", "its task ended without a word"))
            case "error" if not shard.asked_why:
                shard.asked_why = True
                self._nursery.start_soon(self._ask_why, shard)
            case "cancelled" | "lost" if not shard.taken_back:
                self._end(shard, Outcome("lost", "the scheduler is gone, or has dropped it"))

    async def _ask_why(self, shard: Shard) -> None:
        """The task raised, or its worker died."""
        error = await in_thread(why, shard.future)
        words = " ".join(str(error).split())
        self._end(shard, Outcome("lost", f"its task failed: {type(error).__name__}: {words}"))

    def _kill_worker(self, shard: Shard) -> None:
        """One of ours that is frozen will not close the input of its process; its death does."""
        if self._cluster.local is not None and shard.worker_pid:
            try:
                os.kill(shard.worker_pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it is gone already

    @property
    def stalled(self) -> list[int]:
        """Shards that should have reported by now."""
        return [number for number, shard in self._shards.items() if shard.stalled]

    # --- the other verbs ---------------------------------------------------------------------------------------------

    async def deltas(self) -> AsyncIterator[Delta]:
        """The reports as they come."""
        async for delta in self._reports:
            yield delta

    async def stop(self, reason: str, grace_s: float) -> None:
        """Ask, wait for the grace, take the tasks back; who says nothing to that either counts as lost."""
        self._stopping = self._stopping or reason
        if not self._shards:
            return
        for shard in self._running():
            self._nursery.start_soon(self._ask_to_stop, shard, reason, grace_s)
        with trio.move_on_after(grace_s):
            await self._ended.wait()
        await self._stop_tasks()
        for shard in self._running():
            self._end(shard, Outcome("lost", "it did not answer to being stopped"))
            self._kill_worker(shard)

    async def _ask_to_stop(self, shard: Shard, reason: str, grace_s: float) -> None:
        """Send the word to its worker, which passes it on; a worker that is frozen or gone does not take it."""
        run = partial(self._cluster.client.run, workers=[shard.worker], on_error="return")
        await attempt(run, stop_shard, shard.key, reason, grace_s, within_s=grace_s)

    def _running(self) -> list[Shard]:
        return [shard for shard in self._shards.values() if shard.outcome is None]

    async def _stop_tasks(self) -> None:
        """Take back what runs and wait, not for long, until it has said that it ended."""
        running = self._running()
        if running:
            with trio.move_on_after(LEAVE_WITHIN_S):
                await self._take_back(running)
                await self._ended.wait()

    async def leave(self) -> None:
        """Leave nothing at the scheduler, and hear nothing more."""
        self._stopping = self._stopping or "the controller has ended"
        await self._stop_tasks()
        self._left = True
        topics, self._topics = self._topics, []
        await attempt(unsubscribe, self._cluster.client, topics, within_s=LEAVE_WITHIN_S)

    async def close(self) -> dict[int, Outcome]:
        """Wait for every shard."""
        if self._shards:
            await self._ended.wait()
        return {
            number: msgspec.structs.replace(
                shard.outcome, clock_offset_ms=round(self.clocks[number].seconds * 1000, 3)
            )
            for number, shard in self._shards.items()
            if shard.outcome is not None
        }
