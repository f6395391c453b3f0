"""What the venue wants to say, to whom: the value that passes between the pure desks and the connections."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import Any

from msgspec import Struct

from loadsim.venue.accounts import Account, AccountKey
from loadsim.venue.deals import Deal
from loadsim.venue.wire import balance_object, deal_object, header_of, to_json
from potrio.protocol.engineio import Message

__all__ = ["Reply", "Scope", "balance", "closed_deals", "opened_deals", "refusal", "reply"]


class Scope(Enum):
    """Which connections hear it."""

    HERE = "here"
    """The one that asked."""
    OTHERS = "others"
    """All others of the account."""
    ACCOUNT = "account"
    """All of the account."""


class Reply(Struct, frozen=True):
    """One event to send."""

    event: str
    payload: bytes
    scope: Scope
    key: AccountKey
    is_text: bool = False

    def messages(self) -> tuple[Message, ...]:
        """What goes on the wire: one text, or a header and its attachment."""
        if self.is_text:
            return (f'42["{self.event}",{self.payload.decode()}]',)
        return (header(self.event), self.payload)


header = lru_cache(256)(header_of)


def reply(
    key: AccountKey, event: str, value: Any, scope: Scope = Scope.HERE, *, is_text: bool = False
) -> Reply:
    """Make a reply of a value."""
    return Reply(event, to_json(value), scope, key, is_text)


def refusal(key: AccountKey, event: str, error: str) -> Reply:
    """The answer to a request that is refused, by the convention that ``x`` is answered by ``failx``."""
    return reply(key, f"fail{event}", {"error": error})


def balance(account: Account, scope: Scope = Scope.ACCOUNT) -> Reply:
    """``successupdateBalance``."""
    return reply(account.key, "successupdateBalance", balance_object(account), scope)


def opened_deals(key: AccountKey, deals: Iterable[Deal], currency: str) -> Reply:
    """``updateOpenedDeals``: on login and when asked for, never at the opening of a deal (rule 14)."""
    return reply(key, "updateOpenedDeals", [deal_object(deal, currency) for deal in deals])


def closed_deals(key: AccountKey, deals: Iterable[Deal], currency: str, scope: Scope = Scope.HERE) -> Reply:
    """``updateClosedDeals``: the last ones, newest first."""
    rows = [deal_object(deal, currency, in_closed_list=True) for deal in deals]
    return reply(key, "updateClosedDeals", rows, scope)
