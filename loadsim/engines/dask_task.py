"""What runs in a worker of Dask: a supervisor of the same shard process that the engine of this machine starts.

It adds to `process.py` only what a scheduler makes necessary: it ends its process when the scheduler, the controller
or the worker is gone (``loadsim.md`` 2.3, rules 0 and 4). Nothing here is sent by value: a worker imports this module.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

import msgspec
import trio

from loadsim.engines.base import EngineError, Outcome
from loadsim.engines.child import hello
from loadsim.engines.process import COMMAND, ProcessEngine, open_process_engine
from loadsim.engines.scope import open_tasks
from loadsim.engines.wire import Bye, Hello, Line, Report
from loadsim.swarm.spec import ShardSpec
from potrio.seam import REAL, Seam

__all__ = [
    "Greeting",
    "Said",
    "greet",
    "ignore_interrupts",
    "read_clock",
    "stop_shard",
    "supervise_shard",
    "unwanted",
]

LOOK_EVERY_S = 0.1
CLOSE_WITHIN_S = 1.0
"""A process whose input has been closed has so long to end by itself."""

RUNNING: dict[str, Supervision] = {}
"""What this worker has at the moment, by key. A worker is a process of its own: this is its only door for a word that
comes while the task runs."""


class Greeting(msgspec.Struct, frozen=True):
    """What a worker says of itself before it gets a shard."""

    hello: Hello
    distributed: str


class Said(msgspec.Struct, frozen=True):
    """An event of the topic: a line, whose it is, and in which of its lives: a second one is not believed."""

    shard: int
    attempt: str
    line: bytes
    first: bool = False


def greet(spec: bytes) -> bytes:
    """Say who this worker is, and how it reads the plan. Runs in the worker's event loop."""
    from distributed import __version__

    return msgspec.json.encode(Greeting(hello(ShardSpec.decode(spec), REAL), __version__))


def read_clock() -> float:
    """This worker's wall clock. Runs in the worker's event loop."""
    return REAL.wall()


def ignore_interrupts() -> None:
    """Leave Ctrl-C to the controller, which is in the same group of processes and ends its shards in good order.

    For workers of our own cluster; their shards inherit it. Runs in the worker's event loop, on its main thread.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def stop_shard(key: str, reason: str, grace_s: float) -> bool:
    """Pass the word on to a shard of this worker; False where it has ended. Runs in the worker's event loop."""
    shard = RUNNING.get(key)
    if shard is None:
        return False
    shard.ask_to_stop(reason, grace_s)
    return True


def supervise_shard(spec: bytes, key: str, topic: str, command: Sequence[str] | None = None) -> str:
    """Run a shard's process to its end: the task. Its reports and its outcome travel as events of the topic.

    Returns:
        How it ended, in one word.
    """
    from distributed import get_worker

    return trio.run(Supervision(get_worker(), ShardSpec.decode(spec), key, topic, command or COMMAND).run)


def unwanted(worker: Any, key: str) -> str | None:
    """Why this task should end, or None while all is well.

    One look for three deaths: of the controller and of the future (the scheduler takes the task back), of the
    scheduler (the worker closes), of the worker's good health. ``worker.state`` is not public: a release that has
    changed it must stop shards rather than leave them alone, and fails the canary among the tests.
    """
    if worker.status.name != "running":
        return f"its worker is {worker.status.name}"
    try:
        task = worker.state.tasks.get(key)
        state = "forgotten" if task is None else task.state
    except AttributeError as error:
        return f"this release of distributed cannot be watched: {error}"
    return None if state == "executing" else f"the scheduler has taken it back: {state}"


class Supervision:
    """One shard at this worker."""

    def __init__(
        self,
        worker: Any,
        spec: ShardSpec,
        key: str,
        topic: str,
        command: Sequence[str],
        seam: Seam = REAL,
    ) -> None:
        self._worker = worker
        self._spec = spec
        self._key = key
        self._topic = topic
        self._command = command
        self._seam = seam
        self._attempt = seam.new_id()
        self._word: tuple[str, float] | None = None
        self._asked = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._ended_because = ""

    def ask_to_stop(self, reason: str, grace_s: float) -> None:
        """Somebody asks; from another thread."""

        def ask() -> None:
            self._word = self._word or (reason, grace_s)
            self._asked.set()

        if self._token is not None:
            try:
                self._token.run_sync_soon(ask)
            except trio.RunFinishedError:
                pass  # it has ended meanwhile

    async def run(self) -> str:
        """Start the process, pass on what it says, and outlive it shortly. Leaves no process however it ends."""
        self._token = trio.lowlevel.current_trio_token()
        RUNNING[self._key] = self
        outcome: Outcome | None = None
        try:
            async with open_process_engine(self._command) as engine, open_tasks() as nursery:
                nursery.start_soon(self._watch, engine, nursery.cancel_scope)
                nursery.start_soon(self._obey, engine)
                await engine.start([self._spec])
                self._say(hello(self._spec, self._seam))
                async for delta in engine.deltas():
                    self._say(Report(delta))
                outcome = (await engine.close())[self._spec.shard]
        except EngineError as error:
            outcome = Outcome("lost", str(error))
        finally:
            del RUNNING[self._key]
        if outcome is None:  # it was killed
            outcome = Outcome("stopped", self._ended_because)
        self._say(Bye(outcome))
        return outcome.state

    async def _watch(self, engine: ProcessEngine, everything: trio.CancelScope) -> None:
        """Close the shard's input as soon as nobody wants it; who does not end by that is killed."""
        while not self._ended_because:
            self._ended_because = unwanted(self._worker, self._key) or ""
            await trio.sleep(0 if self._ended_because else LOOK_EVERY_S)
        with trio.move_on_after(CLOSE_WITHIN_S):
            await engine.stop(self._ended_because, 0.0)
        everything.cancel(self._ended_because)

    async def _obey(self, engine: ProcessEngine) -> None:
        """Pass a word to stop on."""
        await self._asked.wait()
        assert self._word is not None
        await engine.stop(*self._word)

    def _say(self, line: Line) -> None:
        """An event of the topic; from any thread, and it never waits."""
        said = Said(self._spec.shard, self._attempt, msgspec.json.encode(line), isinstance(line, Hello))
        self._worker.log_event(self._topic, msgspec.structs.asdict(said))
