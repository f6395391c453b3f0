"""The user's end of a pending order: to read it, wait for its deal, cancel it. Written by the order book only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec
import trio

from potrio.actors.order_handle import OrderHandle, Result
from potrio.actors.order_log import Change, ChangeLog, Changes
from potrio.actors.pending_evidence import PendingIntent, PendingState
from potrio.errors import OrderDenied, OrderError, OrderRejected, OutcomeUnknown

__all__ = ["CancelOutcome", "PendingHandle", "PendingView"]


class CancelOutcome(msgspec.Struct, frozen=True):
    """What became of the cancelling of one pending order.

    Attributes:
        ticket: the venue's name of it; our request id where it never had one.
        cancelled: it will not open a deal.
        state: of the order, as it is now.
        reason: why not, in words; the venue's own where there is one.
    """

    ticket: str
    cancelled: bool
    state: PendingState
    reason: str | None = None


class PendingView(msgspec.Struct, frozen=True, kw_only=True):
    """What the evidence says of a pending order at one moment."""

    state: PendingState
    cause: str = ""
    at: datetime | None = None
    ticket: str | None = None
    order: OrderHandle | None = None
    cancel_refused: str | None = None
    anomalies: tuple[str, ...] = ()


class PendingHandle:
    """One pending order of the account. Reading it never waits; it stays valid after the order has ended.

    ``order`` is the order that it became once it has been TRIGGERED, found in ``client.orders`` under the ticket.
    """

    def __init__(self, intent: PendingIntent, cancel: Callable[[str], None] | None = None) -> None:
        self.intent = intent
        self.state = PendingState.NEW
        self.ticket: str | None = None
        self.order: OrderHandle | None = None
        self.reason: str | None = None
        self.anomalies: tuple[str, ...] = ()
        self.opens_at: datetime | None = None
        """When it is to open (UTC); None for one that waits for a price."""
        self.cancel_refused: str | None = None
        self._cancel = cancel
        self._log: ChangeLog[PendingState] = ChangeLog()
        self._failure: Exception | None = None
        self._changed = trio.Event()

    @property
    def request_id(self) -> str:
        """Our own id of it; the ticket for one that was placed elsewhere."""
        return self.intent.request_id

    @property
    def log(self) -> tuple[Change[PendingState], ...]:
        """Every change of state so far with its time and cause, oldest first; bounded."""
        return self._log.kept()

    def __repr__(self) -> str:
        want = self.intent
        when = f"at {want.open_price:g}" if want.waits_for_price else f"at {want.open_time}"
        return (
            f"<PendingHandle {want.request_id} {want.side.name} {want.amount} {want.asset} {when} "
            f"{want.duration_s}s: {self.state.value}>"
        )

    async def working(self) -> str:
        """Wait until the venue has taken the order on and return its ticket. Cancelling only stops the waiting.

        Raises:
            OrderDenied: it was never sent.
            OrderRejected: the venue refused it.
            OutcomeUnknown: the venue's lists do not have it, or the client was closed meanwhile.
        """
        while self.ticket is None:
            self._raise_end()
            await self._changed.wait()
        await trio.lowlevel.checkpoint()
        return self.ticket

    async def triggered(self) -> OrderHandle:
        """Wait, for as long as it takes, until the order has opened its deal, and return that deal's order.

        Cancelling stops the waiting, never the order.

        Raises:
            OrderDenied: it was never sent, or it was cancelled.
            OrderRejected: the venue refused it, at once or as it came due (``OPEN_TIME``, ``PAYOUT_TOO_LOW``).
            OutcomeUnknown: it is in none of the venue's lists, or the client was closed meanwhile.
        """
        while self.order is None:
            self._raise_end()
            await self._changed.wait()
        await trio.lowlevel.checkpoint()
        return self.order

    async def result(self) -> Result:
        """Wait for the deal and then for its result: `triggered` and `OrderHandle.result` in one."""
        return await (await self.triggered()).result()

    async def cancel(self) -> CancelOutcome:
        """Take the order back and wait for what becomes of it; asked for again after an outage.

        An order that has not been sent is never sent. Cancelling the waiting does not take the cancellation back.

        Raises:
            OutcomeUnknown: the client was closed before the venue said.
        """
        if not self.state.ended and self._cancel is not None:
            self.cancel_refused = None
            self._cancel(self.request_id)
        return await self.cancel_outcome()

    async def cancel_outcome(self) -> CancelOutcome:
        """Wait until it is known what became of a cancellation; cancelling only stops the waiting."""
        while not self.state.ended and self.cancel_refused is None:
            if self._failure is not None:
                raise OutcomeUnknown(self.request_id, str(self._failure))
            await self._changed.wait()
        await trio.lowlevel.checkpoint()
        cancelled = self.state in (PendingState.CANCELLED, PendingState.DENIED)
        reason = None if cancelled else (self.reason if self.state.ended else self.cancel_refused)
        return CancelOutcome(self.ticket or self.request_id, cancelled, self.state, reason)

    def changes(self) -> Changes[PendingState]:
        """Every change of state from the first one on; as `OrderHandle.changes`."""
        return Changes(self._log, self._wait_changed, lambda: self.state.ended)

    async def _wait_changed(self) -> None:
        if self._failure is not None:
            raise OutcomeUnknown(self.request_id, str(self._failure))
        await self._changed.wait()

    def _raise_end(self) -> None:
        match self.state:
            case PendingState.DENIED | PendingState.CANCELLED:
                raise OrderDenied(self.reason or self.state.value)
            case PendingState.REJECTED:
                raise OrderRejected(self.reason or self.state.value)
            case PendingState.VOID:
                raise OutcomeUnknown(self.request_id, self.reason or self.state.value)
            case PendingState.TRIGGERED if self.order is None:
                raise OutcomeUnknown(self.request_id, "its deal belongs to somebody else's order")
            case _:
                pass
        if isinstance(self._failure, OrderError):
            raise self._failure
        if self._failure is not None:
            raise OutcomeUnknown(self.request_id, str(self._failure))

    # --- for the order book only -------------------------------------------------------------------------------------

    def cancels_by(self, cancel: Callable[[str], None]) -> None:
        """This is whom to tell that the owner takes the order back."""
        self._cancel = cancel

    def update(self, view: PendingView) -> None:
        """Show what the evidence says now."""
        before = (self.state, self.ticket, self.order, self.cancel_refused, self.anomalies)
        if view.state is not self.state or not self._log.total:
            self._log.add(Change(view.state, view.at, view.cause))
        self.state, self.ticket, self.order = view.state, view.ticket, view.order
        self.cancel_refused, self.anomalies = view.cancel_refused, view.anomalies
        self.reason = view.cause if view.state.ended else None
        if before != (self.state, self.ticket, self.order, self.cancel_refused, self.anomalies):
            self._wake()

    def fail(self, error: Exception) -> None:
        """Nobody will write here any more: the client has closed or died."""
        if not self.state.ended:
            self._failure = error
            self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()
