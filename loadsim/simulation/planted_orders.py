"""Planted bugs of orders: sent twice, settled wrongly, given to others, written down too late."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec
import trio

from potrio.actors import order_facts
from potrio.actors.book import Book
from potrio.actors.evidence import Evidence
from potrio.actors.keys import CONNECTION
from potrio.actors.link import SubmitOrder
from potrio.actors.order_clock import OrderClock
from potrio.actors.order_facts import OrderFacts
from potrio.actors.order_journal import OrderJournal
from potrio.actors.reconcile import closes_at, meant_by
from potrio.client.trading import TradingCalls
from potrio.protocol.messages.trading import ClosedDeals, DealsClosed, OpenOrder

__all__ = ["ORDER_BUGS", "Patches"]

Patches = tuple[tuple[Any, str, Any], ...]
"""(class or module, name, what it is replaced by)."""


def _send_again(clock: OrderClock, evidence: Evidence) -> None:
    intent = evidence.intent
    order = OpenOrder(
        asset=intent.asset,
        amount=intent.amount,
        action=intent.side,
        is_demo=int(intent.is_demo),
        request_id=intent.request_id,
        time=intent.duration_s,
    )
    clock.ctx.lookup(CONNECTION).tell(SubmitOrder(intent.request_id, order, clock.seam.now() + 10))


def resend_after_reconnect() -> Patches:
    """An order without an answer is sent again on the next connection."""
    real = OrderFacts.opened_list

    def opened_list(self: OrderFacts) -> None:
        for evidence in self.clock.live():
            if evidence.link_lost and evidence.deal is None and not evidence.presumed:
                evidence.presumed = True
                _send_again(self.clock, evidence)
        real(self)

    return ((OrderFacts, "opened_list", opened_list),)


def resend_when_unanswered() -> Patches:
    """An order whose answer is overdue is sent again."""
    real = OrderClock.reconcile

    def reconcile(self: OrderClock, evidence: Evidence, reason: str) -> None:
        if evidence.deal is None and self.link.ready:
            _send_again(self, evidence)
        real(self, evidence, reason)

    return ((OrderClock, "reconcile", reconcile),)


def no_grace_before_void() -> Patches:
    """Whatever is not in the first list counts as never accepted."""

    def absent(*_: object) -> bool:
        return True

    real = Evidence.state

    def state(self: Evidence, closing_passed: bool = False) -> Any:
        if self.absences:
            self.absences = 9
        return real(self, closing_passed)

    return (
        (order_facts, "absent_from_opened", absent),
        (order_facts, "absent_from_closed", absent),
        (Evidence, "state", state),
    )


def settlement_doubled() -> Patches:
    """A deal that is told as closed once more wins once more."""
    real = Evidence.join

    def join(self: Evidence, deal: Any, **options: Any) -> None:
        again = self.settled and self.deal is not None
        real(self, deal, **options)
        if again and self.deal is not None:
            self.deal = msgspec.structs.replace(self.deal, profit=self.deal.profit * 2)

    return ((Evidence, "join", join),)


def close_events_dropped() -> Patches:
    """Results are ignored once the link has been lost, however they are told."""
    real = OrderFacts.hear

    def hear(self: OrderFacts, message: Any) -> None:
        if isinstance(message, DealsClosed | ClosedDeals) and self.sending.link.ups > 1:
            return
        real(self, message)

    return ((OrderFacts, "hear", hear),)


def journal_after_wire() -> Patches:
    """Orders do not wait for their intent to be on disk."""
    return ((OrderJournal, "may_leave", lambda self, request_id: True),)


def loss_by_guess() -> Patches:
    """An order without a result after its close time counts as lost."""
    real = OrderClock.await_close

    def await_close(self: OrderClock, evidence: Evidence) -> None:
        real(self, evidence)
        deal = evidence.deal
        if deal is not None and closes_at(evidence, self.account.clock) < self.seam.wall():
            evidence.join(msgspec.structs.replace(deal, profit=-deal.amount), closed=True)

    return ((OrderClock, "await_close", await_close),)


def journal_without_results() -> Patches:
    """What became of an order is not written down."""
    real = OrderJournal.note

    def note(self: Any, evidence: Evidence) -> None:
        if not evidence.settled:
            real(self, evidence)

    return ((OrderJournal, "note", note),)


def refusal_misattributed() -> Patches:
    """A refusal is taken for another order in flight than the one it is for, where there is one."""

    def another(refusal: Any, in_flight: Any) -> Any:
        meant = meant_by(refusal, in_flight)
        return next((evidence for evidence in in_flight if evidence is not meant), meant)

    return ((order_facts, "meant_by", another),)


def any_deal_will_do() -> Patches:
    """An order whose answer was lost takes whatever deal of nobody is told."""
    return ((order_facts, "looks_like", lambda deal, evidence, clock: True),)


def deal_kept_twice() -> Patches:
    """A deal that is given to its order stays among those of nobody."""
    real = Book.bind

    def bind(self: Book, deal: Any, evidence: Evidence, *, exact: bool) -> Any:
        changed = real(self, deal, evidence, exact=exact)
        self.keep_external(deal)
        return changed

    return ((Book, "bind", bind),)


def stale_timer() -> Patches:
    """The timer of an order goes on when it ends, and then takes it for one whose result is missing, so lost."""

    def due(self: OrderClock, request_id: str) -> None:
        evidence = self.book.orders[request_id]
        if evidence.settled and evidence.deal is not None:
            evidence.deal = msgspec.structs.replace(evidence.deal, profit=-evidence.deal.amount)
        self.look(evidence)

    return ((OrderClock, "forget_timer", lambda self, request_id: None), (OrderClock, "due", due))


def login_unsettles() -> Patches:
    """The lists of each login put a zero in the place of results that were known."""
    real = OrderFacts.opened_list

    def opened_list(self: OrderFacts) -> None:
        real(self)
        for evidence in list(self.book.orders.values()):
            if evidence.settled and evidence.deal is not None:
                evidence.deal = msgspec.structs.replace(evidence.deal, profit=Decimal(0))
                self.clock.show(evidence)

    return ((OrderFacts, "opened_list", opened_list),)


def tenths_of_cents() -> Patches:
    """Winnings are a tenth of a cent too high."""
    real = Evidence.join

    def join(self: Evidence, deal: Any, **options: Any) -> None:
        if deal.profit is not None and deal.profit > 0:
            deal = msgspec.structs.replace(deal, profit=deal.profit + Decimal("0.001"))
        real(self, deal, **options)

    return ((Evidence, "join", join),)


def stake_kept() -> Patches:
    """What was staked counts as at stake after the order has ended, too."""

    def exposure(self: Book) -> Decimal:
        return sum((e.intent.amount for e in self.orders.values() if e.deal is not None), Decimal(0))

    return ((Book, "exposure", exposure),)


def placed_though_cancelled() -> Patches:
    """Who is cancelled while an order is placed has it placed all the same."""
    real = TradingCalls.place

    async def place(self: TradingCalls, *arguments: Any, **options: Any) -> Any:
        with trio.CancelScope(shield=True):
            handle = await real(self, *arguments, **options)
        await trio.lowlevel.checkpoint()
        return handle

    return ((TradingCalls, "place", place),)


ORDER_BUGS: Final[tuple[Callable[[], Patches], ...]] = (
    resend_after_reconnect,
    resend_when_unanswered,
    no_grace_before_void,
    settlement_doubled,
    close_events_dropped,
    journal_after_wire,
    loss_by_guess,
    journal_without_results,
    refusal_misattributed,
    any_deal_will_do,
    deal_kept_twice,
    stale_timer,
    login_unsettles,
    tenths_of_cents,
    stake_kept,
    placed_though_cancelled,
)
