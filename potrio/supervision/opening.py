"""The border between a tree and the program around it: `open_supervisor` and `run_supervisor`.

Laws: everything below has ended when the ``async with`` has; a cancellation or Ctrl-C from outside still ends it in
order; and what leaves is never a group of one.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from potrio.actor_errors import ActorDead, ChildSpecInvalid, SupervisorFailed
from potrio.seam import REAL, Seam
from potrio.supervision.cell import Cell
from potrio.supervision.child_spec import ChildSpec
from potrio.supervision.engine import Engine
from potrio.supervision.exit import Exit, Failure, has_type
from potrio.supervision.runtime import SLICE, STUCK_EVERY, MessageHook, Observer, Runtime
from potrio.supervision.supervisor import Supervisor

__all__ = ["open_supervisor", "run_supervisor"]


class BodyFailed(Exception):
    """Stands for the error of the body while the nursery unwinds."""


class Root:
    """The top of a running tree: the one shield, the timer task, and what is left to raise in the end."""

    def __init__(self, tree: ChildSpec[Any], runtime: Runtime) -> None:
        self.runtime = runtime
        self.cell = Cell(runtime, tree, tree.id, None)
        self.engine = Engine(self.cell, None)
        self.finished = trio.Event()
        self.body_scope = trio.CancelScope()
        self.hard = trio.CancelScope(shield=True)
        self.failure: SupervisorFailed | None = None
        self.body_error: BaseException | None = None
        # Before any task runs, so that a request to stop that comes early is not forgotten.
        self.body = self.engine.prepare()
        self.cell.begin()

    def request_stop(self) -> None:
        """Begin the ordered stop."""
        self.engine.request_stop("end")

    async def watch(self) -> None:
        """Turn a cancellation from outside into an ordered stop. Runs until cancelled."""
        try:
            await trio.sleep_forever()
        finally:
            self.request_stop()

    async def run(self) -> None:
        """Run the tree behind the one shield; all waits below are bounded by the children's deadlines."""
        exit = Exit("fatal")
        try:
            with self.hard:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self.runtime.timers.run)
                    exit = await self.supervise()
                    nursery.cancel_scope.cancel(reason=f"{self.cell.path} has ended")
        finally:
            self.finished.set()
            if self.failure is not None:
                self.body_scope.cancel(reason=str(self.failure))
            self.cell.bury(exit)

    async def supervise(self) -> Exit:
        """Run the root supervisor; its giving up is kept as a value. Cancelling cuts the whole tree."""
        try:
            await self.body()
        except SupervisorFailed as error:
            self.failure = error
            return Exit("crashed", Failure.of(error))
        return Exit("shutdown" if self.engine.stop_mode == "end" else "normal")

    async def wait_started(self) -> None:
        """Wait until the whole tree is ready, or has ended already. Cancelling stops the waiting."""
        try:
            await self.cell.wait_ready()
        except ActorDead:
            if self.failure is not None:
                await trio.sleep_forever()  # the body scope is being cancelled; the border raises the failure

    async def close(self, *, interrupted: bool = False) -> KeyboardInterrupt | None:
        """Stop in order and wait for the end, whatever is cancelled around; a second Ctrl-C cuts everything at once.

        Returns the first Ctrl-C where it came during the stop.

        Cancelling has no effect: the wait is bounded by the children's deadlines.
        """
        self.request_stop()
        first: KeyboardInterrupt | None = None
        while not self.finished.is_set():
            try:
                with trio.CancelScope(shield=True):
                    await self.finished.wait()
            except KeyboardInterrupt as error:
                if interrupted:
                    self.hard.cancel(reason="second interrupt")
                else:
                    interrupted = True
                    first = error
        return first

    def border(self, group: BaseExceptionGroup[BaseException] | None) -> BaseException | None:
        """Work out what to raise: what came out of the nursery, and the failure of the tree."""
        errors: list[BaseException] = []
        inside: list[BaseException] = []
        if group is not None:
            inside.extend(leaf for leaf in leaves(group) if not isinstance(leaf, BodyFailed))
        if self.body_error is not None:
            errors.append(self.body_error)
        if self.failure is not None:
            errors.append(self.failure)
        if inside:
            return BaseExceptionGroup("the tree was interrupted", [*inside, *errors])
        if len(errors) > 1:
            return BaseExceptionGroup("the body and the tree below it failed", errors)
        return errors[0] if errors else None


def leaves(error: BaseException) -> list[BaseException]:
    """All exceptions in nested groups, cancellations apart."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [] if isinstance(error, trio.Cancelled) else [error]


@asynccontextmanager
async def open_supervisor(
    tree: ChildSpec[Any],
    *,
    observers: Sequence[Observer] = (),
    rng: random.Random | None = None,
    slice: float = SLICE,
    stuck_every: float = STUCK_EVERY,
    message_hook: MessageHook | None = None,
    seam: Seam = REAL,
) -> AsyncIterator[Supervisor]:
    """Run a tree while the body of the ``async with`` runs. Works in any trio task, any number of times at once.

    Waits, on entering, until the whole tree is ready; on leaving, until every child has been stopped in reverse start
    order. Cancelling from outside cancels the body; the children are still stopped in order, each within its
    ``shutdown``. The first Ctrl-C does the same, a second one cancels them all at once.

    Args:
        tree: a value made by `supervisor`.
        observers: plain functions that see every event.
        rng: where backoff takes its jitter from; hand in a seeded one for runs that repeat.
        slice: seconds an actor may handle messages before others get a turn.
        stuck_every: seconds between reports of a child that does not end although it was cancelled.
        message_hook: called with the times of every handled message; costs nothing when None.
        seam: where the generator comes from when ``rng`` is not given.

    Raises:
        ChildSpecInvalid: ``tree`` is not a supervisor.
        SupervisorFailed: the tree did not start, or gave up later (the body is then cancelled); ``__cause__`` is the
            last crash.
        BaseExceptionGroup: body and tree failed independently of each other; or a child raised KeyboardInterrupt or
            SystemExit, which is in the group unchanged.
        BaseException: whatever the body raised, as it is.
    """
    if tree.supervisor is None:
        raise ChildSpecInvalid(tree.id, "open_supervisor() takes a value made by supervisor()")
    runtime = Runtime(
        observers=tuple(observers),
        generator=seam.generator if rng is None else lambda: rng,
        slice_s=slice,
        stuck_every=stuck_every,
        message_hook=message_hook,
    )
    root = Root(tree, runtime)
    outer: BaseExceptionGroup[BaseException] | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(root.watch, name=f"{tree.id} (watch)")
            nursery.start_soon(root.run, name=tree.id)
            try:
                with root.body_scope:
                    await root.wait_started()
                    yield Supervisor(root.engine)
            except BaseException as error:
                interrupt = await root.close(interrupted=has_type(error, (KeyboardInterrupt,)))
                if interrupt is None and not leaves(error):
                    raise  # nothing but a cancellation
                # The error itself must not go through the nursery, which would take a group of the body to pieces.
                root.body_error = interrupt or error
                raise BodyFailed from None
            else:
                root.body_error = await root.close()
            finally:
                nursery.cancel_scope.cancel(reason=f"{tree.id} has ended")
    except BaseExceptionGroup as group:
        if root.border(group) is None:
            raise  # cancellations only: on to whoever cancelled
        outer = group
    problem = root.border(outer)
    if problem is not None:
        try:
            raise problem
        finally:
            del problem, outer, root  # no circle through the frame of the traceback


async def run_supervisor(
    tree: ChildSpec[Any],
    *,
    observers: Sequence[Observer] = (),
    task_status: trio.TaskStatus[Supervisor] = trio.TASK_STATUS_IGNORED,
) -> Exit:
    """Run a tree as a task of its own: ``sup = await nursery.start(run_supervisor, tree)``.

    Waits until the tree has ended by itself. Cancelling stops it in order, see `open_supervisor`, also for what it
    raises.
    """
    async with open_supervisor(tree, observers=observers) as supervisor:
        task_status.started(supervisor)
        return await supervisor.join()
