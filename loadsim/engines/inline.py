"""The engine without processes: every shard is a task here. For tests, for small loads, and for virtual time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from loadsim.engines.base import Outcome, RunShard
from loadsim.engines.scope import open_tasks
from loadsim.metrics.delta import Delta
from loadsim.swarm.spec import LATE_MAX_S, ShardSpec
from potrio.errors import PotrioError
from potrio.limits import SHARD_REPORTS_WAITING_MAX
from potrio.seam import REAL, Seam

__all__ = ["InlineEngine", "open_inline_engine"]


class InlineLink:
    """A shard's side."""

    def __init__(self, out: trio.MemorySendChannel[Delta]) -> None:
        self._out = out
        self._stop = trio.Event()
        self.reason = ""

    def emit(self, delta: Delta) -> None:
        """Hand a report over."""
        self._out.send_nowait(delta)

    async def wait_stop(self) -> str:
        """Wait until somebody asks for the end."""
        await self._stop.wait()
        return self.reason

    def ask_to_stop(self, reason: str) -> None:
        """Somebody does."""
        if not self._stop.is_set():
            self.reason = reason
            self._stop.set()


@asynccontextmanager
async def open_inline_engine(run_shard: RunShard, seam: Seam = REAL) -> AsyncGenerator[InlineEngine, None]:
    """An engine whose shards end with the block at the latest."""
    async with open_tasks() as nursery:
        yield InlineEngine(run_shard, nursery, seam)


class InlineEngine:
    """Shards as tasks. See `Engine` for the verbs."""

    name = "inline"
    version = ""

    def __init__(self, run_shard: RunShard, nursery: trio.Nursery, seam: Seam) -> None:
        self._run_shard = run_shard
        self._nursery = nursery
        self._seam = seam
        self._out, self._reports = trio.open_memory_channel[Delta](SHARD_REPORTS_WAITING_MAX)
        self._links: dict[int, InlineLink] = {}
        self._scopes: dict[int, trio.CancelScope] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._ended = trio.Event()

    async def start(self, specs: Sequence[ShardSpec]) -> None:
        """Start a task for each. A checkpoint."""
        for spec in specs:
            self._links[spec.shard] = InlineLink(self._out)
            self._scopes[spec.shard] = trio.CancelScope()
            self._nursery.start_soon(self._run, spec)
        await trio.lowlevel.checkpoint()

    async def _run(self, spec: ShardSpec) -> None:
        link = self._links[spec.shard]
        outcome = Outcome("lost", "it was cut off")
        try:
            with self._scopes[spec.shard] as scope:
                late_s = self._seam.wall() - spec.start_at_wall
                if late_s > LATE_MAX_S:
                    outcome = Outcome("refused", f"late: {late_s:.1f} s after the start instant")
                else:
                    try:
                        await self._run_shard(spec, link)
                    except PotrioError as error:
                        outcome = Outcome("lost", str(error))
                    else:
                        outcome = Outcome("stopped", link.reason) if link.reason else Outcome("done")
            if scope.cancelled_caught:
                outcome = Outcome("stopped", link.reason)
        finally:
            self._outcomes[spec.shard] = outcome
            if len(self._outcomes) == len(self._links):
                self._out.close()
                self._ended.set()

    async def deltas(self) -> AsyncIterator[Delta]:
        """The reports as they come."""
        async for delta in self._reports:
            yield delta

    async def stop(self, reason: str, grace_s: float) -> None:
        """Ask, wait for the grace, cut off."""
        for shard, link in self._links.items():
            link.ask_to_stop(reason)
            self._scopes[shard].deadline = trio.current_time() + grace_s
        if self._links:
            await self._ended.wait()

    async def close(self) -> dict[int, Outcome]:
        """Wait for every shard."""
        if self._links:
            await self._ended.wait()
        return dict(self._outcomes)
