"""Orders from evidence (pure): an order's state is a function of its intent and of facts that only ever accumulate.

No fact is forgotten and none is overwritten by a later arrival, so the order in which messages happen to arrive,
and how often, makes no difference to where an order ends::

    deal settled          -> SETTLED                  (absorbing)
    deal known            -> OPEN, or SETTLING once its close time has passed
    denied here           -> DENIED                   (never written)
    refused by the venue  -> REJECTED                 (soft: the refusal carries no id)
    not written           -> NEW
    absent twice          -> VOID                     (soft: in no list of the venue, well after the send)
    lost, overdue, presumed -> UNKNOWN
    else                  -> SENT

A soft state gives way to hard evidence (a deal), and says so in ``anomalies``.
"""

from __future__ import annotations

import enum
from datetime import datetime
from decimal import Decimal

import msgspec

from potrio.protocol.messages.trading import Deal, Side

__all__ = ["Anomaly", "Evidence", "OrderIntent", "OrderState", "same_terms"]


class OrderIntent(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; never changes. ``expires_at`` is on trio's clock, ``created_wall`` Unix seconds."""

    request_id: str
    asset: str
    side: Side
    amount: Decimal
    duration_s: int
    is_demo: bool
    created_wall: float
    expires_at: float


def same_terms(one: OrderIntent, other: OrderIntent) -> bool:
    """Do two intents ask for the same thing? When they were asked for does not matter."""
    fields = ("asset", "side", "amount", "duration_s", "is_demo")
    return all(getattr(one, field) == getattr(other, field) for field in fields)


class Anomaly(msgspec.Struct, frozen=True):
    """Something that contradicts what was shown of an order before. ``at`` is the venue's time (UTC), if known."""

    request_id: str
    text: str
    at: datetime | None


class OrderState(enum.Enum):
    """Where an order is. Only NEW, DENIED and SETTLED cannot be contradicted by later evidence."""

    NEW = "new"
    DENIED = "denied"
    SENT = "sent"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    VOID = "void"
    OPEN = "open"
    SETTLING = "settling"
    SETTLED = "settled"

    @property
    def answered(self) -> bool:
        """Is it known what became of the request?"""
        return self not in _UNANSWERED

    @property
    def ended(self) -> bool:
        """Is nothing more to be expected?"""
        return self in _ENDED


_UNANSWERED = {OrderState.NEW, OrderState.SENT, OrderState.UNKNOWN}
_ENDED = {OrderState.DENIED, OrderState.REJECTED, OrderState.VOID, OrderState.SETTLED}


NOTES_MAX = 16
"""Contradictions kept of one order; a venue that goes on to contradict itself says nothing new."""

ABSENCES_FOR_VOID = 2
"""Complete lists of the venue that must lack an order before it counts as never accepted."""


class Evidence(msgspec.Struct):
    """All that is known of one order. Grow-only: each field is set once, or joined, never taken back."""

    intent: OrderIntent
    denied: str | None = None
    written_epoch: int | None = None
    written_at: float | None = None
    written_wall: float | None = None
    presumed: bool = False  # written, or so it must be assumed: who knew has crashed
    link_lost: bool = False
    overdue: bool = False
    refused: str | None = None
    absences: int = 0
    deal: Deal | None = None
    settled: bool = False
    absent_at: float | None = None  # when a list lacked it last (trio's clock)
    named: bool = False  # the venue itself said that the deal is this order's
    told_by: str = ""  # which message of the venue told the deal, and which its end
    anomalies: tuple[str, ...] = ()

    def state(self, closing_passed: bool = False) -> OrderState:
        """The state that follows from the facts; ``closing_passed``: the deal's close time is over."""
        if self.deal is not None:
            if self.settled:
                return OrderState.SETTLED
            return OrderState.SETTLING if closing_passed else OrderState.OPEN
        if self.denied is not None:
            return OrderState.DENIED
        if self.refused is not None:
            return OrderState.REJECTED
        if self.written_epoch is None:
            return OrderState.NEW
        if self.absences >= ABSENCES_FOR_VOID:
            return OrderState.VOID
        return OrderState.UNKNOWN if self.link_lost or self.overdue or self.presumed else OrderState.SENT

    def cause(self, state: OrderState) -> str:
        """Which facts put it into that state, in words."""
        match state:
            case OrderState.NEW:
                return "taken on"
            case OrderState.SENT:
                return f"written on connection {self.written_epoch}"
            case OrderState.UNKNOWN if self.presumed:
                return "handed to a connection that did not say whether it was written"
            case OrderState.UNKNOWN if self.link_lost:
                return f"connection {self.written_epoch} was lost before an answer came"
            case OrderState.UNKNOWN:
                return "no answer in time"
            case OrderState.VOID:
                return f"the venue's lists lack it, {self.absences} times"
            case OrderState.DENIED | OrderState.REJECTED:
                return self.denied or self.refused or state.value
            case OrderState.SETTLING:
                return "its close time has passed"
            case OrderState.OPEN | OrderState.SETTLED:
                assert self.deal is not None
                return f"deal {self.deal.id}: {self.told_by or 'reported'}"

    # --- facts; each may be told any number of times, in any order ---------------------------------------------------

    def deny(self, reason: str) -> None:
        """It was not and will not be sent. Only before it was written: afterwards the venue may have it."""
        assert self.written_epoch is None or self.presumed, "a written order cannot be denied"
        self.denied = self.denied or reason

    def written(self, epoch: int, at: float, wall: float) -> None:
        """Its bytes are on their way; happens at most once (P1)."""
        assert self.written_epoch is None or self.presumed, "an order is written at most once"
        assert self.denied is None, "a denied order is never written"
        if self.presumed and self.written_epoch != epoch:
            self.link_lost = False  # of another link than the one it was presumed to be on
        self.written_epoch, self.written_at, self.written_wall = epoch, at, wall
        self.presumed = False

    def presume(self, epoch: int, at: float, wall: float) -> None:
        """It was handed over to be written, and nobody may ever say whether it was: so the venue may have it."""
        if self.written_epoch is None and self.denied is None:
            self.written_epoch, self.written_at, self.written_wall = epoch, at, wall
            self.presumed = True

    def lost(self, epoch: int) -> None:
        """Connection ``epoch`` is gone: an order written on it may or may not have reached the venue."""
        if self.written_epoch is not None and self.written_epoch <= epoch:
            self.link_lost = True

    def refuse(self, reason: str) -> None:
        """The venue refused an order that looks like this one."""
        if self.deal is not None:
            self.note(f"refused ({reason}) although deal {self.deal.id} exists")
        self.refused = self.refused or reason

    def absent(self) -> None:
        """A complete list of the venue, taken long enough after the send, does not have it."""
        self.absences += 1

    def release(self, why: str) -> None:
        """The deal that was taken for this order's, because it looked like it, is another's. Never once settled."""
        assert not self.settled, "a settled order stays as it is"
        self.deal = None
        self.note(why)

    def join(self, deal: Deal, *, closed: bool = False, told_by: str = "") -> None:
        """The venue has, or had, this deal for it; ``closed``: it was told as closed, whatever its fields say.

        What is open is joined with its end, never the other way round: the last message does not win.
        """
        closed = closed or deal.is_closed
        before = self.state()
        if self.deal is None and before in (OrderState.REJECTED, OrderState.VOID):
            self.note(f"was {before.value}, but deal {deal.id} exists")
        if self.deal is None or (closed and not self.settled):
            self.deal, self.told_by = deal, told_by
        elif self.settled and closed and deal.profit != self.deal.profit:
            self.note(f"settled with {self.deal.profit}, then reported with {deal.profit}")
        self.settled = self.settled or closed

    def note(self, anomaly: str) -> None:
        """Keep a contradiction for whoever looks at the order; each is kept once."""
        if anomaly not in self.anomalies and len(self.anomalies) < NOTES_MAX:
            self.anomalies = (*self.anomalies, anomaly)
