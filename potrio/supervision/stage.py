"""The supervisor's hands: start one child, ask one to stop, watch its deadlines. What to do is decided elsewhere."""

from __future__ import annotations

import math
from typing import Any

import trio

from potrio.supervision.cell import Cell
from potrio.supervision.child_spec import ChildSpec
from potrio.supervision.context import Context, Directory
from potrio.supervision.events import ChildStarted, ChildStopping, ChildStuck
from potrio.supervision.exit import Exit, StartTimeout
from potrio.supervision.incarnation import Body, body_of, run_incarnation
from potrio.supervision.region import Child, Waiter
from potrio.supervision.runtime import Runtime
from potrio.supervision.timers import Timer

__all__ = ["Deadline", "Stage", "path_below", "stack_of"]

STUCK_AFTER = 1.0
"""Seconds a cancelled child has to unwind before it is called stuck."""


class Deadline:
    """A timer that ends with an incarnation."""

    __slots__ = ("_timer",)

    def __init__(self, timer: Timer) -> None:
        self._timer = timer

    def close(self) -> None:
        """End it."""
        self._timer.cancel()


class Stage:
    """Starting and stopping single children inside one nursery."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.runtime: Runtime = cell.runtime
        self.nursery: trio.Nursery | None = None
        self.waiters: dict[Child, list[Waiter]] = {}

    # --- to be filled in by the engine ---

    def directory(self) -> Directory:
        """Where contexts look up names."""
        raise NotImplementedError

    def child_exited(self, cell: Cell, incarnation: int, exit: Exit, error: BaseException | None) -> None:
        """Take note that an incarnation's task has ended."""
        raise NotImplementedError

    # --- starting ---

    def start(self, row: Child) -> None:
        """Start a child's next incarnation."""
        assert self.nursery is not None, "children are started from inside run()"
        assert row.status == "down", f"{row!r} runs already"
        cell = row.cell
        row.status = "starting"
        row.want = "up"
        row.alone = False
        cell.begin()
        row.incarnation = cell.incarnation
        if self.runtime.observers:
            self.runtime.emit(ChildStarted(self.runtime.now(), cell.path, cell.incarnation))
        body: Body
        context: Context[Any] | None = None
        if cell.own is not None:
            body = (cell.own.prepare(), ())
        else:
            body, context = body_of(cell, self.directory())
        if cell.spec.start_timeout != math.inf:
            self.limit_start(row)
        name = f"{cell.path}#{cell.incarnation}"
        self.nursery.start_soon(run_incarnation, cell, body, context, self.child_exited, name=name)

    def limit_start(self, row: Child) -> None:
        """Crash the incarnation if it is not ready in time."""
        cell, number, seconds = row.cell, row.incarnation, row.spec.start_timeout

        def too_late() -> None:
            if cell.incarnation == number and cell.ready_at is None and row.status == "starting":
                cell.crash(StartTimeout(f"{cell.path} was not ready within {seconds:g} s"))
                self.watch_stuck(row, self.runtime.now() + STUCK_AFTER)

        self.bind(cell, self.runtime.timers.at(self.runtime.now() + seconds, too_late))

    # --- stopping ---

    def tell(self, row: Child) -> None:
        """Ask a child to stop, as is wanted of it: for good, or to be started again."""
        cell = row.cell
        if cell.scope is None:
            return  # it has ended by itself just now; its exit is on the agenda
        row.status = "stopping"
        cell.ask_to_stop("end" if row.want == "end" else "pause")
        if self.runtime.observers:
            self.runtime.emit(
                ChildStopping(self.runtime.now(), cell.path, cell.incarnation, row.want == "end")
            )
        if row.spec.shutdown != math.inf:
            self.watch_stuck(row, self.runtime.now() + row.spec.shutdown + STUCK_AFTER)

    def watch_stuck(self, row: Child, at: float) -> None:
        """Report the child if it is still there at that moment, and again and again."""
        cell, number = row.cell, row.incarnation
        cancelled_at = at - STUCK_AFTER

        def report() -> None:
            if row.incarnation != number or not row.alive or cell.task is None:
                return
            now = self.runtime.now()
            age = now - cancelled_at
            self.runtime.emit(ChildStuck(now, cell.path, number, age, stack_of(cell.task)))
            self.bind(cell, self.runtime.timers.at(now + self.runtime.stuck_every, report))

        self.bind(cell, self.runtime.timers.at(at, report))

    def bind(self, cell: Cell, timer: Timer) -> None:
        """Let a timer end with the cell's incarnation."""
        if cell.attached is None:
            cell.attached = set()
        cell.attached.add(Deadline(timer))

    # --- those who wait ---

    def wait_for(self, row: Child, *, ready: bool) -> Waiter:
        """Register somebody who waits for this child to be ready, or to be gone."""
        waiter = Waiter(trio.Event(), for_ready=ready)
        self.waiters.setdefault(row, []).append(waiter)
        return waiter

    def resolve(self, row: Child, *, ready: bool | None, error: Exception | None = None) -> None:
        """Tell those who wait for this child to be ready (or gone; None: all of them)."""
        waiters = self.waiters.pop(row, None)
        if waiters is None:
            return
        others = []
        for waiter in waiters:
            if ready is None or waiter.for_ready == ready:
                waiter.error = error if waiter.for_ready else None
                waiter.event.set()
            else:
                others.append(waiter)
        if others:
            self.waiters[row] = others


def stack_of(task: trio.lowlevel.Task) -> str:
    """Where a task hangs, outermost frame first, as ``file:line in function``."""
    return "\n".join(
        f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
        for frame, line in task.iter_await_frames()
    )


def path_below(parent: str, spec: ChildSpec[Any]) -> str:
    """The path of a child."""
    return f"{parent}/{spec.id}"
