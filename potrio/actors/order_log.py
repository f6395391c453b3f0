"""What an order has been through: each change of state with its time and cause, bounded, for any number of readers."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Generic, TypeVar

import msgspec
import trio

__all__ = ["Change", "ChangeLog", "Changes"]

S = TypeVar("S", bound=enum.Enum)

CHANGES_KEPT_MAX: Final = 64
"""An order has about five changes in its life, one per lost connection more; older ones make room."""


class Change(msgspec.Struct, Generic[S], frozen=True):
    """One change of state. ``at`` is the venue's time (UTC, aware); None where its clock is not known."""

    state: S
    at: datetime | None
    cause: str


class ChangeLog(Generic[S]):
    """The newest changes, and how many there have been."""

    def __init__(self) -> None:
        self._kept: deque[Change[S]] = deque(maxlen=CHANGES_KEPT_MAX)
        self.total = 0

    def add(self, change: Change[S]) -> None:
        """One more; the oldest is forgotten where there are too many."""
        self._kept.append(change)
        self.total += 1

    def kept(self) -> tuple[Change[S], ...]:
        """Those that are remembered, oldest first."""
        return tuple(self._kept)

    def after(self, position: int) -> tuple[int, Change[S]] | None:
        """The change at a position (0: the very first), or the oldest kept after it, with the position to go on from.

        None where there is none yet.
        """
        position = max(position, self.total - len(self._kept))
        if position >= self.total:
            return None
        return position + 1, self._kept[position - self.total]


class Changes(Generic[S]):
    """One reader's way through a log: an async iterator that needs no closing. One task at a time."""

    def __init__(
        self, log: ChangeLog[S], wait: Callable[[], Awaitable[None]], ended: Callable[[], bool]
    ) -> None:
        self._log = log
        self._wait = wait
        self._ended = ended
        self._position = 0

    def __aiter__(self) -> Changes[S]:
        return self

    async def __anext__(self) -> Change[S]:
        while True:
            found = self._log.after(self._position)
            if found is not None:
                await trio.lowlevel.checkpoint()
                self._position, change = found
                return change
            if self._ended():
                raise StopAsyncIteration
            await self._wait()
