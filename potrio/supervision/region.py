"""Children on their way down and up together: what to stop, when to start, what to start."""

from __future__ import annotations

import trio

from potrio.supervision.cell import Cell
from potrio.supervision.children import ChildTable, Row
from potrio.supervision.plan import Group
from potrio.supervision.timers import Timer

__all__ = ["Child", "Region", "Table", "Waiter"]


class Region:
    """One group operation under way: the first start, a restart, or the stop of everything.

    Attributes:
        stop: those that must go down first, in start order; taken from the end.
        start: those to be started, in order; taken from the front when ready.
        due: not before this moment.
        initial: it holds what is left of the supervisor's first start; the supervisor is ready when it is done.
    """

    __slots__ = ("due", "initial", "over", "parallel", "start", "stop", "timer")

    def __init__(self, *, stop: list[Child], start: list[Child], due: float, initial: bool = False) -> None:
        self.stop = stop
        self.start = start
        self.due = due
        self.initial = initial
        self.parallel = False
        self.over = False
        self.timer: Timer | None = None

    @property
    def group(self) -> Group[Child]:
        """What is left of it, as the planner sees it."""
        return Group([row for row in self.start if row.want != "end"], self.due)

    def close(self) -> None:
        """Give it up: something else takes care of its children now."""
        self.over = True
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


Child = Row[Cell, Region]
Table = ChildTable[Cell, Region]


class Waiter:
    """Somebody outside who waits for a child to be ready or to be gone."""

    __slots__ = ("error", "event", "for_ready")

    def __init__(self, event: trio.Event, *, for_ready: bool) -> None:
        self.event = event
        self.for_ready = for_ready
        self.error: Exception | None = None
