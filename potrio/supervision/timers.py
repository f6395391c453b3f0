"""One heap of deadlines for a whole tree: no task and no cancel scope per timer or request.

The sleeping task's own deadline is moved when an earlier timer comes in, which wakes nobody.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

import trio

__all__ = ["Timer", "Timers"]

COMPACT_MIN = 64
"""Below this many entries the heap is not worth sweeping."""


class Timer:
    """One deadline. ``cancel()`` is cheap: the entry stays in the heap until it is due or the heap is swept."""

    __slots__ = ("_call", "_owner", "due")

    def __init__(self, owner: Timers, due: float, call: Callable[[], None]) -> None:
        self._owner = owner
        self.due = due
        self._call: Callable[[], None] | None = call

    @property
    def active(self) -> bool:
        """Whether it is still going to fire."""
        return self._call is not None

    def cancel(self) -> None:
        """Make sure it never fires. Does nothing when it has fired or was cancelled before."""
        if self._call is not None:
            self._call = None
            self._owner._forget()

    def _fire(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()


class Timers:
    """The deadlines of one tree. `run` is its one task."""

    __slots__ = ("_cancelled", "_heap", "_now", "_scope", "_sequence")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._heap: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._cancelled = 0
        self._scope: trio.CancelScope | None = None

    def __len__(self) -> int:
        """How many timers wait, cancelled ones apart."""
        return len(self._heap) - self._cancelled

    def at(self, due: float, call: Callable[[], None]) -> Timer:
        """Call ``call`` at ``due`` on trio's clock, from the timer task. It must not raise."""
        timer = Timer(self, due, call)
        self._sequence += 1
        heapq.heappush(self._heap, (due, self._sequence, timer))
        scope = self._scope
        if scope is not None and due < scope.deadline:
            scope.deadline = due
        return timer

    def _forget(self) -> None:
        self._cancelled += 1
        if self._cancelled * 2 > len(self._heap) > COMPACT_MIN:
            self._heap = [entry for entry in self._heap if entry[2].active]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def fire_due(self) -> float:
        """Fire all that is due; return the moment of the next."""
        while True:
            heap = self._heap  # a sweep replaces the list
            if not heap:
                return math.inf
            due, _, timer = heap[0]
            if not timer.active:
                heapq.heappop(heap)
                self._cancelled -= 1
            elif due > self._now():
                return due
            else:
                heapq.heappop(heap)
                timer._fire()

    async def run(self) -> None:
        """Fire timers for ever; wait in between. Cancelling ends it and leaves the rest unfired."""
        while True:
            following = self.fire_due()
            with trio.CancelScope(deadline=following) as scope:
                self._scope = scope
                try:
                    await trio.sleep_forever()
                finally:
                    self._scope = None
