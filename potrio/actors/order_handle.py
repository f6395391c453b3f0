"""The user's end of an order: what is known of it now, and ways to wait for more. Written by the order book only."""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal

import msgspec
import trio

from potrio.actors.evidence import OrderIntent, OrderState
from potrio.actors.order_log import Change, ChangeLog, Changes
from potrio.errors import OrderDenied, OrderError, OrderRejected, OutcomeUnknown
from potrio.limits import RESULT_GRACE
from potrio.protocol.messages.trading import Deal, Outcome

__all__ = ["Draw", "Lost", "OrderHandle", "OrderView", "Result", "Won", "as_result"]


class _Settled(msgspec.Struct, frozen=True):
    """A settled order. ``deal`` has prices and the venue's times; ``profit`` is signed, in account currency."""

    deal: Deal

    @property
    def profit(self) -> Decimal:
        """What the account gained (negative: lost), to the cent."""
        return self.deal.profit


class Won(_Settled, frozen=True, tag=True):
    """The price moved the way that was bet on: ``profit`` > 0."""


class Lost(_Settled, frozen=True, tag=True):
    """The price moved the other way: ``profit`` < 0."""


class Draw(_Settled, frozen=True, tag=True):
    """The stake was given back: ``profit`` == 0."""


Result = Won | Lost | Draw


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """What the evidence says of an order at one moment.

    Attributes:
        cause: what put it into its state.
        at: the venue's time (UTC).
        opened_at, closes_at: the deal's, as the venue means them (UTC); None without a deal.
        due_at: when (trio's clock) the venue will have settled it, as far as is known.
    """

    state: OrderState
    cause: str = ""
    at: datetime | None = None
    deal: Deal | None = None
    reason: str | None = None
    anomalies: tuple[str, ...] = ()
    opened_at: datetime | None = None
    closes_at: datetime | None = None
    due_at: float = math.inf


class OrderHandle:
    """One order of ours. Reading it never waits; it stays valid after the order has ended.

    ``state`` can go from REJECTED or VOID to OPEN where the venue turns out to have the deal after all
    (``anomalies`` says so); SETTLED and DENIED never change.
    """

    def __init__(self, intent: OrderIntent) -> None:
        self.intent = intent
        self.state = OrderState.NEW
        self.deal: Deal | None = None
        self.reason: str | None = None
        self.anomalies: tuple[str, ...] = ()
        self.opened_at: datetime | None = None
        """When the venue opened the deal (UTC); None as long as there is none."""
        self.closes_at: datetime | None = None
        """When the deal closes, or closed (UTC, the venue's own); None as long as there is none."""
        self._log: ChangeLog[OrderState] = ChangeLog()
        self.due_at = math.inf
        """When (trio's clock) the venue will have settled it, as far as is known."""
        self._failure: Exception | None = None
        self._final = False  # nobody will write here any more
        self._changed = trio.Event()

    @property
    def request_id(self) -> str:
        """The id that the order carries on the wire and is found by again."""
        return self.intent.request_id

    @property
    def deal_id(self) -> str | None:
        """The venue's id of the deal; None as long as there is none."""
        return None if self.deal is None else self.deal.id

    @property
    def outcome(self) -> Outcome | None:
        """Won, lost or draw once the order is SETTLED."""
        settled = self.deal is not None and self.state is OrderState.SETTLED
        return Outcome.of(self.deal.profit) if settled and self.deal is not None else None

    @property
    def log(self) -> tuple[Change[OrderState], ...]:
        """Every change of state so far with its time and cause, oldest first; bounded."""
        return self._log.kept()

    def __repr__(self) -> str:
        want = self.intent
        return (
            f"<OrderHandle {want.request_id} {want.side.name} {want.amount} {want.asset} "
            f"{want.duration_s}s: {self.state.value}>"
        )

    async def opened(self) -> Deal:
        """Wait until the venue has accepted the order and return the deal as it is known by then.

        Waits no longer than `result` would. Cancelling stops the waiting, never the order.

        Raises:
            OrderDenied: it was never sent.
            OrderRejected: the venue refused it.
            OutcomeUnknown: the venue's lists do not have it, or nothing was heard of it, or the client was closed
                while its fate was not known. The handle lives on.
        """
        while True:
            if self.deal is not None:
                await trio.lowlevel.checkpoint()
                return self.deal
            await self._next_change(RESULT_GRACE)

    async def result(self, *, grace: float = RESULT_GRACE) -> Result:
        """Wait until the order is settled, at most until the deal's close time and ``grace`` seconds after it.

        By then the venue has been asked for it more than once. Pass ``math.inf`` to wait for as long as the client
        lives. Cancelling stops the waiting, never the order.

        Raises:
            OrderDenied, OrderRejected: as `opened`.
            OutcomeUnknown: as `opened`, or not settled by then; the handle lives on and can be asked again.
        """
        while True:
            if self.deal is not None and self.state is OrderState.SETTLED:
                await trio.lowlevel.checkpoint()
                return as_result(self.deal)
            await self._next_change(grace)

    def changes(self) -> Changes[OrderState]:
        """Every change of state from the first one on, in order, as an async iterator; each caller has its own.

        Iterating waits for the next change and ends with the order's end. Cancelling it loses nothing. Where the
        client is closed first, it raises OutcomeUnknown after the last change.
        """
        return Changes(self._log, self._wait_changed, lambda: self.state.ended)

    async def wait_change(self) -> OrderState:
        """Wait for the next change of state and return the new one; never raises for how the order ends."""
        before = self.state
        while self.state is before and not self._final:
            await self._changed.wait()
        return self.state

    async def _wait_changed(self) -> None:
        if self._failure is not None:
            raise self._error() or self._failure
        await self._changed.wait()

    async def _next_change(self, grace: float) -> None:
        error = self._error()
        if error is not None:
            raise error
        deadline = self.due_at + grace
        if trio.current_time() >= deadline:
            raise OutcomeUnknown(self.request_id, f"{self.state.value}, and overdue for {grace:g} s")
        with trio.move_on_at(deadline):
            await self._changed.wait()

    def _error(self) -> Exception | None:
        match self.state:
            case OrderState.DENIED:
                return OrderDenied(self.reason or "denied")
            case OrderState.REJECTED:
                return OrderRejected(self.reason or "rejected")
            case OrderState.VOID:
                return OutcomeUnknown(self.request_id, "the venue's lists do not have it")
            case _:
                pass
        if self._failure is not None and not isinstance(self._failure, OrderError):
            return OutcomeUnknown(self.request_id, str(self._failure))
        return self._failure

    # --- for the order book only -------------------------------------------------------------------------------------

    def update(self, view: OrderView) -> None:
        """Show what the evidence says now."""
        before = (self.state, self.deal, self.reason, self.anomalies, self.due_at)
        if view.state is not self.state or not self._log.total:
            self._log.add(Change(view.state, view.at, view.cause))
        self.state, self.deal, self.reason, self.anomalies = (
            view.state,
            view.deal,
            view.reason,
            view.anomalies,
        )
        self.opened_at, self.closes_at, self.due_at = view.opened_at, view.closes_at, view.due_at
        if before != (self.state, self.deal, self.reason, self.anomalies, self.due_at):
            self._wake()

    def fail(self, error: Exception) -> None:
        """Nobody will write here any more: the client has closed or died."""
        self._final = True
        if not self.state.ended:
            self._failure = error
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()


def as_result(deal: Deal) -> Result:
    """The result of a settled deal, by the sign of its profit; an open one carries the profit it may make."""
    if deal.profit > 0:
        return Won(deal)
    return Lost(deal) if deal.profit < 0 else Draw(deal)
