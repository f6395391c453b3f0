"""The books of one mailbox: where every single message went.

Law, at every moment: ``accepted == handled + dead letters + queued + in hand``. ``accepted`` and ``gone`` are counted
where messages enter and leave, ``depth`` looks into the queues: they must agree.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

from potrio.actor_errors import ActorDead, NoReply
from potrio.supervision.call import Call, Keeper, Pending
from potrio.supervision.child_spec import ChildSpec
from potrio.supervision.events import DeadLetter, DeadLetterReason
from potrio.supervision.exit import Failure
from potrio.supervision.lanes import Stamped
from potrio.supervision.runtime import Runtime

__all__ = ["MARK_MASK", "NOTHING", "Ledger", "Source", "Traced"]

NOTHING: Any = type("Nothing", (), {"__repr__": lambda self: "NOTHING"})()
"""There is no message in hand. Not None, which is a message like any other."""

MARK_MASK = 63
"""Every 64 messages the moment is noted, so that the wait of the oldest is known without a clock per message."""


class Source(Protocol):
    """Who put a control message: told when it is read, so that it may put the next."""

    unread: bool


class Traced(NamedTuple):
    """One step of one message, for `Supervisor.trace`."""

    path: str
    step: Literal["accepted", "finished"]
    message: Any


class Ledger:
    """Counters and dead letters."""

    __slots__ = (
        "accepted",
        "counts",
        "dead",
        "fresh",
        "fresh_at",
        "gone",
        "in_hand",
        "marks",
        "now",
        "owner",
        "path",
        "peak",
        "refuse_as",
        "runtime",
        "spec",
        "tombstones",
    )

    def __init__(self, runtime: Runtime, path: str, spec: ChildSpec[Any]) -> None:
        self.runtime = runtime
        self.now = runtime.now
        self.path = path
        self.spec = spec
        self.owner: Keeper | None = None  # the cell; set when it has been made
        self.accepted = 0
        self.gone = 0  # accepted, and no longer queued
        self.dead = 0  # accepted, and dead-lettered
        self.peak = 0
        self.tombstones = (
            0  # abandoned requests whose shells still lie in a queue; they are in `gone` already
        )
        self.in_hand: Any = NOTHING
        self.refuse_as: DeadLetterReason | None = (
            None  # the actor takes no more; what comes is dead for this reason
        )
        self.counts: dict[DeadLetterReason, int] | None = None
        self.marks: list[tuple[int, float]] | None = None
        self.fresh = 0  # the last message that came to an empty mailbox, and when
        self.fresh_at = 0.0

    @property
    def handled(self) -> int:
        """How many messages were taken and done with."""
        return self.gone - self.dead - (self.in_hand is not NOTHING)

    @property
    def dropped(self) -> int:
        """How many messages were given up because there was no room or a newer one came."""
        counts = self.counts or {}
        return counts.get("dropped", 0) + counts.get("full", 0)

    def oldest_wait(self) -> float:
        """Seconds the oldest queued message has waited, at most; exact where it came to an empty mailbox."""
        if self.accepted == self.gone:
            return 0.0
        queued_at = self.fresh_at
        for number, at in self.marks or ():
            if self.fresh < number <= self.gone + 1:
                queued_at = at
        return self.now() - queued_at

    def mark(self, number: int) -> None:
        """Note when message ``number`` came; forget the notes about messages that have gone."""
        if self.marks is None:
            self.marks = []
        marks = self.marks
        while len(marks) > 1 and marks[1][0] <= self.gone + 1:
            del marks[0]
        marks.append((number, self.now()))

    # --- dead letters ---

    def refused(self, message: Any, reason: DeadLetterReason) -> None:
        """A message was not accepted."""
        self.count(message, reason, accepted=False, failure=None)

    def dead_letter(self, message: Any, reason: DeadLetterReason, failure: Failure | None = None) -> None:
        """An accepted message, which has left the queue, was not handled."""
        self.dead += 1
        self.count(message, reason, accepted=True, failure=failure)

    def count(
        self, message: Any, reason: DeadLetterReason, *, accepted: bool, failure: Failure | None
    ) -> None:
        """Count a dead letter and show it to the observers."""
        if self.counts is None:
            self.counts = {}
        self.counts[reason] = self.counts.get(reason, 0) + 1
        if self.runtime.observers:
            if message.__class__ is Stamped:
                message = message.message
            if message.__class__ is Call:
                message = message.msg
            self.runtime.emit(DeadLetter(self.now(), self.path, message, reason, accepted, failure))

    def discard(self, item: Any, reason: DeadLetterReason) -> None:
        """Give up an item that has just been taken out of a queue: its asker, if there is one, is told."""
        message = item.message if item.__class__ is Stamped else item
        if message.__class__ is not Call:
            self.gone += 1
            self.dead_letter(message, reason)
            return
        pending: Pending = message._pending
        if pending.shell_in is self:
            self.tombstones -= 1
            return
        self.gone += 1
        pending.queued = False
        self.dead_letter(pending.message, reason)
        if self.refuse_as is not None:
            pending.fail(ActorDead(self.path))
        else:
            pending.fail(NoReply(self.path, f"gave the request up unread ({reason})"))

    def abandon(self, pending: Pending) -> None:
        """The asker of a queued request has gone: only its shell stays, until it is met or room is needed."""
        self.gone += 1
        self.tombstones += 1
        pending.shell_in = self
        self.dead_letter(pending.message, "abandoned")
