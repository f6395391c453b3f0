"""What a subscription does when its reader is too slow, as values (pure)."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any, Literal, TypeVar

import msgspec

from potrio.supervision.mailbox_spec import MailboxSpec, bounded, latest

__all__ = ["Policy", "blocking", "disconnect", "latest_of", "ring"]

T = TypeVar("T")

BUFFER = 256
"""Items a subscription buffers unless it says otherwise."""


class Policy(msgspec.Struct, frozen=True):
    """Made by `ring`, `latest_of`, `blocking` and `disconnect`."""

    buffer: MailboxSpec[Any]
    overflow: Literal["ring", "blocking", "disconnect"]
    capacity: float


def ring(capacity: int = BUFFER) -> Policy:
    """Keep the newest ``capacity`` items; the reader gets `Lagged` with the exact number of those it missed."""
    return Policy(bounded(capacity), "ring", capacity)


def latest_of(key: Callable[[T], Hashable]) -> Policy:
    """Keep the newest item of each key."""
    return Policy(latest(key), "ring", math.inf)


def blocking(capacity: int = BUFFER) -> Policy:
    """Lose nothing of what is published with ``await topic.send()``, which waits for room here.

    A plain ``publish()`` does not wait: what does not fit then is told by `Lagged`.
    """
    return Policy(bounded(capacity), "blocking", capacity)


def disconnect(capacity: int = BUFFER) -> Policy:
    """End the subscription, by `StreamOverflow`, when the reader falls more than ``capacity`` items behind."""
    return Policy(bounded(capacity), "disconnect", capacity)
