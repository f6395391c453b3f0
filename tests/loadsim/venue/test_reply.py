"""Replies: who hears them and what they carry."""

from __future__ import annotations

import json
from decimal import Decimal

from loadsim.venue.accounts import Account, AccountKey
from loadsim.venue.reply import Scope, balance, closed_deals, opened_deals, refusal, reply

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


def test_a_refusal_is_named_after_what_it_refuses() -> None:
    said = refusal(KEY, "getBalance", "TOO_MANY_REQUESTS")
    assert (said.event, json.loads(said.payload)) == ("failgetBalance", {"error": "TOO_MANY_REQUESTS"})
    assert said.scope is Scope.HERE


def test_a_reply_is_a_header_and_an_attachment_or_one_text() -> None:
    said = reply(KEY, "x", 1)
    assert said.messages() == ('451-["x",{"_placeholder":true,"num":0}]', b"1")
    assert reply(KEY, "x", 1, is_text=True).messages() == ('42["x",1]',)
