"""A job that runs every so often, fails now and then, and is restarted with what it has learnt so far.

Run it: ``python examples/periodic_job.py``
"""

from __future__ import annotations

import trio

from potrio.supervision import (
    Backoff,
    ChildCrashed,
    Context,
    Event,
    Limit,
    RestartScheduled,
    child,
    open_supervisor,
    render,
    supervisor,
)

PERIOD = 0.05


class ServiceDown(Exception):
    """The service that the job asks did not answer."""


async def fetch(number: int) -> int:
    """Stands for a request to somewhere; every fourth fails."""
    await trio.sleep(0.005)
    if number % 4 == 3:
        raise ServiceDown(f"request {number}")
    return number * 10


async def poller(ctx: Context[str], results: list[int], enough: trio.Event) -> None:
    """Fetch at every tick. The count survives crashes, because it is kept explicitly; nothing else does."""
    count = ctx.kept if isinstance(ctx.kept, int) else 0
    ctx.every(PERIOD, "tick")  # drift-free, never queued twice, gone with this incarnation
    async for _ in ctx.inbox:
        ctx.keep(count + 1)
        results.append(await fetch(count))
        count += 1
        if count == 10:
            enough.set()


def observe(event: Event) -> None:
    """Print what a real program would log; `potrio.supervision.log_events` does that."""
    match event:
        case ChildCrashed():
            print(f"{event.path} #{event.incarnation} crashed: {event.failure}")
        case RestartScheduled():
            print(f"{event.path} is started again in {event.delay:.3f} s")


async def main() -> None:
    """Let the job run until it has asked ten times, then look at it."""
    results: list[int] = []
    enough = trio.Event()
    tree = supervisor(
        child(poller, results, enough, id="poller"),
        id="jobs",
        limit=Limit(20, within=10),
        backoff=Backoff(base=0.02, cap=0.2, reset_after=1),
    )
    async with open_supervisor(tree, observers=[observe]) as sup:
        await enough.wait()
        print(render(sup.tree()))
    print(f"{len(results)} results, none fetched twice: {len(set(results)) == len(results)}")


if __name__ == "__main__":
    trio.run(main)
