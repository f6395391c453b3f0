"""The engine of one supervisor: takes one thing off its agenda, asks the planner, acts, and listens again.

Laws: it never waits for a child, only for its agenda, so it answers at once whatever its children do. Everything is
told by posting to the agenda, and is done by the supervisor's own task. An exit of an incarnation that is no longer
current is ignored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from potrio.actor_errors import ActorDead, ChildNotFound, ChildStartFailed, SupervisorFailed
from potrio.supervision.cell import Cell
from potrio.supervision.child_spec import ChildSpec, Key, SupervisorSpec
from potrio.supervision.context import Directory
from potrio.supervision.events import (
    ChildCrashed,
    ChildExited,
    ChildStopError,
    SupervisorEscalated,
)
from potrio.supervision.exit import EarlyExit, Exit, Failure
from potrio.supervision.intensity import Intensity
from potrio.supervision.plan import End, Escalate, Restart, decide
from potrio.supervision.region import Child, Region, Table
from potrio.supervision.regions import Regions
from potrio.supervision.stage import path_below

__all__ = ["Engine"]

HISTORY_MAX = 16
"""Crashes remembered for the report of a supervisor that gives up."""


class Engine(Regions):
    """One supervisor over all its incarnations. Also where its children look up names."""

    def __init__(self, cell: Cell, above: Engine | None) -> None:
        super().__init__(cell)
        assert cell.spec.supervisor is not None
        self.spec: SupervisorSpec = cell.spec.supervisor
        self.above = above
        self.intensity = Intensity(self.spec.limit)
        self.history: list[str] = []
        self.cause: BaseException | None = None
        self.failed: str | None = None
        self.notes: list[str] = []
        cell.own = self
        for spec in self.spec.children:
            self.add(spec, dynamic=False)

    @property
    def running(self) -> bool:
        """Whether it takes new children: it has been started and is not stopping."""
        return self.nursery is not None and self.stop_mode is None

    # --- life ---

    def prepare(self) -> Callable[[], Awaitable[object]]:
        """Make ready for a new incarnation of this supervisor; children that have ended get a new life."""
        previous = {row.id: row.cell for row in self.table}
        self.table = Table()
        for spec in self.spec.children:
            cell = previous.get(spec.id)
            if cell is not None and cell.state != "ended" and cell.spec is spec:
                self.table.add(spec, cell, dynamic=False)
            else:
                self.add(spec, dynamic=False)
        self.agenda.clear()
        self.intensity = Intensity(self.spec.limit)
        self.history.clear()
        self.stop_mode = None
        self.cause = None
        self.failed = None
        self.notes = []
        self.closing = None
        self.done = False
        return self.run

    async def run(self) -> None:
        """Run one incarnation: start the children in order, mind them, stop them in reverse order.

        Cancelling cuts everything below at once, without order: that is what the root's second Ctrl-C does. For an
        orderly end call `request_stop`.

        Raises:
            SupervisorFailed: it gave up.
        """
        try:
            async with trio.open_nursery() as nursery:
                self.nursery = nursery
                if self.stop_mode is None:
                    self.open_region(Region(stop=[], start=list(self.table), due=0.0, initial=True))
                self.work()
                while not self.done:
                    await self.sleep()
                    self.work()
        finally:
            self.nursery = None
            self.stop_mode = self.stop_mode or "pause"
            for row in tuple(self.table):
                row.status = "down"
                if row.region is not None:
                    row.region.close()
                    row.region = None
                if row.dynamic or row.spec.restart == "temporary":
                    self.gone(row, Exit("killed"))
                self.resolve(row, ready=None, error=ActorDead(row.cell.path))
        if self.failed is not None:
            cause, self.cause = self.cause, None
            raise SupervisorFailed(
                self.cell.path, self.failed, tuple(self.history), tuple(self.notes)
            ) from cause

    # --- children ---

    def add(self, spec: ChildSpec[Any], *, dynamic: bool) -> Child:
        """Give a spec its logical actor, not started yet.

        Raises:
            DuplicateChild: the id or the key is taken.
        """
        self.table.check_free(spec)
        cell = Cell(self.runtime, spec, path_below(self.cell.path, spec), self)
        if spec.supervisor is not None:
            Engine(cell, self)
        return self.table.add(spec, cell, dynamic=dynamic)

    def find(self, name: str | Key[Any]) -> Cell:
        """Find an actor by key, whole path, path from here, or id here and further up.

        Raises:
            ChildNotFound: there is none.
        """
        if isinstance(name, Key):
            found = self.runtime.names.get(name)
            if found is not None:
                return found  # type: ignore[no-any-return]  # the registry is below Cell and does not know its type
            raise ChildNotFound(f"no actor has the key {name.name!r} now")
        engine: Engine | None = self
        while engine is not None:
            cell = engine.below(name.split("/"))
            if cell is not None:
                return cell
            if engine.above is None and name.startswith(engine.cell.path + "/"):
                cell = engine.below(name.removeprefix(engine.cell.path + "/").split("/"))
                if cell is not None:
                    return cell
            engine = engine.above
        raise ChildNotFound(f"no actor {name!r} is in sight of {self.cell.path}")

    def below(self, steps: list[str]) -> Cell | None:
        """The cell at a path relative to this supervisor."""
        row = self.table.get(steps[0])
        if row is None:
            return None
        if len(steps) == 1:
            return row.cell
        own = row.cell.own
        return own.below(steps[1:]) if isinstance(own, Engine) else None

    def directory(self) -> Directory:
        """Where the children's contexts look up names."""
        return self

    # --- what children report ---

    def child_ready(self, cell: Cell, incarnation: int) -> None:
        """A child is ready."""
        self.post(self.on_ready, cell, incarnation)

    def child_exited(self, cell: Cell, incarnation: int, exit: Exit, error: BaseException | None) -> None:
        """An incarnation's task has ended."""
        if self.runtime.observers:
            self.runtime.emit(ChildExited(self.runtime.now(), cell.path, incarnation, exit))
        self.post(self.on_exit, cell, incarnation, exit, error)

    def on_ready(self, cell: Cell, incarnation: int) -> None:
        row = self.row_of(cell, incarnation)
        if row is None:
            return
        row.first = False
        if row.status == "starting":
            row.status = "up"
        if row.status == "up":
            self.resolve(row, ready=True)
        if row.region is not None:
            self.advance(row.region)

    def row_of(self, cell: Cell, incarnation: int) -> Child | None:
        """The child a report is about; None where that incarnation is no longer the current one."""
        row = self.table.get(cell.spec.id)
        if row is None or row.cell is not cell or row.incarnation != incarnation or not row.alive:
            return None
        return row

    def on_exit(self, cell: Cell, incarnation: int, exit: Exit, error: BaseException | None) -> None:
        row = self.row_of(cell, incarnation)
        if row is None:
            return
        told = row.status == "stopping"
        row.status = "down"
        if exit.kind in ("cancelled", "fatal"):
            return  # it goes on through our own nursery, and ends us too
        if told:
            self.after_stop(row, exit)
        elif self.closing is not None or row.want == "end":
            self.report_crash(row, exit, "stop")
            self.put_down(row, exit)
        elif row.first and not (exit.kind == "normal" and row.spec.restart != "permanent"):
            self.failed_start(row, exit, error)
        else:
            self.after_exit(row, exit, error)

    def after_stop(self, row: Child, exit: Exit) -> None:
        """A child that we asked to stop has stopped."""
        if exit.failure is not None:
            self.runtime.emit(
                ChildStopError(self.runtime.now(), row.cell.path, row.incarnation, exit.failure)
            )
            if self.failed is not None:
                self.notes.append(f"{row.cell.path} raised while it was stopped: {exit.failure}")
        self.put_down(row, exit)

    def put_down(self, row: Child, exit: Exit) -> None:
        """A child that was to go down is down."""
        for_good = row.want == "end" or row.spec.restart == "temporary" or self.stop_mode == "end"
        region = self.closing or row.region
        if for_good or (row.dynamic and self.closing is not None):
            self.gone(row, exit)
        elif row.want == "rest" and row.region is None and self.closing is None:
            raise AssertionError(f"{row!r} was stopped to be restarted, but nobody restarts it")
        if region is not None:
            self.advance(region)

    def failed_start(self, row: Child, exit: Exit, error: BaseException | None) -> None:
        """A child's very first start failed: that fails the start of the whole, or of a dynamic child alone."""
        failure = exit.failure
        if failure is None:
            error = EarlyExit(f"{row.cell.path} ended before it was ready")
            failure = Failure.of(error)
        if row.dynamic:
            self.report_crash(row, exit, "stop", failure)
            problem = ChildStartFailed(row.cell.path, f"did not start: {failure}")
            problem.__cause__ = error
            self.gone(row, Exit("crashed", failure), problem)
        else:
            self.report_crash(row, exit, "escalate", failure)
            self.escalate(f"{row.id} did not start: {failure}", error)

    def after_exit(self, row: Child, exit: Exit, error: BaseException | None) -> None:
        """A child ended by itself."""
        failure = exit.failure
        if row.want == "rest" and not (row.spec.restart == "transient" and exit.kind == "normal"):
            # It was to be stopped with its group anyway: one crash of a group counts, not each (row A13).
            self.report_crash(row, exit, "restart with its group")
            self.put_down(row, exit)
            return
        if exit.kind == "normal" and row.spec.restart == "permanent":
            error = EarlyExit(f"{row.cell.path} is permanent and returned")
            failure = row.cell.last_failure = Failure.of(error)
        decision = decide(
            self.table,
            row,
            exit,
            strategy=self.spec.strategy,
            auto_shutdown=self.spec.auto_shutdown,
            intensity=self.intensity,
            backoff=row.spec.backoff or self.spec.backoff,
            generator=self.runtime.generator,
            now=self.runtime.now(),
            ready_for=row.cell.ready_for,
            terminal=error is not None and is_terminal(error, row.spec),
        )
        match decision:
            case End(finish=finish):
                self.report_crash(row, exit, "stop", failure)
                self.gone(row, exit)
                if finish:
                    self.request_stop(
                        "pause" if self.cell.spec.restart == "permanent" and self.above else "end"
                    )
            case Restart(group=group, delay=delay):
                self.report_crash(row, exit, f"restart in {delay:.3g} s", failure)
                self.fail_starters(row, failure, error)
                self.restart(row, group, delay)
            case Escalate(reason=reason):
                self.report_crash(row, exit, "escalate", failure)
                self.escalate(reason, error)

    def fail_starters(self, row: Child, failure: Failure | None, error: BaseException | None) -> None:
        """Tell those who wait for a child to be ready that this attempt has failed."""
        if row in self.waiters:
            problem = ChildStartFailed(row.cell.path, f"did not start: {failure}")
            problem.__cause__ = error
            self.resolve(row, ready=True, error=problem)

    def report_crash(self, row: Child, exit: Exit, decision: str, failure: Failure | None = None) -> None:
        """Publish a crash report."""
        failure = failure or exit.failure
        if failure is None:
            return
        self.history.append(f"{row.cell.path} #{row.incarnation}: {failure}")
        del self.history[:-HISTORY_MAX]
        if not self.runtime.observers:
            return
        cell = row.cell
        now = self.runtime.now()
        self.runtime.emit(
            ChildCrashed(
                now,
                cell.path,
                row.incarnation,
                failure,
                cell.lost_message,
                cell.box.depth,
                now - cell.started_at,
                row.attempt,
                decision,
            )
        )

    def escalate(self, reason: str, error: BaseException | None) -> None:
        """Stop all children in order and fail."""
        if self.runtime.observers:
            self.runtime.emit(SupervisorEscalated(self.runtime.now(), self.cell.path, reason))
        self.failed = reason
        self.cause = error
        if self.stop_mode is None:
            self.stop_mode = "pause"
        self.begin_stop()


def is_terminal(error: BaseException, spec: ChildSpec[Any]) -> bool:
    """Whether a crash, or for a supervisor anything in its chain of causes, is listed in ``stop_on``."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, spec.stop_on):
            return True
        link = link.__cause__ if spec.supervisor is not None else None
    return False
