"""Deals: opened at the last tick, settled at the tick of their expiry, win, lose or draw, to the cent.

A deal expires exactly ``duration_s`` after it was opened, to the millisecond, and closes at the price of the last tick
at or before that moment. That price is a function of the moment, so a venue that was dead then settles the same.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import Final

import msgspec
from msgspec import Struct

from loadsim.venue.accounts import CENT, Account, AccountKey, profit_of
from loadsim.venue.config import TradingConfig

__all__ = ["Book", "Command", "Deal", "Refusal", "Settlement"]

CLOSED_SHOWN: Final = 20
"""Closed deals in ``updateClosedDeals`` (`protocol.md` 7.5)."""

ORDERS_COUNTED_MAX: Final = 200_000
"""Request ids counted by name; orders beyond are still counted as events."""


class Command(Enum):
    """Which way the price is thought to go; the number is the wire's."""

    CALL = 0
    PUT = 1


class Refusal(Enum):
    """Why an order is refused: the word in ``error``.

    ``MaxDemoTrades`` and ``OPEN_TIME`` are the real service's (`protocol.md` 7.7); the others are ours.
    """

    MAX_DEMO_TRADES = "MaxDemoTrades"
    MAX_TRADES = "MaxTrades"
    OPEN_TIME = "OPEN_TIME"
    ASSET_UNKNOWN = "ASSET_UNKNOWN"
    ASSET_CLOSED = "ASSET_CLOSED"
    AMOUNT_INVALID = "AMOUNT_INVALID"
    DURATION_INVALID = "DURATION_INVALID"
    ACTION_INVALID = "ACTION_INVALID"
    ACCOUNT_MISMATCH = "ACCOUNT_MISMATCH"
    NOT_ENOUGH_MONEY = "NOT_ENOUGH_MONEY"
    PAYOUT_TOO_LOW = "PAYOUT_TOO_LOW"
    PRICE_INVALID = "PRICE_INVALID"
    REQUEST_INVALID = "REQUEST_INVALID"
    CANCEL_TIME = "CANCEL_TIME"
    NOT_FOUND = "NOT_FOUND"
    UNSUPPORTED = "UNSUPPORTED"


class Deal(Struct, frozen=True, kw_only=True):
    """One deal, open (``close_price`` is None) or closed. Times are milliseconds of the venue's clock.

    Attributes:
        request_id: JSON text of what the client called it, "" if it did not; for the reply and the statistics.
        profit: signed; while open, what a win will bring.
    """

    id: str
    uid: int
    is_demo: bool
    asset: str
    amount: Decimal
    command: Command
    percent: int
    option_type: int
    opened_ms: int
    expires_ms: int
    open_price: float
    profit: Decimal
    request_id: str = ""
    close_price: float | None = None
    cancelled_ms: int | None = None

    @property
    def key(self) -> AccountKey:
        """The account it belongs to."""
        return AccountKey(self.uid, self.is_demo)


class Settlement(Struct, frozen=True):
    """Deals of one account that expired together, and its balance afterwards."""

    account: Account
    deals: tuple[Deal, ...]

    @property
    def profit(self) -> Decimal:
        """The sum of the positive results: the ``profit`` beside ``deals`` (`protocol.md` 7.4)."""
        return sum((deal.profit for deal in self.deals if deal.profit > 0), Decimal(0))


class Book:
    """All accounts with their deals."""

    def __init__(self, config: TradingConfig) -> None:
        self.accounts: dict[AccountKey, Account] = {}
        self.orders: dict[str, int] = {}
        self._config = config
        self._open: dict[AccountKey, dict[str, Deal]] = {}
        self._closed: dict[AccountKey, deque[Deal]] = {}
        self._expiries: list[tuple[int, int, Deal]] = []
        self._sequence = 0

    # --- accounts ---

    def account(self, key: AccountKey, *, is_guest: bool = False, balance: Decimal | None = None) -> Account:
        """Return the account, opened with the configured balance (or ``balance``) where it is new."""
        found = self.accounts.get(key)
        if found is None:
            if balance is None:
                balance = self._config.demo_balance if key.is_demo else self._config.live_balance
            found = Account(
                uid=key.uid, is_demo=key.is_demo, is_guest=is_guest, balance=balance, deposited=balance
            )
            self.accounts[key] = found
        return found

    def refill(self, key: AccountKey) -> Account:
        """Fill a practice account up to what it started with; a live one, or a richer one, stays as it is."""
        account = self.account(key)
        if account.is_demo:
            account.deposit(max(Decimal(0), self._config.demo_balance - account.balance))
        return account

    # --- deals ---

    def opened(self, key: AccountKey) -> list[Deal]:
        """Return the account's open deals, oldest first."""
        return list(self._open.get(key, {}).values())

    def closed(self, key: AccountKey, count: int = CLOSED_SHOWN) -> list[Deal]:
        """Return the account's last closed deals, newest first."""
        return list(islice(reversed(self._closed.get(key, ())), count))

    def count_order(self, request_id: str) -> None:
        """Count an order frame by what its client called it: the truth about orders sent twice."""
        if request_id in self.orders or len(self.orders) < ORDERS_COUNTED_MAX:
            self.orders[request_id] = self.orders.get(request_id, 0) + 1

    def refusal(self, key: AccountKey, amount: Decimal, waiting: int = 0) -> Refusal | None:
        """Tell what speaks against one more deal of this amount; ``waiting`` are the account's pending orders."""
        config = self._config
        account = self.account(key)
        if not amount.is_finite() or not config.amount_min <= amount <= config.amount_max:
            return Refusal.AMOUNT_INVALID
        if amount != amount.quantize(CENT):
            return Refusal.AMOUNT_INVALID
        if len(self._open.get(key, ())) + waiting >= self.concurrent_max(key):
            return Refusal.MAX_DEMO_TRADES if key.is_demo else Refusal.MAX_TRADES
        if amount > account.balance:
            return Refusal.NOT_ENOUGH_MONEY
        return None

    def concurrent_max(self, key: AccountKey) -> int:
        """Return how many deals the account may have open at once."""
        return self._config.concurrent_demo_max if key.is_demo else self._config.concurrent_live_max

    def open(
        self,
        key: AccountKey,
        *,
        id: str,
        asset: str,
        amount: Decimal,
        command: Command,
        percent: int,
        duration_s: int,
        price: float,
        now_ms: int,
        option_type: int = 100,
        request_id: str = "",
    ) -> Deal:
        """Open a deal that `refusal` has nothing against, and take its stake."""
        self.account(key).stake(amount)
        deal = Deal(
            id=id,
            uid=key.uid,
            is_demo=key.is_demo,
            asset=asset,
            amount=amount,
            command=command,
            percent=percent,
            option_type=option_type,
            opened_ms=now_ms,
            expires_ms=now_ms + duration_s * 1000,
            open_price=price,
            profit=profit_of(amount, percent),
            request_id=request_id,
        )
        self._insert(deal)
        return deal

    def next_expiry_ms(self) -> int | None:
        """Return when the next deal expires."""
        while self._expiries and not self._is_open(self._expiries[0][2]):
            heapq.heappop(self._expiries)  # it was cancelled
        return self._expiries[0][0] if self._expiries else None

    def settle(self, now_ms: int, price_at: Callable[[str, int], float]) -> list[Settlement]:
        """Settle every deal that has expired.

        Args:
            now_ms: the venue's clock.
            price_at: the price of an asset at a moment in milliseconds.

        Returns:
            one settlement for each account, its deals in order of expiry.
        """
        done: dict[AccountKey, list[Deal]] = {}
        while (expiry := self.next_expiry_ms()) is not None and expiry <= now_ms:
            _, _, deal = heapq.heappop(self._expiries)
            price = price_at(deal.asset, deal.expires_ms)
            profit = _result(deal, price)
            account = self.accounts[deal.key]
            if profit > 0:
                account.won += 1
            elif profit < 0:
                account.lost += 1
            else:
                account.drawn += 1
            done.setdefault(deal.key, []).append(self._close(deal, close_price=price, profit=profit))
        return [Settlement(self.accounts[key], tuple(deals)) for key, deals in done.items()]

    def cancel(
        self, key: AccountKey, deal_id: str, now_ms: int, price: Callable[[str], float]
    ) -> Deal | Refusal:
        """Cancel an open deal soon after its opening: the stake comes back whole."""
        deal = self._open.get(key, {}).get(deal_id)
        if deal is None:
            return Refusal.NOT_FOUND
        if now_ms - deal.opened_ms > self._config.cancel_window_s * 1000 or now_ms >= deal.expires_ms:
            return Refusal.CANCEL_TIME
        self.accounts[key].cancelled += 1
        return self._close(deal, close_price=price(deal.asset), profit=Decimal(0), cancelled_ms=now_ms)

    # --- for the state file ---

    def deals(self) -> tuple[list[Deal], list[Deal]]:
        """Return all open and all remembered closed deals."""
        opened = [deal for deals in self._open.values() for deal in deals.values()]
        return opened, [deal for deals in self._closed.values() for deal in deals]

    def restore(self, accounts: Iterable[Account], opened: Iterable[Deal], closed: Iterable[Deal]) -> None:
        """Fill an empty book.

        Raises:
            ValueError: the money does not add up, or a deal has no account.
        """
        assert not self.accounts, "a book is restored before it is used"
        self.accounts = {account.key: account for account in accounts}
        for deal in opened:
            self._insert(deal)
        for deal in closed:
            self._remember(deal)
        for key in (*self._open, *self._closed):
            if key not in self.accounts:
                raise ValueError(f"there are deals of an unknown account {key.uid}")
        for key, account in self.accounts.items():
            staked = sum((deal.amount for deal in self._open.get(key, {}).values()), Decimal(0))
            if staked != account.staked or account.balance + staked != account.deposited + account.earned:
                raise ValueError(f"the money of account {account.uid} does not add up")

    # --- private ---

    def _insert(self, deal: Deal) -> None:
        self._open.setdefault(deal.key, {})[deal.id] = deal
        self._sequence += 1
        heapq.heappush(self._expiries, (deal.expires_ms, self._sequence, deal))

    def _is_open(self, deal: Deal) -> bool:
        return deal.id in self._open.get(deal.key, ())

    def _close(
        self, deal: Deal, *, close_price: float, profit: Decimal, cancelled_ms: int | None = None
    ) -> Deal:
        del self._open[deal.key][deal.id]
        self.accounts[deal.key].close(deal.amount, profit)
        closed = msgspec.structs.replace(
            deal, close_price=close_price, profit=profit, cancelled_ms=cancelled_ms
        )
        self._remember(closed)
        return closed

    def _remember(self, deal: Deal) -> None:
        self._closed.setdefault(deal.key, deque(maxlen=self._config.closed_kept)).append(deal)


def _result(deal: Deal, close_price: float) -> Decimal:
    """Return the signed profit: equal prices are a draw."""
    if close_price == deal.open_price:
        return Decimal(0)
    rose = close_price > deal.open_price
    return deal.profit if rose is (deal.command is Command.CALL) else -deal.amount
