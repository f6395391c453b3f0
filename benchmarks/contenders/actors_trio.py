"""The actor cases with what trio has: a task, a memory channel, awaited on both sides unless the case is bursts."""

from __future__ import annotations

import math
import time
from functools import partial

import trio
import trio.testing
from actor_case import BURST, CLIENTS, DEADLINE_S, Figures, Lateness, main, rate, resident_bytes


class Crash(Exception):
    """What the crashing task dies of."""


async def _tell(count: int) -> Figures:
    sender, receiver = trio.open_memory_channel[int](64)

    async def consume() -> None:
        async for _ in receiver:
            pass

    started = time.process_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        async with sender:
            for number in range(count):
                await sender.send(number)
    return rate(count, started)


async def _burst(count: int) -> Figures:
    sender, receiver = trio.open_memory_channel[int](math.inf)

    async def consume() -> None:
        seen = 0
        while seen < count:
            await receiver.receive()
            seen += 1
            try:
                while True:
                    receiver.receive_nowait()
                    seen += 1
            except trio.WouldBlock:
                pass

    started = time.process_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        for first in range(0, count, BURST):
            for number in range(first, min(count, first + BURST)):
                sender.send_nowait(number)
            await trio.lowlevel.checkpoint()
    return rate(count, started)


async def _ask(clients: int, deadline_s: float | None, count: int) -> Figures:
    sender, receiver = trio.open_memory_channel[tuple[int, trio.MemorySendChannel[int]]](64)

    async def serve() -> None:
        async for value, reply in receiver:
            await reply.send(value)

    async def ask(value: int) -> int:
        reply, answer = trio.open_memory_channel[int](1)
        await sender.send((value, reply))
        return await answer.receive()

    async def client() -> None:
        for number in range(count // clients):
            if deadline_s is None:
                assert await ask(number) == number
            else:
                with trio.fail_after(deadline_s):
                    assert await ask(number) == number

    started = time.process_time()
    async with trio.open_nursery() as server:
        server.start_soon(serve)
        async with sender, trio.open_nursery() as nursery:
            for _ in range(clients):
                nursery.start_soon(client)
    return rate(count // clients * clients, started)


async def _restart(count: int) -> Figures:
    async def crash(number: int) -> None:
        await trio.lowlevel.checkpoint()
        raise Crash(number)

    started = time.process_time()
    for number in range(count):
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(crash, number)
        except* Crash:
            pass
    return rate(count, started)


async def _idle(count: int) -> Figures:
    senders: list[trio.MemorySendChannel[int]] = []

    async def wait(receiver: trio.MemoryReceiveChannel[int]) -> None:
        async for _ in receiver:
            pass

    before, started = resident_bytes(), time.process_time()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            sender, receiver = trio.open_memory_channel[int](1024)
            senders.append(sender)
            nursery.start_soon(wait, receiver)
        await trio.testing.wait_all_tasks_blocked()
        start_s = time.process_time() - started
        size = resident_bytes() - before
        started = time.process_time()
        for sender in senders:
            sender.close()
    stop_s = time.process_time() - started
    return {"bytes": size / count, "start_us": start_s / count * 1e6, "stop_us": stop_s / count * 1e6}


async def _fair(handler_s: float, milliseconds: int) -> Figures:
    sender, receiver = trio.open_memory_channel[int](math.inf)
    lateness = Lateness(milliseconds)

    async def actor() -> None:
        async for message in receiver:
            sender.send_nowait(message)
            if not lateness.work(handler_s):
                return

    sender.send_nowait(0)
    sender.send_nowait(0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor)
        while not lateness.over:
            due = trio.current_time() + lateness.PERIOD_S
            await trio.sleep_until(due)
            lateness.ran(due, trio.current_time())
    return lateness.figures()


if __name__ == "__main__":
    main(
        {
            "tell": partial(trio.run, _tell),
            "burst": partial(trio.run, _burst),
            "ask_1": partial(trio.run, _ask, 1, None),
            "ask_64": partial(trio.run, _ask, CLIENTS, None),
            "ask_1_deadline": partial(trio.run, _ask, 1, DEADLINE_S),
            "ask_64_deadline": partial(trio.run, _ask, CLIENTS, DEADLINE_S),
            "restart": partial(trio.run, _restart),
            "idle": partial(trio.run, _idle),
            "fair_4us": partial(trio.run, _fair, 4e-6),
            "fair_35us": partial(trio.run, _fair, 35e-6),
        }
    )
