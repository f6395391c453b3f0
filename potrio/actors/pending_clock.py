"""The clock of pending orders: expiry, overdue answers, cancellations to be asked for again, moments that passed."""

from __future__ import annotations

from typing import Any

import msgspec

from potrio.actors.account import AccountState
from potrio.actors.book import Book
from potrio.actors.evidence import Anomaly
from potrio.actors.keys import CONNECTION
from potrio.actors.link import LinkState, Resync, Transmit
from potrio.actors.order_clock import RECONCILIATIONS_MAX, SOON_S, OrderClock, utc
from potrio.actors.order_journal import OrderJournal
from potrio.actors.pending_book import Questions
from potrio.actors.pending_evidence import PendingEvidence, PendingIntent, PendingState
from potrio.actors.pending_handle import PendingView
from potrio.limits import ORDER_ACK_TIMEOUT, REQUEST_TIMEOUT, SETTLEMENT_GRACE
from potrio.protocol.messages.base import Message
from potrio.protocol.messages.pending import CancelPendingOrder, CancelPendingOrders
from potrio.seam import Seam
from potrio.supervision.context import ActorTimer, Context

__all__ = ["LookPending", "PendingClock"]

CANCELS_MAX = 3
"""Times a cancellation is asked for on connections that do not answer, before it counts as refused."""


class LookPending(msgspec.Struct, frozen=True, gc=False):
    """Time to look at this pending order again."""

    request_id: str


class PendingClock:
    """When to look at which pending order. Every change of one ends in `look`."""

    def __init__(
        self,
        ctx: Context[Any],
        book: Book,
        account: AccountState,
        link: LinkState,
        seam: Seam,
        clock: OrderClock,
        journal: OrderJournal[PendingEvidence] | None = None,
    ) -> None:
        self.journal = journal
        self.ctx = ctx
        self.book = book
        self.pending = book.pending
        self.account = account
        self.link = link
        self.seam = seam
        self.clock = clock
        self.timers: dict[str, ActorTimer] = {}

    def due(self, request_id: str) -> None:
        """A timer has rung."""
        self.timers.pop(request_id, None)
        if request_id in self.pending.live:
            self.look(self.pending.live[request_id])

    def look(self, evidence: PendingEvidence) -> None:
        """Do what is due for one order; set the next look; bring its handle up to date."""
        now = self.seam.now()
        if evidence.state() is PendingState.NEW:
            self.look_new(evidence, now)
        match evidence.state():
            case PendingState.SENT:
                assert evidence.written_at is not None
                wait = evidence.written_at + ORDER_ACK_TIMEOUT - now
                evidence.overdue = wait <= SOON_S
                if evidence.overdue:
                    self.reconcile(evidence, 0.0)
                else:
                    self.look_in(evidence, wait)
            case PendingState.UNKNOWN:
                assert evidence.written_at is not None
                self.reconcile(evidence, evidence.written_at + ORDER_ACK_TIMEOUT - now)
            case PendingState.WORKING | PendingState.CANCEL_SENT:
                self.look_working(evidence, now)
            case _:
                pass
        self.show(evidence)

    def look_new(self, evidence: PendingEvidence, now: float) -> None:
        intent = evidence.intent
        handover = self.pending.submitted.get(intent.request_id)
        if handover is None and evidence.cancel_wanted:
            evidence.deny("cancelled before it was sent")
        elif handover is None and now >= intent.expires_at:
            evidence.deny(f"expired before it could be sent{self.hindrance(intent)}")
        elif handover is None:
            self.look_in(evidence, intent.expires_at - now)
        elif now - handover.at < ORDER_ACK_TIMEOUT - SOON_S:
            self.look_in(evidence, handover.at + ORDER_ACK_TIMEOUT - now)
        else:
            self.presume_written(evidence)

    def hindrance(self, intent: PendingIntent) -> str:
        """What keeps an order from being sent, as the end of a sentence."""
        if not self.link.ready:
            return ": not connected"
        if self.journal is not None and self.journal.waits(intent.request_id):
            return ": the journal has not taken it in time"
        twin = self.pending.twin_in_doubt(intent)
        return "" if twin is None else f": the fate of {twin}, an order just like it, is not known"

    def look_working(self, evidence: PendingEvidence, now: float) -> None:
        """Ask for the cancellation that is wanted, and for the venue's lists where one of them should have it."""
        if evidence.cancel_wanted and self.link.ready:
            wait = evidence.cancel_at + REQUEST_TIMEOUT - now
            if evidence.cancel_epoch != self.link.epoch or wait <= SOON_S:
                if evidence.cancel_asks >= CANCELS_MAX:
                    evidence.refuse_cancel("the venue does not answer")
                else:
                    self.ask_cancel([evidence])
                    wait = REQUEST_TIMEOUT
            self.look_in(evidence, wait)
        elif evidence.absences:
            assert evidence.absent_at is not None
            self.reconcile(evidence, evidence.absent_at + SETTLEMENT_GRACE - now)
        elif evidence.intent.open_stamp is not None and self.account.clock.is_measured:
            opens_in = self.account.clock.to_wall(evidence.intent.open_stamp) - self.seam.wall()
            self.reconcile(evidence, opens_in + SETTLEMENT_GRACE)

    def ask_cancel(self, wanted: list[PendingEvidence]) -> None:
        """Ask the venue to cancel these, together where they are several; safe to repeat."""
        tickets = tuple(evidence.ticket for evidence in wanted if evidence.ticket is not None)
        for evidence in wanted:
            evidence.ask_cancel(self.link.epoch, self.seam.now())
        message: Message = CancelPendingOrder(tickets[0])
        if len(tickets) > 1:
            self.pending.batches.append(tickets)
            message = CancelPendingOrders(list(tickets))
        self.ctx.lookup(CONNECTION).tell(Transmit(message, epoch=self.link.epoch))

    def reconcile(self, evidence: PendingEvidence, wait: float) -> None:
        """Ask for the venue's list after a while; the only way is to connect again, and that has a limit."""
        request_id = evidence.intent.request_id
        asked, now = self.pending.questions.get(request_id, Questions()), self.seam.now()
        if not self.link.ready or asked.times >= RECONCILIATIONS_MAX:
            return  # each login brings the lists by itself
        wait = max(wait, asked.again_at - now)
        if wait > SOON_S:
            self.look_in(evidence, wait)
            return
        pause = SETTLEMENT_GRACE * (asked.times + 1)
        self.pending.questions[request_id] = Questions(asked.times + 1, now + pause)
        reason = f"the fate of pending order {request_id} is not known"
        self.ctx.lookup(CONNECTION).tell(Resync(reason, epoch=self.link.epoch))
        self.look_in(evidence, pause)

    def list_under_way(self, evidence: PendingEvidence) -> None:
        """A new link brings the list by itself: do not ask for it yet."""
        request_id = evidence.intent.request_id
        asked, until = self.pending.questions.get(request_id, Questions()), self.seam.now() + SETTLEMENT_GRACE
        self.pending.questions[request_id] = Questions(asked.times, max(asked.again_at, until))

    def presume_written(self, evidence: PendingEvidence) -> None:
        """Handed over, and the answer may have been lost in a crash: never hand it over again."""
        handover = self.pending.submitted.pop(evidence.intent.request_id)
        evidence.presume(handover.epoch, handover.at, handover.wall)

    def look_in(self, evidence: PendingEvidence, delay: float) -> None:
        """Look again after a while; there is one such timer per order."""
        request_id = evidence.intent.request_id
        self.forget_timer(request_id)
        self.timers[request_id] = self.ctx.after(max(0.0, delay), LookPending(request_id))

    def forget_timer(self, request_id: str) -> None:
        timer = self.timers.pop(request_id, None)
        if timer is not None:
            timer.cancel()

    def show(self, evidence: PendingEvidence) -> None:
        """Bring the handle up to date, and record what contradicts what it showed before."""
        state, clock = evidence.state(), self.account.clock
        request_id = evidence.intent.request_id
        handle = self.pending.handles[request_id]
        at = utc(clock.to_utc(clock.stamp_at(self.seam.wall()))) if clock.is_measured else None
        if evidence.intent.open_stamp is not None:
            handle.opens_at = utc(clock.to_utc(evidence.intent.open_stamp))
        view = PendingView(
            state=state,
            cause=evidence.cause(state),
            at=at,
            ticket=evidence.ticket,
            order=None if evidence.deal_id is None else self.book.find(evidence.ticket or request_id),
            cancel_refused=evidence.cancel_refused,
            anomalies=evidence.anomalies,
        )
        for text in self.pending.show(evidence, view):
            anomaly = Anomaly(request_id, text, at)
            self.book.record(anomaly)
            self.clock.tell_monitor(anomaly)
        if self.journal is not None and not evidence.intent.external:
            self.journal.note(evidence)
        if state.ended:
            self.forget_timer(request_id)
