"""The engine of this machine: a process for each shard, spec on its standard input, reports on its standard output."""

from __future__ import annotations

import fcntl
import platform
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version

import msgspec
import trio

from loadsim.engines.base import EngineError, Outcome
from loadsim.engines.scope import open_tasks
from loadsim.engines.watchdog import Watchdog
from loadsim.engines.wire import Bye, Hello, Lines, Report, Stop, decode_line
from loadsim.metrics.delta import Delta
from loadsim.plan.parse import plan_digest
from loadsim.swarm.spec import ShardSpec
from potrio.errors import PotrioError
from potrio.limits import SHARD_REPORTS_WAITING_MAX
from potrio.seam import REAL

__all__ = ["COMMAND", "ProcessEngine", "check_hello", "open_process_engine"]

COMMAND = (sys.executable, "-m", "loadsim", "shard")
HELLO_TIMEOUT_S = 30.0
KILL_AFTER_S = 1.0
"""A process whose input has ended has so long to end by itself."""

PIPE_BYTES = 4096
"""What a shard can say to a reader that is frozen, before it notices: a report or two."""

STDERR_KEPT = 2000
READ_MAX = 65_536


@asynccontextmanager
async def open_process_engine(command: Sequence[str] = COMMAND) -> AsyncGenerator[ProcessEngine, None]:
    """An engine whose processes end with the block at the latest."""
    shards: dict[int, Shard] = {}
    try:
        async with open_tasks() as nursery:
            yield ProcessEngine(nursery, command, shards)
    finally:
        with trio.CancelScope(shield=True):
            for shard in shards.values():
                await shard.bury()


class Shard:
    """One process and what is known about it."""

    def __init__(self, spec: ShardSpec) -> None:
        self.spec = spec
        self.process: trio.Process | None = None
        self.hello = trio.Event()
        self.host = ""
        self.outcome: Outcome | None = None
        self.stalled = False
        self.stopping = ""
        self.stderr = b""

    def end(self, outcome: Outcome) -> None:
        """The first word about its end counts."""
        if self.outcome is None:
            pid = outcome.pid or (self.process.pid if self.process else 0)
            self.outcome = Outcome(outcome.state, outcome.reason, outcome.host or self.host, pid)

    async def bury(self) -> None:
        """Leave nothing of it: no process, no pipe. Idempotent."""
        process = self.process
        if process is None:
            return
        if process.returncode is None:
            process.kill()
            await process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                await pipe.aclose()


class ProcessEngine:
    """Shards as processes. See `Engine` for the verbs."""

    name = "process"
    version = platform.python_version()

    def __init__(self, nursery: trio.Nursery, command: Sequence[str], shards: dict[int, Shard]) -> None:
        self._nursery = nursery
        self._command = list(command)
        self._out, self._reports = trio.open_memory_channel[Delta](SHARD_REPORTS_WAITING_MAX)
        self._shards = shards
        self._watchdog = Watchdog()
        self._ended = trio.Event()

    async def start(self, specs: Sequence[ShardSpec]) -> None:
        """Start a process for each and wait until all have said hello. Cancelling kills them."""
        for spec in specs:
            self._shards[spec.shard] = Shard(spec)
        for shard in self._shards.values():
            await self._spawn(shard)
        self._nursery.start_soon(self._watch)
        with trio.move_on_after(HELLO_TIMEOUT_S):
            for shard in self._shards.values():
                await shard.hello.wait()
        for shard in self._shards.values():
            if shard.outcome is not None and shard.outcome.state in ("lost", "refused") and not shard.host:
                raise EngineError(f"shard {shard.spec.shard} did not begin: {shard.outcome.reason}")
            if not shard.hello.is_set():
                raise EngineError(f"shard {shard.spec.shard} said nothing within {HELLO_TIMEOUT_S:g} s")

    async def _spawn(self, shard: Shard) -> None:
        try:
            process = await trio.lowlevel.open_process(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise EngineError(f"cannot start {self._command[0]}: {error.strerror}") from None
        shard.process = process
        narrow(process)
        before_start_s = max(
            0.0, shard.spec.start_at_wall - REAL.wall()
        )  # until then there is nothing to report
        self._watchdog.heard(shard.spec.shard, trio.current_time() + before_start_s)
        self._nursery.start_soon(self._drain, shard, process)
        self._nursery.start_soon(self._read, shard, process)
        assert process.stdin is not None
        try:
            await process.stdin.send_all(shard.spec.encode() + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it has ended already: its reader says how

    async def _drain(self, shard: Shard, process: trio.Process) -> None:
        """Keep the last words of its standard error."""
        assert process.stderr is not None
        async for data in process.stderr:
            shard.stderr = (shard.stderr + data)[-STDERR_KEPT:]

    async def _read(self, shard: Shard, process: trio.Process) -> None:
        """Read what a shard says, to its end."""
        lines = Lines()
        assert process.stdout is not None
        try:
            async for data in process.stdout:
                self._watchdog.heard(shard.spec.shard, trio.current_time())
                shard.stalled = False
                for line in lines.feed(bytes(data)):
                    self._take(shard, line)
        except PotrioError as error:  # what it says is no line of ours: it is not to be believed any more
            shard.end(Outcome("lost", str(error)))
        except trio.BrokenResourceError:
            pass
        await self._reap(shard, process)

    def _take(self, shard: Shard, line: bytes) -> None:
        match decode_line(line):
            case Hello() as hello:
                check_hello(hello, shard.spec)
                shard.host = hello.host
                shard.hello.set()
            case Report(delta=delta):
                if delta.shard == shard.spec.shard and delta.run == shard.spec.run:
                    self._out.send_nowait(delta)
            case Bye(outcome=outcome):
                shard.end(outcome)

    async def _reap(self, shard: Shard, process: trio.Process) -> None:
        """It will say nothing more: let it end, and say how it did."""
        if process.stdin is not None:
            await process.stdin.aclose()
        with trio.move_on_after(KILL_AFTER_S):
            await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
        if shard.stopping:
            shard.end(Outcome("stopped", shard.stopping))
        words = (line.strip(" |+-") for line in shard.stderr.decode(errors="replace").splitlines())
        last = [line for line in words if line][-1:]  # a traceback of a group ends with its frame
        shard.end(
            Outcome(
                "lost", f"its process ended with {process.returncode}" + "".join(f": {it}" for it in last)
            )
        )
        self._watchdog.forget(shard.spec.shard)
        shard.hello.set()
        if all(each.outcome is not None for each in self._shards.values()):
            self._out.close()
            self._ended.set()

    async def _watch(self) -> None:
        """Cut off who has gone silent."""
        while not self._ended.is_set():
            now = trio.current_time()
            for number, shard in self._shards.items():
                state = self._watchdog.state(number, now) if shard.outcome is None else "alive"
                shard.stalled = state == "stalled"
                if state == "lost" and shard.process is not None:
                    shard.end(Outcome("stalled", "it lived, but reported nothing"))
                    shard.process.kill()
            await trio.sleep_until(self._watchdog.next_look(now))

    @property
    def stalled(self) -> list[int]:
        """Shards that should have reported by now."""
        return [number for number, shard in self._shards.items() if shard.stalled]

    async def deltas(self) -> AsyncIterator[Delta]:
        """The reports as they come."""
        async for delta in self._reports:
            yield delta

    async def stop(self, reason: str, grace_s: float) -> None:
        """Ask, wait for the grace, close their input."""
        word = msgspec.json.encode(Stop(reason, grace_s)) + b"\n"
        for shard in self._shards.values():
            shard.stopping = reason
            if shard.process is not None and shard.process.stdin is not None and shard.outcome is None:
                try:
                    await shard.process.stdin.send_all(word)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    pass  # it has ended meanwhile
        with trio.move_on_after(grace_s):
            await self._ended.wait()
        for shard in self._shards.values():
            if shard.process is not None and shard.process.stdin is not None:
                await shard.process.stdin.aclose()
        if self._shards:
            await self._ended.wait()

    async def close(self) -> dict[int, Outcome]:
        """Wait for every shard. Cancelling kills them."""
        if self._shards:
            await self._ended.wait()
        return {number: shard.outcome for number, shard in self._shards.items() if shard.outcome is not None}


def narrow(process: trio.Process) -> None:
    """Give a shard's reports the smallest pipe there is, where the system lets us choose."""
    assert isinstance(process.stdout, trio.lowlevel.FdStream)
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def check_hello(hello: Hello, spec: ShardSpec) -> None:
    """Refuse a shard that is another release or plays another plan.

    Raises:
        EngineError: it does.
    """
    ours = version("potrio")
    if hello.potrio != ours:
        raise EngineError(f"shard {spec.shard} runs potrio {hello.potrio}, the controller {ours}")
    if hello.plan_digest != plan_digest(spec.plan):
        raise EngineError(f"shard {spec.shard} has read another plan")
