"""Every error of actors and supervisors: the second page of the taxonomy, for those who use only the runtime."""

from __future__ import annotations

from potrio.errors import ConfigError, PotrioError

__all__ = [
    "ActorCrashed",
    "ActorDead",
    "ActorError",
    "AskCycle",
    "ChildNotFound",
    "ChildSpecInvalid",
    "ChildStartFailed",
    "DuplicateChild",
    "MailboxFull",
    "NoReply",
    "StashFull",
    "SupervisorError",
    "SupervisorFailed",
    "SupervisorStopping",
    "TooManyChildren",
]


class ActorError(PotrioError):
    """A message or request to an actor was not served. ``path`` names the actor, ``reason`` says why."""

    why = "did not serve it"

    def __init__(self, path: str, reason: str = "") -> None:
        super().__init__(path, reason or self.why)
        self.path = path
        self.reason = reason or self.why

    def __str__(self) -> str:
        return f"actor {self.path} {self.reason}"


class ActorDead(ActorError):
    """The actor has ended for good, or ended while it held the request."""

    why = "has ended"


class ActorCrashed(ActorDead):
    """The actor crashed while it held the request; ``__cause__`` is the crash. Whether it was done is not known."""

    why = "crashed while it held the request"


class MailboxFull(ActorError):
    """The actor's mailbox had no room for the request; it was not queued. Safe to try again."""

    why = "has no room in its mailbox"


class NoReply(ActorError):
    """The actor let the request go without an answer, or its mailbox discarded it; ``reason`` says which."""

    why = "dropped the request without an answer"


class AskCycle(ActorError):
    """The actor asked itself and would have waited for ever."""

    why = "asked itself"


class StashFull(ActorError):
    """The actor set more messages aside than its stash holds."""

    why = "has no room in its stash"


class SupervisorError(PotrioError):
    """A supervision tree was ill-formed or gave up."""


class ChildSpecInvalid(SupervisorError, ConfigError):
    """A child spec cannot be used: ``path`` names the child. Raised when the value is built."""


class DuplicateChild(ChildSpecInvalid):
    """Two children of one supervisor share an id, or two of one tree share a key."""


class ChildNotFound(SupervisorError, LookupError):
    """There is no child of that name, or not any more."""


class TooManyChildren(SupervisorError):
    """The supervisor has ``max_children`` already."""


class SupervisorStopping(SupervisorError):
    """The supervisor is not running, or is stopping, and takes no new children."""


class ChildStartFailed(SupervisorError, ActorError):
    """A child did not become ready; ``__cause__`` is its crash. Its siblings were not touched."""


class SupervisorFailed(SupervisorError):
    """A supervisor gave up: ``history`` tells the crashes before, ``notes`` what went wrong while the rest stopped.

    ``__cause__`` is the last crash, which may itself be a ``SupervisorFailed``.
    """

    def __init__(
        self, path: str, reason: str, history: tuple[str, ...] = (), notes: tuple[str, ...] = ()
    ) -> None:
        super().__init__(path, reason, history, notes)
        self.path, self.reason, self.history, self.notes = path, reason, history, notes

    def __str__(self) -> str:
        return f"supervisor {self.path} gave up: {self.reason}"
