"""The host of a shard in a process of its own: spec on standard input, reports on standard output.

The end of its input means stop. It outlives nothing: where its input ends, it ends at once; where nobody takes its
reports for ten seconds, too. A shard that would begin too late after its start instant sends nothing to the venue
(``loadsim.md`` 2.3, rules 0, 2, 10).
"""

from __future__ import annotations

import os
import platform
import resource
import socket
from importlib.metadata import version

import msgspec
import trio

from loadsim.engines.base import Outcome, RunShard
from loadsim.engines.wire import Bye, Hello, Line, Lines, Report, Stop
from loadsim.metrics.delta import Delta
from loadsim.plan.parse import plan_digest
from loadsim.swarm.spec import LATE_MAX_S, ShardSpec
from potrio.errors import PotrioError
from potrio.seam import REAL, Seam

__all__ = ["hello", "host_shard"]

WRITE_TIMEOUT_S = 10.0
REPORTS_WAITING_MAX = 60
"""A minute of reports: by then the pipe has been stuck for longer than `WRITE_TIMEOUT_S`."""


class ChildLink:
    """The shard's side."""

    def __init__(self, out: trio.MemorySendChannel[Line]) -> None:
        self._out = out
        self._stop = trio.Event()
        self.reason = ""

    def emit(self, delta: Delta) -> None:
        """Put a report in the queue; one that finds it full is a gap, which the controller sees."""
        try:
            self._out.send_nowait(Report(delta))
        except trio.WouldBlock:
            pass

    async def wait_stop(self) -> str:
        """Wait until somebody asks for the end."""
        await self._stop.wait()
        return self.reason

    def ask_to_stop(self, reason: str) -> None:
        """Somebody does."""
        if not self._stop.is_set():
            self.reason = reason
            self._stop.set()


async def host_shard(
    run_shard: RunShard,
    source: trio.abc.ReceiveStream,
    sink: trio.abc.SendStream,
    seam: Seam = REAL,
) -> Outcome:
    """Run one shard to its end; returns how it ended, which has been said on ``sink`` too where somebody still reads.

    Cancelling ends the shard as the end of its input does.
    """
    lines = Lines()
    waiting: list[bytes] = []
    while not waiting:
        data = await source.receive_some()
        if not data:
            return Outcome("refused", "the input ended before there was a spec")
        waiting = lines.feed(bytes(data))
    try:
        spec = ShardSpec.decode(waiting.pop(0))
    except PotrioError as error:
        await say(sink, Bye(Outcome("refused", str(error))))
        return Outcome("refused", str(error))
    out, queue = trio.open_memory_channel[Line](REPORTS_WAITING_MAX)
    link = ChildLink(out)
    outcome = Outcome("stopped", "its input ended", socket.gethostname(), os.getpid())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, source, lines, waiting, link, nursery.cancel_scope)
        async with trio.open_nursery() as talking:
            talking.start_soon(talk, queue, sink, nursery.cancel_scope)
            async with out:
                out.send_nowait(hello(spec, seam))
                outcome = await play(run_shard, spec, link, seam)
                await out.send(Bye(outcome))
        nursery.cancel_scope.cancel("the shard has ended")
    return outcome


async def play(run_shard: RunShard, spec: ShardSpec, link: ChildLink, seam: Seam) -> Outcome:
    """Run the shard unless it is too late."""
    host, pid = socket.gethostname(), os.getpid()
    late_s = seam.wall() - spec.start_at_wall
    if late_s > LATE_MAX_S:
        return Outcome("refused", f"late: {late_s:.1f} s after the start instant", host, pid)
    try:
        await run_shard(spec, link)
    except PotrioError as error:
        return Outcome("lost", str(error), host, pid)
    return Outcome("stopped", link.reason, host, pid) if link.reason else Outcome("done", None, host, pid)


async def listen(
    source: trio.abc.ReceiveStream,
    lines: Lines,
    waiting: list[bytes],
    link: ChildLink,
    everything: trio.CancelScope,
) -> None:
    """Hear the controller: a word to stop, or the end of the input, which is the end of everything."""
    while True:
        for line in waiting:
            stop = msgspec.json.decode(line, type=Stop)
            link.ask_to_stop(stop.reason)
            everything.deadline = min(everything.deadline, trio.current_time() + stop.grace_s)
        try:
            data = await source.receive_some()
        except trio.BrokenResourceError:
            data = b""
        if not data:
            everything.cancel("the controller is gone")
            return
        waiting = lines.feed(bytes(data))


async def talk(
    queue: trio.MemoryReceiveChannel[Line], sink: trio.abc.SendStream, everything: trio.CancelScope
) -> None:
    """Write what the shard says; where nobody reads it, everything ends."""
    async for line in queue:
        if not await say(sink, line):
            everything.cancel("nobody reads the reports")
            return


async def say(sink: trio.abc.SendStream, line: Line) -> bool:
    """Write a line; False where nobody takes it in time."""
    with trio.move_on_after(WRITE_TIMEOUT_S) as scope:
        try:
            await sink.send_all(msgspec.json.encode(line) + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
    return not scope.cancelled_caught


def hello(spec: ShardSpec, seam: Seam) -> Hello:
    """What the controller compares before it believes in the shard."""
    return Hello(
        potrio=version("potrio"),
        python=platform.python_version(),
        plan_digest=plan_digest(spec.plan),
        pid=os.getpid(),
        host=socket.gethostname(),
        nofile=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        wall=seam.wall(),
    )
