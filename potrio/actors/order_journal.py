"""The order book's side of the journal: no order leaves before its intent is on disk, and every change follows it.

An intent is written when it is the order's turn to leave, not when it was taken on: the time in the journal is what a
later process looks for the deal by, so it has to be the time of the sending.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from potrio.actors.book import Book
from potrio.actors.evidence import Evidence, OrderIntent, OrderState
from potrio.actors.journal import Append, Journaled, JournalFailed, JournalState, Record
from potrio.actors.journal_record import OrderRecord, evidence_of
from potrio.actors.keys import JOURNAL
from potrio.actors.order_handle import OrderHandle
from potrio.actors.pending_evidence import PendingEvidence, PendingIntent, PendingState
from potrio.actors.pending_record import PendingRecord, pending_evidence_of
from potrio.limits import ORDERS_KEPT_MAX
from potrio.protocol.server_clock import ServerClock
from potrio.seam import Seam
from potrio.supervision.context import Context

__all__ = ["OrderJournal", "restore"]

FRESH_S = 5.0
"""An intent that could not leave within this time of being written down is written down again, with the new time. What
a later process concludes from the venue's lists, it concludes ten seconds (ORDER_ACK_TIMEOUT) after that time."""


E = TypeVar("E", Evidence, PendingEvidence)


class OrderJournal(Generic[E]):
    """What one incarnation of the order book has told the journal of its orders of one kind, and what it was answered.

    Args:
        orders: all of them by request id; ``live``: those that have not ended.
        submitted: those that were handed to the connection, which has not answered yet.
        record_of: what is written down of one of them: evidence, account, when it was handed over.
        prefix: what the key of a record has before the request id.
    """

    def __init__(
        self,
        ctx: Context[Any],
        state: JournalState,
        seam: Seam,
        clock: ServerClock,
        *,
        orders: Mapping[str, E],
        live: Mapping[str, E],
        submitted: Mapping[str, object],
        record_of: Callable[[E, str, float | None], Record],
        prefix: str = "",
    ) -> None:
        self._ctx = ctx
        self._orders: Mapping[str, E] = orders
        self._live: Mapping[str, E] = live
        self._submitted = submitted
        self._record_of: Callable[[E, str, float | None], Record] = record_of
        self._prefix = prefix
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
            self._tell(self._record(self._orders[request_id], now), number)
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
        if isinstance(answer, Journaled) and answer.request_id in self._live:
            self._written[answer.request_id] = question[1]
        return True

    def waits(self, request_id: str) -> bool:
        """Has the journal been asked, and not answered yet?"""
        return request_id in self._asked

    def note(self, evidence: E) -> None:
        """Have what is known of an order written down, if it is news. Nobody waits for it."""
        request_id = evidence.intent.request_id
        known = self._state.told.get(self._prefix + request_id)
        if known is None and evidence.state() in (OrderState.NEW, PendingState.NEW):
            return  # not worth a row before it has its turn
        if evidence.state().ended:
            self._asked.pop(request_id, None)
            self._written.pop(request_id, None)
        if request_id in self._asked or request_id in self._submitted:
            return  # what is on disk, or being written, says as much: about to be sent
        record = self._record(evidence, self._written.get(request_id))
        if record != known:
            self._tell(record)

    def _record(self, evidence: E, sent_wall: float | None) -> Record:
        """The next process goes by the system's wall clock as it is by then: so its times are by that."""
        record = self._record_of(evidence, self._state.account, sent_wall)
        times = {name: getattr(record, name, None) for name in ("sent_wall", "absent_wall")}
        known = {name: self._clock.to_system(wall) for name, wall in times.items() if wall is not None}
        return msgspec.structs.replace(record, **known) if known else record

    def _tell(self, record: Record, number: int | None = None) -> None:
        told = self._state.told
        told.pop(record.key, None)
        told[record.key] = record
        if len(told) > 2 * ORDERS_KEPT_MAX:
            told.popitem(last=False)
        self._ctx.lookup(JOURNAL).tell(Append(record, number))


def restore(
    book: Book,
    orders: Iterable[OrderRecord],
    pending: Iterable[PendingRecord] = (),
    *,
    now: float,
    wall: float,
) -> None:
    """Put the orders of earlier processes into an empty book: the order book actor takes them from there.

    They are never sent again: what may have been sent is looked for in the venue's lists.
    """
    for record in orders:
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
    for row in pending:
        waits = pending_evidence_of(row, now=now, wall=wall)
        became = book.orders.get(waits.ticket or waits.intent.request_id)
        if became is not None and became.deal is not None and is_its_order(became.intent, waits.intent):
            waits.deal_id = (
                waits.deal_id or became.deal.id
            )  # the last that was written down of it may be older
        book.pending.restore(waits)


def is_its_order(order: OrderIntent, pending: PendingIntent) -> bool:
    """Can this order be what a pending one has become? A market order may have the same id by chance."""
    fields = ("asset", "side", "amount", "duration_s", "created_wall")
    return all(getattr(order, field) == getattr(pending, field) for field in fields)
