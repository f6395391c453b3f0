"""Engine.IO heartbeats by deadlines: the server pings and waits, the client listens for silence."""

from __future__ import annotations

from potrio.errors import HeartbeatMissed
from potrio.protocol.engineio import Handshake

__all__ = ["PingTimer", "SilenceTimer"]


class SilenceTimer:
    """The client's side: whatever comes from the server counts as a sign of life.

    Args:
        handshake: the server's figures.
        now: when the handshake came.
        grace: added to pingInterval + pingTimeout, for the way.
    """

    __slots__ = ("_budget", "_silent_from")

    def __init__(self, handshake: Handshake, now: float, grace: float) -> None:
        self._budget = (handshake.ping_interval_ms + handshake.ping_timeout_ms) / 1000 + grace
        self._silent_from = now

    @property
    def deadline(self) -> float:
        """When the server counts as dead unless something comes before."""
        return self._silent_from + self._budget

    def heard(self, now: float) -> None:
        """Note that something came."""
        self._silent_from = now

    def missed(self, now: float) -> HeartbeatMissed | None:
        """Return the error to die of, at the deadline or later."""
        return HeartbeatMissed(now - self._silent_from) if now >= self.deadline else None


class PingTimer:
    """The server's side: one ping under way at a time, the next one pingInterval after it.

    A pong that comes later than that interval is followed by the next ping at once. Only a pong counts: a
    client that sends but does not read is dead too.
    """

    __slots__ = ("_interval", "_ping_at", "_pinged_at", "_timeout", "_waiting")

    def __init__(self, handshake: Handshake, now: float) -> None:
        self._interval = handshake.ping_interval_ms / 1000
        self._timeout = handshake.ping_timeout_ms / 1000
        self._waiting = False
        self._pinged_at = now
        self._ping_at = now + self._interval

    @property
    def deadline(self) -> float:
        """When `due` or `missed` has something to say."""
        return self._pinged_at + self._timeout if self._waiting else self._ping_at

    def due(self, now: float) -> bool:
        """Say whether a ping is to be sent now; you must then send it."""
        if self._waiting or now < self._ping_at:
            return False
        self._waiting = True
        self._pinged_at = now
        self._ping_at = now + self._interval
        return True

    def pong(self) -> None:
        """Note a pong; one that was not asked for changes nothing."""
        self._waiting = False

    def missed(self, now: float) -> HeartbeatMissed | None:
        """Return the error to die of, at the deadline of a pong or later."""
        if self._waiting and now >= self.deadline:
            return HeartbeatMissed(now - self._pinged_at)
        return None
