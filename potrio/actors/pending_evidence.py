"""Pending orders from evidence (pure): like an order's, the state is a function of facts that only accumulate.

::

    deal known                   -> TRIGGERED   (absorbing: from here on the deal's own order tells the story)
    failed as it came due        -> REJECTED    (the venue names the ticket)
    cancellation confirmed       -> CANCELLED
    ticket known, absent twice   -> CANCELLED before its time, else VOID (soft)
    ticket known                 -> CANCEL_SENT where that has been asked for, else WORKING
    denied here                  -> DENIED      (never written)
    refused as it was placed     -> REJECTED    (soft: the refusal carries no id)
    not written                  -> NEW
    absent twice                 -> VOID        (soft)
    lost, overdue, presumed      -> UNKNOWN
    else                         -> SENT
"""

from __future__ import annotations

import enum
import math
from decimal import Decimal

import msgspec

from potrio.protocol.messages.pending import (
    NO_OPEN_TIME,
    OPEN_AT_PRICE,
    OPEN_AT_TIME,
    OpenPendingOrder,
    PendingOrder,
)
from potrio.protocol.messages.trading import Side

__all__ = ["PendingEvidence", "PendingIntent", "PendingState", "intent_of", "is_for", "same_pending"]

ABSENCES_MAX = 2
"""Lists of the venue that lack an order before it counts as gone, or as never accepted."""

NOTES_MAX = 16


class PendingIntent(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; never changes.

    Attributes:
        request_id: ours only, the wire has none for pending orders.
        open_time: as the wire writes it, on the venue's clock; `NO_OPEN_TIME` for one that waits for a price.
        open_stamp: the same as a number; None for one that waits for a price.
        opens_utc: the moment that was asked for (Unix seconds), by which the same wish is known again.
        expires_at: trio's clock; not sent later than that.
        external: placed elsewhere and found in the venue's list.
    """

    request_id: str
    asset: str
    side: Side
    amount: Decimal
    duration_s: int
    open_time: str = NO_OPEN_TIME
    open_stamp: int | None = None
    opens_utc: float | None = None
    open_price: float = 0.0
    min_payout: int = 0
    is_demo: bool = True
    created_wall: float = 0.0
    expires_at: float = math.inf
    external: bool = False

    @property
    def waits_for_price(self) -> bool:
        """Does it wait for a price, not for a time?"""
        return self.open_time == NO_OPEN_TIME

    def message(self) -> OpenPendingOrder:
        """What is put on the wire for it."""
        return OpenPendingOrder(
            open_type=OPEN_AT_PRICE if self.waits_for_price else OPEN_AT_TIME,
            amount=self.amount,
            asset=self.asset,
            open_time=self.open_time,
            open_price=self.open_price,
            timeframe=self.duration_s,
            min_payout=self.min_payout,
            command=self.side.command,
        )


class PendingState(enum.Enum):
    """Where a pending order is. REJECTED and VOID without a ticket are soft, as those of an order are."""

    NEW = "new"
    DENIED = "denied"
    SENT = "sent"
    UNKNOWN = "unknown"
    WORKING = "working"
    CANCEL_SENT = "cancel_sent"
    CANCELLED = "cancelled"
    TRIGGERED = "triggered"
    REJECTED = "rejected"
    VOID = "void"

    @property
    def ended(self) -> bool:
        """Is nothing more to be expected?"""
        return self in _ENDED


_ENDED = {
    PendingState.DENIED,
    PendingState.CANCELLED,
    PendingState.TRIGGERED,
    PendingState.REJECTED,
    PendingState.VOID,
}


class PendingEvidence(msgspec.Struct):
    """All that is known of one pending order."""

    intent: PendingIntent
    denied: str | None = None
    written_epoch: int | None = None
    written_at: float | None = None
    written_wall: float | None = None
    presumed: bool = False
    link_lost: bool = False
    overdue: bool = False
    refused: str | None = None
    ticket: str | None = None
    failed: str | None = None  # as it came due
    cancel_wanted: bool = False
    cancel_epoch: int | None = None  # the connection on which its cancellation was asked for last
    cancel_at: float = 0.0  # and when (trio's clock)
    cancel_asks: int = 0
    cancel_refused: str | None = None
    cancelled: bool = False
    absences: int = 0
    absent_at: float | None = None  # when a list lacked it last (trio's clock)
    absent_wall: float | None = None  # and first: a deal of it was opened before that
    gone_early: bool = False  # missing while its time was still to come
    deal_id: str | None = None
    anomalies: tuple[str, ...] = ()

    def state(self) -> PendingState:
        """The state that follows from the facts."""
        if self.deal_id is not None:
            return PendingState.TRIGGERED
        if self.failed is not None:
            return PendingState.REJECTED
        if self.cancelled:
            return PendingState.CANCELLED
        if self.ticket is not None:
            if self.absences >= ABSENCES_MAX:
                return PendingState.CANCELLED if self.gone_early else PendingState.VOID
            return PendingState.WORKING if self.cancel_epoch is None else PendingState.CANCEL_SENT
        if self.denied is not None:
            return PendingState.DENIED
        if self.refused is not None:
            return PendingState.REJECTED
        if self.written_epoch is None:
            return PendingState.NEW
        if self.absences >= ABSENCES_MAX:
            return PendingState.VOID
        in_doubt = self.link_lost or self.overdue or self.presumed
        return PendingState.UNKNOWN if in_doubt else PendingState.SENT

    def cause(self, state: PendingState) -> str:
        """Which facts put it into that state, in words."""
        match state:
            case PendingState.NEW:
                return "taken on"
            case PendingState.SENT:
                return f"written on connection {self.written_epoch}"
            case PendingState.UNKNOWN:
                return "nobody said what became of it"
            case PendingState.WORKING:
                return f"ticket {self.ticket}" + (
                    "" if self.cancel_refused is None else f"; not cancelled: {self.cancel_refused}"
                )
            case PendingState.CANCEL_SENT:
                return f"cancellation asked for on connection {self.cancel_epoch}"
            case PendingState.CANCELLED:
                if self.cancelled:
                    return "cancelled"
                return "gone from the venue's list before its time: cancelled elsewhere"
            case PendingState.TRIGGERED:
                return f"opened as deal {self.deal_id}"
            case PendingState.DENIED:
                return self.denied or "denied"
            case PendingState.REJECTED:
                return self.failed or self.refused or "rejected"
            case PendingState.VOID if self.ticket is not None:
                return "gone from the venue's list, and no deal of it is known"
            case PendingState.VOID:
                return f"the venue's lists lack it, {self.absences} times"

    # --- facts; each may be told any number of times, in any order ---------------------------------------------------

    def deny(self, reason: str) -> None:
        """It was not and will not be sent."""
        assert self.written_epoch is None or self.presumed, "a written order cannot be denied"
        self.denied = self.denied or reason

    def written(self, epoch: int, at: float, wall: float) -> None:
        """Its bytes are on their way; happens at most once."""
        assert self.written_epoch is None or self.presumed, "a pending order is written at most once"
        assert self.denied is None, "a denied order is never written"
        if self.presumed and self.written_epoch != epoch:
            self.link_lost = False
        self.written_epoch, self.written_at, self.written_wall = epoch, at, wall
        self.presumed = False

    def presume(self, epoch: int, at: float, wall: float) -> None:
        """It was handed over, and nobody may ever say whether it was written: so the venue may have it."""
        if self.written_epoch is None and self.denied is None:
            self.written_epoch, self.written_at, self.written_wall = epoch, at, wall
            self.presumed = True

    def lost(self, epoch: int) -> None:
        """Connection ``epoch`` is gone; a cancellation asked for on it has to be asked for again."""
        if self.written_epoch is not None and self.written_epoch <= epoch:
            self.link_lost = True
        if self.cancel_epoch is not None and self.cancel_epoch <= epoch:
            self.cancel_epoch = None

    def refuse(self, reason: str) -> None:
        """The venue refused, as it was placed, an order of just these terms."""
        if self.ticket is not None:
            self.note(f"refused ({reason}) although it has ticket {self.ticket}")
        self.refused = self.refused or reason

    def accept(self, ticket: str) -> None:
        """The venue has it, under this ticket."""
        if self.ticket is not None and self.ticket != ticket:
            self.note(f"has ticket {self.ticket}, and then {ticket} was reported for it too")
            return
        if self.ticket is None:
            before = self.state()
            if before in (PendingState.REJECTED, PendingState.VOID):
                self.note(f"was {before.value}, but ticket {ticket} exists")
            self.listed()  # they were of an order that nobody knew
        self.ticket = ticket

    def listed(self) -> None:
        """The venue's list has it now: what was missing before was a list that came late."""
        self.absences, self.absent_at, self.absent_wall, self.gone_early = 0, None, None, False

    def fail(self, reason: str) -> None:
        """It came due and could not be opened."""
        self.failed = self.failed or reason

    def want_cancel(self) -> None:
        """The owner wants it taken back."""
        if not self.cancel_wanted:
            self.cancel_wanted, self.cancel_refused, self.cancel_asks = True, None, 0

    def ask_cancel(self, epoch: int, at: float) -> None:
        """The venue has been asked to cancel it; that may be asked any number of times."""
        self.cancel_epoch, self.cancel_at, self.cancel_asks = epoch, at, self.cancel_asks + 1

    def refuse_cancel(self, reason: str) -> None:
        """It was not cancelled."""
        self.cancel_wanted, self.cancel_epoch, self.cancel_refused = False, None, reason

    def cancel(self) -> None:
        """The venue confirms that it is cancelled."""
        if self.deal_id is not None:
            self.note(f"cancelled, but deal {self.deal_id} exists")
        self.cancelled = True

    def trigger(self, deal_id: str) -> None:
        """It came due, and this deal was opened for it."""
        before = self.state()
        if before in (PendingState.CANCELLED, PendingState.VOID, PendingState.REJECTED):
            self.note(f"was {before.value}, but deal {deal_id} exists")
        self.deal_id = self.deal_id or deal_id

    def note(self, anomaly: str) -> None:
        """Keep a contradiction; each is kept once."""
        if anomaly not in self.anomalies and len(self.anomalies) < NOTES_MAX:
            self.anomalies = (*self.anomalies, anomaly)


def intent_of(order: PendingOrder, open_stamp: int | None, created_wall: float = 0.0) -> PendingIntent:
    """The intent that must have led to an order in the venue's list which is not ours."""
    by_price = order.open_type == OPEN_AT_PRICE
    return PendingIntent(
        request_id=order.ticket,
        asset=order.symbol,
        side=order.side,
        amount=order.amount,
        duration_s=order.timeframe,
        open_time=NO_OPEN_TIME if by_price else order.open_time,
        open_stamp=None if by_price else open_stamp,
        open_price=order.open_price if by_price else 0.0,
        min_payout=order.min_payout,
        is_demo=bool(order.is_demo),
        created_wall=created_wall,
        external=True,
    )


def is_for(order: PendingOrder, intent: PendingIntent) -> bool:
    """Could this order of the venue be the fruit of that intent? The wire has no id to say so."""
    return same_pending(intent_of(order, None), intent)


def same_pending(one: PendingIntent, other: PendingIntent) -> bool:
    """Do two intents ask for the same thing?"""
    fields = ("asset", "side", "amount", "duration_s", "open_time", "min_payout")
    return all(getattr(one, field) == getattr(other, field) for field in fields) and math.isclose(
        one.open_price, other.open_price, rel_tol=1e-9
    )
