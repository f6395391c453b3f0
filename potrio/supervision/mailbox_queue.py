"""An actor's queue of messages: who may put, and what is next.

It belongs to the logical actor and outlives its incarnations. Nothing here waits, `send` apart: it is the consumer's
side, `Inbox`, that sleeps.

Three queues are emptied in this order: *control* (timers, deaths of watched actors: never full), *front* (what was put
back: stashed, redelivered, passed over), and the *lane* of the spec.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any, Literal, NamedTuple

import trio

from potrio.actor_errors import ActorDead
from potrio.supervision.call import Call, Pending
from potrio.supervision.child_spec import ChildSpec
from potrio.supervision.lanes import ChannelLane, Lane, Stamped, long_way, make_lane, pop_nothing
from potrio.supervision.ledger import MARK_MASK, NOTHING, Ledger, Source, Traced
from potrio.supervision.runtime import MessageTimes, Runtime

__all__ = ["InboxEnded", "MailboxQueue", "Offer"]


class InboxEnded(trio.EndOfChannel):
    """The actor is asked to stop and there is nothing more for it. Leaving the actor with it is a clean end."""


Offer = Literal["queued", "refused", "full"]


class Waiting(NamedTuple):
    """A sender that waits for room."""

    task: trio.lowlevel.Task
    message: Any


class MailboxQueue(Ledger):
    """Putting and taking. Everything here is synchronous, `send` apart."""

    __slots__ = (
        "control",
        "ending",
        "front",
        "in_hand_attempts",
        "in_hand_stamp",
        "lane",
        "plain",
        "pop_fast",
        "pop_lane",
        "put_fast",
        "put_lane",
        "senders",
        "since",
        "sleeper",
        "stashed",
        "suspended",
        "thread",
        "trace",
        "waiting_for_idle",
    )

    def __init__(self, runtime: Runtime, path: str, spec: ChildSpec[Any]) -> None:
        super().__init__(runtime, path, spec)
        self.thread = runtime.thread
        self.lane: Lane | None = None  # made at the first message: an idle actor then costs 2 KiB less
        self.put_lane: Callable[[Any], tuple[Any] | None] = self._put_first
        self.pop_lane: Callable[[], Any] = pop_nothing
        self.control: deque[tuple[Any, Source]] | None = None
        self.front: deque[tuple[Any, int]] | None = None
        self.stashed: deque[tuple[Any, int]] | None = None
        self.senders: deque[Waiting] | None = None
        # --- state; the fast paths are the lane's own methods, or ones that send the caller on the long way round
        self.put_fast: Callable[[Any], object] = long_way
        self.pop_fast: Callable[[], Any] = pop_nothing
        self.plain = True
        self.ending: Literal["drain", "now"] | None = None
        self.suspended = False
        self.trace: Callable[[Traced], object] | None = None
        self.sleeper: trio.lowlevel.Task | None = None
        self.waiting_for_idle: trio.Event | None = None
        # --- the message in hand
        self.in_hand_attempts = 0
        self.in_hand_stamp = 0.0
        self.since = 0.0
        self.update()

    @property
    def depth(self) -> int:
        """How many messages wait, counted by looking into the queues."""
        waiting = sum(
            len(queue) for queue in (self.lane, self.control, self.front, self.stashed) if queue is not None
        )
        return waiting - self.tombstones

    # --- the fast paths ---

    def update(self) -> None:
        """Work out again whether the fast paths hold."""
        measured = self.trace is not None or self.runtime.message_hook is not None
        simple = self.refuse_as is None and not measured and isinstance(self.lane, ChannelLane)
        self.put_fast = self.put_lane if simple else long_way
        self.plain = not (
            self.control
            or self.front
            or self.senders
            or self.suspended
            or self.ending is not None
            or measured
        )
        self.pop_fast = self.pop_lane if self.plain else pop_nothing

    # --- putting ---

    def put(self, message: Any) -> bool:
        """Queue a message, or say by a dead letter why not. `Ref.tell` holds a copy of the fast part of this."""
        match self.offer(message):
            case "queued":
                return True
            case "full":
                self.refused(message, "full")
                return False
            case "refused":
                return False

    def offer(self, message: Any) -> Offer:
        """Queue a message if there is room or room can be made.

        Returns:
            ``full``: no room, and the spec says that the sender may wait; nothing was done.
            ``refused``: it has become a dead letter.

        Raises:
            RuntimeError: called from outside the trio thread.
        """
        if get_ident() != self.thread:
            raise RuntimeError(f"{self.path}: use Supervisor.post() to send from outside its trio thread")
        if self.refuse_as is not None:
            self.refused(message, self.refuse_as)
            return "refused"
        item = Stamped(message, self.now()) if self.runtime.message_hook is not None else message
        try:
            displaced = self.put_lane(item)
        except trio.WouldBlock:
            return self.overflow(item, message)
        self.queued(message, displaced)
        return "queued"

    def overflow(self, item: Any, message: Any) -> Offer:
        """There was no room: do what the spec says."""
        if self.tombstones and self.compact():
            return self.offer(message)
        assert self.lane is not None, "a first message always has room"
        match self.lane.overflow(item):
            case "reject":
                return "full"
            case "drop_newest":
                self.refused(message, "dropped")
                return "refused"
            case "drop_oldest":
                self.discard(self.lane.drop_oldest(item), "dropped")
                self.queued(message, self.put_lane(item))
                return "queued"

    def queued(self, message: Any, displaced: tuple[Any] | None) -> None:
        """Do the books of a message that has been queued, and wake the actor."""
        self.accepted = number = self.accepted + 1
        if message.__class__ is Call:
            self.adopt(message._pending)
        if displaced is not None:
            self.discard(displaced[0], "dropped")
        depth = number - self.gone
        if depth > self.peak:
            self.peak = depth
        if depth <= 1:
            self.fresh = number
            self.fresh_at = self.now()
        elif not number & MARK_MASK:
            self.mark(number)
        if self.trace is not None:
            self.trace(Traced(self.path, "accepted", message))
        if self.sleeper is not None:
            self.wake()

    def adopt(self, pending: Pending) -> None:
        """A request has been queued here: from now on this actor answers for it."""
        assert self.owner is not None, "a cell owns its mailbox before anybody knows it"
        self.owner.adopt(pending)

    def put_control(self, message: Any, source: Source) -> bool:
        """Queue a message ahead of all others; never full. False where the actor takes no more."""
        if self.refuse_as is not None:
            self.refused(message, self.refuse_as)
            return False
        if self.control is None:
            self.control = deque()
        self.control.append((message, source))
        source.unread = True
        self.update()
        self.queued(message, None)
        return True

    async def send(self, message: Any) -> None:
        """Queue a message, waiting for room where there is none. See `Ref.send`."""
        # Whoever waits, waits because its lane is full: so trying first never overtakes anybody.
        match self.offer(message):
            case "queued":
                return
            case "refused":
                if self.refuse_as is not None:
                    raise ActorDead(self.path, "takes no more messages")
                return
            case "full":
                pass
        waiting = Waiting(trio.lowlevel.current_task(), message)
        if self.senders is None:
            self.senders = deque()
        self.senders.append(waiting)
        self.update()

        def abort(_: object) -> trio.lowlevel.Abort:
            assert self.senders is not None
            self.senders.remove(waiting)
            self.update()
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def admit(self) -> None:
        """Let waiting senders in, first come first served in each lane, as far as there is room."""
        if not self.senders:
            return
        still: deque[Waiting] = deque()
        for waiting in self.senders:
            message = waiting.message
            item = Stamped(message, self.now()) if self.runtime.message_hook is not None else message
            try:
                displaced = self.put_lane(item)
            except trio.WouldBlock:
                still.append(waiting)
            else:
                self.queued(message, displaced)
                trio.lowlevel.reschedule(waiting.task)
        self.senders = still
        self.update()

    def wake(self) -> None:
        """Wake the actor if it waits for a message."""
        task = self.sleeper
        if task is None:
            return
        if not trio.lowlevel.in_trio_run():  # a host loop in guest mode, between two turns of ours
            self.runtime.token.run_sync_soon(self.wake)
            return
        self.sleeper = None
        trio.lowlevel.reschedule(task)

    def stop_sleeping(self, _: object) -> trio.lowlevel.Abort:
        """The actor is cancelled while it waits for a message."""
        self.sleeper = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _put_first(self, item: Any) -> tuple[Any] | None:
        self.lane = lane = make_lane(self.spec.mailbox)
        self.put_lane = lane.put
        self.pop_lane = lane.pop
        self.update()
        return lane.put(item)

    # --- taking ---

    def take(self) -> Any:
        """Take the next message in hand; the one before it is done with.

        Raises:
            trio.WouldBlock: there is none now.
            InboxEnded: there will be none any more.
        """
        if self.in_hand is not NOTHING:
            self.finish()
        while True:
            if self.ending == "now" or (self.ending is not None and self.suspended):
                raise InboxEnded
            if self.suspended:
                self.report_idle()
                raise trio.WouldBlock
            try:
                message, attempts = self._pop()
            except trio.WouldBlock:
                if self.ending is not None:
                    raise InboxEnded from None
                raise
            if self.hand(message, attempts):
                return self.in_hand

    def hand(self, item: Any, attempts: int) -> bool:
        """Put an item that has just left its queue into the actor's hand; False where it must not be delivered."""
        stamp = self.since
        if item.__class__ is Stamped:
            item, stamp = item.message, item.queued_at
        if item.__class__ is Call and not self.deliver(item._pending):
            self.admit()
            return False
        self.gone += 1
        self.in_hand = item
        self.in_hand_attempts = attempts
        self.in_hand_stamp = stamp
        if self.runtime.message_hook is not None:
            self.since = self.now()
        self.admit()  # only now is the place free in the books as well
        return True

    def _pop(self) -> tuple[Any, int]:
        if self.plain:
            return self.pop_lane(), 0
        attempts = 0
        if self.control:
            message, source = self.control.popleft()
            source.unread = False
        elif self.front:
            message, attempts = self.front.popleft()
        else:
            message = self.pop_lane()
        self.update()
        return message, attempts

    def deliver(self, pending: Pending) -> bool:
        """Whether a request that has just left the queue may be handed to the actor."""
        if pending.shell_in is self:
            self.tombstones -= 1
            return False
        if pending.task is None:  # passed on by another actor, and its asker has gone on the way
            self.gone += 1
            self.dead_letter(pending.message, "abandoned")
            return False
        if pending.deadline <= self.now():
            # Its time is over, only the timer task has had no turn yet.
            self.gone += 1
            pending.queued = False
            self.dead_letter(pending.message, "expired")
            pending.expire()
            return False
        pending.queued = False
        return True

    def report_idle(self) -> None:
        """Tell who suspended the actor that it has nothing in hand."""
        if self.waiting_for_idle is not None:
            self.waiting_for_idle.set()

    def finish(self) -> None:
        """The message in hand is done with."""
        message, self.in_hand = self.in_hand, NOTHING
        if self.trace is not None:
            self.trace(Traced(self.path, "finished", message))
        hook = self.runtime.message_hook
        if hook is not None:
            now = self.now()
            hook(MessageTimes(self.path, message, self.in_hand_stamp, self.since, now))

    def put_back(self, items: Iterable[tuple[Any, int]]) -> None:
        """Put messages back ahead of the queue, in this order. They must be counted as queued already."""
        if self.front is None:
            self.front = deque()
        self.front.extendleft(reversed(list(items)))
        self.update()

    # --- throwing away ---

    def compact(self) -> bool:
        """Sweep the shells of abandoned requests out of the lane; False where none lay there."""
        assert self.lane is not None
        before = self.tombstones
        for item in self.drain():
            inner = item.message if item.__class__ is Stamped else item
            if inner.__class__ is Call and inner._pending.shell_in is self:
                self.tombstones -= 1
            else:
                self.put_lane(item)
        return self.tombstones < before

    def drain(self) -> list[Any]:
        """Take everything out of the lane, in order."""
        items: list[Any] = []
        while True:
            try:
                items.append(self.pop_lane())
            except trio.WouldBlock:
                return items
