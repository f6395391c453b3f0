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

    def say(self, text: str, order: str = "") -> None:
        """Note an event, of an order where one is named."""
        line = f"{self._clock.now:12.6f} {text}"
        self.counted += 1
        self.events.append(line)
        self._digest.update(line.encode())
        if order:
            self.orders.setdefault(order, []).append(line)

    def wire(self, way: str, number: int, items: Sequence[Message] | bytes) -> None:
        """Note what passed on a connection; only the hash keeps it."""
        self.counted += 1
        self._digest.update(f"{self._clock.now!r}{way}{number}{items!r}".encode())

    def item(self, *values: object) -> None:
        """Note something a stream gave; only the hash keeps it."""
        self.counted += 1
        self._digest.update(f"{self._clock.now!r}{values!r}".encode())

    def hash(self) -> str:
        """The hash of everything so far."""
        return self._digest.hexdigest()
