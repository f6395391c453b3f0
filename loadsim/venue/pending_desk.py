"""The desk of pending orders: lets them wait, cancels them, and opens their deals when the moment or price has come.

Pure, like `orders.py`, which opens the deals.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from loadsim.venue import reply as replies
from loadsim.venue.accounts import AccountKey
from loadsim.venue.config import TradingConfig
from loadsim.venue.deals import Book, Command, Refusal
from loadsim.venue.market import Market
from loadsim.venue.orders import OrderDesk
from loadsim.venue.pending import OpenType, PendingBook, PendingOrder, read_time
from loadsim.venue.reply import Reply, Scope, reply
from loadsim.venue.requests import OpenPendingOrder, Ticket, Tickets, read
from loadsim.venue.wire import deal_object, number, pending_object

__all__ = ["PendingDesk"]

PENDING_AHEAD_MAX_MS: Final = 7 * 86_400 * 1000
"""How far ahead an order may wait for its time."""

PRICE_MAX: Final = 1e9


class PendingDesk:
    """Orders that wait.

    Args:
        config: limits.
        market: prices.
        book: accounts and deals.
        pending: the waiting orders.
        orders: opens the deals.
        new_id: gives a uuid.
        save: makes book and pending durable.
    """

    def __init__(
        self,
        config: TradingConfig,
        market: Market,
        book: Book,
        pending: PendingBook,
        orders: OrderDesk,
        *,
        new_id: Callable[[], str],
        save: Callable[[], None],
    ) -> None:
        self._config = config
        self._market = market
        self._book = book
        self._pending = pending
        self._orders = orders
        self._new_id = new_id
        self._save = save

    def open_order(self, key: AccountKey, payload: bytes, now_ms: int, refuse: str = "") -> list[Reply]:
        """``openPendingOrder``: the order, flat and nested, since clients disagree (`protocol.md` 7.8)."""
        request = read(OpenPendingOrder, payload)
        if request is None:
            return [_fail_pending(key, {}, Refusal.REQUEST_INVALID.value, 0, "")]
        order: PendingOrder | Refusal = self._order(key, request, now_ms)
        if refuse or isinstance(order, Refusal):
            error = refuse or (order.value if isinstance(order, Refusal) else "")
            amount = self._orders.amount_told(key, error, request.amount)
            return [_fail_pending(key, _as_asked(request), error, amount, request.asset)]
        self._pending.add(order)
        self._save()
        shown = pending_object(order)
        return [
            reply(key, "successopenPendingOrder", {**shown, "data": shown}),
            self.list_all(key, Scope.ACCOUNT),
        ]

    def _order(self, key: AccountKey, request: OpenPendingOrder, now_ms: int) -> PendingOrder | Refusal:
        if request.open_type not in (0, 1) or request.command not in (0, 1):
            return Refusal.REQUEST_INVALID
        asset = self._market.assets.get(request.asset)
        if asset is None:
            return Refusal.ASSET_UNKNOWN
        if not asset.duration_min_s <= request.timeframe <= self._config.duration_max_s:
            return Refusal.DURATION_INVALID
        refusal = self._book.refusal(key, request.amount, len(self._pending.of(key)))
        if refusal is not None:
            return refusal
        open_type = OpenType(request.open_type)
        open_ms = 0
        rising = False
        if open_type is OpenType.TIME:
            open_s = read_time(request.open_time) if isinstance(request.open_time, str) else request.open_time
            if open_s is None or not now_ms < open_s * 1000 <= now_ms + PENDING_AHEAD_MAX_MS:
                return Refusal.OPEN_TIME
            open_ms = open_s * 1000
        else:
            if not 0 < request.open_price < PRICE_MAX:
                return Refusal.PRICE_INVALID
            rising = request.open_price > self._market.price(request.asset, now_ms / 1000)
        return PendingOrder(
            ticket=self._new_id(),
            number=self._pending.next_number,
            uid=key.uid,
            is_demo=key.is_demo,
            open_type=open_type,
            asset=request.asset,
            amount=request.amount,
            command=Command(request.command),
            timeframe_s=request.timeframe,
            min_payout=min(max(0, request.min_payout), 100),
            created_ms=now_ms,
            open_ms=open_ms,
            open_price=request.open_price,
            rising=rising,
        )

    def cancel_order(self, key: AccountKey, payload: bytes) -> list[Reply]:
        """``cancelPendingOrder``; the answer is a text event."""
        request = read(Ticket, payload)
        if request is None:
            error = {"error": Refusal.REQUEST_INVALID.value}
            return [reply(key, "failcancelPendingOrder", error, is_text=True)]
        if self._pending.remove(key, request.ticket) is None:
            error = {"error": Refusal.NOT_FOUND.value, "ticket": request.ticket}
            return [reply(key, "failcancelPendingOrder", error, is_text=True)]
        self._save()
        return [
            reply(key, "successcancelPendingOrder", {"ticket": request.ticket}, is_text=True),
            self.list_all(key, Scope.ACCOUNT),
        ]

    def cancel_orders(self, key: AccountKey, payload: bytes) -> list[Reply]:
        """``cancelPendingOrders``: those of the tickets that are there."""
        request = read(Tickets, payload)
        tickets = [] if request is None else request.tickets
        cancelled = [ticket for ticket in tickets if self._pending.remove(key, ticket) is not None]
        if cancelled:
            self._save()
        return [
            reply(key, "successcancelPendingOrders", {"cancelled": cancelled}, is_text=True),
            self.list_all(key, Scope.ACCOUNT),
        ]

    def list_all(self, key: AccountKey, scope: Scope = Scope.HERE) -> Reply:
        """``successupdatePending``: all waiting orders of the account."""
        return reply(key, "successupdatePending", [pending_object(o) for o in self._pending.of(key)], scope)

    def trigger(self, orders: list[PendingOrder], now_ms: int) -> list[Reply]:
        """Open waiting orders whose moment or price has come; what cannot be opened now fails and is gone."""
        said: list[Reply] = []
        for order in orders:
            key = order.key
            if self._pending.remove(key, order.ticket) is None:
                continue
            refusal = self._orders.refusal_of_asset(order.asset, order.timeframe_s, now_ms)
            refusal = refusal or self._book.refusal(key, order.amount, len(self._pending.of(key)))
            if refusal is None and self._market.payout(order.asset, now_ms / 1000) < order.min_payout:
                refusal = Refusal.PAYOUT_TOO_LOW
            if refusal is not None:
                amount = self._orders.amount_told(key, refusal.value, order.amount)
                failed = _fail_pending(key, pending_object(order), refusal.value, amount, order.asset)
                said.append(Reply(failed.event, failed.payload, Scope.ACCOUNT, key))
            else:
                deal = self._orders.open(
                    key,
                    asset=order.asset,
                    amount=order.amount,
                    command=order.command,
                    duration_s=order.timeframe_s,
                    now_ms=now_ms,
                )
                opened = deal_object(deal, self._config.currency)
                said.append(reply(key, "successopenOrder", opened, Scope.ACCOUNT))
                said.append(replies.balance(self._book.account(key)))
            said.append(self.list_all(key, Scope.ACCOUNT))
        if said:
            self._save()
        return said


def _fail_pending(
    key: AccountKey, order: dict[str, Any], error: str, amount: int | Decimal, asset: str
) -> Reply:
    data = {"data": order, "error": error, "amount": amount, "asset": asset}
    return reply(key, "failopenPendingOrder", {"data": data})


def _as_asked(request: OpenPendingOrder) -> dict[str, Any]:
    return {
        "openType": request.open_type,
        "amount": number(request.amount) if request.amount.is_finite() else 0,
        "asset": request.asset,
        "openTime": request.open_time,
        "openPrice": request.open_price,
        "timeframe": request.timeframe,
        "minPayout": request.min_payout,
        "command": request.command,
    }
