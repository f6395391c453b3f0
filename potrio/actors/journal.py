"""The journal actor: writes what the order book tells it to disk, in groups, and says when an intent is there.

The order book hands no order to the connection before it has been told `Journaled` (I2). A commit runs in a thread,
and whatever has come meanwhile goes into the next one. A disk that fails denies the orders that wait for it, not those
that come later; facts of orders that were sent are kept and tried again until they are on disk.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import trio

from potrio.actors.journal_record import OrderRecord
from potrio.actors.keys import ORDER_BOOK
from potrio.actors.pending_record import PendingRecord
from potrio.errors import JournalError
from potrio.limits import JOURNAL_RETRY_BASE, JOURNAL_RETRY_CAP, ORDERS_KEPT_MAX
from potrio.seam import Seam
from potrio.supervision.context import Context

if TYPE_CHECKING:
    from potrio.actors.journal_file import JournalFile

__all__ = ["Append", "JournalFailed", "JournalMessage", "JournalState", "Journaled", "Record", "journal"]


Record: TypeAlias = OrderRecord | PendingRecord


class Append(msgspec.Struct, frozen=True):
    """Write this down. With a ``number`` the order book waits for it, and is answered with the same number."""

    record: Record
    number: int | None = None


class Retry(msgspec.Struct, frozen=True, gc=False):
    """Time to try again what could not be written."""


class Journaled(msgspec.Struct, frozen=True, gc=False):
    """To the order book: the intent is on disk."""

    request_id: str
    number: int


class JournalFailed(msgspec.Struct, frozen=True, gc=False):
    """To the order book: the intent could not be written; ``reason`` is one line."""

    request_id: str
    number: int
    reason: str


JournalMessage = Append | Retry


class JournalState:
    """The open file and what is still to be written to it. Outlives the actor, which is its only user while it runs.

    Args:
        file: the journal.
        account: whose orders it is about.
        records: what is in the file of them.

    Attributes:
        told: the last record of each order that the order book has told of, or found in the file.
        unsaved: the last record of each order that is not on disk yet, oldest first.
        appended: records that are on disk; ``commits``: in how many transactions.
        failures: commits that failed; ``last_error``: why the last one did, None once one has succeeded again.
        forgotten: records of orders that were never sent, given up because the disk failed for too long.
    """

    def __init__(self, file: JournalFile, account: str, records: Iterable[Record] = ()) -> None:
        self.file = file
        self.account = account
        self.told = OrderedDict((record.key, record) for record in records)
        self.unsaved: dict[str, Record] = {}
        self.awaited: dict[str, int] = {}  # key of a record -> the number the order book waits for
        self.appended = 0
        self.commits = 0
        self.failures = 0
        self.forgotten = 0
        self.last_error: JournalError | None = None
        self._numbers = 0

    def next_number(self) -> int:
        """A number that no other `Append` has, not even one of an earlier incarnation of the order book."""
        self._numbers += 1
        return self._numbers

    def take(self, message: Append) -> None:
        """Have this written by the next commit. A later record of an order replaces an earlier one: it says more."""
        key = message.record.key
        self.unsaved.pop(key, None)
        self.unsaved[key] = message.record
        if message.number is not None:
            self.awaited[key] = message.number
        if len(self.unsaved) > ORDERS_KEPT_MAX:
            for known, record in self.unsaved.items():
                if record.sent_wall is None and known not in self.awaited:
                    del self.unsaved[known]
                    self.forgotten += 1
                    return  # what was sent is never given up; there is no more of it than was journaled before


async def journal(ctx: Context[JournalMessage], state: JournalState, seam: Seam) -> None:
    """Keep the journal until stopped; then write what is left. A commit that has begun is waited for."""
    writer = _Writer(ctx, state, seam)
    if state.unsaved:  # of an incarnation that crashed
        await writer.commit()
    while True:
        try:
            burst = await ctx.inbox.burst()
        except trio.EndOfChannel:
            break
        for message in burst:
            if isinstance(message, Append):
                state.take(message)
            elif not isinstance(message, Retry):
                raise AssertionError(f"the journal has no use for a {type(message).__name__}")
        await writer.commit()
    if state.unsaved:
        await writer.commit()


class _Writer:
    """One incarnation at work."""

    def __init__(self, ctx: Context[JournalMessage], state: JournalState, seam: Seam) -> None:
        self.ctx = ctx
        self.state = state
        self.seam = seam
        self.delay = JOURNAL_RETRY_BASE

    async def commit(self) -> None:
        """Write all that waits in one transaction, and tell the order book of what it waits for."""
        state = self.state
        if not state.unsaved:
            return
        group = dict(state.unsaved)
        try:
            taken = await self.seam.in_thread(partial(state.file.append, list(group.values())))
        except JournalError as error:
            self.failed(error)
            return
        state.commits += 1
        state.appended += len(group) - len(taken)
        state.last_error = None
        self.delay = JOURNAL_RETRY_BASE
        for key, record in group.items():
            del state.unsaved[key]
            number = state.awaited.pop(key, None)
            if number is None:
                continue
            request_id = record.intent.request_id
            if key in taken:
                reason = f"request id {request_id} is taken by an older order in the journal"
                self.tell(JournalFailed(request_id, number, reason))
            else:
                self.tell(Journaled(request_id, number))

    def failed(self, error: JournalError) -> None:
        """Nothing was written: nobody may wait for it, and what was sent already is tried again."""
        state = self.state
        state.failures += 1
        state.last_error = error
        for key, number in state.awaited.items():
            record = state.unsaved.pop(key)  # not going to be sent: the order book has that written down
            self.tell(JournalFailed(record.intent.request_id, number, f"JournalError: {error}"))
        state.awaited.clear()
        if state.unsaved:
            self.ctx.after(self.delay, Retry(), key="retry")
            self.delay = min(2 * self.delay, JOURNAL_RETRY_CAP)

    def tell(self, answer: Journaled | JournalFailed) -> None:
        self.ctx.lookup(ORDER_BOOK).tell(answer)
