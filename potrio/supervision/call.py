"""Requests and replies: `Request` is what is asked, `Call` what the actor receives, `Pending` what the asker waits on.

Laws: a request is settled exactly once; one whose asker has gone is never delivered and keeps nothing alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import trio

from potrio.actor_errors import ActorError, NoReply
from potrio.supervision.timers import Timer

__all__ = ["AskTimeout", "Call", "Keeper", "Pending", "Request"]

R = TypeVar("R")


class AskTimeout(ActorError, trio.TooSlowError):
    """The actor did not answer in time. The request is abandoned: if it still waits, it is never handled."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__(path, f"did not answer within {seconds:g} s")
        self.args = (path, seconds)  # so that it pickles and copies with its own signature
        self.seconds = seconds


class Request(msgspec.Struct, Generic[R], frozen=True):
    """Marks a message that is answered with an ``R``; subclass it, frozen, one class per question.

    Example:
        >>> class GetDepth(Request[int], frozen=True):
        ...     asset: str
        >>> GetDepth("EURUSD").asset
        'EURUSD'
    """


class Keeper(Protocol):
    """The callee's side of a request's life, as far as a `Pending` must tell it."""

    path: str

    def abandoned(self, pending: Pending) -> None:
        """The asker has gone while the request waited in the mailbox."""

    def late_reply(self, pending: Pending, value: object) -> None:
        """A reply came for an asker that has gone."""

    def settled(self, pending: Pending) -> None:
        """The request is over, or has gone to somebody else."""

    def lost(self, tell: Callable[[], object]) -> None:
        """The request was dropped unanswered, in whatever thread the collector runs."""

    def adopt(self, pending: Pending) -> None:
        """The request has come to this actor, from the asker or from another actor that passed it on."""


class Pending:
    """One question under way. Held by the asker; the callee's `Call` leads here, never the other way round."""

    # Defaults on the class: most requests never change them, and making a Pending is half of what asking costs.
    timer: Timer | None = None
    queued = True
    replied = False
    value: object = None
    error: BaseException | None = None
    shell_in: object = None
    """The mailbox in which its empty shell still lies after it was abandoned."""

    def __init__(
        self, keeper: Keeper, message: Any, task: trio.lowlevel.Task, deadline: float, timeout: float
    ) -> None:
        self.keeper = keeper
        self.message = message
        self.task: trio.lowlevel.Task | None = task
        self.deadline = deadline
        self.timeout = timeout

    @property
    def over(self) -> bool:
        """Whether it was answered, failed or abandoned."""
        return self.task is None

    def settle(self, value: object, error: BaseException | None = None) -> bool:
        """End it and wake the asker; False where it is over already."""
        task = self.task
        if task is None:
            return False
        self.close()
        self.value = value
        self.error = error
        trio.lowlevel.reschedule(task)
        return True

    def fail(self, error: BaseException) -> bool:
        """End it with an error in the asker; False where it is over already."""
        return self.settle(None, error)

    def result(self) -> Any:
        """The reply, for the asker that has been woken, or the error, raised."""
        error = self.error
        if error is None:
            return self.value
        self.error = None
        try:
            raise error
        finally:
            del error  # no circle through the frame of the traceback

    def abandon(self) -> None:
        """The asker goes away: cancelled, or out of time."""
        if self.task is not None:
            queued = self.queued
            self.close()
            if queued:
                self.keeper.abandoned(self)
                self.message = None  # the mailbox may hold the empty shell for long

    def expire(self) -> None:
        """The deadline has passed."""
        task = self.task
        if task is not None:
            self.abandon()
            self.error = AskTimeout(self.keeper.path, self.timeout)
            trio.lowlevel.reschedule(task)

    def close(self) -> None:
        """Take it off all lists."""
        self.task = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.keeper.settled(self)


class Call(Generic[R]):
    """A request as the actor receives it: answer with `reply` or `fail`, now or later, exactly once.

    Example:
        ``case Call(GetDepth(asset=asset)) as call: call.reply(len(books[asset]))``

    Attributes:
        msg: the `Request`.
        deadline: when the asker gives up, on trio's clock; ``inf`` if never.
    """

    __slots__ = ("_pending",)
    __match_args__ = ("msg",)

    def __init__(self, pending: Pending) -> None:
        self._pending = pending

    @property
    def msg(self) -> Any:
        """The `Request`."""
        return self._pending.message

    @property
    def deadline(self) -> float:
        """When the asker gives up, on trio's clock."""
        return self._pending.deadline

    @property
    def abandoned(self) -> bool:
        """Whether the asker has gone without an answer: there is no use in working on."""
        return self._pending.over and not self._pending.replied

    def reply(self, value: R) -> bool:
        """Answer. Returns False where the asker has gone; the reply is then a dead letter.

        Raises:
            RuntimeError: it was answered before.
        """
        return self._answer(value, None)

    def fail(self, error: Exception) -> bool:
        """Answer with an error, which is raised in the asker. Returns False where the asker has gone.

        Raises:
            RuntimeError: it was answered before.
        """
        return self._answer(None, error)

    def _answer(self, value: object, error: Exception | None) -> bool:
        pending = self._pending
        if pending.replied:
            raise RuntimeError(f"{type(pending.message).__name__} has been answered already")
        pending.replied = True
        if pending.settle(value, error):
            return True
        pending.keeper.late_reply(pending, value if error is None else error)
        return False

    def __repr__(self) -> str:
        state = "answered" if self._pending.replied else "abandoned" if self._pending.over else "open"
        return f"<Call {type(self._pending.message).__name__} {state}>"

    def __del__(self) -> None:
        # A dropped request would leave its asker waiting for the deadline, or for ever. The collector may run
        # anywhere, so the runtime chooses how to get the news into the trio thread.
        pending = self._pending
        if pending.task is not None:
            pending.keeper.lost(lambda: pending.fail(NoReply(pending.keeper.path)))
