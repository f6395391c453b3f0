"""What the venue says about orders: whose deal it is, whose refusal, and what a list proves by what it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from potrio.actors.account import AccountState
from potrio.actors.book import Book
from potrio.actors.evidence import Evidence
from potrio.actors.latencies import note
from potrio.actors.order_clock import OrderClock
from potrio.actors.order_sending import OrderSending
from potrio.actors.reconcile import absent_from_closed, absent_from_opened, looks_like, meant_by, resembles
from potrio.protocol.messages.trading import (
    ClosedDeals,
    Deal,
    DealsClosed,
    OpenedDeals,
    OrderFailed,
    OrderOpened,
)
from potrio.seam import Seam

__all__ = ["OrderFacts"]

ABSENCES_APART_S = 1.0
"""Two lists count as two only this far apart: the venue may tell one twice."""


class OrderFacts:
    """Turns what the venue says into evidence, however it comes: a reply, a close event, or a list."""

    def __init__(
        self, book: Book, account: AccountState, clock: OrderClock, sending: OrderSending, seam: Seam
    ) -> None:
        self.book = book
        self.account = account
        self.clock = clock
        self.sending = sending
        self.seam = seam

    def hear(self, message: OrderOpened | OrderFailed | DealsClosed | OpenedDeals | ClosedDeals) -> None:
        """Take in one message of the venue."""
        match message:
            case OrderOpened(deal=deal, request_id=str(request_id)) if request_id in self.book.orders:
                self.accepted(self.book.orders[request_id])
                self.deals([deal], "answer", named=self.book.orders[request_id])
            case OrderOpened(deal=deal):
                self.deals([deal], "news of an opened deal")
            case OrderFailed():
                self.refused(message)
            case DealsClosed(deals=deals):
                self.deals(deals, "close event", closed=True)
            case OpenedDeals(deals=deals, rejected=rejected):
                self.deals(deals, "list of open deals")
                if not rejected:  # a row that cannot be read may be the one that is looked for
                    self.opened_list()
            case ClosedDeals(deals=deals, rejected=rejected):
                self.deals(deals, "list of closed deals", closed=True)
                if not rejected:
                    self.closed_list(deals)

    def deals(
        self, deals: Iterable[Deal], told_by: str, *, closed: bool = False, named: Evidence | None = None
    ) -> None:
        """Join these deals with the orders they belong to; those of nobody are kept as external ones."""
        for deal in deals:
            evidence = named or self.owner_of(deal)
            if evidence is None:
                self.book.keep_external(deal, closed=closed)
                continue
            if named is None and _is_known(evidence, deal):
                continue  # once more: every login and every close bring the whole list
            before = self.book.external.get(deal.id)  # its end may have been told before its beginning
            was_closed = deal.id in self.book.ended
            changed = self.book.bind(deal, evidence, exact=named is not None)
            if self.book.owner.get(deal.id) == evidence.intent.request_id:
                if before is not None:
                    evidence.join(before, closed=was_closed, told_by=told_by)
                evidence.join(deal, closed=closed, told_by=told_by)
            for other in changed:
                self.clock.look(other)
                self.sending.submit_next(other.intent.asset)

    def accepted(self, evidence: Evidence) -> None:
        """The venue answers an order, for the first time, on the link that it was sent on: how long did that take?"""
        link = self.clock.link
        if evidence.deal is None and evidence.written_epoch == link.epoch:
            note(
                link.latencies.order,
                self.seam.wall() - self.account.clock.amended(evidence.intent.created_wall),
            )

    def recognise(self) -> None:
        """Look again at the deals of nobody: when they were told, the venue's clock may not have been known."""
        for deal in list(self.book.external.values()):
            if self.owner_of(deal) is not None:
                self.deals([deal], "list of deals at the login")

    def owner_of(self, deal: Deal) -> Evidence | None:
        """The order this deal belongs to: by deal id, or by being just like one that is looked for."""
        request_id = self.book.owner.get(deal.id)
        if request_id is not None:
            return self.book.orders.get(request_id)
        for evidence in self.lost_orders():
            if looks_like(deal, evidence, self.account.clock):
                return evidence
        return None

    def refused(self, refusal: OrderFailed) -> None:
        """A refusal names no order: it is for one of those in flight that have left."""
        in_flight = [
            e for e in self.clock.live() if e.written_epoch is not None and self.sending.in_flight(e)
        ]
        evidence = meant_by(refusal, in_flight)
        if evidence is not None:
            evidence.refuse(refusal.error)
            self.clock.look(evidence)
            self.sending.submit_next(evidence.intent.asset)

    def opened_list(self) -> None:
        """All open deals have been told: an order that must be among them and is not was not accepted."""
        taken = self.book.next_list_taken()
        for evidence in self.lost_orders():
            if absent_from_opened(evidence, taken, self.account.clock) and not self.in_question(evidence):
                self.absent(evidence)

    def closed_list(self, deals: Sequence[Deal]) -> None:
        """The last closed deals have been told: the same for an order that must have closed by now."""
        clock = self.account.clock
        newest = max((clock.to_wall(deal.close_timestamp) for deal in deals), default=0.0)
        taken = max(self.book.list_taken, newest)  # it comes unasked as well, after each settlement
        for evidence in self.lost_orders():
            if absent_from_closed(evidence, deals, taken, clock) and not self.in_question(evidence):
                self.absent(evidence)

    def lost_orders(self) -> list[Evidence]:
        """Orders that were written on a connection that is gone, and of which nothing has been heard."""
        return [evidence for evidence in self.clock.live() if evidence.link_lost and evidence.deal is None]

    def in_question(self, evidence: Evidence) -> bool:
        """Is there a deal of nobody that is just like this order in all but its time?"""
        return any(resembles(deal, evidence, self.account.clock) for deal in self.book.external.values())

    def absent(self, evidence: Evidence) -> None:
        now = self.seam.now()
        if evidence.absent_at is None or now - evidence.absent_at >= ABSENCES_APART_S:
            evidence.absent_at = now
            evidence.absent()
        self.clock.look(evidence)
        self.sending.submit_next(evidence.intent.asset)


def _is_known(evidence: Evidence, deal: Deal) -> bool:
    """Is this the deal that the order is settled with, and its result the one that is known?"""
    known = evidence.deal
    return evidence.settled and known is not None and known.id == deal.id and known.profit == deal.profit
