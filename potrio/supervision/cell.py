"""The logical actor: what outlives its incarnations (mailbox, names, watchers) and what each of them has for itself.

A `Ref` points here. The supervisor above decides when an incarnation starts and stops; this file knows how.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol

import trio

from potrio.actor_errors import ActorCrashed, ActorDead, NoReply
from potrio.supervision.call import Call, Pending
from potrio.supervision.child_spec import ChildSpec
from potrio.supervision.events import ActorEnded, ChildReady, SnapshotDropped
from potrio.supervision.exit import Exit, Failure
from potrio.supervision.ledger import NOTHING
from potrio.supervision.mailbox import Mailbox
from potrio.supervision.runtime import Runtime

__all__ = ["Attached", "Cell", "CellState", "StopMode", "Watcher", "type_of_message"]

CellState = Literal["waiting", "starting", "running", "stopping", "backoff", "ended"]

StopMode = Literal["end", "pause"]
"""end: for good; what is queued is handled first (drain) or dead-lettered. pause: it will be started again; the
mailbox stays open and keeps everything."""

SNAPSHOT_DEATHS_MAX = 2
"""So many incarnations in a row may die before they are ready with one snapshot; then the snapshot is the suspect."""


class Attached(Protocol):
    """Something that belongs to an incarnation and ends with it: a timer, a watch."""

    def close(self) -> None:
        """End it. Called once."""


class Watcher(Protocol):
    """Someone who wants to know when the logical actor ends or restarts."""

    def restarted(self, cell: Cell, failure: Failure | None) -> None:
        """A new incarnation is about to start."""

    def ended(self, cell: Cell) -> None:
        """It has ended for good; ``cell.exit`` says how."""


class Home(Protocol):
    """A supervisor, as a cell sees it: the one above, or the one that it is itself."""

    def prepare(self) -> Callable[[], Awaitable[object]]:
        """Make ready for a new incarnation of the supervisor; return what it runs."""

    def child_ready(self, cell: Cell, incarnation: int) -> None:
        """A child is ready."""

    def bury_children(self, exit: Exit) -> None:
        """The supervisor itself has ended for good, and all below it."""

    def request_stop(self, mode: StopMode) -> None:
        """The supervisor itself is asked to stop."""


class Cell:
    """One actor, service or supervisor, over all its incarnations."""

    __slots__ = (
        "attached",
        "box",
        "calls",
        "death_event",
        "exit",
        "exposed",
        "forced",
        "home",
        "incarnation",
        "last_failure",
        "lost_message",
        "own",
        "path",
        "ready_at",
        "ready_event",
        "restarts",
        "runtime",
        "scope",
        "snapshot",
        "snapshot_deaths",
        "spec",
        "started_at",
        "state",
        "stop_asked",
        "stopping_event",
        "task",
        "value",
        "waiting_on",
        "watchers",
    )

    def __init__(self, runtime: Runtime, spec: ChildSpec[Any], path: str, home: Home | None) -> None:
        self.runtime = runtime
        self.spec = spec
        self.path = path
        self.home = home
        self.own: Home | None = None  # the supervisor that this cell is, where it is one
        self.box = Mailbox(runtime, path, spec)
        self.box.owner = self
        # --- life
        self.state: CellState = "waiting"
        self.exit: Exit | None = None
        self.restarts = 0
        self.last_failure: Failure | None = None
        self.snapshot: object = None
        self.snapshot_deaths = 0
        self.value: object = None
        self.death_event: trio.Event | None = None
        self.ready_event: trio.Event | None = None
        # --- the current incarnation
        self.incarnation = 0
        self.started_at = 0.0
        self.ready_at: float | None = None
        self.scope: trio.CancelScope | None = None
        self.task: trio.lowlevel.Task | None = None
        self.stop_asked: StopMode | None = None
        self.stopping_event: trio.Event | None = None
        self.forced: BaseException | None = None
        self.exposed: Callable[[], object] | None = None
        self.waiting_on: Cell | None = None
        self.lost_message = ""  # type of the message the last incarnation crashed over
        # --- relations
        self.calls: dict[Pending, None] | None = None
        self.watchers: list[Watcher] | None = None
        self.attached: set[Attached] | None = None
        if spec.kind != "actor":
            self.box.close("dead")  # services and supervisors take no messages
        runtime.register(spec.key, self)

    def __repr__(self) -> str:
        return f"<{self.spec.kind} {self.path} #{self.incarnation} {self.state}>"

    # --- one incarnation ---

    def begin(self) -> None:
        """Set up a new incarnation; its task is started next."""
        assert self.state in ("waiting", "backoff"), f"{self!r} is not down"
        self.incarnation += 1
        self.state = "starting"
        self.started_at = self.runtime.now()
        self.ready_at = None
        self.scope = trio.CancelScope()
        self.stop_asked = None
        self.stopping_event = None
        self.forced = None
        self.exposed = None
        if self.incarnation > 1:
            self.restarts += 1
            self.box.new_incarnation()
            if self.watchers:
                for watcher in tuple(self.watchers):
                    watcher.restarted(self, self.last_failure)
        if self.snapshot is not None and self.snapshot_deaths >= SNAPSHOT_DEATHS_MAX:
            self.snapshot = None
            self.snapshot_deaths = 0
            if self.runtime.observers:
                self.runtime.emit(SnapshotDropped(self.runtime.now(), self.path, self.incarnation))

    def mark_ready(self) -> None:
        """The incarnation is ready: a latch, the first call counts."""
        if self.ready_at is not None or self.state == "ended":
            return
        self.ready_at = self.runtime.now()
        self.snapshot_deaths = 0
        if self.state == "starting":
            self.state = "running"
        if self.runtime.observers:
            self.runtime.emit(ChildReady(self.ready_at, self.path, self.incarnation))
        if self.ready_event is not None:
            self.ready_event.set()
            self.ready_event = None
        if self.home is not None:
            self.home.child_ready(self, self.incarnation)

    @property
    def ready_for(self) -> float:
        """For how long this incarnation has been ready; 0 if it is not."""
        return 0.0 if self.ready_at is None else self.runtime.now() - self.ready_at

    def ask_to_stop(self, mode: StopMode) -> None:
        """Ask the incarnation to end: close the inbox, set ``ctx.stopping``, and start its deadline running."""
        assert self.scope is not None, f"{self!r} has no incarnation"
        if self.stop_asked is not None and not (self.stop_asked == "pause" and mode == "end"):
            return
        self.stop_asked = mode
        self.state = "stopping"
        if self.own is not None:
            self.own.request_stop(mode)
            return
        if mode == "end" and self.box.refuse_as is None:
            self.box.close("stopping")
        self.box.end_inbox("drain" if mode == "end" and self.spec.drain else "now")
        if self.stopping_event is not None:
            self.stopping_event.set()
        if self.spec.shutdown == 0:
            self.scope.cancel(reason=f"{self.path}: stop, shutdown=0")
        elif self.spec.shutdown != math.inf:
            self.scope.deadline = min(self.scope.deadline, self.runtime.now() + self.spec.shutdown)

    def crash(self, error: BaseException) -> None:
        """Make the incarnation end as if it had raised this."""
        if self.scope is not None and self.state != "ended":
            self.forced = error
            self.scope.cancel(reason=f"{self.path}: {error}")

    def finish_incarnation(self, exit: Exit, error: BaseException | None) -> None:
        """Tidy up after the incarnation's task: message in hand, held requests, timers, watches."""
        box = self.box
        self.lost_message = "" if box.in_hand is NOTHING else type_of_message(box.in_hand)
        if exit.kind in ("normal", "shutdown"):
            if box.in_hand is not NOTHING:
                box.finish()
        else:
            box.lose_in_hand(exit.failure)
        attached, self.attached = self.attached, None
        for each in attached or ():
            each.close()
        box.end_incarnation()
        box.report_idle()
        self.fail_calls(exit, error)
        if exit.failure is not None:
            self.last_failure = exit.failure
            if self.ready_at is None and self.snapshot is not None:
                self.snapshot_deaths += 1
        self.scope = None
        self.task = None
        self.waiting_on = None
        if self.state != "ended":
            self.state = "waiting"

    def fail_calls(self, exit: Exit, error: BaseException | None) -> None:
        """Tell those whose requests the incarnation held that no reply will come."""
        for pending in [pending for pending in self.calls or () if not pending.queued]:
            failed: Exception
            match exit.kind:
                case "normal" | "shutdown":
                    failed = NoReply(self.path, "ended without answering")
                case "killed" | "cancelled":
                    failed = ActorCrashed(self.path, "was cancelled while it held the request")
                case "crashed" | "fatal":
                    failed = ActorCrashed(self.path)
                    failed.__cause__ = error
            pending.fail(failed)

    # --- the end of the logical actor ---

    def bury(self, exit: Exit) -> None:
        """End for good: free the name, account for every message, tell askers, senders and watchers."""
        if self.state == "ended":
            return
        self.state = "ended"
        self.exit = exit
        self.runtime.unregister(self.spec.key, self)
        if self.own is not None:
            self.own.bury_children(exit)
        self.box.bury("stopping" if exit.kind in ("shutdown", "killed") else "dead")
        for pending in tuple(self.calls or ()):
            pending.fail(ActorDead(self.path))
        self.snapshot = None
        watchers, self.watchers = self.watchers, None
        for watcher in watchers or ():
            watcher.ended(self)
        for event in (self.death_event, self.ready_event):
            if event is not None:
                event.set()
        if self.runtime.observers:
            self.runtime.emit(ActorEnded(self.runtime.now(), self.path, exit))

    def add_watcher(self, watcher: Watcher) -> None:
        """Tell it about restarts and the end; at once where the end has come already."""
        if self.state == "ended":
            watcher.ended(self)
            return
        if self.watchers is None:
            self.watchers = []
        self.watchers.append(watcher)

    def remove_watcher(self, watcher: Watcher) -> None:
        """Tell it nothing more. Does nothing where it is not there."""
        if self.watchers is not None and watcher in self.watchers:
            self.watchers.remove(watcher)

    async def join(self) -> Exit:
        """Wait until the actor has ended for good. Cancelling only stops the waiting."""
        if self.exit is None:
            if self.death_event is None:
                self.death_event = trio.Event()
            await self.death_event.wait()
        else:
            await trio.lowlevel.checkpoint()
        assert self.exit is not None
        return self.exit

    async def wait_ready(self) -> None:
        """Wait until an incarnation is ready. Cancelling only stops the waiting."""
        while self.state != "running":
            if self.state == "ended":
                raise ActorDead(self.path)
            if self.ready_event is None:
                self.ready_event = trio.Event()
            await self.ready_event.wait()
        await trio.lowlevel.checkpoint()

    # --- requests (Keeper) ---

    def abandoned(self, pending: Pending) -> None:
        """The asker of a queued request has gone."""
        self.box.abandoned(pending)

    def adopt(self, pending: Pending) -> None:
        """A request has come to this actor, from the asker or from another actor that passed it on."""
        pending.queued = True
        if pending.keeper is self or pending.task is None:
            return
        pending.keeper.settled(pending)
        pending.keeper = self
        if self.calls is None:
            self.calls = {}
        self.calls[pending] = None

    def late_reply(self, pending: Pending, value: object) -> None:
        """A reply came for an asker that has gone."""
        self.box.count(value, "late_reply", accepted=False, failure=None)

    def settled(self, pending: Pending) -> None:
        """A request is over."""
        if self.calls is not None:
            self.calls.pop(pending, None)

    def lost(self, tell: Callable[[], object]) -> None:
        """A request was dropped unanswered; this may be the collector's thread."""
        try:
            self.runtime.token.run_sync_soon(tell)
        except trio.RunFinishedError:
            pass  # the asker has ended with the run


def type_of_message(message: object) -> str:
    """What a report may say about a message: its type, never its content."""
    return type(message.msg).__name__ if isinstance(message, Call) else type(message).__name__
