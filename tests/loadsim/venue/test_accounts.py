"""Accounts: the law of money, and the rounding of profits."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadsim.venue.accounts import Account, AccountKey, profit_of

cents = st.integers(1, 2_000_000).map(lambda count: Decimal(count) / 100)


def account(balance: str = "100.00") -> Account:
    """An account that was opened with this."""
    return Account(uid=1, is_demo=True, is_guest=False, balance=Decimal(balance), deposited=Decimal(balance))


@pytest.mark.parametrize(
    ("amount", "percent", "profit"),
    [
        ("5", 92, "4.60"),
        ("1", 92, "0.92"),
        ("0.05", 50, "0.03"),
        ("0.01", 49, "0.00"),
        ("33.33", 77, "25.66"),
    ],
)
def test_profit_is_rounded_to_the_cent_half_a_cent_up(amount: str, percent: int, profit: str) -> None:
    assert profit_of(Decimal(amount), percent) == Decimal(profit)


@given(cents, st.integers(0, 100))
def test_profit_agrees_with_whole_numbers(amount: Decimal, percent: int) -> None:
    hundredths = int(amount * 100) * percent  # of a cent
    assert int(profit_of(amount, percent) * 100) == (hundredths + 50) // 100
    assert profit_of(amount, percent) == (amount * percent / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_money_moves_from_balance_to_stake_and_back() -> None:
    held = account()
    held.stake(Decimal(30))
    assert (held.balance, held.staked) == (Decimal(70), Decimal(30))
    held.close(Decimal(30), Decimal("27.60"))
    assert (held.balance, held.staked, held.earned) == (Decimal("127.60"), 0, Decimal("27.60"))
    held.deposit(Decimal("2.40"))
    assert (held.balance, held.deposited) == (Decimal(130), Decimal("102.40"))
    assert held.key == AccountKey(1, True)


def test_bugs_with_money_are_found_at_once() -> None:
    held = account()
    with pytest.raises(AssertionError):
        held.stake(Decimal("100.01"))
    held.balance += 1
    with pytest.raises(AssertionError, match="conserved"):
        held.check()
