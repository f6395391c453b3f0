"""The order book's side of the journal: no order leaves before its intent is on disk, and every change follows it.

An intent is written when it is the order's turn to leave, not when it was taken on: the time in the journal is what a
later process looks for the deal by, so it has to be the time of the sending.
"""

from __future__ import annotations

from typing import Any

import msgspec

from potrio.actors.book import Book
from potrio.actors.evidence import Evidence, OrderState
from potrio.actors.journal import Append, Journaled, JournalFailed, JournalState
from potrio.actors.journal_record import OrderRecord, evidence_of, record_of
from potrio.actors.keys import JOURNAL
from potrio.actors.order_handle import OrderHandle
from potrio.limits import ORDERS_KEPT_MAX
from potrio.protocol.server_clock import ServerClock
from potrio.seam import Seam
from potrio.supervision.context import Context

__all__ = ["OrderJournal", "restore"]

FRESH_S = 5.0
"""An intent that could not leave within this time of being written down is written down again, with the new time. What
a later process concludes from the venue's lists, it concludes ten seconds (ORDER_ACK_TIMEOUT) after that time."""


class OrderJournal:
    """What one incarnation of the order book has told the journal, and what it was answered."""

    def __init__(
        self, ctx: Context[Any], book: Book, state: JournalState, seam: Seam, clock: ServerClock
    ) -> None:
        self._ctx = ctx
        self._book = book
        self._state = state
        self._seam = seam
        self._clock = clock
        self._asked: dict[str, tuple[int, float]] = {}  # request id -> number of the question, its time
        self._written: dict[
            str, float
        ] = {}  # request id -> time in the journal, of orders that have not left yet

    def may_leave(self, request_id: str) -> bool:
        """Is the intent on disk, with the present time? If not, have it written; the answer leads back here."""
        now = self._seam.wall()
        written = self._written.get(request_id)
        if written is not None and abs(now - written) <= FRESH_S:
            return True
        if request_id not in self._asked:
            number = self._state.next_number()
            self._asked[request_id] = (number, now)
            self._tell(self._record(self._book.orders[request_id], now), number)
        return False

    def leaves(self, request_id: str) -> None:
        """The order is handed over: the entry is used up."""
        self._written.pop(request_id, None)

    def answered(self, answer: Journaled | JournalFailed) -> bool:
        """Is this the answer that the order waits for? One to a question of an earlier incarnation is not."""
        question = self._asked.get(answer.request_id)
        if question is None or question[0] != answer.number:
            return False
        del self._asked[answer.request_id]
        if isinstance(answer, Journaled) and answer.request_id in self._book.live:
            self._written[answer.request_id] = question[1]
        return True

    def waits(self, request_id: str) -> bool:
        """Has the journal been asked, and not answered yet?"""
        return request_id in self._asked

    def note(self, evidence: Evidence) -> None:
        """Have what is known of an order written down, if it is news. Nobody waits for it."""
        request_id = evidence.intent.request_id
        known = self._state.told.get(request_id)
        if known is None and evidence.state() is OrderState.NEW:
            return  # not worth a row before it has its turn
        if evidence.state().ended:
            self._asked.pop(request_id, None)
            self._written.pop(request_id, None)
        if request_id in self._asked or request_id in self._book.submitted:
            return  # what is on disk, or being written, says as much: about to be sent
        sent_wall = self._written.get(request_id)
        record = self._record(evidence, sent_wall)
        if record != known:
            self._tell(record)

    def _record(self, evidence: Evidence, sent_wall: float | None) -> OrderRecord:
        """The next process goes by the system's wall clock as it is by then: so its time of sending is by that."""
        record = record_of(evidence, self._state.account, sent_wall)
        if record.sent_wall is None:
            return record
        return msgspec.structs.replace(record, sent_wall=self._clock.to_system(record.sent_wall))

    def _tell(self, record: OrderRecord, number: int | None = None) -> None:
        request_id = record.intent.request_id
        told = self._state.told
        told.pop(request_id, None)
        told[request_id] = record
        if len(told) > 2 * ORDERS_KEPT_MAX:
            told.popitem(last=False)
        self._ctx.lookup(JOURNAL).tell(Append(record, number))


def restore(book: Book, records: list[OrderRecord], *, now: float, wall: float) -> None:
    """Put the orders of earlier processes into an empty book: the order book actor takes them from there.

    They are never sent again: what may have been sent is looked for in the venue's lists.
    """
    for record in records:
        evidence = evidence_of(record, now=now, wall=wall)
        request_id = evidence.intent.request_id
        handle = OrderHandle(evidence.intent)
        handle.anomalies = evidence.anomalies  # known before, and no news
        book.handles[request_id] = handle
        book.orders[request_id] = book.live[request_id] = (
            evidence  # those that have ended leave at the first look
        )
        if evidence.deal is not None:
            book.owner[evidence.deal.id] = request_id
