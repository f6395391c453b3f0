"""The account: its balance, asked for and told, and the refill of a practice account."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from potrio.protocol.messages.base import Flag, Integer, Message, Text, check_money, normalise_flag
from potrio.protocol.messages.wire import bare, structured

__all__ = ["CLIENT_EVENTS", "SERVER_EVENTS", "Balance", "GetBalance", "RefillDemo", "UpdateBalance"]


class Balance(Message, frozen=True, kw_only=True):
    """Server: ``successupdateBalance``, on login, after each change, and as the answer to `GetBalance`.

    Attributes:
        is_demo: 1 for a practice account, 0 for a live one; None where the venue did not say.
    """

    is_demo: Flag | None = None
    balance: Decimal
    uid: Integer | None = None
    login: Integer | Text | None = None
    currency: Text | None = None

    def __post_init__(self) -> None:
        normalise_flag(self, "is_demo")
        check_money(self.balance)


class GetBalance(Message, frozen=True):
    """Client: ``getBalance``; answered by `Balance`."""


class UpdateBalance(Message, frozen=True):
    """Client: ``updateBalance``: the web client's spelling of `GetBalance`."""


class RefillDemo(Message, frozen=True):
    """Client: ``td/refill``: fill a guest's or a practice account again; a `Balance` follows."""


CLIENT_EVENTS: Final = (
    bare(GetBalance, "getBalance"),
    bare(UpdateBalance, "updateBalance"),
    bare(RefillDemo, "td/refill"),
)

SERVER_EVENTS: Final = (structured(Balance, "successupdateBalance"),)
