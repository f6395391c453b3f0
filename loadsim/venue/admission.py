"""Who may come in: how many streams one address may have open, and how many strangers may be here unknown.

Whoever is on this machine is spared, unless a test says otherwise: swarms of thousands of simulated clients start from
here, all at once and from one address, and who runs programs here can stop the venue in simpler ways.
"""

from __future__ import annotations

import ipaddress

__all__ = ["Admission", "Guest", "Peer", "is_loopback"]

Peer = str | None
"""The address of a client; None where there is none, as in memory."""


class Admission:
    """Counts guests and turns away those who are too many.

    Args:
        per_host_max: streams open at once from one address.
        unauthenticated_max: streams open at once that have not logged in: slow HTTP heads, handshakes under way,
            pages being read.
        limits_loopback: count this machine as well.
    """

    def __init__(self, *, per_host_max: int, unauthenticated_max: int, limits_loopback: bool = False) -> None:
        self.unauthenticated = 0
        self.per_host: dict[Peer, int] = {}
        self._per_host_max = per_host_max
        self._unauthenticated_max = unauthenticated_max
        self._limits_loopback = limits_loopback

    def admit(self, peer: Peer) -> Guest | None:
        """Let a client in, or return None; you must call `Guest.leave` in the end."""
        if is_loopback(peer) and not self._limits_loopback:
            return Guest(None, peer)
        if self.per_host.get(peer, 0) >= self._per_host_max:
            return None
        if self.unauthenticated >= self._unauthenticated_max:
            return None
        self.per_host[peer] = self.per_host.get(peer, 0) + 1
        self.unauthenticated += 1
        return Guest(self, peer)


class Guest:
    """One stream that has been let in; without an `Admission` it is not counted."""

    def __init__(self, admission: Admission | None, peer: Peer) -> None:
        self.peer = peer
        self._admission = admission
        self._is_unknown = True

    def authenticated(self) -> None:
        """Note that it has logged in; again does nothing."""
        if self._admission is not None and self._is_unknown:
            self._admission.unauthenticated -= 1
        self._is_unknown = False

    def leave(self) -> None:
        """Note that it has gone; again does nothing."""
        self.authenticated()
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.per_host[self.peer] -= 1
            if not admission.per_host[self.peer]:
                del admission.per_host[self.peer]


def is_loopback(peer: Peer) -> bool:
    """Tell whether a client is on this machine."""
    if peer is None:
        return True
    try:
        return ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        return False
