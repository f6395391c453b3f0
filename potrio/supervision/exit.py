"""How an incarnation ended, and what that means: the one place that looks into exceptions (pure).

Laws: a `Cancelled` is never kept; a live exception is never kept either (it pins the locals of the dead), only the
`Failure` value made from it; what is not an `Exception` is never restarted.
"""

from __future__ import annotations

import traceback
from typing import Literal, NamedTuple

import msgspec

from potrio.actor_errors import SupervisorError

__all__ = [
    "EarlyExit",
    "Exit",
    "ExitKind",
    "Failure",
    "StartTimeout",
    "Verdict",
    "classify",
    "has_type",
    "text_of",
]

ExitKind = Literal["normal", "shutdown", "crashed", "killed", "cancelled", "fatal"]
"""normal: returned by itself. shutdown: returned because it was asked to. crashed: raised an `Exception`. killed: its
deadline passed. cancelled: something around the supervisor was cancelled. fatal: KeyboardInterrupt and its like."""

STACK_FRAMES_MAX = 40
"""Frames kept of one crash: a runaway recursion has a thousand."""


class EarlyExit(SupervisorError):
    """A permanent child returned; that is an error as much as a crash."""


class StartTimeout(SupervisorError):
    """A child was not ready within its ``start_timeout``."""


class Failure(msgspec.Struct, frozen=True):
    """A crash as a value: what, why and where, without the live exception and the locals that hang on it.

    Attributes:
        type: the exception's class name, with its module unless it is a builtin.
        text: ``str(error)``.
        stack: the formatted traceback: files, lines and source text, never values.
    """

    type: str
    text: str
    stack: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Make the value of a live exception."""
        frames = traceback.walk_tb(error.__traceback__)
        summary = traceback.StackSummary.extract(frames, limit=STACK_FRAMES_MAX, lookup_lines=True)
        return cls(type_name(error), text_of(error), "".join(summary.format()))

    def __str__(self) -> str:
        return f"{self.type}: {self.text}" if self.text else self.type


class Exit(msgspec.Struct, frozen=True):
    """How an incarnation, or in the end the whole actor, ended.

    Attributes:
        kind: see `ExitKind`.
        failure: what was raised: by a crash, or by the cleanup of a stop.
    """

    kind: ExitKind
    failure: Failure | None = None


class Verdict(NamedTuple):
    """What `classify` found: the exit, and whether the exception must travel on through the supervisor."""

    exit: Exit
    reraise: bool


def classify(
    error: BaseException | None,
    *,
    cancelled: type[BaseException],
    asked: bool = False,
    killed: bool = False,
    around_cancelled: bool = False,
) -> Verdict:
    """Decide what the end of an incarnation means.

    Args:
        error: what left the child's own cancel scope; None where it returned or the scope absorbed a cancellation.
        cancelled: the type of a cancellation (trio's; handed in, because this file does not know trio).
        asked: the supervisor had asked it to stop.
        killed: its own scope absorbed a cancellation.
        around_cancelled: a scope around the supervisor is cancelled.
    """
    if error is None:
        return Verdict(Exit("killed" if killed else "shutdown" if asked else "normal"), False)
    if isinstance(error, (cancelled, BaseExceptionGroup)):
        rest = error.split(cancelled)[1] if isinstance(error, BaseExceptionGroup) else None
        if rest is None:
            if around_cancelled:
                return Verdict(Exit("cancelled"), True)
            # A Cancelled that nothing asked for: one that was stored and raised again. A bug of this child only.
            return Verdict(Exit("crashed", Failure.of(error)), False)
        if not isinstance(rest, Exception):
            return Verdict(Exit("fatal", Failure.of(rest)), True)
        if around_cancelled:
            return Verdict(Exit("crashed", Failure.of(rest)), True)
    elif not isinstance(error, Exception):
        return Verdict(Exit("fatal", Failure.of(error)), True)
    return Verdict(Exit("crashed", Failure.of(error)), False)


def has_type(error: BaseException, types: tuple[type[BaseException], ...]) -> bool:
    """Whether an exception is, or a group holds, one of these types."""
    if isinstance(error, BaseExceptionGroup):
        return any(has_type(inner, types) for inner in error.exceptions)
    return isinstance(error, types)


def type_name(error: BaseException) -> str:
    """The name of the exception's class, with its module unless it is a builtin."""
    cls = type(error)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def text_of(error: BaseException) -> str:
    """``str(error)``, also of an exception whose ``__str__`` is broken."""
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - reported in the text
        return f"<no text: its __str__ raised {type(broken).__name__}>"
