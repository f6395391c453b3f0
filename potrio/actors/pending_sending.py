"""The way out of pending orders: one unanswered at a time, each handed to the connection at most once."""

from __future__ import annotations

from collections.abc import Callable

from potrio.actors.book import Book
from potrio.actors.journal import Journaled, JournalFailed
from potrio.actors.keys import CONNECTION
from potrio.actors.link import NotSent, SubmitOrder, Written
from potrio.actors.pending_book import Handover
from potrio.actors.pending_clock import PendingClock
from potrio.actors.pending_evidence import PendingEvidence, PendingIntent, PendingState, same_pending
from potrio.actors.pending_handle import PendingHandle
from potrio.supervision.call import Call

__all__ = ["PendingSending"]


class PendingSending:
    """Pending orders from intent to wire, and their cancellations."""

    def __init__(self, book: Book, clock: PendingClock, cancel_soon: Callable[[str], None]) -> None:
        self.book = book
        self.pending = book.pending
        self.clock = clock
        self.cancel_soon = cancel_soon

    def place(self, intent: PendingIntent, call: Call[PendingHandle]) -> None:
        """Take a pending order on and answer with its handle; the same id and terms again are the same order."""
        known = self.pending.handles.get(intent.request_id)
        if known is not None and same_pending(known.intent, intent):
            call.reply(known)
        elif known is not None or intent.request_id in self.book.orders:
            call.fail(ValueError(f"request id {intent.request_id} is taken by an order with other terms"))
        else:
            handle = PendingHandle(intent, self.cancel_soon)
            evidence = self.pending.add(handle)
            self.pending.waiting.append(intent.request_id)
            call.reply(handle)
            self.clock.look(evidence)
            self.submit_next()

    def in_flight(self) -> list[PendingEvidence]:
        """Those that an answer arriving from now on could be meant for; one at most."""
        return [
            evidence
            for request_id, evidence in self.pending.live.items()
            if request_id in self.pending.submitted
            or (
                evidence.written_epoch is not None
                and not evidence.link_lost
                and evidence.state() in (PendingState.SENT, PendingState.UNKNOWN)
            )
        ]

    def submit_next(self) -> None:
        """Hand the next pending order to the connection, unless one is still unanswered."""
        pending, link, seam = self.pending, self.clock.link, self.clock.seam
        for request_id in [request_id for request_id in pending.waiting if request_id not in pending.live]:
            pending.waiting.remove(request_id)  # denied meanwhile
        if not link.ready or self.in_flight():
            return
        for request_id in pending.waiting:
            evidence = pending.live[request_id]
            if pending.twin_in_doubt(evidence.intent) is None:
                journal = self.clock.journal
                if journal is not None:
                    if not journal.may_leave(request_id):
                        return
                    journal.leaves(request_id)
                pending.waiting.remove(request_id)
                pending.submitted[request_id] = Handover(link.epoch, seam.now(), seam.wall())
                order = SubmitOrder(request_id, evidence.intent.message(), evidence.intent.expires_at)
                self.clock.ctx.lookup(CONNECTION).tell(order)
                self.clock.look(evidence)
                return

    def journaled(self, answer: Journaled | JournalFailed) -> bool:
        """The intent is on disk, and the order may leave; or it is not, and never will. False: of another kind."""
        is_ours = self.clock.journal is not None and self.clock.journal.answered(answer)
        evidence = self.pending.live.get(answer.request_id) if is_ours else None  # None: denied meanwhile
        if evidence is not None and isinstance(answer, JournalFailed):
            evidence.deny(answer.reason)
            self.clock.look(evidence)
        if self.pending.waiting:
            self.submit_next()  # also where nobody waits for this answer any more: the next one does
        return is_ours

    def written(self, answer: Written) -> None:
        """Its bytes are on their way."""
        evidence = self.pending.orders[answer.request_id]
        self.pending.submitted.pop(answer.request_id, None)
        evidence.written(answer.epoch, answer.at, answer.wall)
        self.clock.look(evidence)

    def not_sent(self, answer: NotSent) -> None:
        """It was not put on the wire: it waits for the link, at most until it expires."""
        evidence = self.pending.orders[answer.request_id]
        self.pending.submitted.pop(answer.request_id, None)
        if answer.final or evidence.presumed:
            evidence.deny(answer.reason)
        else:
            self.pending.waiting.insert(0, answer.request_id)
        self.clock.look(evidence)
        self.submit_next()

    def cancel(self, request_ids: tuple[str, ...]) -> None:
        """Take these back: those that have a ticket with one question, the others as soon as they have one."""
        wanted = [self.pending.live[one] for one in request_ids if one in self.pending.live]
        for evidence in wanted:
            evidence.want_cancel()
        link = self.clock.link
        askable = [e for e in wanted if e.ticket is not None and e.cancel_epoch != link.epoch]
        if link.ready and len(askable) > 1:
            self.clock.ask_cancel(askable)
        for evidence in wanted:
            self.clock.look(evidence)
