"""Reconciliation rules (pure): what the venue's lists prove about an order whose fate is not known.

The lists are evidence of absence only where the order, had it been accepted, would have to be in them. Between
these cases nothing is concluded: UNKNOWN stays UNKNOWN and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from potrio.actors.evidence import Evidence
from potrio.limits import ORDER_ACK_TIMEOUT
from potrio.protocol.messages.trading import Deal, OrderFailed
from potrio.protocol.server_clock import ServerClock

__all__ = [
    "CLOSED_LIST_LENGTH",
    "MATCH_AFTER_S",
    "MATCH_BEFORE_S",
    "absent_from_closed",
    "absent_from_opened",
    "closes_at",
    "decides_in",
    "looks_like",
    "meant_by",
    "resembles",
    "written_at",
]

MATCH_BEFORE_S: Final = 2.0
MATCH_AFTER_S: Final = 30.0
"""A deal without our request id may be ours if it opened this near to the moment an order just like it was written."""

RESEMBLES_S: Final = 120.0
"""A deal of just these terms that opened this near, and that nobody knows whose it is, proves nothing either way."""

CLOSED_LIST_LENGTH: Final = 20
"""Deals in the venue's closed list: where it is full, an older deal may have fallen off its end."""


def written_at(evidence: Evidence, clock: ServerClock) -> float | None:
    """When it was written, by our wall clock as it goes now."""
    return None if evidence.written_wall is None else clock.amended(evidence.written_wall)


def looks_like(deal: Deal, evidence: Evidence, clock: ServerClock) -> bool:
    """Could this deal, which carries no request id, be the fruit of that order?"""
    return _opened_near(deal, evidence, clock, MATCH_BEFORE_S, MATCH_AFTER_S)


def resembles(deal: Deal, evidence: Evidence, clock: ServerClock) -> bool:
    """Is this deal so like that order that its absence is not proved, though the time does not fit?

    The machine may have dozed while the order was on its way, or the venue's clock have gone wrong.
    """
    return _opened_near(deal, evidence, clock, RESEMBLES_S, RESEMBLES_S)


def _opened_near(deal: Deal, evidence: Evidence, clock: ServerClock, before_s: float, after_s: float) -> bool:
    intent, written = evidence.intent, written_at(evidence, clock)
    return (
        written is not None
        and clock.is_measured
        and (deal.asset, deal.side, deal.amount) == (intent.asset, intent.side, intent.amount)
        and deal.close_timestamp - deal.open_timestamp == intent.duration_s
        and written - before_s <= clock.to_wall(deal.open_timestamp) <= written + after_s
    )


def closes_at(evidence: Evidence, clock: ServerClock) -> float:
    """When the order's deal closes, by our wall clock; by our own reckoning as long as the venue's is not known."""
    assert evidence.deal is not None
    if clock.is_measured or evidence.written_wall is None:
        return clock.to_wall(evidence.deal.close_timestamp)
    return evidence.written_wall + evidence.intent.duration_s


def meant_by(refusal: OrderFailed, in_flight: Sequence[Evidence]) -> Evidence | None:
    """The order that a refusal is for: by its id where it has one, by asset, and of several the one of its amount."""
    able = list(in_flight)
    if isinstance(refusal.request_id, str):
        able = [evidence for evidence in able if evidence.intent.request_id == refusal.request_id]
    if refusal.asset is not None:
        able = [evidence for evidence in able if evidence.intent.asset == refusal.asset]
    return min(able, key=lambda evidence: evidence.intent.amount != refusal.amount, default=None)


def absent_from_opened(evidence: Evidence, taken_wall: float, clock: ServerClock) -> bool:
    """Does a list of open deals, taken at this time, prove absence by not having this order?

    It was written long enough ago to have arrived, and too recently to have closed already.
    """
    written = written_at(evidence, clock)
    if written is None or not clock.is_certain:
        return False  # what is in the list could not have been recognised
    return ORDER_ACK_TIMEOUT <= clock.amended(taken_wall) - written < evidence.intent.duration_s


def absent_from_closed(
    evidence: Evidence, deals: Sequence[Deal], taken_wall: float, clock: ServerClock
) -> bool:
    """Does a list of the last closed deals, taken at this time, prove absence by not having this order?

    It must have closed by now wherever in its window it was accepted, and the list must reach back to before that.
    """
    written = written_at(evidence, clock)
    if written is None or clock.amended(taken_wall) < written + MATCH_AFTER_S + evidence.intent.duration_s:
        return False
    if not clock.is_certain:
        return False  # what is in the list could not have been recognised
    if len(deals) < CLOSED_LIST_LENGTH:
        return True
    return min(clock.to_wall(deal.close_timestamp) for deal in deals) < written


def decides_in(evidence: Evidence, now_wall: float, clock: ServerClock) -> float:
    """Seconds until a list of the venue can prove absence; 0 if one taken now can."""
    written, duration = written_at(evidence, clock), evidence.intent.duration_s
    if written is None or absent_from_opened(evidence, now_wall, clock):
        return 0.0
    age = now_wall - written
    if age < ORDER_ACK_TIMEOUT < duration:
        return ORDER_ACK_TIMEOUT - age
    return max(0.0, MATCH_AFTER_S + duration - age)
