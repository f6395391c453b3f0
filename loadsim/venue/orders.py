"""The order desk: opens, refuses, cancels and settles deals, and says so in the order the clients need.

Pure: the moment is an argument, ids come from a function. Whatever changes money is saved before its replies are
returned, so nobody is told what a restart would forget.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from loadsim.venue import reply as replies
from loadsim.venue.accounts import AccountKey
from loadsim.venue.config import TradingConfig
from loadsim.venue.deals import Book, Command, Deal, Refusal, Settlement
from loadsim.venue.market import Market
from loadsim.venue.pending import PendingBook
from loadsim.venue.reply import Reply, Scope, reply
from loadsim.venue.requests import OpenOrder, Ticket, read
from loadsim.venue.stats import Stats
from loadsim.venue.wire import deal_object, number

__all__ = ["OrderDesk"]

ACTIONS = {"call": Command.CALL, "put": Command.PUT}


class OrderDesk:
    """Everything that moves money.

    Args:
        config: limits.
        market: prices.
        book: accounts and deals.
        pending: waiting orders.
        stats: counters.
        new_id: gives a uuid.
        save: makes book and pending durable.
    """

    def __init__(
        self,
        config: TradingConfig,
        market: Market,
        book: Book,
        pending: PendingBook,
        stats: Stats,
        *,
        new_id: Callable[[], str],
        save: Callable[[], None],
    ) -> None:
        self._config = config
        self._market = market
        self._book = book
        self._pending = pending
        self._stats = stats
        self._new_id = new_id
        self._save = save

    # --- opening ---

    def open_order(self, key: AccountKey, payload: bytes, now_ms: int, refuse: str = "") -> list[Reply]:
        """``openOrder``: the deal to who asked, a copy without the request id to the account's other connections."""
        request = read(OpenOrder, payload)
        if request is None:
            return [_fail(key, "failopenOrder", Refusal.REQUEST_INVALID.value, 0, "")]
        request_id = bytes(request.request_id).decode()
        self._book.count_order(_name_of(request_id))
        refusal = refuse or self._refusal(key, request, now_ms)
        if refusal:
            self._save()  # the count of this request id
            return [self._order_failed(key, refusal, request.amount, request.asset)]
        deal = self.open(
            key,
            asset=request.asset,
            amount=request.amount,
            command=ACTIONS[request.action],
            duration_s=request.time,
            now_ms=now_ms,
            option_type=request.option_type,
            request_id=request_id,
        )
        self._save()
        currency = self._config.currency
        return [
            reply(key, "successopenOrder", deal_object(deal, currency, request_id=request_id)),
            reply(key, "successopenOrder", deal_object(deal, currency), Scope.OTHERS),
            replies.balance(self._book.account(key)),
        ]

    def open(
        self,
        key: AccountKey,
        *,
        asset: str,
        amount: Decimal,
        command: Command,
        duration_s: int,
        now_ms: int,
        option_type: int = 100,
        request_id: str = "",
    ) -> Deal:
        """Open a deal that nothing speaks against; you must save the book next."""
        self._stats.deals_opened += 1
        return self._book.open(
            key,
            id=self._new_id(),
            asset=asset,
            amount=amount,
            command=command,
            percent=self._market.payout(asset, now_ms / 1000),
            duration_s=duration_s,
            price=self._market.price(asset, now_ms / 1000),
            now_ms=now_ms,
            option_type=option_type,
            request_id=request_id,
        )

    def _refusal(self, key: AccountKey, request: OpenOrder, now_ms: int) -> str:
        if request.is_demo is not None and bool(request.is_demo) is not key.is_demo:
            return Refusal.ACCOUNT_MISMATCH.value
        if request.action not in ACTIONS:
            return Refusal.ACTION_INVALID.value
        found = self.refusal_of_asset(request.asset, request.time, now_ms)
        found = found or self._book.refusal(key, request.amount, len(self._pending.of(key)))
        return found.value if found else ""

    def refusal_of_asset(self, symbol: str, duration_s: int, now_ms: int) -> Refusal | None:
        """Tell what speaks against a deal of this asset and duration now."""
        asset = self._market.assets.get(symbol)
        if asset is None:
            return Refusal.ASSET_UNKNOWN
        if not self._market.is_open(symbol, now_ms / 1000):
            return Refusal.ASSET_CLOSED
        if not asset.duration_min_s <= duration_s <= self._config.duration_max_s:
            return Refusal.DURATION_INVALID
        return None

    def _order_failed(self, key: AccountKey, error: str, amount: Decimal, asset: str) -> Reply:
        return _fail(key, "failopenOrder", error, self.amount_told(key, error, amount), asset)

    def amount_told(self, key: AccountKey, error: str, amount: Decimal) -> int | Decimal:
        """Return the ``amount`` of a refusal: the limit, where there are too many deals (`protocol.md` 7.7)."""
        if error in (Refusal.MAX_DEMO_TRADES.value, Refusal.MAX_TRADES.value):
            return self._book.concurrent_max(key)
        return number(amount) if amount.is_finite() else 0

    # --- closing ---

    def settle(self, now_ms: int) -> list[Reply]:
        """Settle what has expired; for each account the balance, the results, the list of closed deals (rule 15)."""
        settlements = self._book.settle(
            now_ms, lambda asset, moment_ms: self._market.price(asset, moment_ms / 1000)
        )
        if not settlements:
            return []
        self._save()
        return [told for settlement in settlements for told in self._tell(settlement)]

    def _tell(self, settlement: Settlement) -> list[Reply]:
        account = settlement.account
        self._stats.deals_settled += len(settlement.deals)
        results: dict[str, Any] = {
            "profit": number(settlement.profit),
            "deals": [deal_object(deal, self._config.currency) for deal in settlement.deals],
        }
        return [
            replies.balance(account),
            reply(account.key, "successcloseOrder", results, Scope.ACCOUNT),
            self._closed_list(account.key, Scope.ACCOUNT),
        ]

    def _closed_list(self, key: AccountKey, scope: Scope) -> Reply:
        return replies.closed_deals(key, self._book.closed(key), self._config.currency, scope)

    def cancel_order(self, key: AccountKey, payload: bytes, now_ms: int) -> list[Reply]:
        """``cancelOrder``: soon after its opening a deal can be taken back, with its stake."""
        request = read(Ticket, payload)
        if request is None:
            return [reply(key, "failcancelOrder", {"error": Refusal.REQUEST_INVALID.value})]
        found = self._book.cancel(
            key, request.ticket, now_ms, lambda asset: self._market.price(asset, now_ms / 1000)
        )
        if isinstance(found, Refusal):
            return [reply(key, "failcancelOrder", {"error": found.value, "ticket": request.ticket})]
        self._save()
        self._stats.deals_cancelled += 1
        return [
            replies.balance(self._book.account(key)),
            reply(key, "successcancelOrder", {"ticket": found.id}),
            self._closed_list(key, Scope.ACCOUNT),
        ]


def _fail(key: AccountKey, event: str, error: str, amount: int | Decimal, asset: str) -> Reply:
    return reply(key, event, {"error": error, "amount": amount, "asset": asset})


def _name_of(request_id: str) -> str:
    """Return a request id as it is counted: a string without its quotes, anything else as its JSON."""
    value = msgspec.json.decode(request_id) if request_id else ""
    return value if isinstance(value, str) else request_id
