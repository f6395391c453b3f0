"""Accounts: balances to the cent, kept so that money can be counted: nothing appears and nothing is lost.

The law, asserted after every movement: *balance + stakes of open deals = deposits + earnings*, where the earnings are
the profits of closed deals (a lost stake is a negative one).
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final, NamedTuple

from msgspec import Struct

__all__ = ["CENT", "Account", "AccountKey", "profit_of"]

CENT: Final = Decimal("0.01")


class AccountKey(NamedTuple):
    """A user has one practice and one live account; all connections of both fields share it."""

    uid: int
    is_demo: bool


class Account(Struct, kw_only=True):
    """One account. Only `Book` moves its money."""

    uid: int
    is_demo: bool
    is_guest: bool
    balance: Decimal
    deposited: Decimal
    staked: Decimal = Decimal(0)
    earned: Decimal = Decimal(0)
    won: int = 0
    lost: int = 0
    drawn: int = 0
    cancelled: int = 0

    @property
    def key(self) -> AccountKey:
        """What the account is found by."""
        return AccountKey(self.uid, self.is_demo)

    def deposit(self, amount: Decimal) -> None:
        """Put money in from outside."""
        assert amount >= 0, "a deposit is not negative"
        self.balance += amount
        self.deposited += amount
        self.check()

    def stake(self, amount: Decimal) -> None:
        """Take the stake of a deal that is being opened."""
        assert 0 < amount <= self.balance, "a stake is covered"
        self.balance -= amount
        self.staked += amount
        self.check()

    def close(self, amount: Decimal, profit: Decimal) -> None:
        """Close a deal: the stake comes back with its profit, which is minus the stake where all is lost."""
        assert profit >= -amount, "no deal loses more than its stake"
        self.staked -= amount
        self.balance += amount + profit
        self.earned += profit
        self.check()

    def check(self) -> None:
        """Assert the law of the module."""
        assert self.balance + self.staked == self.deposited + self.earned, "money is conserved"
        assert self.balance >= 0, "no account is overdrawn"


def profit_of(amount: Decimal, percent: int) -> Decimal:
    """Return what a won deal earns: ``amount * percent / 100``, half a cent rounded up."""
    return (amount * percent / 100).quantize(CENT, ROUND_HALF_UP)
