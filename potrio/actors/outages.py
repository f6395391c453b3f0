"""Outages as a program sees them: exactly one `ConnectionLost` for each, exactly one `ConnectionResumed`, in turn.

The router feeds it, in order with the data, from what the connection reports. However many attempts fail meanwhile, an
outage is one; it is over when a link is up, the subscriptions are restored, and for each of them the missing ticks have
come or a `Gap` says that they have not. The end of the client is not an outage: it ends the streams.

(Not called `Lost`: that is the result of an order.)
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakSet

import msgspec

from potrio.actors.stream import Gap, Stream
from potrio.limits import STREAM_CAPACITY

__all__ = ["ConnectionLost", "ConnectionResumed", "OutageEvent", "Outages"]


class ConnectionLost(msgspec.Struct, frozen=True):
    """The link was up and is not any more. ``at``: on trio's clock. ``reason``: one line, nothing secret in it."""

    reason: str
    at: float


class ConnectionResumed(msgspec.Struct, frozen=True):
    """The link is up again, and every subscription with it; ``gaps`` is what could not be back-filled."""

    gaps: tuple[Gap, ...]
    at: float


OutageEvent = ConnectionLost | ConnectionResumed


class Outages:
    """The state between the events, and who reads them. Outlives the router's incarnations; nothing here waits."""

    def __init__(self) -> None:
        self.count = 0
        """Outages so far, the present one included."""
        self.out = False
        """Is there one now?"""
        self.restoring = False
        """Is the link up, and are its subscriptions being restored?"""
        self._ever_up = False
        self._streams: WeakSet[Stream[OutageEvent]] = WeakSet()

    def stream(self) -> Stream[OutageEvent]:
        """A new reader: it is told what happens from now on. One that is not read is ended, never wrong."""
        stream: Stream[OutageEvent] = Stream(capacity=STREAM_CAPACITY, policy="lossless")
        self._streams.add(stream)
        return stream

    def link_up(self) -> bool:
        """A link is up; True where that begins the end of an outage: `resumed` is then to follow."""
        self.restoring = self.out
        self._ever_up = True
        return self.restoring

    def link_lost(self, reason: str, at: float) -> None:
        """A link, or an attempt to have one, has ended."""
        self.restoring = False
        if not self._ever_up or self.out:
            return
        self.out = True
        self.count += 1
        self._tell(ConnectionLost(reason, at))

    def resumed(self, gaps: Sequence[Gap], at: float) -> None:
        """The subscriptions are restored. Nothing happens where none were being restored."""
        if self.restoring:
            self.out = self.restoring = False
            self._tell(ConnectionResumed(tuple(gaps), at))

    def end(self, reason: Exception | None) -> None:
        """The client closes, or died of ``reason``."""
        for stream in list(self._streams):
            stream.end(reason)

    def _tell(self, event: OutageEvent) -> None:
        for stream in list(self._streams):
            if stream.closed:
                self._streams.discard(stream)
            else:
                stream.push(event)
