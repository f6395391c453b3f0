"""What can meet: kinds of faults, states of orders, phases of links, and which of them never come together."""

from __future__ import annotations

from typing import Final

__all__ = ["CELLS", "CLIENT", "KINDS", "NETWORK", "PHASES", "POSSIBLE", "STATES", "VENUE", "Aim"]

Aim = tuple[str, str]
"""A state of an order, and a phase of the link."""

NETWORK: Final = ("cut", "finish", "stall", "slow", "flap", "unreachable", "slow_accept", "cut_within")
VENUE: Final = (
    "drop",
    "half_open",
    "restart",
    "busy",
    "refuse",
    "lose_reply",
    "delay_reply",
    "duplicate_reply",
    "reorder_reply",
    "truncate",
    "garbage",
    "slow_drain",
    "bare_41",
    "reject_auth",
    "lose_request",
    "venue_clock",
)
CLIENT: Final = (
    "crash",
    "wall_jump",
    "cancel",
    "cancel_call",
    "flood",
    "disk_full",
    "disk_slow",
    "disk_error",
    "sleep",
    "doze",
)
KINDS: Final = (*NETWORK, *VENUE, *CLIENT)

STATES: Final = ("none", "new", "sent", "unknown", "open", "settling")
PHASES: Final = ("ready", "reconnecting", "connecting", "authenticating", "degraded")

POSSIBLE: Final = tuple(
    (state, phase)
    for state in STATES
    for phase in PHASES
    if state != "sent" or phase in ("ready", "degraded")
)
"""An order is SENT only while its link is up: as that goes, it is UNKNOWN."""

CELLS: Final = tuple((kind, *aim) for kind in KINDS for aim in POSSIBLE)
"""What a sweep should have seen, each once at least (I18)."""
