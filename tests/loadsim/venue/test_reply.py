"""Replies: who hears them and what they carry."""

from __future__ import annotations

import json
from decimal import Decimal

from loadsim.venue.accounts import Account, AccountKey
from loadsim.venue.reply import Scope, balance, closed_deals, opened_deals, reply

KEY = AccountKey(1, True)


def test_a_reply_goes_to_who_asked_unless_it_says_otherwise() -> None:
    said = reply(KEY, "successcancelOrder", {"ticket": "t"})
    assert (said.scope, said.payload, said.is_text) == (Scope.HERE, b'{"ticket":"t"}', False)


def test_a_balance_goes_to_the_whole_account() -> None:
    account = Account(uid=1, is_demo=True, is_guest=False, balance=Decimal("1.50"), deposited=Decimal("1.50"))
    said = balance(account)
    assert (said.scope, said.key, said.event) == (Scope.ACCOUNT, KEY, "successupdateBalance")
    assert said.payload == b'{"isDemo":1,"balance":1.5,"uid":1}'


def test_lists_of_deals() -> None:
    assert json.loads(opened_deals(KEY, [], "USD").payload) == []
    assert closed_deals(KEY, [], "USD", Scope.ACCOUNT).scope is Scope.ACCOUNT
