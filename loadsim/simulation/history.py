"""All that happened in a run, as a hash, with the newest events and the story of each order in words."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from typing import Final

from loadsim.simulation.clock import SimClock
from potrio.protocol.frames import Message

__all__ = ["History"]

EVENTS_KEPT: Final = 200

HASHED_AT_ONCE: Final = 256
"""Things that only the hash keeps, put into it together: their text is made by one call."""


class History:
    """What happened so far.

    Attributes:
        events: the newest ones in words.
        orders: by request id, everything about that order.
        counted: how many events there were.
    """

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._digest = hashlib.blake2b(digest_size=16)
        self.events: deque[str] = deque(maxlen=EVENTS_KEPT)
        self.orders: dict[str, list[str]] = {}
        self.counted = 0
        self._unhashed: list[object] = []

    def say(self, text: str, order: str = "") -> None:
        """Note an event, of an order where one is named."""
        line = f"{self._clock.now:12.6f} {text}"
        self.counted += 1
        self.events.append(line)
        self._note(line)
        if order:
            self.orders.setdefault(order, []).append(line)

    def wire(self, way: str, number: int, items: Sequence[Message] | bytes) -> None:
        """Note what passed on a connection; only the hash keeps it."""
        self.counted += 1
        self._note((self._clock.now, way, number, items if isinstance(items, bytes) else tuple(items)))

    def item(self, *values: object) -> None:
        """Note something a stream gave, values that do not change; only the hash keeps it."""
        self.counted += 1
        self._note((self._clock.now, values))

    def hash(self) -> str:
        """The hash of everything so far."""
        self._put_into_hash()
        return self._digest.hexdigest()

    def _note(self, what: object) -> None:
        self._unhashed.append(what)
        if len(self._unhashed) >= HASHED_AT_ONCE:
            self._put_into_hash()

    def _put_into_hash(self) -> None:
        self._digest.update("".join(map(repr, self._unhashed)).encode())
        self._unhashed.clear()
