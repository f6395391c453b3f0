"""The acts of one client: what is due when, one thing at a time for each act, and what could not be done is counted.

An open act has instants that are fixed beforehand. What is late because the former one took long is begun as soon as
it can be, and measured from its instant; what could not be begun before its own deadline is omitted. A closed act
waits for the end of the former one and thinks; how many instants went by meanwhile is omitted, too: that is what a
closed model hides. Sans-I/O, all times in seconds of the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from msgspec import Struct

from loadsim.metrics.recorder import Recorder
from loadsim.plan.schedule import PlannedAction

__all__ = ["Acts", "Due"]


class Due(Struct, frozen=True):
    """An action to be begun now. ``act`` says whose end `Acts.ended` is to be told of."""

    act: int
    action: PlannedAction
    intended_s: float


class Line(Struct):
    """One act: what comes next, and whether one is under way."""

    coming: Iterator[PlannedAction]
    next: PlannedAction | None
    due_s: float
    busy: bool = False
    began_s: float = 0.0


class Acts:
    """All acts of one client.

    Args:
        streams: of planned actions, one for each act.
        arrived_s: when the client came: the instants of open acts count from here.
        recorder: counts what is planned, started and omitted.
    """

    __slots__ = ("_arrived_s", "_lines", "_recorder")

    def __init__(
        self, streams: Sequence[Iterator[PlannedAction]], arrived_s: float, recorder: Recorder
    ) -> None:
        self._arrived_s = arrived_s
        self._recorder = recorder
        self._lines = [Line(stream, None, arrived_s) for stream in streams]
        for line in self._lines:
            self._advance(line, arrived_s)

    def _advance(self, line: Line, now_s: float) -> None:
        """Look at what comes next in an act."""
        line.next = next(line.coming, None)
        if line.next is None:
            line.due_s = math.inf
        elif line.next.at_s is not None:
            line.due_s = self._arrived_s + line.next.at_s
        else:
            line.due_s = now_s + (line.next.think_s or 0.0)

    def next_due(self) -> float:
        """When the next action is to be begun; infinity where none is, or all wait for the end of another."""
        return min((line.due_s for line in self._lines if not line.busy), default=math.inf)

    def take_due(self, now_s: float, *, ready: bool = True) -> list[Due]:
        """What is to be begun now; a client that is not ``ready`` begins nothing, and what it misses is omitted."""
        found = []
        for number, line in enumerate(self._lines):
            while not line.busy and line.next is not None and line.due_s <= now_s:
                action, intended_s = line.next, line.due_s
                missed = action.at_s is not None and now_s > intended_s + action.deadline_s
                if not ready and not missed:
                    break
                self._recorder.count("planned")
                self._advance(line, now_s)
                if missed:
                    self._recorder.count("omitted")
                    continue
                self._recorder.count("started")
                line.busy, line.began_s = True, now_s
                found.append(Due(number, action, intended_s))
        return found

    def ended(self, act: int, now_s: float) -> None:
        """The action under way of this act has ended, however it did."""
        line = self._lines[act]
        line.busy = False
        if line.next is None or line.next.think_s is None:
            return
        line.due_s = now_s + line.next.think_s
        took_s, pace_s = now_s - line.began_s, line.next.think_s
        hidden = int(took_s / pace_s) if pace_s > 0 else 0
        if hidden:
            self._recorder.count("planned", hidden)
            self._recorder.count("omitted", hidden)

    def finish(self, now_s: float) -> None:
        """The run is over: what was due and never begun is omitted."""
        for line in self._lines:
            while line.next is not None and line.next.at_s is not None and line.due_s <= now_s:
                self._recorder.count("planned")
                self._recorder.count("omitted")
                self._advance(line, now_s)
            line.next, line.due_s = None, math.inf
