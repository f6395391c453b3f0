"""Trading with the client: the balance, placing orders, and what has become of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

import trio

from potrio.actors.evidence import Anomaly, OrderIntent
from potrio.actors.keys import ORDER_BOOK
from potrio.actors.limiter import Lane
from potrio.actors.order_book import OrderBookMessage, PlaceOrder
from potrio.actors.order_handle import OrderHandle, Result, as_result
from potrio.client.core import ClientCore
from potrio.client.orders import as_amount, as_side, check_order, taken_on
from potrio.errors import NotConnected, OrderDenied, OrderNotFound, OutcomeUnknown
from potrio.limits import RESULT_GRACE
from potrio.protocol.messages.trading import Deal, Side
from potrio.supervision.ref import Ref

__all__ = ["TradingCalls"]

VALID_FOR_S = 2.0
"""An order that could not be sent within this time is not sent at all: seconds decide in this market."""


class TradingCalls(ClientCore):
    """What a client can do with money; a part of `Client`."""

    @property
    def balance(self) -> Decimal:
        """The balance the venue told last, exact. ``stale`` says whether the link is down since.

        Raises:
            NotConnected: the venue has not told any (guest accounts have to ask for one).
        """
        balance = self._shared.account.balance
        if balance is None:
            raise NotConnected("the venue has not told a balance yet")
        return balance.balance

    @property
    def orders(self) -> Mapping[str, OrderHandle]:
        """This client's orders by request id."""
        return dict(self._shared.book.handles)

    @property
    def external_deals(self) -> Mapping[str, Deal]:
        """Deals of the account that this client did not place, by deal id."""
        return dict(self._shared.book.external)

    @property
    def exposure(self) -> Decimal:
        """The stakes of all orders that are, or may be, open: SENT, UNKNOWN, OPEN and SETTLING."""
        return self._shared.book.exposure()

    @property
    def anomalies(self) -> list[Anomaly]:
        """What contradicted what was shown of an order before, oldest first; bounded (`anomalies_total` is not).

        A result that the venue reports differently later, a deal for an order that counted as rejected: never silent.
        """
        return list(self._shared.book.anomalies)

    @property
    def anomalies_total(self) -> int:
        """How many there have been, forgotten ones included."""
        return self._shared.book.anomalies_total

    def order(self, id: str) -> OrderHandle:
        """The order of this request id, deal id, or ticket of a pending order that has been triggered.

        Raises:
            OrderNotFound: at once, where there is none.
        """
        handle = self._shared.book.find(id)
        if handle is None:
            raise OrderNotFound(id)
        return handle

    async def result(self, id: str, *, grace: float = RESULT_GRACE) -> Result:
        """Wait for the result of an order, by request id or deal id; also of a deal that was placed elsewhere.

        Waits as `OrderHandle.result` does: at most until ``grace`` seconds after the deal's close time.
        Cancelling stops the waiting, never the order.

        Raises:
            OrderNotFound: at once, where neither an order nor a deal of this id is known.
            OrderDenied, OrderRejected, OutcomeUnknown: as `OrderHandle.result`.
        """
        book, seam, clock = self._shared.book, self._config.seam, self._shared.account.clock
        while True:
            handle = book.find(id)
            if handle is not None:
                return await handle.result(grace=grace)
            deal = book.external.get(id)
            if deal is None:
                raise OrderNotFound(id)
            if deal.is_closed or id in book.ended:
                await trio.lowlevel.checkpoint()
                return as_result(deal)
            wait = clock.to_wall(deal.close_timestamp) + grace - seam.wall()
            if wait <= 0 or self._closed:
                raise OutcomeUnknown(
                    id, "the client was closed" if self._closed else "no result of the deal came"
                )
            with trio.move_on_after(wait):
                await book.wait_external()

    async def place(
        self,
        asset: str,
        side: Side | str,
        amount: Decimal | int | str,
        *,
        duration: int,
        valid_for: float = VALID_FOR_S,
        request_id: str | None = None,
    ) -> OrderHandle:
        """Place an order and return its handle at once; it is sent at most once, whatever happens.

        Args:
            side: ``Side.CALL`` or ``Side.PUT``, or their names.
            amount: stake in account currency; no floats, money is exact.
            duration: seconds until expiry.
            valid_for: seconds after which, if it could not be sent, it never will be (state DENIED).
            request_id: your own id; the same id with the same terms gives the same handle, also where the order
                could not be placed now.

        Cancelling before the handle is returned means that nothing was placed.

        Raises:
            OrderDenied: the order cannot be right (unknown or closed asset, amount, duration, live account not armed).
            RateLimited: the limiter has no room for it within ``valid_for``; nothing was placed.
            ValueError: the request id is taken by an order with other terms.
            ClientClosed: the client has been closed.
        """
        self._check_open()
        if not isinstance(valid_for, int | float) or not valid_for >= 0:
            raise OrderDenied(f"valid_for is a number of seconds >= 0, not {valid_for}")
        seam = self._config.seam
        if (
            request_id in self._shared.book.handles
        ):  # asked for again: nothing is sent, so nothing can be in the way
            side, amount = as_side(side), as_amount(amount)
        elif self._shared.link.paused:
            raise OrderDenied("the client is paused; nothing was sent")
        else:
            side, amount = check_order(
                self._shared.account.assets,
                asset,
                side,
                amount,
                duration,
                self._shared.book,
                live=not self.is_demo,
                arm_live=self._config.arm_live,
                request_id=request_id,
            )
            self._check_rate(Lane.ORDERS, seam.now() + valid_for)
        intent = OrderIntent(
            request_id=request_id or seam.new_id(),
            asset=asset,
            side=side,
            amount=amount,
            duration_s=duration,
            is_demo=self.is_demo,
            created_wall=seam.wall(),
            expires_at=seam.now() + min(valid_for, 10**9 if valid_for == math.inf else valid_for),
        )
        book: Ref[OrderBookMessage | PlaceOrder] = self.supervisor.ref(ORDER_BOOK)
        return await taken_on(book.ask(PlaceOrder(intent)), self._shared.book.handles, intent.request_id)

    async def trade(
        self, asset: str, side: Side | str, amount: Decimal | int | str, *, duration: int, **options: object
    ) -> Result:
        """Place an order and wait for its result: `place` and `OrderHandle.result` in one.

        Cancelling stops the waiting, never an order that was placed; a note on the exception carries its request id.
        """
        handle = await self.place(asset, side, amount, duration=duration, **options)  # type: ignore[arg-type]  # passed through
        try:
            return await handle.result()
        except BaseException as error:
            error.add_note(f"order {handle.request_id} lives on: {handle.state.value}")
            raise
