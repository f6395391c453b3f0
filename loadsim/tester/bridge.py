"""Run what is written for trio from asyncio too: in a thread with a trio run of its own, cancelled with its caller."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import trio

__all__ = ["in_trio"]

T = TypeVar("T")


async def in_trio(job: Callable[[], Awaitable[T]]) -> T:
    """Await a trio function from wherever this is awaited: trio itself, or asyncio.

    Under asyncio it runs in a thread, so that the loop goes on; cancelling cancels it there and waits until it has
    ended. Raises what the function raises.
    """
    if trio.lowlevel.in_trio_run():
        return await job()
    scope = trio.CancelScope()
    running: list[trio.lowlevel.TrioToken] = []

    async def run() -> T:
        running.append(trio.lowlevel.current_trio_token())
        with scope:
            return await job()
        raise trio.RunFinishedError  # cancelled: nobody waits for a result any more

    future = asyncio.get_running_loop().run_in_executor(None, partial(trio.run, run))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if running:
            try:
                running[0].run_sync_soon(scope.cancel)
            except trio.RunFinishedError:
                pass
        else:
            scope.cancel()  # not begun yet: it will end at its first step
        await asyncio.wait([future])
        if not future.cancelled():
            future.exception()  # it was looked at
        raise
