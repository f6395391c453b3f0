"""One incarnation: one task, one cancel scope, and an end that is posted to the supervisor as data.

Nothing a child raises reaches the supervisor's nursery, except a cancellation from further up and what is not an
`Exception` at all.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from potrio.supervision.cell import Cell
from potrio.supervision.context import Context, Directory
from potrio.supervision.exit import Exit, Verdict, classify
from potrio.supervision.mailbox_queue import InboxEnded

__all__ = ["Body", "Exited", "Started", "body_of", "run_incarnation"]

Body = tuple[Callable[..., Awaitable[object]], tuple[Any, ...]]
Exited = Callable[[Cell, int, Exit, BaseException | None], None]


class Started:
    """The ``task_status`` of a service: ``started(value)`` marks it ready and keeps the value."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def started(self, value: object = None) -> None:
        """Say that the start is done."""
        self._cell.value = value
        self._cell.mark_ready()


def body_of(cell: Cell, directory: Directory) -> tuple[Body, Context[Any] | None]:
    """What an incarnation of an actor or a service runs: a function and its arguments."""
    fn, args = cell.spec.fn, cell.spec.args
    assert fn is not None, "a supervisor brings its own body"
    match cell.spec.kind:
        case "actor":
            context: Context[Any] = Context(cell, directory)
            return (fn, (context, *args)), context
        case "service_started":
            return (partial(fn, task_status=Started(cell)), args), None
        case _:
            cell.mark_ready()
            return (fn, args), None


async def run_incarnation(cell: Cell, body: Body, context: Context[Any] | None, exited: Exited) -> None:
    """Run one incarnation to its end and report it. Runs as a task of the supervisor's nursery.

    Waits as long as the body does. Cancelling from outside is passed on to the body, and out again.
    """
    number = cell.incarnation
    scope = cell.scope
    assert scope is not None, "begin() comes first"
    task = trio.lowlevel.current_task()
    cell.task = task
    cell.runtime.tasks[task] = cell
    fn, args = body
    try:
        with scope:
            await fn(*args)
    except BaseException as error:
        verdict = judge(cell, error, killed=False)
        end(cell, number, verdict, error if isinstance(error, Exception) else None, context, exited)
        if verdict.reraise:
            raise
    else:
        killed = scope.cancelled_caught
        if killed and cell.forced is not None:
            forced, cell.forced = cell.forced, None
            end(cell, number, judge(cell, forced, killed=False), forced, context, exited)
        else:
            end(cell, number, judge(cell, None, killed=killed), None, context, exited)
    finally:
        del cell.runtime.tasks[task]


def judge(cell: Cell, error: BaseException | None, *, killed: bool) -> Verdict:
    """Classify the end of an incarnation. Must be called outside its own scope."""
    asked = cell.stop_asked is not None
    if error is not None and asked and only_inbox_ended(error):
        error = None
    return classify(
        error,
        cancelled=trio.Cancelled,
        asked=asked,
        killed=killed,
        around_cancelled=trio.current_effective_deadline() == -math.inf,
    )


def only_inbox_ended(error: BaseException) -> bool:
    """Whether an error says no more than that the inbox had ended."""
    if isinstance(error, BaseExceptionGroup):
        return all(only_inbox_ended(inner) for inner in error.exceptions)
    return isinstance(error, InboxEnded)


def end(
    cell: Cell,
    number: int,
    verdict: Verdict,
    error: BaseException | None,
    context: Context[Any] | None,
    exited: Exited,
) -> None:
    """Tidy up after the incarnation and tell the supervisor."""
    if context is not None:
        context.inbox.close()
    cell.finish_incarnation(verdict.exit, error)
    exited(cell, number, verdict.exit, error)
