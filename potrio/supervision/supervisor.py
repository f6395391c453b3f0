"""A running supervisor, as its users see it: find actors, add and remove children, look at the tree."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio

from potrio.actor_errors import ChildNotFound, SupervisorStopping, TooManyChildren
from potrio.supervision.child_spec import ChildSpec, Key
from potrio.supervision.engine import Engine
from potrio.supervision.events import Event
from potrio.supervision.exit import Exit
from potrio.supervision.ledger import Traced
from potrio.supervision.ref import Ref
from potrio.supervision.region import Child, Region
from potrio.supervision.runtime import Observer
from potrio.supervision.tree import Node, node_of

__all__ = ["Supervisor"]

T = TypeVar("T")

EVENTS_MAX = 1024
"""Events that wait for one reader of `Supervisor.events`."""


class Supervisor:
    """A handle to a supervisor of a running tree. Valid over its restarts; cheap; made by `open_supervisor`.

    Attributes:
        path: where it is in the tree.
    """

    __slots__ = ("_engine", "path")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.path = engine.cell.path

    # --- finding ---

    def ref(self, name: str | Key[T]) -> Ref[T]:
        """Find an actor: by its `Key`, by id here or further up, or by path (``"link/conn"``, ``"root/link/conn"``).

        Raises:
            ChildNotFound: there is none now.
        """
        return Ref(self._engine.find(name))

    def supervisor(self, name: str) -> Supervisor:
        """Find a supervisor, in the same way.

        Raises:
            ChildNotFound: there is none now, or it is not a supervisor.
        """
        own = self._engine.find(name).own
        if not isinstance(own, Engine):
            raise ChildNotFound(f"{name!r} is not a supervisor")
        return Supervisor(own)

    def value(self, name: str) -> object:
        """What a `service` passed to ``task_status.started()`` last.

        Raises:
            ChildNotFound: there is no such child.
        """
        return self._engine.find(name).value

    # --- children ---

    async def start_child(self, spec: ChildSpec[T]) -> Ref[T]:
        """Add a child and wait until it is ready. Cancelling takes it out again.

        Raises:
            ChildStartFailed: it did not become ready; it is gone again, its siblings were not touched.
            TooManyChildren: ``max_children`` are there already, those in backoff included.
            DuplicateChild: its id, or a key in it, is taken.
            SupervisorStopping: this supervisor does not run or is stopping.
        """
        engine = self._engine
        row = self._add(spec)
        waiter = engine.wait_for(row, ready=True)
        engine.post(begin, engine, row)
        try:
            await waiter.event.wait()
        except trio.Cancelled:
            engine.post(stop, engine, row)
            raise
        if waiter.error is not None:
            raise waiter.error
        return Ref(row.cell)

    def start_child_soon(self, spec: ChildSpec[Any]) -> None:
        """Add a child without waiting: it starts when its supervisor gets to it. A failed start is an event.

        Raises:
            TooManyChildren, DuplicateChild, SupervisorStopping: as `start_child`.
        """
        self._engine.post(begin, self._engine, self._add(spec))

    async def stop_child(self, name: str | Key[Any]) -> None:
        """End a child for good, as orderly as its spec says, and wait until its task has exited.

        Works in every state, also in backoff; the answer is never a restart. Its id is free afterwards. Cancelling
        only stops the waiting.

        Raises:
            ChildNotFound: this supervisor has no such child.
        """
        row = self._child(name)
        waiter = self._engine.wait_for(row, ready=False)
        self._engine.post(stop, self._engine, row)
        await waiter.event.wait()

    async def restart_child(self, name: str | Key[Any]) -> None:
        """Stop a child and start it again, at once and without using up the restart limit; wait until it is ready.

        A child in backoff is started now. Cancelling only stops the waiting.

        Raises:
            ChildNotFound: this supervisor has no such child.
            ChildStartFailed: the new incarnation crashed before it was ready; its restart kind decides what follows.
        """
        row = self._child(name)
        waiter = self._engine.wait_for(row, ready=True)
        self._engine.post(restart, self._engine, row)
        await waiter.event.wait()
        if waiter.error is not None:
            raise waiter.error

    def crash_child(self, name: str | Key[Any], error: Exception) -> None:
        """Make a child crash at its next checkpoint, as if it had raised ``error``: for drills.

        Everything else is as after any crash; a child that is down is left alone.

        Raises:
            ChildNotFound: this supervisor has no such child.
        """
        self._child(name).cell.crash(error)

    def _add(self, spec: ChildSpec[Any]) -> Child:
        """Enter a child that is not started yet."""
        engine = self._engine
        if not engine.running:
            raise SupervisorStopping(f"{self.path} is not running")
        limit = engine.spec.max_children
        if limit is not None and len(engine.table) >= limit:
            raise TooManyChildren(f"{self.path} has {limit} children already")
        return engine.add(spec, dynamic=True)

    def _child(self, name: str | Key[Any]) -> Child:
        row = self._engine.table.get(name.name if isinstance(name, Key) else name)
        if row is None or (isinstance(name, Key) and row.spec.key != name):
            raise ChildNotFound(f"{self.path} has no child {name!r}")
        return row

    # --- life ---

    async def join(self) -> Exit:
        """Wait until the supervisor has ended for good. Cancelling only stops the waiting."""
        return await self._engine.cell.join()

    def request_stop(self) -> None:
        """Ask the supervisor to stop its children in order and to end. A nested one may be restarted."""
        self._engine.request_stop("end")

    # --- looking ---

    def tree(self) -> Node:
        """What is here and below, as values; see `render` for text. Works on a failing or ended tree, too."""
        return node_of(self._engine.cell)

    @asynccontextmanager
    async def events(self, *, size: int = EVENTS_MAX) -> AsyncIterator[trio.MemoryReceiveChannel[Event]]:
        """Open a stream of all events of the whole tree. A reader that falls ``size`` behind loses the newest ones.

        Entering and leaving are no checkpoints; reading waits. Cancelling the reader loses nothing.
        """
        send, receive = trio.open_memory_channel[Event](size)
        observer = feeder(send)
        self._engine.runtime.add_observer(observer)
        try:
            with send, receive:
                yield receive
        finally:
            self._engine.runtime.remove_observer(observer)

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Call a plain function with every event of the whole tree; returns a function that ends that."""
        self._engine.runtime.add_observer(observer)
        return lambda: self._engine.runtime.remove_observer(observer)

    def trace(self, ref: Ref[Any], fn: Callable[[Traced], object] | None) -> None:
        """Call ``fn`` with every message that one actor accepts or finishes; None ends that. Free when off."""
        ref._cell.box.trace = fn
        ref._cell.box.update()

    # --- threads ---

    def post(self, ref: Ref[T], message: T) -> None:
        """Queue a message from any thread (or from a host loop in guest mode). Does not tell whether it was accepted.

        Raises:
            trio.RunFinishedError: the trio run is over.
        """
        self._engine.runtime.token.run_sync_soon(ref.tell, message)

    def __repr__(self) -> str:
        return f"<Supervisor {self.path}>"


# --- what is posted to the engine's agenda ---------------------------------------------------------------------------


def begin(engine: Engine, row: Child) -> None:
    """Start a child that has just been added."""
    if row.want == "end":
        return
    engine.open_region(Region(stop=[], start=[row], due=0.0))


def stop(engine: Engine, row: Child) -> None:
    """End a child for good."""
    if engine.table.get(row.id) is not row:
        engine.resolve(row, ready=None)
        return
    row.want = "end"
    if not row.alive:
        engine.gone(row, Exit("shutdown"))
    elif row.status == "stopping":
        if row.cell.scope is not None:  # else it has ended already, and its exit is on the agenda behind us
            row.cell.ask_to_stop("end")
    else:
        engine.tell(row)


def restart(engine: Engine, row: Child) -> None:
    """Stop a child and start it again."""
    if engine.table.get(row.id) is not row or row.want == "end" or engine.closing is not None:
        return
    region = row.region
    if region is None:
        row.want = "rest"
        engine.open_region(Region(stop=[row], start=[row], due=0.0))
        return
    region.due = engine.runtime.now()
    if row.alive and row.status != "stopping":
        row.want = "rest"
        engine.tell(row)
    engine.advance(region)


def feeder(send: trio.MemorySendChannel[Event]) -> Observer:
    """An observer that puts events into a channel while there is room."""

    def observe(event: Event) -> None:
        try:
            send.send_nowait(event)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    return observe
