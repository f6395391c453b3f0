"""The actor cases with triotp, as its documentation shows: mailboxes, gen_server, supervisor, all inside a node."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from types import ModuleType
from typing import Any

import trio
import trio.lowlevel
import trio.testing
from actor_case import CLIENTS, DEADLINE_S, Figures, Lateness, absent, main, rate, resident_bytes
from triotp import application, gen_server, mailbox, node, supervisor

RESTARTS_MAX = 1_000_000_000


class Crash(Exception):
    """What the crashing task dies of."""


def on_node(case: Callable[..., Awaitable[Figures]], *arguments: Any) -> Callable[[int], Figures]:
    """A case that runs as the one application of a node."""

    def run(count: int) -> Figures:
        found: list[Figures] = []

        async def start(_: object) -> None:
            found.append(await case(*arguments, count))

        module = ModuleType("bench")
        vars(module)["start"] = start
        node.run([application.app_spec(module=module, start_arg=None, permanent=False)])
        return found[0]

    return run


async def init(state: object) -> object:
    """The gen_server's state."""
    return state


async def handle_call(value: int, caller: object, state: object) -> tuple[gen_server.Reply, object]:
    """Send back what was asked."""
    return gen_server.Reply(payload=value), state


async def _tell(count: int) -> Figures:
    async def consume(task_status: Any) -> None:
        async with mailbox.open("consumer") as mid:
            task_status.started()
            for _ in range(count):
                await mailbox.receive(mid)

    async with trio.open_nursery() as nursery:
        await nursery.start(_with_status, consume)
        started = time.process_time()
        for number in range(count):
            await mailbox.send("consumer", number)
    return rate(count, started)


async def _with_status(function: Callable[..., Awaitable[None]], task_status: Any) -> None:
    await function(task_status)


async def _ask(clients: int, timeout: float | None, count: int) -> Figures:
    async def client() -> None:
        for number in range(count // clients):
            assert await gen_server.call("server", number, timeout) == number

    async with trio.open_nursery() as nursery:
        nursery.start_soon(gen_server.start, sys.modules[__name__], None, "server")
        await trio.testing.wait_all_tasks_blocked()
        started = time.process_time()
        async with trio.open_nursery() as asking:
            for _ in range(clients):
                asking.start_soon(client)
        figures = rate(count // clients * clients, started)
        nursery.cancel_scope.cancel()
    return figures


async def _restart(count: int) -> Figures:
    crashes = 0

    async def crash() -> None:
        nonlocal crashes
        await trio.lowlevel.checkpoint()
        if crashes < count:
            crashes += 1
            raise Crash(crashes)

    spec = supervisor.child_spec("child", crash, [], supervisor.restart_strategy.TRANSIENT)
    started = time.process_time()
    await supervisor.start([spec], supervisor.options(max_restarts=RESTARTS_MAX, max_seconds=1))
    return rate(count, started)


async def _idle(count: int) -> Figures:
    module = sys.modules[__name__]
    children = [
        supervisor.child_spec(f"server-{number}", gen_server.start, [module, None]) for number in range(count)
    ]
    before, started = resident_bytes(), time.process_time()
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.start, children, supervisor.options())
        await trio.testing.wait_all_tasks_blocked()
        start_s = time.process_time() - started
        size = resident_bytes() - before
        started = time.process_time()
        nursery.cancel_scope.cancel()
    stop_s = time.process_time() - started
    return {"bytes": size / count, "start_us": start_s / count * 1e6, "stop_us": stop_s / count * 1e6}


async def _fair(handler_s: float, milliseconds: int) -> Figures:
    lateness = Lateness(milliseconds)

    async def feed() -> None:
        try:
            while True:
                await mailbox.send("actor", 0)
        except (trio.ClosedResourceError, trio.BrokenResourceError, mailbox.MailboxDoesNotExist):
            pass  # the actor has ended: so does this

    async def actor(task_status: Any) -> None:
        async with mailbox.open("actor") as mid:
            task_status.started()
            while True:
                await mailbox.receive(mid)
                if not lateness.work(handler_s):
                    return

    async with trio.open_nursery() as nursery, trio.open_nursery() as busy:
        await busy.start(_with_status, actor)
        nursery.start_soon(feed)
        nursery.start_soon(feed)
        while not lateness.over:
            due = trio.current_time() + lateness.PERIOD_S
            await trio.sleep_until(due)
            lateness.ran(due, trio.current_time())
        nursery.cancel_scope.cancel()
    return lateness.figures()


if __name__ == "__main__":
    main(
        {
            "tell": on_node(_tell),
            "burst": absent("its mailbox is a channel of capacity 0: each message is awaited on both sides"),
            "ask_1": on_node(_ask, 1, None),
            "ask_64": on_node(_ask, CLIENTS, None),
            "ask_1_deadline": on_node(_ask, 1, DEADLINE_S),
            "ask_64_deadline": on_node(_ask, CLIENTS, DEADLINE_S),
            "restart": on_node(_restart),
            "idle": on_node(_idle),
            "fair_4us": on_node(partial(_fair, 4e-6)),
            "fair_35us": on_node(partial(_fair, 35e-6)),
        }
    )
