"""An actor's mailbox over its life: crash, restart, stash, suspension, the end.

Whatever happens to the actor, every accepted message is accounted for; see `Ledger` for the law.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import outcome
import trio

from potrio.actor_errors import ActorDead, StashFull
from potrio.supervision.call import Call, Pending
from potrio.supervision.events import DeadLetterReason
from potrio.supervision.exit import Failure
from potrio.supervision.lanes import Stamped
from potrio.supervision.ledger import NOTHING
from potrio.supervision.mailbox_queue import InboxEnded, MailboxQueue

__all__ = ["Mailbox"]


class Mailbox(MailboxQueue):
    """Putting and taking (`MailboxQueue`), books (`Ledger`), and what the stages of an actor's life do to them."""

    __slots__ = ()

    # --- between incarnations ---

    def lose_in_hand(self, failure: Failure | None) -> None:
        """The incarnation ended over a message: put it back to be redelivered, or dead-letter it.

        Args:
            failure: the crash; None where the actor was killed with the message in hand.
        """
        message, attempts = self.in_hand, self.in_hand_attempts
        if message is NOTHING:
            return
        self.in_hand = NOTHING
        limit = self.spec.redeliver
        over = message.__class__ is Call and message._pending.over
        if attempts < limit and self.refuse_as is None and not over:
            self.gone -= 1
            if message.__class__ is Call:
                message._pending.queued = True
            self.put_back([(message, attempts + 1)])
            return
        self.dead_letter(message, "poison" if limit and failure is not None else "crashed", failure)

    def end_incarnation(self) -> None:
        """Give up what was for this incarnation only: its timers and notices."""
        control, self.control = self.control, None
        for message, source in control or ():
            source.unread = False
            self.gone += 1
            self.dead_letter(message, "expired")
        self.update()

    def new_incarnation(self) -> None:
        """Make ready for the next incarnation: the stash goes back in front."""
        self.ending = None
        self.unstash()
        if self.spec.mailbox.on_restart == "drop":
            self.discard_all("dropped")
        self.update()

    # --- the end ---

    def close(self, reason: DeadLetterReason) -> None:
        """Take no more messages: from now on they become dead letters for this reason. Waiting senders are told."""
        self.refuse_as = reason
        senders, self.senders = self.senders, None
        for waiting in senders or ():
            self.refused(waiting.message, reason)
            error = ActorDead(self.path, "ended before it had room for the message")
            trio.lowlevel.reschedule(waiting.task, outcome.Error(error))
        self.update()

    def end_inbox(self, how: Literal["drain", "now"]) -> None:
        """End the actor's inbox: after what is queued, or at once."""
        self.ending = how
        self.update()
        self.wake()

    def bury(self, reason: DeadLetterReason) -> None:
        """The actor has ended for good: everything that still waits is a dead letter."""
        if self.refuse_as != "dead":
            self.close(reason)
        self.end_incarnation()
        self.discard_all(reason)
        self.refuse_as = "dead"
        self.update()

    def discard_all(self, reason: DeadLetterReason) -> None:
        """Dead-letter everything that waits, notices apart."""
        front, self.front = self.front, None
        stashed, self.stashed = self.stashed, None
        for message, _ in (*(front or ()), *(stashed or ())):
            self.discard(message, reason)
        for item in self.drain():
            self.discard(item, reason)
        self.update()

    def abandoned(self, pending: Pending) -> None:
        """The asker of a queued request has gone; a sender that waits may have its place."""
        self.abandon(pending)
        if self.senders and self.lane is not None and self.compact():
            self.admit()

    # --- stash ---

    def stash(self, message: Any) -> None:
        """Set the message in hand aside. See `Inbox.stash`."""
        if message is not self.in_hand:
            raise RuntimeError("only the message in hand can be stashed")
        if self.stashed is None:
            self.stashed = deque()
        if len(self.stashed) >= self.spec.stash_max:
            raise StashFull(self.path, f"has set {self.spec.stash_max} messages aside already")
        if message.__class__ is Call:
            if message._pending.replied:
                raise RuntimeError("a request that has been answered cannot be stashed")
            if message._pending.over:
                self.in_hand = NOTHING
                self.dead_letter(message, "abandoned")
                return
            message._pending.queued = True
        self.in_hand = NOTHING
        self.gone -= 1
        self.stashed.append((message, self.in_hand_attempts))

    def unstash(self) -> int:
        """Put everything set aside back in front. See `Inbox.unstash`."""
        stashed, self.stashed = self.stashed, None
        if not stashed:
            return 0
        self.put_back(stashed)
        self.wake()
        return len(stashed)

    # --- suspension ---

    def suspend(self) -> None:
        """Hand out no more messages until `resume`."""
        self.suspended = True
        self.update()
        self.wake()  # so that an actor which waits notices, and reports that it has nothing in hand

    def resume(self) -> None:
        """Hand out messages again."""
        self.suspended = False
        self.waiting_for_idle = None
        self.update()
        self.wake()

    # --- selective receive ---

    def take_matching(self, where: Callable[[Any], bool]) -> Any:
        """Take in hand the first waiting message for which ``where`` holds; the others keep their places.

        Raises:
            trio.WouldBlock: none of those that wait now.
            InboxEnded: there will be none any more.
        """
        if self.in_hand is not NOTHING:
            self.finish()
        if self.ending == "now" or (self.ending is not None and (self.suspended or not self.depth)):
            raise InboxEnded
        if self.suspended:
            self.report_idle()
            raise trio.WouldBlock
        while True:
            try:
                item, attempts = self.find(where)
            except trio.WouldBlock:
                if self.ending is not None:
                    raise InboxEnded from None  # nothing new will come
                raise
            if self.hand(item, attempts):
                return self.in_hand

    def find(self, where: Callable[[Any], bool]) -> tuple[Any, int]:
        """Take the first matching item out of its queue."""
        for index, (message, source) in enumerate(self.control or ()):
            if where(message):
                assert self.control is not None
                del self.control[index]
                source.unread = False
                self.update()
                return message, 0
        for index, (message, attempts) in enumerate(self.front or ()):
            if not is_shell(message) and where(message):
                assert self.front is not None
                del self.front[index]
                self.update()
                return message, attempts
        items = self.drain()
        try:
            for index, item in enumerate(items):
                if not is_shell(item) and where(item.message if item.__class__ is Stamped else item):
                    return items.pop(index), 0
        finally:
            for item in items:
                self.put_lane(item)
        raise trio.WouldBlock


def is_shell(item: Any) -> bool:
    """Whether this is what an abandoned request has left behind."""
    inner = item.message if item.__class__ is Stamped else item
    return inner.__class__ is Call and inner._pending.shell_in is not None
