"""The pending orders of the account: by our id, by ticket, and what is under way. Outlives the order book actor."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from potrio.actors.pending_evidence import PendingEvidence, PendingIntent, PendingState, same_pending
from potrio.actors.pending_handle import PendingHandle, PendingView
from potrio.limits import ORDERS_KEPT_MAX

__all__ = ["Handover", "PendingBook", "Questions"]


class Handover(msgspec.Struct, frozen=True, gc=False):
    """When a pending order was handed to the connection, which has not answered yet."""

    epoch: int
    at: float
    wall: float


class Questions(msgspec.Struct, frozen=True, gc=False):
    """How often the venue's list was asked for because of an order, and when (trio's clock) the next time may be."""

    times: int = 0
    again_at: float = 0.0


class PendingBook:
    """Written by the order book actor only. Orders placed elsewhere are in it too, under their tickets."""

    def __init__(self) -> None:
        self.orders: OrderedDict[str, PendingEvidence] = OrderedDict()
        self.handles: OrderedDict[str, PendingHandle] = OrderedDict()
        self.live: dict[str, PendingEvidence] = {}
        self.tickets: dict[str, str] = {}  # ticket -> request id
        self.waiting: list[str] = []
        self.submitted: dict[str, Handover] = {}
        self.questions: dict[str, Questions] = {}
        self.batches: list[tuple[str, ...]] = []  # tickets whose cancelling was asked for together
        self.missing: dict[str, PendingEvidence] = {}  # orders that a list lacked: their deal is looked for

    def add(self, handle: PendingHandle) -> PendingEvidence:
        """Take an order on; the oldest ended orders are forgotten, a live one never is."""
        intent = handle.intent
        evidence = self.orders[intent.request_id] = self.live[intent.request_id] = PendingEvidence(intent)
        self.handles[intent.request_id] = handle
        while len(self.orders) > ORDERS_KEPT_MAX and len(self.live) < len(self.orders):
            self.forget(next(request_id for request_id in self.orders if request_id not in self.live))
        return evidence

    def restore(self, evidence: PendingEvidence) -> None:
        """Take an order of an earlier process up; those that have ended leave the live ones at the first look."""
        request_id = evidence.intent.request_id
        handle = self.handles[request_id] = PendingHandle(evidence.intent)
        handle.anomalies = evidence.anomalies  # known before, and no news
        self.orders[request_id] = self.live[request_id] = evidence
        if evidence.ticket is not None:
            self.tickets[evidence.ticket] = request_id

    def forget(self, request_id: str) -> None:
        """Drop an order that has ended, or that turned out to be another one."""
        evidence = self.orders.pop(request_id)
        del self.handles[request_id]
        self.live.pop(request_id, None)
        self.missing.pop(request_id, None)
        self.questions.pop(request_id, None)
        if evidence.ticket is not None and self.tickets.get(evidence.ticket) == request_id:
            del self.tickets[evidence.ticket]

    def show(self, evidence: PendingEvidence, view: PendingView) -> list[str]:
        """Bring the handle up to date; returns the contradictions that are new."""
        request_id = evidence.intent.request_id
        handle = self.handles[request_id]
        found = [text for text in evidence.anomalies if text not in handle.anomalies]
        handle.update(view)
        if view.state.ended:
            self.live.pop(request_id, None)
            self.questions.pop(request_id, None)
        else:
            self.live[request_id] = evidence
        return found

    def bind(self, ticket: str, evidence: PendingEvidence) -> None:
        """Give a ticket to an order of ours; one that was taken for somebody else's is that order from now on."""
        request_id = evidence.intent.request_id
        before = self.tickets.get(ticket)
        if before is not None and before != request_id:
            stranger = self.handles[before]
            self.forget(before)
            stranger.update(PendingView(state=PendingState.VOID, cause=f"it is order {request_id}"))
        evidence.accept(ticket)
        if evidence.ticket == ticket:
            self.tickets[ticket] = request_id

    def find(self, id: str) -> PendingHandle | None:
        """The pending order of this request id or ticket."""
        return self.handles.get(id) or self.handles.get(self.tickets.get(id, ""))

    def in_doubt(self, intent: PendingIntent) -> PendingEvidence | None:
        """The oldest order of these terms that was written and of which nothing has been heard, VOID ones last."""
        able = [
            evidence
            for evidence in self.orders.values()
            if evidence.written_epoch is not None
            and evidence.ticket is None
            and evidence.deal_id is None
            and (evidence.refused is None or evidence.intent.request_id in self.live)
            and same_pending(evidence.intent, intent)
        ]
        return min(able, key=lambda evidence: evidence.state().ended, default=None)

    def twin_in_doubt(self, intent: PendingIntent) -> str | None:
        """An order of the same terms that may or may not have reached the venue on a connection that is gone."""
        for other, evidence in self.live.items():
            if evidence.link_lost and evidence.ticket is None and same_pending(evidence.intent, intent):
                return other
        return None

    def fail(self, error: Exception) -> None:
        """Tell everyone who waits that nobody will write here any more."""
        for handle in self.handles.values():
            handle.fail(error)
