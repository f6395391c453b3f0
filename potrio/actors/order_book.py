"""The order book actor: the single writer of every order, from intent to settlement.

It sends each order at most once: the connection is handed an order one time per `NotSent` answer, and once it has
answered `Written` never again, whatever happens to the link, to an actor or to the answer. At most one order per
asset is unanswered at any moment, because a refusal carries no id: so it can only belong to that one.

What the venue reports is evidence (`evidence.py`), however it comes: a reply, a close event, or one of the lists that
follow each login. An order whose fate is not known is UNKNOWN and is looked for in those lists.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from potrio.actors.account import AccountState
from potrio.actors.book import Asked, Book, Submission
from potrio.actors.evidence import Evidence, OrderIntent, OrderState
from potrio.actors.keys import CONNECTION
from potrio.actors.link import LinkLost, LinkState, LinkUp, NotSent, Resync, SubmitOrder, Transmit, Written
from potrio.actors.order_handle import OrderHandle
from potrio.actors.reconcile import (
    absent_from_closed,
    absent_from_opened,
    closes_at,
    decides_in,
    looks_like,
    meant_by,
    same_terms,
)
from potrio.limits import ORDER_ACK_TIMEOUT, SETTLEMENT_GRACE
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
from potrio.supervision.context import ActorTimer, Context

__all__ = ["OrderBookMessage", "PlaceOrder", "order_book"]

SOON_S = 0.001
"""What is due within this time is due: a rest smaller than a clock can show would be waited for for ever."""

ABSENCES_APART_S = 1.0
"""Two lists count as two only this far apart: the venue may tell one twice."""

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
        self.timers: dict[str, ActorTimer] = {}  # one per live order: when to look at it next

    def handle(self, message: OrderBookMessage | Any) -> None:
        match message:
            case Call(msg=PlaceOrder(intent=intent)):
                self.place(intent, message)
            case Written():
                self.written(message)
            case NotSent():
                self.not_sent(message)
            case OrderOpened(deal=deal, request_id=str(request_id)) if request_id in self.book.orders:
                self.deals([deal], named=self.book.orders[request_id])
            case OrderOpened(deal=deal):
                self.deals([deal])
            case OrderFailed():
                self.refused(message)
            case DealsClosed(deals=deals):
                self.deals(deals, closed=True)
            case OpenedDeals(deals=deals, rejected=rejected):
                self.deals(deals)
                if not rejected:  # a row that cannot be read may be the one that is looked for
                    self.opened_list()
            case ClosedDeals(deals=deals, rejected=rejected):
                self.deals(deals, closed=True)
                if not rejected:
                    self.closed_list(deals)
            case LinkUp(epoch=epoch):
                self.link_up(epoch)
            case LinkLost(epoch=epoch):
                for evidence in self.live():
                    evidence.lost(epoch)
                    self.show(evidence)
            case Look(request_id=request_id):
                self.timers.pop(request_id, None)
                if request_id in self.book.live:
                    self.look(self.book.live[request_id])
            case _:
                raise AssertionError(f"the order book has no use for a {type(message).__name__}")

    def resume(self) -> None:
        """A new incarnation: timers died with the old one, and a message in hand may have."""
        link, book = self.link, self.book
        gone = link.epoch - 1 if link.ready else link.epoch
        book.waiting.clear()
        for evidence in self.live():
            request_id = evidence.intent.request_id
            if request_id in book.submitted:
                self.presume_written(evidence)
            elif evidence.state() is OrderState.NEW:
                book.waiting.setdefault(evidence.intent.asset, deque()).append(request_id)
            evidence.lost(gone)
            self.look(evidence)
        self.submit_waiting()

    def link_up(self, epoch: int) -> None:
        """All of the links before is known now; the venue's lists are on their way, so do not ask for them yet."""
        book, until = self.book, self.seam.now() + SETTLEMENT_GRACE
        for evidence in self.live():
            request_id = evidence.intent.request_id
            submission = book.submitted.get(request_id)
            if submission is not None and submission.epoch < epoch:
                self.presume_written(evidence)  # the connection would have answered by now
            evidence.lost(epoch - 1)
            asked = book.asked.get(request_id, Asked())
            book.asked[request_id] = Asked(asked.times, max(asked.again_at, until))
            self.look(evidence)
        self.submit_waiting()

    # --- from intent to wire -----------------------------------------------------------------------------------------

    def place(self, intent: OrderIntent, call: Call[OrderHandle]) -> None:
        known = self.book.handles.get(intent.request_id)
        if known is not None:
            if same_terms(known.intent, intent):
                call.reply(known)
            else:
                call.fail(ValueError(f"request id {intent.request_id} is taken by an order with other terms"))
            return
        handle = self.book.add(intent)
        self.book.waiting.setdefault(intent.asset, deque()).append(intent.request_id)
        call.reply(handle)
        self.look(self.book.orders[intent.request_id])
        self.submit_next(intent.asset)

    def submit_waiting(self) -> None:
        for asset in list(self.book.waiting):
            self.submit_next(asset)

    def submit_next(self, asset: str) -> None:
        """Hand the next order of this asset to the connection, unless one of them is still unanswered."""
        queue = self.book.waiting.get(asset)
        while queue and queue[0] not in self.book.live:  # denied meanwhile
            queue.popleft()
        if not queue:
            self.book.waiting.pop(asset, None)
            return
        if not self.link.ready or any(self.in_flight(e) for e in self.live() if e.intent.asset == asset):
            return
        request_id = queue.popleft()
        intent = self.book.orders[request_id].intent
        order = OpenOrder(
            asset=intent.asset,
            amount=intent.amount,
            action=intent.side,
            is_demo=int(intent.is_demo),
            request_id=request_id,
            time=intent.duration_s,
        )
        self.book.submitted[request_id] = Submission(self.link.epoch, self.seam.now(), self.seam.wall())
        self.ctx.lookup(CONNECTION).tell(SubmitOrder(request_id, order, intent.expires_at))
        self.look(self.book.orders[request_id])

    def in_flight(self, evidence: Evidence) -> bool:
        """Could a refusal that arrives from now on be meant for this order?"""
        if evidence.written_epoch is None:
            return evidence.intent.request_id in self.book.submitted
        return not evidence.link_lost and evidence.state() in (OrderState.SENT, OrderState.UNKNOWN)

    def written(self, answer: Written) -> None:
        evidence = self.book.orders[answer.request_id]
        self.book.submitted.pop(answer.request_id, None)
        evidence.written(answer.epoch, answer.at, answer.wall)
        self.look(evidence)

    def not_sent(self, answer: NotSent) -> None:
        evidence = self.book.orders[answer.request_id]
        self.book.submitted.pop(answer.request_id, None)
        if answer.final or evidence.presumed:  # what was shown as UNKNOWN does not become new again
            evidence.deny(answer.reason)
        else:  # it waits for the link, at most until it expires
            self.book.waiting.setdefault(evidence.intent.asset, deque()).appendleft(answer.request_id)
        self.look(evidence)
        self.submit_next(evidence.intent.asset)

    def presume_written(self, evidence: Evidence) -> None:
        """Handed over, and the answer may have been lost in a crash: never hand it over again (P1)."""
        submission = self.book.submitted.pop(evidence.intent.request_id)
        evidence.presume(submission.epoch, submission.at, submission.wall)

    # --- what the venue says -----------------------------------------------------------------------------------------

    def deals(self, deals: Iterable[Deal], *, closed: bool = False, named: Evidence | None = None) -> None:
        for deal in deals:
            evidence = named or self.owner_of(deal)
            if evidence is None:
                self.book.keep_external(deal)
                continue
            before = self.book.external.get(deal.id)  # its end may have been told before its beginning
            changed = self.book.bind(deal, evidence, exact=named is not None)
            if self.book.owner.get(deal.id) == evidence.intent.request_id:
                if before is not None:
                    evidence.join(before)
                evidence.join(deal, closed=closed)
            for other in changed:
                self.look(other)
                self.submit_next(other.intent.asset)

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
        in_flight = [e for e in self.live() if e.written_epoch is not None and self.in_flight(e)]
        evidence = meant_by(refusal, in_flight)
        if evidence is not None:
            evidence.refuse(refusal.error)
            self.look(evidence)
            self.submit_next(evidence.intent.asset)

    def opened_list(self) -> None:
        """All open deals have been told: an order that must be among them and is not was not accepted."""
        for evidence in self.lost_orders():
            if absent_from_opened(evidence, self.seam.wall(), self.account.clock):
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
        now = self.seam.now()
        if evidence.absent_at is None or now - evidence.absent_at >= ABSENCES_APART_S:
            evidence.absent_at = now
            evidence.absent()
        self.look(evidence)

    # --- the clock ---------------------------------------------------------------------------------------------------

    def look(self, evidence: Evidence) -> None:
        """Do what is due for one order: expiry, an overdue answer, a close that has passed; set the next look."""
        intent, now = evidence.intent, self.seam.now()
        if evidence.state() is OrderState.NEW:
            submission = self.book.submitted.get(intent.request_id)
            if submission is None and now >= intent.expires_at:
                reason = "expired before it could be sent"
                evidence.deny(reason if self.link.ready else f"{reason}: not connected")
            elif submission is None:
                self.look_in(evidence, intent.expires_at - now)
            elif now - submission.at < ORDER_ACK_TIMEOUT - SOON_S:
                self.look_in(evidence, submission.at + ORDER_ACK_TIMEOUT - now)
            else:  # the connection always answers; who would have, has crashed
                self.presume_written(evidence)
        match evidence.state():
            case OrderState.SENT:
                assert evidence.written_at is not None
                wait = evidence.written_at + ORDER_ACK_TIMEOUT - now
                evidence.overdue = wait <= SOON_S
                if evidence.overdue:
                    self.reconcile(evidence, f"no answer to order {intent.request_id}")
                else:
                    self.look_in(evidence, wait)
            case OrderState.UNKNOWN:
                self.reconcile(evidence, f"the fate of order {intent.request_id} is not known")
            case OrderState.OPEN:
                self.await_close(evidence)
            case _:
                pass
        self.show(evidence)

    def await_close(self, evidence: Evidence) -> None:
        assert evidence.deal is not None
        closes_in = closes_at(evidence, self.account.clock) - self.seam.wall()
        if closes_in > SOON_S:
            self.look_in(evidence, closes_in)
        elif closes_in > SOON_S - SETTLEMENT_GRACE:
            self.look_in(evidence, closes_in + SETTLEMENT_GRACE)
        else:
            self.reconcile(evidence, f"no result of deal {evidence.deal.id}")

    def look_in(self, evidence: Evidence, delay: float) -> None:
        """Look again after a while; there is one such timer per order."""
        request_id = evidence.intent.request_id
        self.forget_timer(request_id)
        self.timers[request_id] = self.ctx.after(max(0.0, delay), Look(request_id))

    def forget_timer(self, request_id: str) -> None:
        timer = self.timers.pop(request_id, None)
        if timer is not None:
            timer.cancel()

    def reconcile(self, evidence: Evidence, reason: str) -> None:
        """Ask the venue: for its open deals where that can decide, else for everything, by connecting again."""
        request_id, now, wall = evidence.intent.request_id, self.seam.now(), self.seam.wall()
        asked = self.book.asked.get(request_id, Asked())
        if not self.link.ready or asked.times >= RECONCILIATIONS_MAX:
            return  # each login brings the lists by itself
        wait = asked.again_at - now
        if evidence.link_lost and evidence.deal is None:
            assert evidence.written_wall is not None
            # The first time, the lists may at least show it; after that only what proves something is worth a question.
            settled_in = evidence.written_wall + ORDER_ACK_TIMEOUT - wall
            wait = max(wait, decides_in(evidence, wall, self.account.clock) if asked.times else settled_in)
        if wait > SOON_S:
            self.look_in(evidence, wait)
            return
        pause = SETTLEMENT_GRACE * (asked.times + 1)
        self.book.asked[request_id] = Asked(asked.times + 1, now + pause)
        connection = self.ctx.lookup(CONNECTION)
        if (
            evidence.link_lost
            and evidence.deal is None
            and absent_from_opened(evidence, wall, self.account.clock)
        ):
            connection.tell(Transmit(RequestOpenedDeals(), epoch=self.link.epoch))
        else:
            connection.tell(Resync(reason, epoch=self.link.epoch))
        self.look_in(evidence, pause)

    # --- the book ----------------------------------------------------------------------------------------------------

    def live(self) -> list[Evidence]:
        """The orders that can still change by themselves, oldest first."""
        return list(self.book.live.values())

    def show(self, evidence: Evidence) -> None:
        """Bring the handle up to date with the evidence."""
        passed = evidence.deal is not None and self.seam.wall() >= closes_at(evidence, self.account.clock)
        if not self.book.show(evidence, passed):
            self.forget_timer(evidence.intent.request_id)
