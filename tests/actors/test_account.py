"""The account's snapshot: nothing made up, read-only, and whoever waits for a change is woken."""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio

from potrio.actors.account import AccountState
from potrio.protocol.messages.account import Balance

from .conftest import settle


def test_nothing_is_known_before_it_is_told():
    account = AccountState()
    assert (account.balance, account.balance_at, dict(account.assets)) == (None, None, {})
    assert account.stale


def test_a_balance_makes_it_fresh_and_a_lost_link_stale_again():
    account = AccountState()
    account.set_balance(Balance(balance=Decimal("10.50")), 7.0)
    assert (account.balance.balance, account.balance_at, account.stale) == (Decimal("10.50"), 7.0, False)
    account.lost()
    assert account.stale
    assert account.balance.balance == Decimal("10.50"), "the last known one stays"


def test_the_table_is_read_only_and_replaced_as_a_whole():
    account = AccountState()
    table = {"A": object()}
    account.set_assets(table)
    before = account.assets
    table["B"] = object()
    assert set(account.assets) == {"A"}
    with pytest.raises(TypeError):
        account.assets["C"] = object()
    account.set_assets({"B": object()})
    assert (set(before), set(account.assets)) == ({"A"}, {"B"})


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.set_balance(Balance(balance=Decimal(1)), 0.0),
        lambda a: a.set_assets({}),
        AccountState.lost,
    ],
)
async def test_every_change_wakes_all_who_wait_and_only_once(autojump_clock, change):
    account = AccountState()
    woken = []

    async def wait(name: str) -> None:
        await account.wait_change()
        woken.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, "one")
        nursery.start_soon(wait, "two")
        await settle()
        assert woken == []
        change(account)
        await settle()
        assert sorted(woken) == ["one", "two"]
        nursery.start_soon(wait, "later")
        await settle()
        assert len(woken) == 2
        nursery.cancel_scope.cancel()
