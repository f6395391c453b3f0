"""Pending orders with the client: a trade that opens at a time or at a price, and taking it back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

import trio

from potrio.actors.account import AccountState
from potrio.actors.keys import ORDER_BOOK
from potrio.actors.order_book import OrderBookMessage
from potrio.actors.pending_desk import CancelPending, PlacePending
from potrio.actors.pending_evidence import PendingIntent
from potrio.actors.pending_handle import CancelOutcome, PendingHandle
from potrio.client.core import ClientCore
from potrio.client.orders import check_order, taken_on
from potrio.errors import OrderDenied, OrderNotFound
from potrio.limits import PRICE_MAX
from potrio.protocol.messages.pending import NO_OPEN_TIME, show_open_time
from potrio.protocol.messages.trading import Side
from potrio.supervision.ref import Ref

__all__ = ["PendingCalls"]

VALID_FOR_S = 10.0
"""A pending order that could not be sent within this time is not sent at all."""


class PendingCalls(ClientCore):
    """What a client can do with pending orders; a part of `Client`."""

    @property
    def pending(self) -> Mapping[str, PendingHandle]:
        """The account's pending orders that have not ended, by request id; those placed elsewhere by their ticket."""
        book = self._shared.book.pending
        return {request_id: book.handles[request_id] for request_id in book.live}

    def pending_order(self, id: str) -> PendingHandle:
        """The pending order of this request id or ticket, ended ones included.

        Raises:
            OrderNotFound: at once, where there is none.
        """
        handle = self._shared.book.pending.find(id)
        if handle is None:
            raise OrderNotFound(id)
        return handle

    async def place_pending(
        self,
        asset: str,
        side: Side | str,
        amount: Decimal | int | str,
        *,
        at_time: datetime | None = None,
        at_price: float | None = None,
        duration: int,
        min_payout: int = 0,
        valid_for: float = VALID_FOR_S,
        request_id: str | None = None,
    ) -> PendingHandle:
        """Place an order that opens later and return its handle at once; it is sent at most once.

        Args:
            side: ``Side.CALL`` or ``Side.PUT``, or their names.
            amount: stake in account currency, taken when the deal opens.
            at_time: when to open it, an aware datetime; the venue knows whole seconds.
            at_price: or the price to open it at, reached from either side.
            duration: seconds from its opening until expiry.
            min_payout: percent; if the asset pays less when the order is due, it fails (REJECTED).
            valid_for: seconds after which, if it could not be sent, it never will be (state DENIED).
            request_id: your own id; the same id with the same terms gives the same handle.

        Cancelling before the handle is returned means that nothing was placed.

        Raises:
            OrderDenied: the order cannot be right: as for `Client.place`, or neither or both of time and price, a
                naive or past time, fractions of a second, the venue's clock not known.
            ValueError: the request id is taken by an order with other terms.
            ClientClosed: the client has been closed.
        """
        self._check_open()
        if not isinstance(valid_for, int | float) or not valid_for >= 0:
            raise OrderDenied(f"valid_for is a number of seconds >= 0, not {valid_for}")
        seam, shared = self._config.seam, self._shared
        side, amount = check_order(
            shared.account.assets,
            asset,
            side,
            amount,
            duration,
            shared.book,
            live=not self.is_demo,
            arm_live=self._config.arm_live,
            request_id=request_id,
        )
        if (at_time is None) == (at_price is None):
            raise OrderDenied("a pending order has either at_time or at_price")
        if isinstance(min_payout, bool) or not isinstance(min_payout, int) or not 0 <= min_payout <= 100:
            raise OrderDenied(f"a minimum payout is 0 to 100 percent, not {min_payout!r}")
        known = shared.book.pending.handles.get(request_id or "")
        stamp, opens_utc = None, None
        if at_time is not None:
            is_aware = isinstance(at_time, datetime) and at_time.tzinfo is not None
            opens_utc = at_time.timestamp() if is_aware else None
            if known is not None and is_aware and known.intent.opens_utc == opens_utc:
                stamp = (
                    known.intent.open_stamp
                )  # asked for again, maybe after its time, or in a later program
            else:
                stamp = open_stamp(at_time, shared.account, seam.wall())
        intent = PendingIntent(
            request_id=request_id or seam.new_id(),
            asset=asset,
            side=side,
            amount=amount,
            duration_s=duration,
            open_time=NO_OPEN_TIME if stamp is None else show_open_time(stamp),
            open_stamp=stamp,
            opens_utc=opens_utc,
            open_price=0.0 if at_price is None else checked_price(at_price),
            min_payout=min_payout,
            is_demo=self.is_demo,
            created_wall=seam.wall(),
            expires_at=seam.now() + min(valid_for, 10**9),
        )
        book: Ref[OrderBookMessage | PlacePending] = self.supervisor.ref(ORDER_BOOK)
        return await taken_on(book.ask(PlacePending(intent)), shared.book.pending.handles, intent.request_id)

    async def cancel_pending(self, orders: Iterable[PendingHandle | str]) -> dict[str, CancelOutcome]:
        """Take several pending orders back, with one request, and wait for what becomes of each.

        Args:
            orders: handles, request ids or tickets.

        Returns:
            what became of each, by the request id; some may have been cancelled and others not.

        Cancelling stops the waiting, not the cancellation.

        Raises:
            OrderNotFound: one of them is not known; nothing has been asked for.
            OutcomeUnknown: the client was closed before the venue said.
        """
        self._check_open()
        handles = [one if isinstance(one, PendingHandle) else self.pending_order(one) for one in orders]
        book: Ref[OrderBookMessage] = self.supervisor.ref(ORDER_BOOK)
        for handle in handles:
            handle.cancel_refused = None
        book.tell(CancelPending(tuple(handle.request_id for handle in handles if not handle.state.ended)))
        await trio.lowlevel.checkpoint()
        return {handle.request_id: await handle.cancel_outcome() for handle in handles}


def open_stamp(at_time: datetime, account: AccountState, wall: float) -> int:
    """The venue's stamp of a moment to come.

    Raises:
        OrderDenied: it is not a moment that the venue could be told.
    """
    if not isinstance(at_time, datetime) or at_time.tzinfo is None:
        raise OrderDenied("at_time is an aware datetime, such as datetime(..., tzinfo=UTC)")
    if at_time.microsecond:
        raise OrderDenied("at_time has whole seconds: the venue knows no others")
    clock = account.clock
    if not clock.is_measured:
        raise OrderDenied("the venue's clock is not known yet: no tick has come")
    stamp = int(at_time.timestamp()) + clock.zone_s
    if stamp <= clock.stamp_at(wall):
        raise OrderDenied(f"{at_time} is past by the venue's clock")
    return stamp


def checked_price(price: float) -> float:
    """A price that the wire can carry.

    Raises:
        OrderDenied: it is none.
    """
    if isinstance(price, bool) or not isinstance(price, int | float) or not math.isfinite(price):
        raise OrderDenied(f"a price is a finite number, not {price!r}")
    if not 0 < price <= PRICE_MAX:
        raise OrderDenied(f"a price is positive, not {price}")
    return float(price)
