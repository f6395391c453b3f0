"""The order book actor: the single writer of every order, from intent to settlement.

It sends each order at most once: the connection is handed an order one time per `NotSent` answer, and once it has
answered `Written` never again, whatever happens to the link, to an actor or to the answer. At most one order per
asset is unanswered at any moment, because a refusal carries no id: so it can only belong to that one.

What the venue reports is evidence (`evidence.py`), however it comes: a reply, a close event, or one of the lists that
follow each login. An order whose fate is not known is UNKNOWN and is looked for in those lists.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from potrio.actors.account import AccountState
from potrio.actors.evidence import Evidence, OrderIntent, OrderState
from potrio.actors.keys import CONNECTION
from potrio.actors.link import LinkLost, LinkState, LinkUp, NotSent, Resync, SubmitOrder, Transmit, Written
from potrio.actors.order_handle import OrderHandle
from potrio.actors.reconcile import absent_from_closed, absent_from_opened, looks_like, same_terms
from potrio.limits import ORDER_ACK_TIMEOUT, ORDERS_KEPT_MAX, SETTLEMENT_GRACE
from potrio.protocol.messages.trading import (
    ClosedDeals,
    Deal,
    DealsClosed,
    OpenedDeals,
    OpenOrder,
    OrderFailed,
    OrderOpened,
    RequestOpenedDeals,
)
from potrio.seam import Seam
from potrio.supervision.call import Call, Request
from potrio.supervision.context import Context

__all__ = ["Book", "OrderBookMessage", "PlaceOrder", "order_book"]

RECONCILIATIONS_MAX = 8
"""Times one order may make us ask for the venue's lists; after that it stays UNKNOWN until a list comes by itself."""


class PlaceOrder(Request[OrderHandle], frozen=True):
    """Take this order on; answered with its handle at once. The same id and terms again give the same handle."""

    intent: OrderIntent


class Look(msgspec.Struct, frozen=True, gc=False):
    """Time to look at this order again."""

    request_id: str


OrderBookMessage = (
    Call[OrderHandle]
    | Written
    | NotSent
    | LinkUp
    | LinkLost
    | OrderOpened
    | OrderFailed
    | DealsClosed
    | OpenedDeals
    | ClosedDeals
    | Look
)


class Book:
    """Every order and deal this client knows. Outlives the actor's incarnations; only the actor writes it."""

    def __init__(self) -> None:
        self.orders: OrderedDict[str, Evidence] = OrderedDict()
        self.handles: dict[str, OrderHandle] = {}
        self.owner: dict[str, str] = {}  # deal id -> request id
        self.external: OrderedDict[str, Deal] = OrderedDict()  # deals of the account that we did not place
        self.submitted: dict[
            str, int
        ] = {}  # request id -> times handed to the connection without a NotSent since
        self.waiting: dict[str, deque[str]] = {}  # asset -> orders that wait for the one before them
        self.reconciliations: dict[
            str, int
        ] = {}  # request id -> times the lists were asked for because of it

    def fail(self, error: Exception) -> None:
        """Tell everyone who waits that nobody will write here any more."""
        for handle in self.handles.values():
            handle.fail(error)


async def order_book(
    ctx: Context[OrderBookMessage], book: Book, account: AccountState, link: LinkState, seam: Seam
) -> None:
    """Keep the book until stopped. Cancelling sends nothing more; the book keeps what is known."""
    clerk = _Clerk(ctx, book, account, link, seam)
    clerk.resume()
    async for message in ctx.inbox:
        clerk.handle(message)


class _Clerk:
    """One incarnation at work on the book."""

    def __init__(
        self, ctx: Context[OrderBookMessage], book: Book, account: AccountState, link: LinkState, seam: Seam
    ) -> None:
        self.ctx = ctx
        self.book = book
        self.account = account
        self.link = link
        self.seam = seam

    def handle(self, message: OrderBookMessage | Any) -> None:
        match message:
            case Call(msg=PlaceOrder(intent=intent)):
                self.place(intent, message)
            case Written():
                self.written(message)
            case NotSent():
                self.not_sent(message)
            case OrderOpened(deal=deal, request_id=str(request_id)) if request_id in self.book.orders:
                self.book.owner.setdefault(deal.id, request_id)
                self.deals([deal])
            case OrderOpened(deal=deal):
                self.deals([deal])
            case OrderFailed():
                self.refused(message)
            case DealsClosed(deals=deals):
                self.deals(deals, closed=True)
            case OpenedDeals(deals=deals):
                self.deals(deals)
                self.opened_list()
            case ClosedDeals(deals=deals):
                self.deals(deals, closed=True)
                self.closed_list(deals)
            case LinkUp():
                self.submit_waiting()
            case LinkLost(epoch=epoch):
                for evidence in self.live():
                    evidence.lost(epoch)
                    self.show(evidence)
            case Look(request_id=request_id):
                if request_id in self.book.orders:
                    self.look(self.book.orders[request_id])
            case _:
                raise AssertionError(f"the order book has no use for a {type(message).__name__}")

    def resume(self) -> None:
        """A new incarnation: timers died with the old one, and a message in hand may have."""
        for evidence in self.live():
            if evidence.intent.request_id in self.book.submitted and evidence.written_epoch is None:
                # Handed over, and the answer may have been the message that was lost: never hand it over again.
                self.presume_written(evidence)
            self.look(evidence)

    # --- from intent to wire -----------------------------------------------------------------------------------------

    def place(self, intent: OrderIntent, call: Call[OrderHandle]) -> None:
        known = self.book.handles.get(intent.request_id)
        if known is not None:
            if same_terms(known.intent, intent):
                call.reply(known)
            else:
                call.fail(ValueError(f"request id {intent.request_id} is taken by an order with other terms"))
            return
        handle = OrderHandle(intent)
        self.book.handles[intent.request_id] = handle
        self.book.orders[intent.request_id] = Evidence(intent)
        call.reply(handle)
        self.forget_old()
        self.book.waiting.setdefault(intent.asset, deque()).append(intent.request_id)
        self.ctx.after(max(0.0, intent.expires_at - self.seam.now()), Look(intent.request_id))
        self.submit_next(intent.asset)

    def submit_waiting(self) -> None:
        for asset in list(self.book.waiting):
            self.submit_next(asset)

    def submit_next(self, asset: str) -> None:
        """Hand the next order of this asset to the connection, unless one of them is still unanswered."""
        queue = self.book.waiting.get(asset)
        while queue and self.book.orders[queue[0]].denied is not None:
            queue.popleft()
        if not queue:
            self.book.waiting.pop(asset, None)
            return
        if not self.link.ready or any(self.in_flight(e) for e in self.live() if e.intent.asset == asset):
            return
        request_id = queue.popleft()
        intent = self.book.orders[request_id].intent
        self.book.submitted[request_id] = self.link.epoch
        order = OpenOrder(
            asset=intent.asset,
            amount=intent.amount,
            action=intent.side,
            is_demo=int(intent.is_demo),
            request_id=request_id,
            time=intent.duration_s,
        )
        self.ctx.lookup(CONNECTION).tell(SubmitOrder(request_id, order, intent.expires_at))

    def in_flight(self, evidence: Evidence) -> bool:
        """Could a refusal that arrives now be meant for this order?"""
        if evidence.state() not in (OrderState.NEW, OrderState.SENT, OrderState.UNKNOWN):
            return False
        if evidence.written_epoch is None:
            return evidence.intent.request_id in self.book.submitted
        return evidence.written_epoch == self.link.epoch and not evidence.link_lost

    def written(self, answer: Written) -> None:
        evidence = self.book.orders[answer.request_id]
        if evidence.written_epoch is None:
            evidence.written(answer.epoch, answer.at, answer.wall)
        self.ctx.after(ORDER_ACK_TIMEOUT, Look(answer.request_id))
        self.show(evidence)

    def not_sent(self, answer: NotSent) -> None:
        evidence = self.book.orders[answer.request_id]
        self.book.submitted.pop(answer.request_id, None)
        if answer.expired:
            evidence.deny(answer.reason)
        else:  # it waits for the link, at most until it expires
            self.book.waiting.setdefault(evidence.intent.asset, deque()).appendleft(answer.request_id)
        self.look(evidence)
        self.submit_next(evidence.intent.asset)

    def presume_written(self, evidence: Evidence) -> None:
        epoch = self.book.submitted[evidence.intent.request_id]
        evidence.written(epoch, self.seam.now(), self.seam.wall())
        evidence.lost(epoch)

    # --- what the venue says -----------------------------------------------------------------------------------------

    def deals(self, deals: Iterable[Deal], *, closed: bool = False) -> None:
        touched = set()
        for deal in deals:
            evidence = self.owner_of(deal)
            if evidence is None:
                self.book.external[deal.id] = deal
                while len(self.book.external) > ORDERS_KEPT_MAX:
                    self.book.external.popitem(last=False)
                continue
            self.book.owner[deal.id] = evidence.intent.request_id
            evidence.join(deal, closed=closed)
            self.show(evidence)
            if not evidence.settled:
                closes_in = self.account.clock.to_wall(deal.close_timestamp) - self.seam.wall()
                self.ctx.after(max(0.0, closes_in), Look(evidence.intent.request_id))
            touched.add(evidence.intent.asset)
        for asset in touched:
            self.submit_next(asset)

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
        """A refusal names no order: it is for the one in flight for its asset."""
        for evidence in self.live():
            if self.in_flight(evidence) and refusal.asset in (None, evidence.intent.asset):
                evidence.refuse(refusal.error)
                self.show(evidence)
                self.submit_next(evidence.intent.asset)
                return

    def opened_list(self) -> None:
        """All open deals have been told: an order that must be among them and is not was not accepted."""
        for evidence in self.lost_orders():
            if absent_from_opened(evidence, self.seam.wall()):
                self.absent(evidence)

    def closed_list(self, deals: Sequence[Deal]) -> None:
        """The last closed deals have been told: the same for an order that must have closed by now."""
        for evidence in self.lost_orders():
            if absent_from_closed(evidence, deals, self.seam.wall(), self.account.clock):
                self.absent(evidence)

    def lost_orders(self) -> list[Evidence]:
        """Orders that were written on a connection that is gone, and of which nothing has been heard."""
        return [evidence for evidence in self.live() if evidence.link_lost and evidence.deal is None]

    def absent(self, evidence: Evidence) -> None:
        evidence.absent()
        self.show(evidence)
        self.ctx.after(SETTLEMENT_GRACE, Look(evidence.intent.request_id))

    # --- the clock ---------------------------------------------------------------------------------------------------

    def look(self, evidence: Evidence) -> None:
        """Do what is due for one order: expiry, an overdue answer, a close that has passed."""
        intent, now = evidence.intent, self.seam.now()
        match evidence.state():
            case OrderState.NEW:
                if intent.request_id in self.book.submitted:
                    pass  # the connection will answer
                elif now >= intent.expires_at:
                    reason = "expired before it could be sent"
                    evidence.deny(reason if self.link.ready else f"{reason}: not connected")
                    self.submit_next(intent.asset)
            case OrderState.SENT:
                assert evidence.written_at is not None
                if now - evidence.written_at >= ORDER_ACK_TIMEOUT:
                    evidence.overdue = True
                    self.reconcile(evidence, f"no answer to order {intent.request_id}")
            case OrderState.UNKNOWN:
                self.reconcile(evidence, f"the fate of order {intent.request_id} is not known")
            case OrderState.OPEN:
                assert evidence.deal is not None
                over = self.seam.wall() - self.account.clock.to_wall(evidence.deal.close_timestamp)
                if over >= SETTLEMENT_GRACE:
                    self.reconcile(evidence, f"no result of deal {evidence.deal.id}")
                else:
                    self.ctx.after(SETTLEMENT_GRACE - over, Look(intent.request_id))
            case _:
                pass
        self.show(evidence)

    def reconcile(self, evidence: Evidence, reason: str) -> None:
        """Ask the venue: for its open deals where that can decide, else for everything, by connecting again."""
        request_id = evidence.intent.request_id
        asked = self.book.reconciliations.get(request_id, 0)
        if not self.link.ready or asked >= RECONCILIATIONS_MAX:
            return  # each login brings the lists by itself
        self.book.reconciliations[request_id] = asked + 1
        connection = self.ctx.lookup(CONNECTION)
        if evidence.link_lost and evidence.deal is None and absent_from_opened(evidence, self.seam.wall()):
            connection.tell(Transmit(RequestOpenedDeals(), epoch=self.link.epoch))
        else:
            connection.tell(Resync(reason))
        self.ctx.after(SETTLEMENT_GRACE * (asked + 1), Look(request_id))

    # --- the book ----------------------------------------------------------------------------------------------------

    def live(self) -> list[Evidence]:
        """The orders that can still change, oldest first."""
        return [
            evidence
            for request_id, evidence in self.book.orders.items()
            if not self.book.handles[request_id].state.ended
        ]

    def show(self, evidence: Evidence) -> None:
        """Bring the handle up to date with the evidence."""
        deal = evidence.deal
        passed = deal is not None and self.seam.wall() >= self.account.clock.to_wall(deal.close_timestamp)
        self.book.handles[evidence.intent.request_id].update(
            evidence.state(closing_passed=passed),
            deal,
            evidence.denied or evidence.refused,
            evidence.anomalies,
        )

    def forget_old(self) -> None:
        """Keep memory flat: the oldest ended orders go; a live one never does."""
        while len(self.book.orders) > ORDERS_KEPT_MAX:
            oldest = next((rid for rid, h in self.book.handles.items() if h.state.ended), None)
            if oldest is None:
                return
            evidence = self.book.orders.pop(oldest)
            del self.book.handles[oldest]
            self.book.submitted.pop(oldest, None)
            self.book.reconciliations.pop(oldest, None)
            if evidence.deal is not None:
                self.book.owner.pop(evidence.deal.id, None)
