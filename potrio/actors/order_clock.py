"""The clock of orders: what is due for one of them when, and which question to the venue would settle its fate."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import msgspec

from potrio.actor_errors import ChildNotFound
from potrio.actors.account import AccountState
from potrio.actors.book import Asked, Book
from potrio.actors.evidence import Anomaly, Evidence, OrderState
from potrio.actors.keys import CONNECTION, MONITOR
from potrio.actors.link import LinkState, Resync, Transmit
from potrio.actors.order_handle import OrderView
from potrio.actors.order_journal import OrderJournal
from potrio.actors.reconcile import absent_from_opened, closes_at, decides_in, written_at
from potrio.limits import ORDER_ACK_TIMEOUT, SETTLEMENT_GRACE
from potrio.protocol.messages.trading import RequestOpenedDeals
from potrio.seam import Seam
from potrio.supervision.context import ActorTimer, Context

__all__ = ["RECONCILIATIONS_MAX", "SOON_S", "Look", "OrderClock", "utc"]

SOON_S = 0.001
"""What is due within this time is due: a rest smaller than a clock can show would be waited for for ever."""

RECONCILIATIONS_MAX = 8
"""Times one order may make us ask for the venue's lists; after that it stays UNKNOWN until a list comes by itself."""


class Look(msgspec.Struct, frozen=True, gc=False):
    """Time to look at this order again."""

    request_id: str


class OrderClock:
    """When to look at which order. Every change of an order ends in `look`, which also brings its handle up to date."""

    def __init__(
        self,
        ctx: Context[Any],
        book: Book,
        account: AccountState,
        link: LinkState,
        seam: Seam,
        journal: OrderJournal[Evidence] | None = None,
    ) -> None:
        self.ctx = ctx
        self.journal = journal
        self.book = book
        self.account = account
        self.link = link
        self.seam = seam
        self.timers: dict[str, ActorTimer] = {}  # one per live order: when to look at it next

    def due(self, request_id: str) -> None:
        """A timer has rung."""
        self.timers.pop(request_id, None)
        if request_id in self.book.live:
            self.look(self.book.live[request_id])

    def look(self, evidence: Evidence) -> None:
        """Do what is due for one order: expiry, an overdue answer, a close that has passed; set the next look."""
        intent, now = evidence.intent, self.seam.now()
        if evidence.state() is OrderState.NEW:
            submission = self.book.submitted.get(intent.request_id)
            if submission is None and now >= intent.expires_at:
                evidence.deny(f"expired before it could be sent{self.hindrance(intent.request_id)}")
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

    def hindrance(self, request_id: str) -> str:
        """What keeps an order from being sent, as the end of a sentence."""
        if not self.link.ready:
            return ": not connected"
        if self.journal is not None and self.journal.waits(request_id):
            return ": the journal has not taken it in time"
        twin = self.book.twin_in_doubt(request_id)
        return "" if twin is None else f": the fate of {twin}, an order just like it, is not known"

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
            written = written_at(evidence, self.account.clock)
            assert written is not None
            # The first time, the lists may at least show it; after that only what proves something is worth a question.
            settled_in = written + ORDER_ACK_TIMEOUT - wall
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
            self.book.lists_due.append(wall)
            connection.tell(Transmit(RequestOpenedDeals(), epoch=self.link.epoch))
        else:
            connection.tell(Resync(reason, epoch=self.link.epoch))
        self.look_in(evidence, pause)

    def live(self) -> list[Evidence]:
        """The orders that can still change by themselves, oldest first."""
        return list(self.book.live.values())

    def show(self, evidence: Evidence) -> None:
        """Bring the handle up to date with the evidence, and tell of what contradicts what it showed before."""
        clock, wall = self.account.clock, self.seam.wall()
        deal = evidence.deal
        closes_in = math.inf if deal is None else closes_at(evidence, clock) - wall
        state = evidence.state(closing_passed=closes_in <= 0)
        view = OrderView(
            state=state,
            cause=evidence.cause(state),
            at=utc(clock.to_utc(clock.stamp_at(wall))) if clock.is_measured else None,
            deal=deal,
            reason=evidence.denied or evidence.refused,
            anomalies=evidence.anomalies,
            opened_at=None if deal is None else utc(clock.to_utc(deal.open_timestamp)),
            closes_at=None if deal is None else utc(clock.to_utc(deal.close_timestamp)),
            due_at=self.due_at(evidence, closes_in),
        )
        for anomaly in self.book.show(evidence, view):
            self.tell_monitor(anomaly)
        if self.journal is not None:
            self.journal.note(evidence)
        if state.ended:
            self.forget_timer(evidence.intent.request_id)

    def due_at(self, evidence: Evidence, closes_in: float) -> float:
        """When (trio's clock) the venue will have settled the order, as far as is known."""
        if evidence.deal is not None:
            if self.book.handles[evidence.intent.request_id].deal is evidence.deal:
                return self.book.handles[evidence.intent.request_id].due_at  # said once: the estimate wanders
            return self.seam.now() + closes_in
        left_at = evidence.intent.expires_at if evidence.written_at is None else evidence.written_at
        return left_at + evidence.intent.duration_s

    def tell_monitor(self, anomaly: Anomaly) -> None:
        try:
            self.ctx.lookup(MONITOR).tell(anomaly)
        except ChildNotFound:
            pass  # it is just being started anew; the book has the record

    def presume_written(self, evidence: Evidence) -> None:
        """Handed over, and the answer may have been lost in a crash: never hand it over again (P1)."""
        submission = self.book.submitted.pop(evidence.intent.request_id)
        evidence.presume(submission.epoch, submission.at, submission.wall)


def utc(seconds: float) -> datetime:
    """A moment of UTC as an aware datetime."""
    return datetime.fromtimestamp(seconds, UTC)
