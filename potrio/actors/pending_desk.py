"""Pending orders in the order book actor: their messages, and the one who deals with them.

Like an order, a pending order is handed to the connection at most once, and at most one is unanswered at any moment:
neither the venue's answer nor its refusal carries an id. What its list lacks has been cancelled, has failed or has
been opened; its deal is recognised by its terms, and from then on an order owned by the ticket tells the story.
"""

from __future__ import annotations

from typing import Any

import msgspec

from potrio.actors.book import Book
from potrio.actors.journal import Journaled, JournalFailed
from potrio.actors.keys import ORDER_BOOK
from potrio.actors.link import LinkLost, LinkUp, NotSent, Written
from potrio.actors.order_clock import OrderClock
from potrio.actors.order_journal import OrderJournal
from potrio.actors.pending_clock import LookPending, PendingClock
from potrio.actors.pending_evidence import PendingEvidence, PendingIntent, PendingState
from potrio.actors.pending_facts import PendingFacts
from potrio.actors.pending_handle import PendingHandle
from potrio.actors.pending_sending import PendingSending
from potrio.protocol.messages.pending import (
    PendingCancelFailed,
    PendingCancelled,
    PendingFailed,
    PendingOpened,
    PendingOrders,
    PendingsCancelFailed,
    PendingsCancelled,
)
from potrio.protocol.messages.trading import ClosedDeals, DealsClosed, OpenedDeals, OrderOpened
from potrio.supervision.call import Call, Request
from potrio.supervision.context import Context

__all__ = ["CancelPending", "PendingDesk", "PendingMessage", "PlacePending"]


class PlacePending(Request[PendingHandle], frozen=True):
    """Take this pending order on; answered with its handle at once. The same id and terms give the same handle."""

    intent: PendingIntent


class CancelPending(msgspec.Struct, frozen=True):
    """Take these pending orders back, by request id; what becomes of it is seen on their handles."""

    request_ids: tuple[str, ...]


PendingMessage = (
    CancelPending
    | LookPending
    | PendingOpened
    | PendingFailed
    | PendingOrders
    | PendingCancelled
    | PendingCancelFailed
    | PendingsCancelled
    | PendingsCancelFailed
)


class PendingDesk:
    """One incarnation's work on the pending orders."""

    def __init__(
        self,
        ctx: Context[Any],
        book: Book,
        clock: OrderClock,
        journal: OrderJournal[PendingEvidence] | None = None,
    ) -> None:
        self.ctx = ctx
        self.pending = book.pending
        self.clock = PendingClock(ctx, book, clock.account, clock.link, clock.seam, clock, journal)
        self.sending = PendingSending(book, self.clock, self.cancel_soon)
        self.facts = PendingFacts(book, self.clock, self.sending)

    def cancel_soon(self, request_id: str) -> None:
        """A handle's owner takes its order back."""
        self.ctx.lookup(ORDER_BOOK).tell(CancelPending((request_id,)))

    def take(self, message: Any) -> bool:
        """Deal with a message that is about pending orders only; False where it is not."""
        match message:
            case Call(msg=PlacePending(intent=intent)):
                self.sending.place(intent, message)
            case CancelPending(request_ids=request_ids):
                self.sending.cancel(request_ids)
            case Written(request_id=request_id) if request_id in self.pending.orders:
                self.sending.written(message)
            case NotSent(request_id=request_id) if request_id in self.pending.orders:
                self.sending.not_sent(message)
            case Journaled() | JournalFailed():
                return self.sending.journaled(message)
            case LookPending(request_id=request_id):
                self.clock.due(request_id)
            case (
                PendingOpened()
                | PendingFailed()
                | PendingOrders()
                | PendingCancelled()
                | PendingCancelFailed()
                | PendingsCancelled()
                | PendingsCancelFailed()
            ):
                self.facts.hear(message)
            case _:
                return False
        return True

    def follow(self, message: Any) -> None:
        """After the orders: what concerns the pending ones too."""
        match message:
            case LinkUp(epoch=epoch):
                self.link_up(epoch)
            case LinkLost(epoch=epoch):
                self.pending.batches.clear()
                for evidence in list(self.pending.live.values()):
                    evidence.lost(epoch)
                    self.clock.show(evidence)
            case OrderOpened() | OpenedDeals() | ClosedDeals() | DealsClosed():
                self.facts.find_deals()
            case _:
                pass

    def link_up(self, epoch: int) -> None:
        """What was handed to an earlier connection would have been answered by now; the list is on its way."""
        for evidence in list(self.pending.live.values()):
            handover = self.pending.submitted.get(evidence.intent.request_id)
            if handover is not None and handover.epoch < epoch:
                self.clock.presume_written(evidence)
            evidence.lost(epoch - 1)
            self.clock.list_under_way(evidence)
            self.clock.look(evidence)
        self.sending.submit_next()

    def resume(self) -> None:
        """A new incarnation: timers died with the old one, and a message in hand may have."""
        pending, link = self.pending, self.clock.link
        gone = link.epoch - 1 if link.ready else link.epoch
        pending.waiting.clear()
        for handle in pending.handles.values():
            handle.cancels_by(self.cancel_soon)
        for request_id, evidence in list(pending.live.items()):
            if request_id in pending.submitted:
                self.clock.presume_written(evidence)
            elif evidence.state() is PendingState.NEW:
                pending.waiting.append(request_id)
            evidence.lost(gone)
            self.clock.look(evidence)
        self.sending.submit_next()
