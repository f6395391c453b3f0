"""The kinds of mailbox, as values: bounded, unbounded, latest by key, lanes (pure)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, Literal, TypeVar

import msgspec

from potrio.actor_errors import ChildSpecInvalid
from potrio.limits import MAILBOX_CAPACITY

__all__ = [
    "Bounded",
    "Lanes",
    "Latest",
    "MailboxSpec",
    "Overflow",
    "Unbounded",
    "bounded",
    "lanes",
    "latest",
    "unbounded",
]

T = TypeVar("T")

Overflow = Literal["reject", "drop_oldest", "drop_newest"]
"""What a full mailbox does with one more message: refuse it and let `send` wait (reject), give up the oldest one that
waits, or silently give up the new one. What is given up is a dead letter."""

OnRestart = Literal["keep", "drop"]


class MailboxSpec(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """The base of the kinds. ``on_restart="drop"`` dead-letters what waits when the actor restarts."""

    on_restart: OnRestart = "keep"


class Bounded(MailboxSpec[T], frozen=True, kw_only=True):
    """First in, first out, at most ``capacity`` waiting."""

    capacity: int = MAILBOX_CAPACITY
    overflow: Overflow = "reject"

    def __post_init__(self) -> None:
        if not isinstance(self.capacity, int) or self.capacity < 1:
            raise ChildSpecInvalid("mailbox", f"capacity must be an integer >= 1, not {self.capacity!r}")
        if self.overflow not in ("reject", "drop_oldest", "drop_newest"):
            raise ChildSpecInvalid(
                "mailbox", f"overflow must be reject, drop_oldest or drop_newest, not {self.overflow!r}"
            )


class Unbounded(MailboxSpec[T], frozen=True, kw_only=True):
    """First in, first out, without a bound: for lanes whose senders are bounded themselves."""


class Latest(MailboxSpec[T], frozen=True, kw_only=True):
    """At most one waiting message per key: the newest, in the place of the key's first unread one."""

    key: Callable[[T], Hashable]


class Lanes(MailboxSpec[T], frozen=True, kw_only=True):
    """Several mailboxes in one: lane 0 is emptied before lane 1 is looked at, and so on."""

    specs: tuple[MailboxSpec[Any], ...]
    lane: Callable[[T], int]

    def __post_init__(self) -> None:
        if not self.specs:
            raise ChildSpecInvalid("mailbox", "lanes() needs at least one lane")
        if any(isinstance(spec, Lanes) for spec in self.specs):
            raise ChildSpecInvalid("mailbox", "lanes() cannot hold lanes()")


def bounded(
    capacity: int = MAILBOX_CAPACITY, overflow: Overflow = "reject", *, on_restart: OnRestart = "keep"
) -> Bounded[Any]:
    """A queue of at most ``capacity`` messages; the default of every actor is ``bounded(1024, "reject")``."""
    return Bounded(capacity=capacity, overflow=overflow, on_restart=on_restart)


def unbounded(*, on_restart: OnRestart = "keep") -> Unbounded[Any]:
    """A queue without a bound. Use it only where the number of messages in flight is bounded by something else."""
    return Unbounded(on_restart=on_restart)


def latest(key: Callable[[T], Hashable], *, on_restart: OnRestart = "keep") -> Latest[T]:
    """Keep only the newest unread message of each key (``latest(key=type)``, ``latest(key=lambda tick: tick.asset)``).

    A key keeps the place in the queue of its first unread message, so that no key starves. Requests (`Call`) are never
    replaced: each is a key of its own.
    """
    return Latest(key=key, on_restart=on_restart)


def lanes(*specs: MailboxSpec[Any], lane: Callable[[T], int], on_restart: OnRestart = "keep") -> Lanes[T]:
    """Strict priorities: ``lanes(unbounded(), bounded(256), lane=lambda m: 0 if urgent(m) else 1)``.

    ``lane`` gets the message, or the `Request` itself where it was asked. Within a lane the order is kept.
    """
    return Lanes(specs=specs, lane=lane, on_restart=on_restart)
