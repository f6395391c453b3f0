"""A shard whose plan's name says what it does; run as a process by the tests of engines.

``ahead=FILE`` among its arguments: its wall clock is ahead by the seconds that are written there.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import trio

from loadsim.engines.child import host_shard
from loadsim.metrics.recorder import Recorder
from loadsim.swarm.spec import Link, ShardSpec
from potrio.errors import ConfigError
from potrio.seam import Seam


async def run_shard(spec: ShardSpec, link: Link) -> None:
    """Report twenty times a second; a second is too long for a test."""
    recorder = Recorder(spec.run, spec.shard, spec.incarnation)

    async def report(times: int) -> None:
        for number in range(times):
            recorder.count("ticks")
            link.emit(recorder.take_delta(number / 20, last=number == times - 1))
            await trio.sleep(0.05)

    match spec.plan.name:
        case "short":
            await report(5)
        case "orderly":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(report, 10_000)
                await link.wait_stop()
                nursery.cancel_scope.cancel()
            link.emit(recorder.take_delta(99.0, last=True))
        case "deaf":
            await report(10_000)
        case "broken":
            raise ConfigError("plan", "this shard cannot play it")
        case "crash":
            await report(2)
            raise ZeroDivisionError("a bug")
        case "suicide":
            await report(2)
            os.kill(os.getpid(), signal.SIGKILL)
        case "frozen":
            await report(2)
            time.sleep(60)
        case "babble":
            await report(2)
            print("this is no line of ours", flush=True)
            await trio.sleep(60)
        case other:
            raise AssertionError(other)


class Ahead(Seam):
    """A wall clock that the test sets."""

    def wall(self) -> float:
        files = [Path(word.removeprefix("ahead=")) for word in sys.argv if word.startswith("ahead=")]
        return super().wall() + sum(float(file.read_text()) for file in files)


async def main() -> int:
    source, sink = (trio.lowlevel.FdStream(os.dup(number)) for number in (0, 1))
    outcome = await host_shard(run_shard, source, sink, seam=Ahead())
    return 0 if outcome.state == "done" else 1


if __name__ == "__main__":
    sys.exit(trio.run(main))
