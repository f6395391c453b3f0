"""The book: every order and deal this client knows, and which deal belongs to which order. Outlives the actor.

Only the order book actor writes it. A deal is in it exactly once: owned by one order, or as an external one; and an
order owns at most one deal.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from decimal import Decimal

import msgspec
import trio

from potrio.actors.evidence import Anomaly, Evidence, OrderIntent, OrderState, same_terms
from potrio.actors.order_handle import OrderHandle, OrderView
from potrio.actors.pending_book import PendingBook
from potrio.limits import ANOMALIES_KEPT_MAX, ORDERS_KEPT_MAX
from potrio.protocol.messages.trading import Deal

__all__ = ["Asked", "Book", "Submission"]


ZERO = Decimal(0)

AT_STAKE = {OrderState.SENT, OrderState.UNKNOWN, OrderState.OPEN, OrderState.SETTLING}


class Submission(msgspec.Struct, frozen=True, gc=False):
    """When an order was handed to the connection, which has not answered yet."""

    epoch: int
    at: float
    wall: float


class Asked(msgspec.Struct, frozen=True, gc=False):
    """How often the venue's lists were asked for because of an order, and when (trio's clock) the next time may be."""

    times: int = 0
    again_at: float = 0.0


class Book:
    """Orders by request id, deals by deal id, and what is under way."""

    def __init__(self) -> None:
        self.orders: OrderedDict[str, Evidence] = OrderedDict()
        self.handles: OrderedDict[str, OrderHandle] = OrderedDict()
        self.live: dict[str, Evidence] = {}  # those that can still change by themselves, oldest first
        self.owner: dict[str, str] = {}  # deal id -> request id
        self.external: OrderedDict[str, Deal] = OrderedDict()  # deals of the account that we did not place
        self.submitted: dict[str, Submission] = {}  # handed to the connection, not answered yet
        self.waiting: dict[str, deque[str]] = {}  # asset -> orders that wait for the one before them
        self.held: set[str] = set()  # taken on, not to be handed over yet (a journal has to have them first)
        self.asked: dict[str, Asked] = {}
        self.lists_due: list[float] = []  # when (our wall clock) the lists that are awaited were asked for
        self.list_taken = 0.0  # when the last one was taken at the earliest
        self.ended: set[str] = set()  # external deals that were told as closed, whatever their fields say
        self.observe: Callable[..., None] = lambda handle, before, *, had_deal: None
        """Told of every handle that was brought up to date, in passing (callbacks)."""
        self.anomalies: deque[Anomaly] = deque(maxlen=ANOMALIES_KEPT_MAX)
        self.anomalies_total = 0
        self.pending = PendingBook()
        self._external_news = trio.Event()

    def add(self, intent: OrderIntent) -> OrderHandle:
        """Take an order on; the oldest ended orders are forgotten, a live one never is."""
        handle = OrderHandle(intent)
        evidence = Evidence(intent)
        self.orders[intent.request_id] = self.live[intent.request_id] = evidence
        self.handles[intent.request_id] = handle
        while len(self.orders) > ORDERS_KEPT_MAX and len(self.live) < len(self.orders):
            self._forget(next(request_id for request_id in self.orders if request_id not in self.live))
        return handle

    def show(self, evidence: Evidence, view: OrderView) -> list[Anomaly]:
        """Bring the handle up to date with the evidence; returns the contradictions that are new."""
        request_id = evidence.intent.request_id
        handle = self.handles[request_id]
        found = [
            Anomaly(request_id, text, view.at) for text in evidence.anomalies if text not in handle.anomalies
        ]
        for anomaly in found:
            self.record(anomaly)
        before, had_deal = handle.state, handle.deal is not None
        handle.update(view)
        self.observe(handle, before, had_deal=had_deal)
        if handle.state.ended:
            self.live.pop(request_id, None)
            self.asked.pop(request_id, None)
            self.held.discard(request_id)
        else:
            self.live[request_id] = evidence
        return found

    def record(self, anomaly: Anomaly) -> None:
        """Keep a contradiction for `Client.anomalies`, and count it."""
        self.anomalies.append(anomaly)
        self.anomalies_total += 1

    def adopt(self, intent: OrderIntent, deal: Deal) -> Evidence:
        """Take on an order that is known by its deal: a pending one that was due. It was never written by itself."""
        self.add(intent)
        evidence = self.orders[intent.request_id]
        self.bind(deal, evidence, exact=False)
        evidence.join(deal, told_by="a pending order that was due")
        return evidence

    def exposure(self) -> Decimal:
        """Money that is, or may be, at stake: written, and not known to have ended (I10)."""
        return sum(
            (h.intent.amount for h in map(self.handles.__getitem__, self.live) if h.state in AT_STAKE), ZERO
        )

    def find(self, id: str) -> OrderHandle | None:
        """The order of this request id, or of the deal of this id."""
        return self.handles.get(id) or self.handles.get(self.owner.get(id, ""))

    def twin_in_doubt(self, request_id: str) -> str | None:
        """An order of the same terms that may or may not have reached the venue on a connection that is gone.

        A deal in the venue's lists carries no id: were both of them on their way, it could be either's.
        """
        intent = self.orders[request_id].intent
        for other, evidence in self.live.items():
            if evidence.link_lost and evidence.deal is None and same_terms(evidence.intent, intent):
                return other
        return None

    def bind(self, deal: Deal, evidence: Evidence, *, exact: bool) -> list[Evidence]:
        """Give a deal to an order; ``exact``: the venue named the order. Returns the orders that this changed.

        What was bound by likeness gives way to what the venue named, unless it is settled: that never changes.
        """
        request_id = evidence.intent.request_id
        holder = self.orders.get(self.owner.get(deal.id, request_id))
        changed = []
        if holder is not None and holder is not evidence:
            if holder.settled or holder.named or not exact:
                evidence.note(f"deal {deal.id} is counted for order {holder.intent.request_id}")
                return [evidence]
            holder.release(f"deal {deal.id} belongs to order {request_id}")
            changed.append(holder)
        if evidence.deal is not None and evidence.deal.id != deal.id:
            if evidence.settled or evidence.named or not exact:
                evidence.note(f"has deal {evidence.deal.id}, and then {deal.id} was reported for it too")
                self.keep_external(deal)
                return [*changed, evidence]
            former = evidence.deal
            self.owner.pop(former.id, None)
            evidence.release(f"deal {former.id} belongs to somebody else")
            self.keep_external(former)
        self.owner[deal.id] = request_id
        self.external.pop(deal.id, None)
        self.ended.discard(deal.id)
        evidence.named = evidence.named or exact
        return [*changed, evidence]

    async def wait_external(self) -> None:
        """Wait for news of a deal that is not ours. Cancelling only stops the waiting."""
        await self._external_news.wait()

    def lists_begin(self, wall: float) -> None:
        """A new connection: its login brings the lists, taken after this."""
        self.lists_due.clear()
        self.lists_due.append(wall)
        self.list_taken = wall

    def next_list_taken(self) -> float:
        """When (our wall clock) the list of open deals that has just come was taken at the earliest.

        What counts is not when it came: it may have been long on its way, and then proves less.
        """
        if self.lists_due:
            self.list_taken = self.lists_due.pop(0)
        return self.list_taken

    def keep_external(self, deal: Deal, *, closed: bool = False) -> None:
        """Remember a deal that is not ours: as it ended, once that is known."""
        if closed:
            self.ended.add(deal.id)
        known = self.external.get(deal.id)
        if known is None or deal.is_closed or not known.is_closed:
            self.external[deal.id] = deal
            news, self._external_news = self._external_news, trio.Event()
            news.set()
        while len(self.external) > ORDERS_KEPT_MAX:
            forgotten, _ = self.external.popitem(last=False)
            self.ended.discard(forgotten)

    def fail(self, error: Exception) -> None:
        """Tell everyone who waits that nobody will write here any more."""
        for handle in self.handles.values():
            handle.fail(error)
        self.pending.fail(error)
        self._external_news.set()

    def _forget(self, request_id: str) -> None:
        evidence = self.orders.pop(request_id)
        del self.handles[request_id]
        if evidence.deal is not None:
            self.owner.pop(evidence.deal.id, None)
