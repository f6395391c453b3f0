"""What happens in a tree, as values for observers: nothing here is live, nothing here is text to be parsed (pure)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from potrio.supervision.exit import Exit, Failure

__all__ = [
    "ActorEnded",
    "ChildBlocked",
    "ChildCrashed",
    "ChildExited",
    "ChildReady",
    "ChildStarted",
    "ChildStopError",
    "ChildStopping",
    "ChildStuck",
    "DeadLetter",
    "DeadLetterReason",
    "Event",
    "RestartScheduled",
    "SnapshotDropped",
    "SupervisorEscalated",
]

DeadLetterReason = Literal[
    "dead", "stopping", "full", "dropped", "expired", "abandoned", "late_reply", "crashed", "poison"
]


class Event(msgspec.Struct, frozen=True):
    """The base: the moment on trio's clock and the path of the actor it is about."""

    at: float
    path: str


class ChildStarted(Event, frozen=True):
    """An incarnation is being started; its function has not run yet."""

    incarnation: int


class ChildReady(Event, frozen=True):
    """An incarnation has asked for its first message, or called ``ready()``."""

    incarnation: int


class ChildStopping(Event, frozen=True):
    """An incarnation has been asked to stop. ``for_good``: the actor ends; otherwise it will be started again."""

    incarnation: int
    for_good: bool


class ChildExited(Event, frozen=True):
    """An incarnation's task has ended."""

    incarnation: int
    exit: Exit


class ChildCrashed(Event, frozen=True):
    """An incarnation ended with an error and nobody had asked it to end (or a permanent child returned).

    Attributes:
        failure: the crash.
        message: the type of the message in hand; empty where there was none.
        depth: messages waiting in the mailbox.
        uptime: seconds since the incarnation was started.
        in_a_row: crashes since it last was ready for the backoff's ``reset_after``.
        decision: "restart in 0.2 s", "stop", "escalate", "restart with its group".
    """

    incarnation: int
    failure: Failure
    message: str
    depth: int
    uptime: float
    in_a_row: int
    decision: str


class ChildStopError(Event, frozen=True):
    """A child that had been asked to stop raised while it did. Reported only: it changes no decision."""

    incarnation: int
    failure: Failure


class ChildStuck(Event, frozen=True):
    """A child has been cancelled and does not end; it is waited for. ``stack`` names the line it hangs at."""

    incarnation: int
    age: float
    stack: str


class ChildBlocked(Event, frozen=True):
    """Actors wait for each other's replies in a circle: ``cycle`` names them."""

    cycle: tuple[str, ...]


class RestartScheduled(Event, frozen=True):
    """A child, and the siblings in ``group`` with it, will be started at ``due``."""

    due: float
    delay: float
    attempt: int
    group: tuple[str, ...]


class SupervisorEscalated(Event, frozen=True):
    """A supervisor gave up and stops all its children."""

    reason: str


class SnapshotDropped(Event, frozen=True):
    """Two incarnations in a row died before they were ready with this snapshot; the next starts without it."""

    incarnation: int


class ActorEnded(Event, frozen=True):
    """The logical actor has ended for good."""

    exit: Exit


class DeadLetter(Event, frozen=True):
    """A message was not handled. ``to`` is another word for `path`.

    ``accepted`` tells whether it had been queued: then it counts in ``accepted == handled + dead letters + queued``.
    """

    message: Any
    reason: DeadLetterReason
    accepted: bool
    failure: Failure | None = None

    @property
    def to(self) -> str:
        """Whom it was for."""
        return self.path
