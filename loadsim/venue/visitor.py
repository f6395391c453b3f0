"""Who is on a connection, and which assets it watches: the part of a connection that the desk knows."""

from __future__ import annotations

from loadsim.venue.accounts import AccountKey

__all__ = ["Visitor"]


class Visitor:
    """One authenticated connection, as the desk sees it.

    Args:
        key: its account.
        fast: whether it asked for the ``...Fast`` names of history.
        is_guest: whether it came with a token instead of a session.
        streams_max: assets streamed at once.
    """

    __slots__ = ("_streams", "_streams_max", "fast", "is_guest", "key")

    def __init__(self, key: AccountKey, *, fast: bool, is_guest: bool, streams_max: int) -> None:
        self.key = key
        self.fast = fast
        self.is_guest = is_guest
        self._streams_max = streams_max
        self._streams: dict[str, None] = {}

    @property
    def streams(self) -> tuple[str, ...]:
        """The assets streamed, the one asked for longest ago first."""
        return tuple(self._streams)

    def watch(self, symbol: str) -> None:
        """Stream an asset; the last few asked for are streamed, a further one ends the oldest (`protocol.md` 5.4)."""
        self._streams.pop(symbol, None)
        self._streams[symbol] = None
        while len(self._streams) > self._streams_max:
            del self._streams[next(iter(self._streams))]

    def unwatch(self, symbol: str) -> None:
        """Stop streaming an asset."""
        self._streams.pop(symbol, None)
