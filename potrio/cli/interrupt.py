"""Running a command's async part so that Ctrl-C ends it in order: everything is cancelled, closed and waited for.

An interrupt that is raised wherever the program happens to be can hit trio itself, and then nothing is closed any
more. So the first one arrives as a value; only a second one is raised at once.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
import trio

__all__ = ["run_until_interrupted"]

T = TypeVar("T")


def run_until_interrupted(main: Callable[[], Awaitable[T]]) -> T:
    """Run an async function in a trio run of its own.

    Raises:
        click.Abort: it was interrupted; all it had open is closed.
        Exception: whatever it raises, not wrapped.
    """
    results: list[T] = []

    async def guarded() -> None:
        async with trio.open_nursery() as nursery:
            scope = nursery.cancel_scope
            await nursery.start(cancel_on_interrupt, scope)
            results.append(await main())
            scope.cancel("the command is done")

    try:
        trio.run(guarded)
    except BaseExceptionGroup as group:
        raise lone(group) from None
    if not results:
        raise click.Abort
    return results[0]


async def cancel_on_interrupt(scope: trio.CancelScope, task_status: trio.TaskStatus[None]) -> None:
    """Cancel once, at Ctrl-C or at a request to end, then leave the signals as they were."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel("interrupted")
            return


def lone(error: BaseException) -> BaseException:
    """What a group of one holds: our nursery is nobody's business."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
