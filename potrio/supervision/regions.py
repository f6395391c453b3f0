"""How groups of children go down and come up: the supervisor's legs. Who goes is decided elsewhere.

Laws: within a region children are stopped one after the other, the last started first, and started one after the
other, each when the one before is ready. Children added while the supervisor ran are stopped together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from potrio.actor_errors import ActorDead
from potrio.supervision.cell import Cell, StopMode
from potrio.supervision.events import RestartScheduled
from potrio.supervision.exit import Exit
from potrio.supervision.plan import Group, merge
from potrio.supervision.region import Child, Region, Table
from potrio.supervision.stage import Stage

__all__ = ["Regions"]


class Regions(Stage):
    """The table of children, the agenda, and the regions under way."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self.table: Table = Table()
        self.agenda: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self.sleeper: trio.lowlevel.Task | None = None
        self.stop_mode: StopMode | None = None
        self.closing: Region | None = None
        self.done = False

    # --- the agenda ---

    def post(self, act: Callable[..., None], *args: Any) -> None:
        """Put something on the agenda."""
        self.agenda.append((act, args))
        task = self.sleeper
        if task is not None:
            self.sleeper = None
            trio.lowlevel.reschedule(task)

    def work(self) -> None:
        """Do all that is on the agenda."""
        while self.agenda:
            batch, self.agenda = self.agenda, []
            for act, args in batch:
                act(*args)

    async def sleep(self) -> None:
        """Wait until there is something on the agenda. Cancelling loses nothing."""
        self.sleeper = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self.sleeper = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    # --- down and up ---

    def restart(self, row: Child, group: Group[Child], delay: float) -> None:
        """Take a group down and up again; groups that are under way and overlap become one with it."""
        old = {id(other.region): other.region for other in group.rows if other.region is not None}
        whole = merge(group, [region.group for region in old.values()])
        for region in old.values():
            region.close()
        stop = []
        for each in whole.rows:
            if each is not row and each.spec.restart == "temporary":
                each.want = "end"
            elif each.alive:
                each.want = "rest"
            if each.alive:
                stop.append(each)
        start = [each for each in whole.rows if each.want != "end"]
        if self.runtime.observers:
            names = tuple(each.id for each in start)
            self.runtime.emit(
                RestartScheduled(self.runtime.now(), row.cell.path, whole.due, delay, row.attempt, names)
            )
        initial = any(region.initial for region in old.values())
        self.open_region(Region(stop=stop, start=start, due=whole.due, initial=initial))

    def open_region(self, region: Region) -> None:
        """Begin a group operation."""
        for row in (*region.stop, *region.start):
            row.region = region
        self.advance(region)

    def advance(self, region: Region) -> None:
        """Do what a region can do now; called whenever something in it has changed."""
        if region.over or (self.closing is not None and region is not self.closing):
            return
        if not self.stop_next(region):
            return
        if region.due > self.runtime.now():
            self.hold(region)
            return
        while region.start:
            row = region.start[0]
            if row.want == "end" or row.region is not region:
                region.start.pop(0)
            elif row.status == "up":
                row.region = None
                region.start.pop(0)
            elif row.status == "down":
                self.start(row)
                return
            else:
                return
        region.close()
        if region is self.closing:
            self.finish()
        elif region.initial:
            self.cell.mark_ready()

    def stop_next(self, region: Region) -> bool:
        """Ask the next children of a region to stop; True when all are down."""
        while region.stop:
            row = region.stop[-1]
            if not row.alive:
                region.stop.pop()
                continue
            if row.dynamic and not region.parallel:
                region.parallel = True
                for each in reversed(region.stop):
                    if not each.dynamic:
                        break
                    if each.alive and each.status != "stopping":
                        self.tell(each)
            elif row.status != "stopping":
                self.tell(row)
            return False
        return True

    def hold(self, region: Region) -> None:
        """Wait for a region's due time."""
        for row in region.start:
            if row.cell.state == "waiting":
                row.cell.state = "backoff"
        if region.timer is None or region.timer.due != region.due or not region.timer.active:
            if region.timer is not None:
                region.timer.cancel()
            region.timer = self.runtime.timers.at(region.due, lambda: self.post(self.advance, region))

    def gone(self, row: Child, exit: Exit, error: Exception | None = None) -> None:
        """A child has ended for good."""
        row.want = "end"
        region, row.region = row.region, None
        self.table.remove(row)
        row.cell.bury(exit)
        self.resolve(row, ready=None, error=error or ActorDead(row.cell.path))
        if region is not None:
            self.advance(region)

    # --- the end ---

    def request_stop(self, mode: StopMode) -> None:
        """Stop all children in order and end. For good, or to be started again."""
        if self.stop_mode is None:
            self.stop_mode = mode
            self.post(self.begin_stop)
        elif mode == "end" and self.stop_mode == "pause":
            self.stop_mode = "end"
            for row in self.table:
                row.want = "end"

    def begin_stop(self) -> None:
        """Take everything down in reverse order."""
        if self.closing is not None:
            return
        for row in self.table:
            if row.region is not None:
                row.region.close()
                row.region = None
            row.want = "end" if self.stop_mode == "end" or row.dynamic else "rest"
        region = self.closing = Region(stop=list(self.table), start=[], due=0.0)
        self.advance(region)

    def finish(self) -> None:
        """All are down: bury those that will not be started again."""
        for row in tuple(reversed(self.table)):
            if self.stop_mode == "end" or row.dynamic:
                self.gone(row, Exit("shutdown"))
        self.done = True

    def bury_children(self, exit: Exit) -> None:
        """The supervisor has ended for good, and with it all its children."""
        for row in tuple(reversed(self.table)):
            self.gone(row, Exit("shutdown"))
