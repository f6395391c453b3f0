"""The actor cases with anyio on trio: a task, a memory object stream, awaited on both sides except in bursts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
from actor_case import BURST, CLIENTS, DEADLINE_S, Figures, Lateness, main, rate, resident_bytes
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream


class Crash(Exception):
    """What the crashing task dies of."""


async def _tell(count: int) -> Figures:
    sender, receiver = anyio.create_memory_object_stream[int](64)

    async def consume() -> None:
        async for _ in receiver:
            pass

    started = time.process_time()
    async with anyio.create_task_group() as nursery:
        nursery.start_soon(consume)
        async with sender:
            for number in range(count):
                await sender.send(number)
    return rate(count, started)


async def _burst(count: int) -> Figures:
    sender, receiver = anyio.create_memory_object_stream[int](math.inf)

    async def consume() -> None:
        seen = 0
        while seen < count:
            await receiver.receive()
            seen += 1
            try:
                while True:
                    receiver.receive_nowait()
                    seen += 1
            except anyio.WouldBlock:
                pass

    started = time.process_time()
    async with anyio.create_task_group() as nursery:
        nursery.start_soon(consume)
        for first in range(0, count, BURST):
            for number in range(first, min(count, first + BURST)):
                sender.send_nowait(number)
            await anyio.lowlevel.checkpoint()
    return rate(count, started)


async def _ask(clients: int, deadline_s: float | None, count: int) -> Figures:
    sender, receiver = anyio.create_memory_object_stream[tuple[int, MemoryObjectSendStream[int]]](64)

    async def serve() -> None:
        async for value, reply in receiver:
            await reply.send(value)

    async def ask(value: int) -> int:
        reply, answer = anyio.create_memory_object_stream[int](1)
        await sender.send((value, reply))
        return await answer.receive()

    async def client() -> None:
        for number in range(count // clients):
            if deadline_s is None:
                assert await ask(number) == number
            else:
                with anyio.fail_after(deadline_s):
                    assert await ask(number) == number

    started = time.process_time()
    async with anyio.create_task_group() as server:
        server.start_soon(serve)
        async with sender, anyio.create_task_group() as nursery:
            for _ in range(clients):
                nursery.start_soon(client)
    return rate(count // clients * clients, started)


async def _restart(count: int) -> Figures:
    async def crash(number: int) -> None:
        await anyio.lowlevel.checkpoint()
        raise Crash(number)

    started = time.process_time()
    for number in range(count):
        try:
            async with anyio.create_task_group() as nursery:
                nursery.start_soon(crash, number)
        except* Crash:
            pass
    return rate(count, started)


async def _idle(count: int) -> Figures:
    senders: list[MemoryObjectSendStream[int]] = []

    async def wait(receiver: MemoryObjectReceiveStream[int]) -> None:
        async for _ in receiver:
            pass

    before, started = resident_bytes(), time.process_time()
    async with anyio.create_task_group() as nursery:
        for _ in range(count):
            sender, receiver = anyio.create_memory_object_stream[int](1024)
            senders.append(sender)
            nursery.start_soon(wait, receiver)
        await anyio.wait_all_tasks_blocked()
        start_s = time.process_time() - started
        size = resident_bytes() - before
        started = time.process_time()
        for sender in senders:
            sender.close()
    stop_s = time.process_time() - started
    return {"bytes": size / count, "start_us": start_s / count * 1e6, "stop_us": stop_s / count * 1e6}


async def _fair(handler_s: float, milliseconds: int) -> Figures:
    sender, receiver = anyio.create_memory_object_stream[int](math.inf)
    lateness = Lateness(milliseconds)

    async def actor() -> None:
        async for message in receiver:
            sender.send_nowait(message)
            if not lateness.work(handler_s):
                return

    sender.send_nowait(0)
    sender.send_nowait(0)
    async with anyio.create_task_group() as nursery:
        nursery.start_soon(actor)
        while not lateness.over:
            due = anyio.current_time() + lateness.PERIOD_S
            await anyio.sleep(lateness.PERIOD_S)
            lateness.ran(due, anyio.current_time())
    return lateness.figures()


def run(function: Callable[..., Any], *arguments: Any) -> Figures:
    """Run on trio, as potrio does."""
    return anyio.run(function, *arguments, backend="trio")


if __name__ == "__main__":
    main(
        {
            "tell": partial(run, _tell),
            "burst": partial(run, _burst),
            "ask_1": partial(run, _ask, 1, None),
            "ask_64": partial(run, _ask, CLIENTS, None),
            "ask_1_deadline": partial(run, _ask, 1, DEADLINE_S),
            "ask_64_deadline": partial(run, _ask, CLIENTS, DEADLINE_S),
            "restart": partial(run, _restart),
            "idle": partial(run, _idle),
            "fair_4us": partial(run, _fair, 4e-6),
            "fair_35us": partial(run, _fair, 35e-6),
        }
    )
