"""The way out of an order: taken on, held until it may leave, its turn on its asset, handed to the connection once."""

from __future__ import annotations

from collections import deque

from potrio.actors.book import Book, Submission
from potrio.actors.evidence import Evidence, OrderIntent, OrderState, same_terms
from potrio.actors.journal import Journaled, JournalFailed
from potrio.actors.keys import CONNECTION
from potrio.actors.link import LinkState, NotSent, SubmitOrder, Written
from potrio.actors.order_clock import OrderClock
from potrio.actors.order_handle import OrderHandle
from potrio.actors.order_journal import OrderJournal
from potrio.protocol.messages.trading import OpenOrder
from potrio.seam import Seam
from potrio.supervision.call import Call

__all__ = ["OrderSending"]


class OrderSending:
    """Orders from intent to wire, each at most once (P1), and one unanswered per asset at most."""

    def __init__(
        self,
        book: Book,
        clock: OrderClock,
        link: LinkState,
        seam: Seam,
        journal: OrderJournal[Evidence] | None = None,
    ) -> None:
        self.book = book
        self.journal = journal
        self.clock = clock
        self.link = link
        self.seam = seam

    def place(self, intent: OrderIntent, call: Call[OrderHandle]) -> None:
        """Take an order on and answer with its handle; the same id and terms again are the same order."""
        known = self.book.handles.get(intent.request_id)
        if known is not None:
            if same_terms(known.intent, intent):
                call.reply(known)
            else:
                call.fail(ValueError(f"request id {intent.request_id} is taken by an order with other terms"))
            return
        handle = self.book.add(intent)
        self.enqueue(intent)
        call.reply(handle)
        self.clock.look(self.book.orders[intent.request_id])
        self.admit(intent)

    def enqueue(self, intent: OrderIntent) -> None:
        """Let an order wait for its turn, held back until `release`."""
        self.book.held.add(intent.request_id)
        self.book.waiting.setdefault(intent.asset, deque()).append(intent.request_id)

    def admit(self, intent: OrderIntent) -> None:
        """Taken on, not yet to be handed over: what has to be done before (a journal's entry) ends in `release`."""
        self.release(intent.request_id)

    def release(self, request_id: str) -> None:
        """From here on the order may be handed to the connection, in its turn."""
        self.book.held.discard(request_id)
        evidence = self.book.live.get(request_id)  # None: denied meanwhile
        if evidence is not None:
            self.submit_next(evidence.intent.asset)

    def submit_waiting(self) -> None:
        for asset in list(self.book.waiting):
            self.submit_next(asset)

    def submit_next(self, asset: str) -> None:
        """Hand the next order of this asset to the connection, unless one of them is still unanswered."""
        queue = self.book.waiting.get(asset, deque())
        for request_id in [request_id for request_id in queue if request_id not in self.book.live]:
            queue.remove(request_id)  # denied meanwhile
        if not queue:
            self.book.waiting.pop(asset, None)
            return
        if not self.link.ready or any(
            self.in_flight(e) for e in self.clock.live() if e.intent.asset == asset
        ):
            return
        request_id = next((request_id for request_id in queue if self.may_leave(request_id)), "")
        if not request_id or (self.journal is not None and not self.journal.may_leave(request_id)):
            return
        queue.remove(request_id)
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
        if self.journal is not None:
            self.journal.leaves(request_id)
        self.clock.ctx.lookup(CONNECTION).tell(SubmitOrder(request_id, order, intent.expires_at))
        self.clock.look(self.book.orders[request_id])

    def may_leave(self, request_id: str) -> bool:
        """Is it released, and is there no order just like it in doubt, which could take its deal for its own?"""
        return request_id not in self.book.held and self.book.twin_in_doubt(request_id) is None

    def journaled(self, answer: Journaled | JournalFailed) -> None:
        """The intent is on disk, and the order may leave (I2); or it is not, and the order never will."""
        if self.journal is None or not self.journal.answered(answer):
            return
        evidence = self.book.live.get(answer.request_id)
        if evidence is None:
            return  # denied meanwhile
        if isinstance(answer, JournalFailed):
            evidence.deny(answer.reason)
            self.clock.look(evidence)
        self.submit_next(evidence.intent.asset)

    def in_flight(self, evidence: Evidence) -> bool:
        """Could a refusal that arrives from now on be meant for this order?"""
        if evidence.written_epoch is None:
            return evidence.intent.request_id in self.book.submitted
        return not evidence.link_lost and evidence.state() in (OrderState.SENT, OrderState.UNKNOWN)

    def written(self, answer: Written) -> None:
        evidence = self.book.orders[answer.request_id]
        self.book.submitted.pop(answer.request_id, None)
        evidence.written(answer.epoch, answer.at, answer.wall)
        self.clock.look(evidence)

    def not_sent(self, answer: NotSent) -> None:
        evidence = self.book.orders[answer.request_id]
        self.book.submitted.pop(answer.request_id, None)
        if answer.final or evidence.presumed:  # what was shown as UNKNOWN does not become new again
            evidence.deny(answer.reason)
        else:  # it waits for the link, at most until it expires
            self.book.waiting.setdefault(evidence.intent.asset, deque()).appendleft(answer.request_id)
        self.clock.look(evidence)
        self.submit_next(evidence.intent.asset)
