"""The seven phases of a link, and the table of which may follow which: the connection's state machine, as data.

``disconnected`` is before the first attempt, and while paused. An attempt is ``connecting`` until Socket.IO is open,
then ``authenticating``, then ``ready``. ``degraded`` is ready with a stream that has gone silent: requests and orders
are sent all the same. ``reconnecting`` is the time between two attempts of a link that has been up. ``closed`` is for
good.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

__all__ = ["SENDING", "TRANSITIONS", "LinkPhase", "may_follow"]


class LinkPhase(enum.Enum):
    """Where the link is in its life."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    AUTHENTICATING = "authenticating"
    READY = "ready"
    DEGRADED = "degraded"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


_P = LinkPhase

SENDING: Final = frozenset({_P.READY, _P.DEGRADED})
"""Phases in which there is an authenticated link to send on."""

TRANSITIONS: Final[Mapping[LinkPhase, frozenset[LinkPhase]]] = {
    # `reconnecting` at once is an actor that was restarted: what was before it is over.
    _P.DISCONNECTED: frozenset({_P.CONNECTING, _P.RECONNECTING, _P.CLOSED}),
    # `connecting` again is the next address of the first round.
    _P.CONNECTING: frozenset({_P.CONNECTING, _P.AUTHENTICATING, _P.RECONNECTING, _P.DISCONNECTED, _P.CLOSED}),
    _P.AUTHENTICATING: frozenset({_P.READY, _P.CONNECTING, _P.RECONNECTING, _P.DISCONNECTED, _P.CLOSED}),
    _P.READY: frozenset({_P.DEGRADED, _P.RECONNECTING, _P.DISCONNECTED, _P.CLOSED}),
    _P.DEGRADED: frozenset({_P.DEGRADED, _P.READY, _P.RECONNECTING, _P.DISCONNECTED, _P.CLOSED}),
    _P.RECONNECTING: frozenset({_P.RECONNECTING, _P.CONNECTING, _P.DISCONNECTED, _P.CLOSED}),
    _P.CLOSED: frozenset(),
}
"""Which phases may follow which."""


def may_follow(before: LinkPhase, after: LinkPhase) -> bool:
    """May the link go from one phase to the other?"""
    return after in TRANSITIONS[before]
