"""Requests and replies: `Request` is what is asked, `Call` what the actor receives, `Pending` what the asker waits on.

Laws: a request is settled exactly once; one whose asker has gone is never delivered and keeps nothing alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import outcome
import trio

from potrio.errors import ActorError, NoReply
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

    def adopt(self, pending: Pending) -> None:
        """The request has come to this actor, from the asker or from another actor that passed it on."""


class Pending:
    """One question under way. Held by the asker; the callee's `Call` leads here, never the other way round."""

    __slots__ = ("deadline", "keeper", "message", "queued", "replied", "shell_in", "task", "timeout", "timer")

    def __init__(
        self, keeper: Keeper, message: Any, task: trio.lowlevel.Task, deadline: float, timeout: float
    ) -> None:
        self.keeper = keeper
        self.message = message
        self.task: trio.lowlevel.Task | None = task
        self.deadline = deadline
        self.timeout = timeout
        self.timer: Timer | None = None
        self.queued = True
        self.replied = False
        self.shell_in: object = None  # the mailbox in which its empty shell still lies

    @property
    def over(self) -> bool:
        """Whether it was answered, failed or abandoned."""
        return self.task is None

    def settle(self, result: outcome.Outcome[Any]) -> bool:
        """End it and wake the asker; False where it is over already."""
        task = self.task
        if task is None:
            return False
        self.close()
        trio.lowlevel.reschedule(task, result)
        return True

    def fail(self, error: BaseException) -> bool:
        """End it with an error in the asker; False where it is over already."""
        return self.settle(outcome.Error(error))

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
            trio.lowlevel.reschedule(task, outcome.Error(AskTimeout(self.keeper.path, self.timeout)))

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

    __slots__ = ("_on_lost", "_pending")
    __match_args__ = ("msg",)

    def __init__(self, pending: Pending, on_lost: Callable[[Callable[[], None]], None]) -> None:
        self._pending = pending
        self._on_lost = on_lost

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
        return self._answer(outcome.Value(value), value)

    def fail(self, error: Exception) -> bool:
        """Answer with an error, which is raised in the asker. Returns False where the asker has gone.

        Raises:
            RuntimeError: it was answered before.
        """
        return self._answer(outcome.Error(error), error)

    def _answer(self, result: outcome.Outcome[Any], value: object) -> bool:
        pending = self._pending
        if pending.replied:
            raise RuntimeError(f"{type(pending.message).__name__} has been answered already")
        pending.replied = True
        if pending.settle(result):
            return True
        pending.keeper.late_reply(pending, value)
        return False

    def __repr__(self) -> str:
        state = "answered" if self._pending.replied else "abandoned" if self._pending.over else "open"
        return f"<Call {type(self._pending.message).__name__} {state}>"

    def __del__(self) -> None:
        # A dropped request would leave its asker waiting for the deadline, or for ever. The collector may run
        # anywhere, so the runtime chooses how to get the news into the trio thread.
        pending = self._pending
        if pending.task is not None:
            self._on_lost(lambda: _lost(pending))


def _lost(pending: Pending) -> None:
    pending.fail(NoReply(pending.keeper.path))
