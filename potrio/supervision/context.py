"""What an actor's function gets: its inbox, its name, its timers, its neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import trio

from potrio.actor_errors import ActorDead
from potrio.supervision.cell import Cell
from potrio.supervision.child_spec import Key
from potrio.supervision.exit import Exit, Failure
from potrio.supervision.inbox import Inbox
from potrio.supervision.ref import Ref
from potrio.supervision.timers import Timer

__all__ = ["ActorTimer", "Context", "Directory", "Down", "Watch"]

M = TypeVar("M")
T = TypeVar("T")


class Down(msgspec.Struct, frozen=True):
    """What a watch tells: the actor has ended for good (``exit``), or is being restarted (``exit is None``)."""

    path: str
    exit: Exit | None
    failure: Failure | None


class Directory(Protocol):
    """The supervisor above, as far as a context needs it."""

    def find(self, name: str | Key[Any]) -> Cell:
        """The cell of that name: a sibling, or one further up, or the owner of a key anywhere in the tree."""


class Context(Generic[M]):
    """The world of one incarnation. It dies with it: timers and watches end, and the inbox gives nothing more.

    Attributes:
        inbox: the messages.
        me: a ref to this actor, over restarts.
        incarnation: 1 for the first, then counting up.
        kept: what an earlier incarnation handed to `keep`, or None.
        last_failure: how the last crash of this actor came about, or None.
    """

    __slots__ = ("_cell", "_directory", "_timers", "inbox", "incarnation", "kept", "last_failure", "me")

    def __init__(self, cell: Cell, directory: Directory) -> None:
        self._cell = cell
        self._directory = directory
        self._timers: dict[Hashable, ActorTimer] | None = None
        self.inbox: Inbox[M] = Inbox(cell.box, cell.mark_ready)
        self.me: Ref[M] = Ref(cell)
        self.incarnation = cell.incarnation
        self.kept = cell.snapshot
        self.last_failure = cell.last_failure

    @property
    def path(self) -> str:
        """Where this actor is in the tree."""
        return self._cell.path

    # --- life ---

    def ready(self) -> None:
        """Say that the start is done. Asking for the first message says the same."""
        self._cell.mark_ready()

    @property
    def stopping(self) -> trio.Event:
        """Set when the actor is asked to stop; it then has ``shutdown`` seconds."""
        cell = self._cell
        if cell.stopping_event is None:
            cell.stopping_event = trio.Event()
            if cell.stop_asked is not None:
                cell.stopping_event.set()
        return cell.stopping_event

    def keep(self, snapshot: object) -> None:
        """Leave a value for the next incarnation (`kept`). It replaces the one before; None leaves nothing.

        Two incarnations in a row that die before they are ready with the same snapshot bring it down with them.
        """
        self._cell.snapshot = snapshot
        self._cell.snapshot_deaths = 0

    def expose(self, fn: Callable[[], object]) -> None:
        """Let `Ref.inspect` call this function."""
        self._cell.exposed = fn

    # --- others ---

    def lookup(self, name: str | Key[T]) -> Ref[T]:
        """Find an actor: by its `Key` anywhere in the tree; by id among the siblings, then further and further up;
        or by its whole path.

        Raises:
            ChildNotFound: there is none now.
        """
        return Ref(self._directory.find(name))

    def watch(
        self,
        ref: Ref[Any],
        make: Callable[[Down], M] | None = None,
        *,
        restarts: bool = False,
        crash: bool = False,
    ) -> Watch:
        """Be told when another actor ends for good: by the message ``make(down)``, ahead of all others.

        At once if it has ended already. Exactly one message; with ``restarts`` one more for every restart.
        Ends with this incarnation: watch again in the next.

        Args:
            crash: instead of a message, crash with `ActorDead` (a death pact).

        Raises:
            ValueError: neither ``make`` nor ``crash`` was given.
        """
        if make is None and not crash:
            raise ValueError("watch() needs make=, or crash=True")
        watch = Watch(self._cell, ref._cell, make, restarts=restarts)
        attach(self._cell, watch)
        ref._cell.add_watcher(watch)
        return watch

    # --- timers ---

    def after(self, delay: float, message: M, *, key: Hashable = None, control: bool = True) -> ActorTimer:
        """Put a message into the own mailbox once, ``delay`` seconds from now. Costs no task.

        Args:
            key: a timer of the same key is replaced; None: independent of all others.
            control: ahead of all other messages (and never dropped); otherwise like a `Ref.tell`.
        """
        return self._arm(ActorTimer(self._cell, delay, math.inf, message, control=control), key)

    def every(self, period: float, message: M, *, key: Hashable = None, control: bool = True) -> ActorTimer:
        """Put a message into the own mailbox every ``period`` seconds, without drift, first after one period.

        While one is unread no second is queued (with ``control``). Arguments as for `after`.

        Raises:
            ValueError: the period is not positive.
        """
        if not period > 0:
            raise ValueError(f"period must be > 0 seconds, not {period}")
        return self._arm(ActorTimer(self._cell, period, period, message, control=control), key)

    def _arm(self, timer: ActorTimer, key: Hashable) -> ActorTimer:
        attach(self._cell, timer)
        if key is not None:
            if self._timers is None:
                self._timers = {}
            replaced = self._timers.get(key)
            if replaced is not None:
                replaced.cancel()
            self._timers[key] = timer
        return timer


class ActorTimer:
    """A running timer of an actor: ``cancel()`` ends it."""

    __slots__ = ("_cell", "_control", "_message", "_period", "_timer", "unread")

    def __init__(self, cell: Cell, delay: float, period: float, message: object, *, control: bool) -> None:
        self._cell = cell
        self._period = period
        self._message = message
        self._control = control
        self.unread = False
        self._timer: Timer | None = cell.runtime.timers.at(cell.runtime.now() + delay, self._fire)

    @property
    def active(self) -> bool:
        """Whether it is going to fire (again)."""
        return self._timer is not None

    def cancel(self) -> None:
        """End it. What it has queued already stays queued."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if self._cell.attached is not None:
                self._cell.attached.discard(self)

    def close(self) -> None:
        """End it with its incarnation."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        timer = self._timer
        assert timer is not None, "a cancelled timer does not fire"
        if self._period == math.inf:
            self.cancel()
        else:
            # From the due time, not from now: no drift. Periods that passed meanwhile are skipped, not made up for.
            now = self._cell.runtime.now()
            missed = max(0, math.floor((now - timer.due) / self._period))
            self._timer = self._cell.runtime.timers.at(timer.due + (missed + 1) * self._period, self._fire)
        if not self._control:
            self._cell.box.put(self._message)
        elif not self.unread:
            self._cell.box.put_control(self._message, self)


class Watch:
    """A running watch: ``cancel()`` ends it."""

    __slots__ = ("_cell", "_make", "_restarts", "_target", "unread")

    def __init__(
        self, cell: Cell, target: Cell, make: Callable[[Down], Any] | None, *, restarts: bool
    ) -> None:
        self._cell = cell
        self._target = target
        self._make = make
        self._restarts = restarts
        self.unread = False

    def cancel(self) -> None:
        """End it. What it has queued already stays queued."""
        if self._cell.attached is not None:
            self._cell.attached.discard(self)
        self.close()

    def close(self) -> None:
        """End it with its incarnation."""
        self._target.remove_watcher(self)

    def restarted(self, cell: Cell, failure: Failure | None) -> None:
        """The watched actor is being restarted."""
        if self._restarts:
            self._tell(Down(cell.path, None, failure))

    def ended(self, cell: Cell) -> None:
        """The watched actor has ended for good."""
        if self._cell.attached is not None:
            self._cell.attached.discard(self)
        self._tell(Down(cell.path, cell.exit, cell.exit.failure if cell.exit is not None else None))

    def _tell(self, down: Down) -> None:
        if self._make is None:
            self._cell.crash(ActorDead(down.path))
            return
        try:
            message = self._make(down)
        except Exception as error:  # noqa: BLE001 - the watcher's function, reported as the watcher's crash
            self._cell.crash(error)
        else:
            self._cell.box.put_control(message, self)


def attach(cell: Cell, thing: ActorTimer | Watch) -> None:
    """Let a thing end with the current incarnation."""
    if cell.attached is None:
        cell.attached = set()
    cell.attached.add(thing)
