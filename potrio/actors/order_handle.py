"""The user's end of an order: what is known of it now, and ways to wait for more. Written by the order book only."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import trio

from potrio.actors.evidence import OrderIntent, OrderState
from potrio.errors import OrderDenied, OrderError, OrderRejected, OutcomeUnknown
from potrio.protocol.messages.trading import Deal

__all__ = ["Draw", "Lost", "OrderHandle", "Result", "Won"]


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
        self._failure: Exception | None = None
        self._changed = trio.Event()

    @property
    def request_id(self) -> str:
        """The id that the order carries on the wire and is found by again."""
        return self.intent.request_id

    def __repr__(self) -> str:
        want = self.intent
        return (
            f"<OrderHandle {want.request_id} {want.side.name} {want.amount} {want.asset} "
            f"{want.duration_s}s: {self.state.value}>"
        )

    async def opened(self) -> Deal:
        """Wait until the venue has accepted the order and return the deal as it is known by then.

        Cancelling stops the waiting, never the order.

        Raises:
            OrderDenied: it was never sent.
            OrderRejected: the venue refused it.
            OutcomeUnknown: the venue's lists do not have it, or the client was closed while its fate was not known.
        """
        while True:
            if self.deal is not None:
                await trio.lowlevel.checkpoint()
                return self.deal
            await self._next_change()

    async def result(self) -> Result:
        """Wait until the order is settled. Cancelling stops the waiting, never the order.

        Raises:
            OrderDenied, OrderRejected, OutcomeUnknown: as `opened`.
        """
        while True:
            if self.deal is not None and self.state is OrderState.SETTLED:
                await trio.lowlevel.checkpoint()
                return as_result(self.deal)
            await self._next_change()

    async def wait_change(self) -> OrderState:
        """Wait for the next change of state and return the new one; never raises for how the order ends."""
        before = self.state
        while self.state is before and self._failure is None:
            await self._changed.wait()
        return self.state

    async def _next_change(self) -> None:
        error = self._error()
        if error is not None:
            raise error
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

    def update(
        self, state: OrderState, deal: Deal | None, reason: str | None, anomalies: tuple[str, ...]
    ) -> None:
        """Show what the evidence says now."""
        if (state, deal, reason, anomalies) == (self.state, self.deal, self.reason, self.anomalies):
            return
        self.state, self.deal, self.reason, self.anomalies = state, deal, reason, anomalies
        self._wake()

    def fail(self, error: Exception) -> None:
        """Nobody will write here any more: the client has closed or died."""
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
