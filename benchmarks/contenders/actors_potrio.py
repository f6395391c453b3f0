"""The actor cases with potrio.supervision."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio
from actor_case import BURST, CLIENTS, DEADLINE_S, Figures, Lateness, main, rate, resident_bytes

from potrio.supervision import (
    Backoff,
    Call,
    Context,
    Limit,
    Request,
    child,
    open_supervisor,
    supervisor,
    unbounded,
)

Actor = Callable[[Context[Any]], Awaitable[None]]


class Echo(Request[int], frozen=True):
    """Sent back."""

    value: int


class Crash(Exception):
    """What the crashing actor dies of."""


async def send_to(count: int, make: Callable[[trio.Event], Actor]) -> Figures:
    """Tell an actor ``count`` messages in bursts."""
    done = trio.Event()
    async with open_supervisor(
        supervisor(child(make(done), id="actor", mailbox=unbounded()), id="root")
    ) as sup:
        tell = sup.ref("actor").tell
        started = time.process_time()
        for first in range(0, count, BURST):
            for number in range(first, min(count, first + BURST)):
                tell(number)
            await trio.lowlevel.checkpoint()
        await done.wait()
        return rate(count, started)


def tell(count: int) -> Figures:
    """Tell, and read with ``async for``."""

    def make(done: trio.Event) -> Actor:
        async def actor(ctx: Context[int]) -> None:
            async for number in ctx.inbox:
                if number == count - 1:
                    done.set()

        return actor

    return trio.run(send_to, count, make)


def burst(count: int) -> Figures:
    """Tell, and read with ``burst()``."""

    def make(done: trio.Event) -> Actor:
        async def actor(ctx: Context[int]) -> None:
            while True:
                for number in await ctx.inbox.burst():
                    if number == count - 1:
                        done.set()

        return actor

    return trio.run(send_to, count, make)


async def _ask(clients: int, timeout: float | None, count: int) -> Figures:
    async def actor(ctx: Context[Call[int]]) -> None:
        async for call in ctx.inbox:
            call.reply(call.msg.value)

    async def client() -> None:
        for number in range(count // clients):
            assert await ask(Echo(number), timeout=timeout) == number

    async with open_supervisor(supervisor(child(actor, id="actor"), id="root")) as sup:
        ask = sup.ref("actor").ask
        started = time.process_time()
        async with trio.open_nursery() as nursery:
            for _ in range(clients):
                nursery.start_soon(client)
        return rate(count // clients * clients, started)


def ask(clients: int, timeout: float | None, count: int) -> Figures:
    """Ask and wait for the answer."""
    return trio.run(_ask, clients, timeout, count)


async def _restart(count: int) -> Figures:
    done = trio.Event()

    async def actor(ctx: Context[int]) -> None:
        async for number in ctx.inbox:
            if number == count:
                done.set()
                continue
            raise Crash(number)

    spec = child(actor, id="actor", mailbox=unbounded())
    async with open_supervisor(
        supervisor(spec, id="root", limit=Limit.never(), backoff=Backoff.none())
    ) as sup:
        for number in range(count + 1):
            sup.ref("actor").tell(number)
        started = time.process_time()
        await done.wait()
        return rate(count, started)


def restart(count: int) -> Figures:
    """Crash on every message and be restarted."""
    return trio.run(_restart, count)


async def _idle(count: int) -> Figures:
    async def actor(ctx: Context[int]) -> None:
        async for _ in ctx.inbox:
            pass

    before, started = resident_bytes(), time.process_time()
    children = [child(actor, id=f"actor-{number}") for number in range(count)]
    async with open_supervisor(supervisor(*children, id="root")):
        start_s = time.process_time() - started
        size = resident_bytes() - before
        started = time.process_time()
    stop_s = time.process_time() - started
    return {"bytes": size / count, "start_us": start_s / count * 1e6, "stop_us": stop_s / count * 1e6}


def idle(count: int) -> Figures:
    """Start actors that wait for a message, and stop them."""
    return trio.run(_idle, count)


async def _fair(handler_s: float, milliseconds: int) -> Figures:
    done = trio.Event()
    lateness = Lateness(milliseconds)

    async def actor(ctx: Context[int]) -> None:
        tell, work = ctx.me.tell, lateness.work
        async for message in ctx.inbox:
            tell(message)
            if not work(handler_s):
                done.set()
                await trio.sleep_forever()

    spec = child(actor, id="actor", mailbox=unbounded(), shutdown=0)
    async with open_supervisor(supervisor(spec, id="root")) as sup:
        sup.ref("actor").tell(0)
        sup.ref("actor").tell(0)
        while not lateness.over:
            due = trio.current_time() + lateness.PERIOD_S
            await trio.sleep_until(due)
            lateness.ran(due, trio.current_time())
        await done.wait()
    return lateness.figures()


def fair(handler_s: float, milliseconds: int) -> Figures:
    """A never-empty actor beside a task that wants to run every millisecond."""
    return trio.run(_fair, handler_s, milliseconds)


if __name__ == "__main__":
    main(
        {
            "tell": tell,
            "burst": burst,
            "ask_1": partial(ask, 1, None),
            "ask_64": partial(ask, CLIENTS, None),
            "ask_1_deadline": partial(ask, 1, DEADLINE_S),
            "ask_64_deadline": partial(ask, CLIENTS, DEADLINE_S),
            "restart": restart,
            "idle": idle,
            "fair_4us": partial(fair, 4e-6),
            "fair_35us": partial(fair, 35e-6),
        }
    )
