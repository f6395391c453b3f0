"""The account's snapshot: nothing made up, read-only, and whoever waits for a change is woken."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType

import pytest
import trio

from potrio.actors.account import AccountState, BalanceUpdate
from potrio.actors.stream import Stream
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


def test_a_table_that_cannot_change_is_shared_and_not_copied():
    account = AccountState()
    table = MappingProxyType({"A": object()})
    account.set_assets(table)

    assert account.assets is table


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


def drain(stream: Stream) -> list:
    return [] if not stream.statistics().waiting else list(stream._items)


def test_readers_get_what_is_told_from_then_on_and_only_what_they_want():
    account = AccountState()
    every, few = Stream(), Stream()
    account.set_balance(Balance(balance=Decimal(1)), 0.0)
    account.balance_readers.add(every)
    account.balance_readers.add(few, lambda update: update.balance > 5)
    account.set_balance(Balance(balance=Decimal(4), currency="EUR", is_demo=1), 2.0)
    account.set_balance(Balance(balance=Decimal(9)), 3.0)
    assert drain(every) == [
        BalanceUpdate(Decimal(4), "EUR", True, 2.0),
        BalanceUpdate(Decimal(9), None, None, 3.0),
    ]
    assert drain(few) == drain(every)[1:]
    assert account.balances_told == 3


def test_a_balance_of_the_other_kind_of_account_is_told_to_nobody():
    account = AccountState(is_demo=True)
    stream = Stream()
    account.balance_readers.add(stream)
    account.set_balance(Balance(balance=Decimal(4), is_demo=0), 2.0)
    assert (drain(stream), account.balance, account.balances_told) == ([], None, 0)
    assert account.contradicted


def test_a_closed_reader_is_forgotten_and_the_end_is_everybodys():
    account = AccountState()
    closed, gone, open_ = Stream(), Stream(), Stream()
    for stream in (closed, gone, open_):
        account.balance_readers.add(stream)
    closed.close()
    account.balance_readers.discard(gone)
    account.set_balance(Balance(balance=Decimal(4)), 2.0)
    assert len(account.balance_readers) == 1
    account.end(None)
    assert (len(account.balance_readers), len(drain(open_)), len(drain(gone))) == (0, 1, 0)
    with pytest.raises(trio.EndOfChannel):
        open_._items.clear()
        trio.run(open_.receive)


def test_extracts_of_the_table_live_as_long_as_the_table():
    account = AccountState()
    account.views.put("payout", {}, 0.0)
    account.set_assets({}, 5.0)
    assert account.views.get("payout", 0.0) is None
    assert account.assets_at == 5.0
    account.views.put("payout", {}, 0.0)
    account.lost()
    assert account.views.get("payout", 0.0) is None
