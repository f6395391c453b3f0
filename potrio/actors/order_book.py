"""The order book actor: the single writer of every order, from intent to settlement.

It sends each order at most once: the connection is handed an order one time per `NotSent` answer, and once it has
answered `Written` never again, whatever happens to the link, to an actor or to the answer. At most one order per
asset is unanswered at any moment, because a refusal carries no id: so it can only belong to that one.

What the venue reports is evidence (`evidence.py`), however it comes: a reply, a close event, or one of the lists that
follow each login. An order whose fate is not known is UNKNOWN and is looked for in those lists.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from potrio.actors.account import AccountState
from potrio.actors.book import Asked, Book
from potrio.actors.evidence import Evidence, OrderIntent, OrderState
from potrio.actors.journal import Journaled, JournalFailed, JournalState
from potrio.actors.journal_record import record_of
from potrio.actors.link import LinkLost, LinkState, LinkUp, NotSent, Written
from potrio.actors.order_clock import Look, OrderClock
from potrio.actors.order_facts import OrderFacts
from potrio.actors.order_handle import OrderHandle
from potrio.actors.order_journal import OrderJournal
from potrio.actors.order_sending import OrderSending
from potrio.actors.pending_desk import PendingDesk, PendingMessage
from potrio.actors.pending_evidence import PendingEvidence
from potrio.actors.pending_record import PENDING, pending_record_of
from potrio.limits import SETTLEMENT_GRACE
from potrio.protocol.messages.trading import ClosedDeals, DealsClosed, OpenedDeals, OrderFailed, OrderOpened
from potrio.protocol.server_clock import ServerClock
from potrio.seam import Seam
from potrio.supervision.call import Call, Request
from potrio.supervision.context import Context

__all__ = ["OrderBookMessage", "PlaceOrder", "order_book"]

RECOGNISE_S = 0.25
"""Between two looks at whether the venue's clock is known by now; a first connection takes a second or so."""


class PlaceOrder(Request[OrderHandle], frozen=True):
    """Take this order on; answered with its handle at once. The same id and terms again give the same handle."""

    intent: OrderIntent


class Recognise(msgspec.Struct, frozen=True, gc=False):
    """Time to see whether deals that were told before the venue's clock was known can be recognised now."""


OrderBookMessage = (
    Call[OrderHandle]
    | PendingMessage
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
    | Journaled
    | JournalFailed
    | Recognise
)


async def order_book(
    ctx: Context[OrderBookMessage],
    book: Book,
    account: AccountState,
    link: LinkState,
    seam: Seam,
    journal: JournalState | None = None,
) -> None:
    """Keep the book until stopped. Cancelling sends nothing more; the book keeps what is known.

    With a journal no order leaves before its intent is on disk, and what is known follows it.
    """
    kept, kept_pending = (
        (None, None) if journal is None else journals(ctx, book, journal, seam, account.clock)
    )
    clerk = _Clerk(ctx, book, account, link, seam, kept)
    clerk.resume()
    pending = PendingDesk(ctx, book, clerk.clock, kept_pending)
    pending.resume()
    async for message in ctx.inbox:
        if not pending.take(message):
            clerk.handle(message)
            pending.follow(message)


def journals(
    ctx: Context[Any], book: Book, state: JournalState, seam: Seam, clock: ServerClock
) -> tuple[OrderJournal[Evidence], OrderJournal[PendingEvidence]]:
    """What is kept of market orders, and of pending ones."""
    pending = book.pending
    return (
        OrderJournal(
            ctx, state, seam, clock,
            orders=book.orders, live=book.live, submitted=book.submitted, record_of=record_of,
        ),
        OrderJournal(
            ctx, state, seam, clock,
            orders=pending.orders, live=pending.live, submitted=pending.submitted, record_of=pending_record_of,
            prefix=PENDING,
        ),
    )  # fmt: skip


class _Clerk:
    """One incarnation at work on the book."""

    def __init__(
        self,
        ctx: Context[OrderBookMessage],
        book: Book,
        account: AccountState,
        link: LinkState,
        seam: Seam,
        journal: OrderJournal[Evidence] | None,
    ) -> None:
        self.ctx = ctx
        self.account = account
        self.book = book
        self.link = link
        self.seam = seam
        self.clock = OrderClock(ctx, book, account, link, seam, journal)
        self.sending = OrderSending(book, self.clock, link, seam, journal)
        self.facts = OrderFacts(book, account, self.clock, self.sending, seam)

    def handle(self, message: OrderBookMessage | Any) -> None:
        match message:
            case Call(msg=PlaceOrder(intent=intent)):
                self.sending.place(intent, message)
            case Written():
                self.sending.written(message)
            case NotSent():
                self.sending.not_sent(message)
            case OrderOpened() | OrderFailed() | DealsClosed() | OpenedDeals() | ClosedDeals():
                self.facts.hear(message)
            case LinkUp(epoch=epoch):
                self.link_up(epoch)
            case LinkLost(epoch=epoch):
                for evidence in self.clock.live():
                    evidence.lost(epoch)
                    self.clock.show(evidence)
            case Journaled() | JournalFailed():
                self.sending.journaled(message)
            case Recognise():
                self.recognise()
            case Look(request_id=request_id):
                self.clock.due(request_id)
            case _:
                raise AssertionError(f"the order book has no use for a {type(message).__name__}")

    def resume(self) -> None:
        """A new incarnation: timers died with the old one, and a message in hand may have."""
        link, book, clock = self.link, self.book, self.clock
        gone = link.epoch - 1 if link.ready else link.epoch
        book.waiting.clear()
        held = []
        for evidence in clock.live():
            request_id = evidence.intent.request_id
            if request_id in book.submitted:
                clock.presume_written(evidence)
            elif evidence.state() is OrderState.NEW:
                book.waiting.setdefault(evidence.intent.asset, deque()).append(request_id)
                if request_id in book.held:
                    held.append(evidence.intent)
            evidence.lost(gone)
            clock.look(evidence)
        for intent in held:
            self.sending.admit(intent)
        self.sending.submit_waiting()
        if not self.account.clock.is_measured:
            self.recognise()

    def recognise(self) -> None:
        """As long as an order of before is looked for, wait for the venue's clock: no deal is recognised without it."""
        if not self.facts.lost_orders():
            return
        if self.account.clock.is_measured:
            self.facts.recognise()
        else:
            self.ctx.after(RECOGNISE_S, Recognise(), key="recognise")

    def link_up(self, epoch: int) -> None:
        """All of the links before is known now; the venue's lists are on their way, so do not ask for them yet."""
        book, until = self.book, self.seam.now() + SETTLEMENT_GRACE
        book.lists_begin(self.seam.wall())
        for evidence in self.clock.live():
            request_id = evidence.intent.request_id
            submission = book.submitted.get(request_id)
            if submission is not None and submission.epoch < epoch:
                self.clock.presume_written(evidence)  # the connection would have answered by now
            evidence.lost(epoch - 1)
            asked = book.asked.get(request_id, Asked())
            book.asked[request_id] = Asked(asked.times, max(asked.again_at, until))
            self.clock.look(evidence)
        self.sending.submit_waiting()
