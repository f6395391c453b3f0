"""What the venue says about pending orders: answers without ids, its list, and the deals that came of them."""

from __future__ import annotations

from potrio.actors.book import Book
from potrio.actors.evidence import OrderIntent
from potrio.actors.pending_clock import PendingClock
from potrio.actors.pending_evidence import PendingEvidence, intent_of
from potrio.actors.pending_handle import PendingHandle
from potrio.actors.pending_sending import PendingSending
from potrio.actors.reconcile import MATCH_AFTER_S, MATCH_BEFORE_S
from potrio.limits import ORDER_ACK_TIMEOUT
from potrio.protocol.messages.pending import (
    PendingCancelFailed,
    PendingCancelled,
    PendingFailed,
    PendingOpened,
    PendingOrder,
    PendingOrders,
    PendingsCancelFailed,
    PendingsCancelled,
    read_open_time,
)
from potrio.protocol.messages.trading import Deal

__all__ = ["PendingFact", "PendingFacts"]

PendingFact = (
    PendingOpened
    | PendingFailed
    | PendingOrders
    | PendingCancelled
    | PendingCancelFailed
    | PendingsCancelled
    | PendingsCancelFailed
)

ABSENCES_APART_S = 1.0
"""Two lists count as two only this far apart: the venue may tell one twice."""


class PendingFacts:
    """Turns what the venue says into evidence."""

    def __init__(self, book: Book, clock: PendingClock, sending: PendingSending) -> None:
        self.book = book
        self.pending = book.pending
        self.clock = clock
        self.sending = sending
        self.seam = clock.seam
        self.venue = clock.account.clock

    def hear(self, message: PendingFact) -> None:
        """Take in one message of the venue."""
        match message:
            case PendingOpened(order=order):
                self.opened(order)
            case PendingFailed():
                self.failed(message)
            case PendingOrders(orders=orders, rejected=rejected):
                self.listed(orders, complete=not rejected)
            case PendingCancelled(ticket=ticket):
                self.cancelled([ticket])
            case PendingsCancelled(cancelled=tickets):
                self.cancelled(tickets)
                for left in self.take_batch(tickets):
                    self.refuse_cancel(left, "the venue does not have it")
            case PendingCancelFailed(error=error, ticket=ticket):
                asked = [
                    e.ticket for e in self.pending.live.values() if e.cancel_epoch is not None and e.ticket
                ]
                for one in [ticket] if ticket is not None else asked[:1]:
                    self.refuse_cancel(one, error or "refused")
            case PendingsCancelFailed(error=error, tickets=tickets):
                for one in tickets or self.take_batch([]):
                    self.refuse_cancel(one, error or "refused")

    # --- answers -----------------------------------------------------------------------------------------------------

    def opened(self, order: PendingOrder) -> None:
        """The venue has taken an order on: the one of these terms that waits for an answer."""
        evidence = self.owner_of(order)
        if evidence is None:
            self.adopt_stranger(order)
        else:
            self.settle(evidence)

    def owner_of(self, order: PendingOrder) -> PendingEvidence | None:
        """The order that this ticket belongs to, bound to it where it is news."""
        known = self.pending.orders.get(self.pending.tickets.get(order.ticket, ""))
        if known is not None and not known.intent.external:
            return known
        intent = intent_of(order, None)
        evidence = self.pending.in_doubt(intent)
        if evidence is None or (known is not None and self.is_older(known, evidence)):
            return known
        self.pending.bind(order.ticket, evidence)
        return evidence

    def is_older(self, stranger: PendingEvidence, evidence: PendingEvidence) -> bool:
        """Was this ticket listed before our order was written, so that it cannot be its?"""
        assert evidence.written_wall is not None
        amended = self.venue.amended
        return amended(stranger.intent.created_wall) < amended(evidence.written_wall) - MATCH_BEFORE_S

    def adopt_stranger(self, order: PendingOrder) -> None:
        """An order of the account that was placed elsewhere: shown, and cancelled on demand, like ours."""
        stamp = read_open_time(order.open_time)
        intent = intent_of(order, stamp, created_wall=self.seam.wall())
        if intent.request_id not in self.pending.orders:
            evidence = self.pending.add(PendingHandle(intent, self.sending.cancel_soon))
            self.pending.bind(order.ticket, evidence)
            self.clock.look(evidence)

    def failed(self, refusal: PendingFailed) -> None:
        """A refusal: of the ticket it names as that came due, or of the one order that waits for an answer."""
        named = refusal.order.get("ticket") if isinstance(refusal.order, dict) else None
        evidence = (
            self.pending.orders.get(self.pending.tickets.get(named, "")) if isinstance(named, str) else None
        )
        if evidence is not None:
            evidence.fail(refusal.error or "failed")
        elif named is None:
            in_flight = [e for e in self.sending.in_flight() if e.written_epoch is not None]
            evidence = next((e for e in in_flight if refusal.asset in (None, "", e.intent.asset)), None)
            if evidence is not None:
                evidence.refuse(refusal.error or "refused")
        if evidence is not None:
            self.settle(evidence)

    # --- cancellations -----------------------------------------------------------------------------------------------

    def cancelled(self, tickets: list[str]) -> None:
        for ticket in tickets:
            evidence = self.pending.orders.get(self.pending.tickets.get(ticket, ""))
            if evidence is not None:
                evidence.cancel()
                self.settle(evidence)

    def take_batch(self, cancelled: list[str]) -> list[str]:
        """The tickets that were asked for together with these and are not among them; the oldest such question."""
        for batch in self.pending.batches:
            if set(cancelled) <= set(batch):
                self.pending.batches.remove(batch)
                return [ticket for ticket in batch if ticket not in cancelled]
        return []

    def refuse_cancel(self, ticket: str, reason: str) -> None:
        evidence = self.pending.orders.get(self.pending.tickets.get(ticket, ""))
        if evidence is not None and evidence.cancel_wanted and not evidence.state().ended:
            evidence.refuse_cancel(reason)
            self.settle(evidence)

    # --- the list ----------------------------------------------------------------------------------------------------

    def listed(self, orders: list[PendingOrder], *, complete: bool) -> None:
        """Every pending order of the account has been told; ``complete``: no row was unreadable."""
        for order in orders:
            evidence = self.owner_of(order)
            if evidence is None:
                self.adopt_stranger(order)
            else:
                self.pending.missing.pop(evidence.intent.request_id, None)
                evidence.listed()
                self.settle(evidence)
        if not complete:
            return
        present = {order.ticket for order in orders}
        for evidence in list(self.pending.live.values()):
            if evidence.ticket is None:
                written = evidence.written_wall
                if (
                    evidence.link_lost
                    and written is not None
                    and not self.venue.is_doubted
                    and self.seam.wall() - self.venue.amended(written) >= ORDER_ACK_TIMEOUT
                ):
                    self.absent(evidence)
            elif evidence.ticket not in present:
                self.absent(evidence)
        self.find_deals()

    def absent(self, evidence: PendingEvidence) -> None:
        """A complete list lacks it. That is the end of a cancellation that was asked for, or of a stranger."""
        now = self.seam.now()
        if evidence.absent_at is None or now - evidence.absent_at >= ABSENCES_APART_S:
            evidence.absent_at = now
            evidence.absences += 1
            evidence.absent_wall = evidence.absent_wall or self.seam.wall()
            opens = evidence.intent.open_stamp
            if opens is not None and self.venue.is_certain:
                evidence.gone_early |= self.venue.stamp_at(self.seam.wall()) < opens - MATCH_BEFORE_S
        self.pending.missing[evidence.intent.request_id] = evidence
        if self.find_deal(evidence) is None:
            if evidence.cancel_asks and evidence.cancel_wanted and evidence.ticket is not None:
                evidence.cancel()
            elif evidence.intent.external:
                evidence.absences += 1
        self.settle(evidence)

    # --- deals -------------------------------------------------------------------------------------------------------

    def find_deals(self) -> None:
        """Deals are news: one of them may be what became of an order that a list lacked."""
        for evidence in list(self.pending.missing.values()):
            deal = self.find_deal(evidence)
            if deal is not None:
                self.hand_over(evidence, deal)

    def find_deal(self, evidence: PendingEvidence) -> Deal | None:
        """The oldest deal of nobody that this order can have opened."""
        taken = {other.deal_id for other in self.pending.orders.values()}
        deals = (deal for deal in self.book.external.values() if deal.id not in taken)
        return next((deal for deal in deals if self.fits(deal, evidence)), None)

    def fits(self, deal: Deal, evidence: PendingEvidence) -> bool:
        intent = evidence.intent
        if (deal.asset, deal.side, deal.amount) != (intent.asset, intent.side, intent.amount):
            return False
        if deal.close_timestamp - deal.open_timestamp != intent.duration_s:
            return False
        if intent.open_stamp is not None:
            return (
                intent.open_stamp - MATCH_BEFORE_S <= deal.open_timestamp <= intent.open_stamp + MATCH_AFTER_S
            )
        if not self.venue.is_measured or evidence.absent_wall is None:
            return False
        since = intent.created_wall if evidence.written_wall is None else evidence.written_wall
        opened, amended = self.venue.to_wall(deal.open_timestamp), self.venue.amended
        return amended(since) - MATCH_BEFORE_S <= opened <= amended(evidence.absent_wall) + MATCH_BEFORE_S

    def hand_over(self, evidence: PendingEvidence, deal: Deal) -> None:
        """From here on an order owned by the ticket tells the story; a stranger's deal stays a stranger's."""
        self.pending.missing.pop(evidence.intent.request_id, None)
        intent = evidence.intent
        name = evidence.ticket or intent.request_id
        if not intent.external and name not in self.book.orders:
            order = OrderIntent(
                request_id=name,
                asset=intent.asset,
                side=intent.side,
                amount=intent.amount,
                duration_s=intent.duration_s,
                is_demo=intent.is_demo,
                created_wall=intent.created_wall,
                expires_at=intent.expires_at,
            )
            self.clock.clock.look(self.book.adopt(order, deal))
        evidence.trigger(deal.id)
        self.settle(evidence)

    def settle(self, evidence: PendingEvidence) -> None:
        """Look at what has changed; with its answer the next order may leave."""
        self.clock.look(evidence)
        self.sending.submit_next()
