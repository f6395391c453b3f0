"""The actor cases with what asyncio has: a task, an `asyncio.Queue`, a Future for each answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from actor_case import BURST, CLIENTS, DEADLINE_S, Figures, Lateness, main, rate, resident_bytes


class Crash(Exception):
    """What the crashing task dies of."""


async def _tell(count: int) -> Figures:
    queue: asyncio.Queue[int] = asyncio.Queue(64)

    async def consume() -> None:
        for _ in range(count):
            await queue.get()

    started = time.process_time()
    async with asyncio.TaskGroup() as group:
        group.create_task(consume())
        for number in range(count):
            await queue.put(number)
    return rate(count, started)


async def _burst(count: int) -> Figures:
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def consume() -> None:
        seen = 0
        while seen < count:
            await queue.get()
            seen += 1
            while not queue.empty():
                queue.get_nowait()
                seen += 1

    started = time.process_time()
    async with asyncio.TaskGroup() as group:
        group.create_task(consume())
        for first in range(0, count, BURST):
            for number in range(first, min(count, first + BURST)):
                queue.put_nowait(number)
            await asyncio.sleep(0)
    return rate(count, started)


async def _ask(clients: int, deadline_s: float | None, count: int) -> Figures:
    queue: asyncio.Queue[tuple[int, asyncio.Future[int]]] = asyncio.Queue(64)
    loop = asyncio.get_running_loop()

    async def serve() -> None:
        while True:
            value, reply = await queue.get()
            reply.set_result(value)

    async def ask(value: int) -> int:
        reply = loop.create_future()
        await queue.put((value, reply))
        answer: int = await reply
        return answer

    async def client() -> None:
        for number in range(count // clients):
            if deadline_s is None:
                assert await ask(number) == number
            else:
                async with asyncio.timeout(deadline_s):
                    assert await ask(number) == number

    started = time.process_time()
    server = asyncio.create_task(serve())
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    server.cancel()
    return rate(count // clients * clients, started)


async def _restart(count: int) -> Figures:
    async def crash(number: int) -> None:
        await asyncio.sleep(0)
        raise Crash(number)

    started = time.process_time()
    for number in range(count):
        try:
            await asyncio.create_task(crash(number))
        except Crash:
            pass
    return rate(count, started)


async def _idle(count: int) -> Figures:
    queues: list[asyncio.Queue[None]] = []

    async def wait(queue: asyncio.Queue[None]) -> None:
        await queue.get()

    before, started = resident_bytes(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            queue: asyncio.Queue[None] = asyncio.Queue(1024)
            queues.append(queue)
            group.create_task(wait(queue))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        start_s = time.process_time() - started
        size = resident_bytes() - before
        started = time.process_time()
        for queue in queues:
            queue.put_nowait(None)
    stop_s = time.process_time() - started
    return {"bytes": size / count, "start_us": start_s / count * 1e6, "stop_us": stop_s / count * 1e6}


async def _fair(handler_s: float, milliseconds: int) -> Figures:
    queue: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    lateness = Lateness(milliseconds)

    async def actor() -> None:
        while True:
            queue.put_nowait(await queue.get())
            if not lateness.work(handler_s):
                return

    queue.put_nowait(0)
    queue.put_nowait(0)
    async with asyncio.TaskGroup() as group:
        group.create_task(actor())
        while not lateness.over:
            due = loop.time() + lateness.PERIOD_S
            await asyncio.sleep(lateness.PERIOD_S)
            lateness.ran(due, loop.time())
    return lateness.figures()


def run(function: Callable[..., Coroutine[Any, Any, Figures]], *arguments: Any) -> Callable[[int], Figures]:
    """A case: the function with its first arguments, on asyncio."""
    return lambda count: asyncio.run(function(*arguments, count))


if __name__ == "__main__":
    main(
        {
            "tell": run(_tell),
            "burst": run(_burst),
            "ask_1": run(_ask, 1, None),
            "ask_64": run(_ask, CLIENTS, None),
            "ask_1_deadline": run(_ask, 1, DEADLINE_S),
            "ask_64_deadline": run(_ask, CLIENTS, DEADLINE_S),
            "restart": run(_restart),
            "idle": run(_idle),
            "fair_4us": run(_fair, 4e-6),
            "fair_35us": run(_fair, 35e-6),
        }
    )
