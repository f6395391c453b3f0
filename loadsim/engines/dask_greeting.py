"""Whether workers of Dask fit the controller, asked before they get a shard (``loadsim.md`` 2.3, rule 8)."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from loadsim.engines.base import EngineError
from loadsim.engines.dask_cluster import in_thread
from loadsim.engines.dask_task import Greeting, greet, read_clock
from loadsim.engines.process import check_hello
from loadsim.swarm.spec import ShardSpec
from potrio.seam import REAL, Seam

__all__ = ["CLOCK_OFFSET_MAX_S", "ClockOffset", "best_offset", "check_greeting", "shake_hands"]

CLOCK_SAMPLES = 10
CLOCK_OFFSET_MAX_S = 0.5
"""A worker whose clock is further off would begin at another time than the others."""


class ClockOffset(msgspec.Struct, frozen=True):
    """How far a worker's wall clock is ahead of ours, and how far that may be wrong."""

    seconds: float
    uncertainty_s: float


def best_offset(samples: Sequence[tuple[float, float, float]]) -> ClockOffset:
    """Of (asked at, its clock, answered at), all wall clock: the sample that took least knows most (as NTP has it)."""
    asked, said, answered = min(samples, key=lambda sample: sample[2] - sample[0])
    return ClockOffset(said - (asked + answered) / 2, (answered - asked) / 2)


async def shake_hands(
    client: Any, specs: Mapping[str, ShardSpec], nofile_min: int, seam: Seam = REAL
) -> dict[str, tuple[Greeting, ClockOffset]]:
    """Ask each worker who it is and what time it has; by address.

    Raises:
        EngineError: one has another release, plan or clock, too few descriptors, or no answer.
    """
    workers = list(specs)
    greetings: dict[str, Greeting] = {}
    for worker, spec in specs.items():
        answer = (await in_thread(ask, client, [worker], greet, spec.encode())).get(
            worker, EOFError("no answer")
        )
        if isinstance(answer, BaseException):
            words = " ".join(str(answer).split())
            raise EngineError(f"worker {worker} cannot play a shard: {type(answer).__name__}: {words}")
        greetings[worker] = msgspec.json.decode(answer, type=Greeting)
        check_greeting(greetings[worker], spec, nofile_min, worker)
    samples: dict[str, list[tuple[float, float, float]]] = {worker: [] for worker in workers}
    for _ in range(CLOCK_SAMPLES):
        asked = seam.wall()
        answers = await in_thread(ask, client, workers, read_clock)
        answered = seam.wall()
        for worker, said in answers.items():
            if isinstance(said, float):
                samples[worker].append((asked, said, answered))
    found = {}
    for worker in workers:
        if not samples[worker]:
            raise EngineError(f"worker {worker} went away while its clock was read")
        offset = best_offset(samples[worker])
        if abs(offset.seconds) - offset.uncertainty_s > CLOCK_OFFSET_MAX_S:
            raise EngineError(
                f"the clock of worker {worker} is off by {offset.seconds:+.2f} s: "
                "shards would not begin together; set the clocks (NTP)"
            )
        found[worker] = (greetings[worker], offset)
    return found


def ask(client: Any, workers: list[str], question: Any, *values: Any) -> dict[str, Any]:
    """Run a function in the event loop of workers; blocks. Errors are among the answers."""
    answers: dict[str, Any] = client.run(question, *values, workers=workers, on_error="return")
    return answers


def check_greeting(greeting: Greeting, spec: ShardSpec, nofile_min: int, worker: str) -> None:
    """Refuse a worker that is not what the controller is.

    Raises:
        EngineError: it says in what it differs.
    """
    from distributed import __version__

    try:
        check_hello(greeting.hello, spec)
    except EngineError as error:
        raise EngineError(f"worker {worker}: {error}") from None
    theirs, ours = greeting.hello.python.split(".")[:2], platform.python_version().split(".")[:2]
    if theirs != ours:
        raise EngineError(f"worker {worker} runs Python {'.'.join(theirs)}, the controller {'.'.join(ours)}")
    if greeting.distributed != __version__:
        raise EngineError(
            f"worker {worker} runs distributed {greeting.distributed}, the controller {__version__}"
        )
    if greeting.hello.nofile < nofile_min:
        raise EngineError(
            f"worker {worker} may open {greeting.hello.nofile} descriptors, its shard needs {nofile_min}: "
            "raise `ulimit -n` there"
        )
