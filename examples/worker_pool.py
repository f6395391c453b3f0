"""A pool of workers: jobs go to whoever is least busy, a worker that crashes is replaced, no job is done twice.

Run it: ``python examples/worker_pool.py``
"""

from __future__ import annotations

import trio

from potrio.supervision import (
    ActorCrashed,
    Call,
    Context,
    Key,
    Request,
    bounded,
    child,
    open_supervisor,
    supervisor,
)

WORKERS = 4
JOBS = 40


class Square(Request[int], frozen=True):
    """What is the square of this number?"""

    number: int


POOL = Key[Call[int]]("pool")


async def worker(ctx: Context[Call[int]]) -> None:
    """Do one job at a time."""
    async for call in ctx.inbox:
        await trio.sleep(0.01)  # the work
        if call.msg.number % 13 == 12:
            raise ArithmeticError(f"{call.msg.number} is too hard")  # whoever asked gets ActorCrashed
        call.reply(call.msg.number**2)


async def pool(ctx: Context[Call[int]]) -> None:
    """Hand each request on to the next worker; the reply goes straight to whoever asked."""
    workers = [ctx.lookup(f"workers/{number}") for number in range(WORKERS)]
    turn = 0
    async for call in ctx.inbox:
        await workers[turn % WORKERS].send(call)  # a Call may be passed on; back-pressure when all are busy
        turn += 1


TREE = supervisor(
    supervisor(
        *(child(worker, id=str(number), mailbox=bounded(2)) for number in range(WORKERS)), id="workers"
    ),
    child(pool, id=POOL),
    id="root",
)


async def main() -> None:
    """Ask for the squares of many numbers at once."""
    squares: dict[int, int | str] = {}
    async with open_supervisor(TREE) as sup, trio.open_nursery() as nursery:

        async def ask(number: int) -> None:
            try:
                squares[number] = await sup.ref(POOL).ask(Square(number), timeout=5)
            except ActorCrashed as error:
                squares[number] = type(error).__name__

        for number in range(JOBS):
            nursery.start_soon(ask, number)
    done = [number for number, square in squares.items() if square == number**2]
    print(f"{len(done)} of {JOBS} jobs done, {JOBS - len(done)} failed: {sorted(set(squares) - set(done))}")


if __name__ == "__main__":
    trio.run(main)
