"""What a client may ask of the venue: the payloads of its events, read leniently and bounded.

These types are the venue's own, apart from `potrio.protocol.messages`, on purpose: the venue is what the client is
judged by, and a wrong belief in a shared type would be invisible. And what has to be echoed is kept as the bytes that
came (`protocol.md` rule 12): uuid, number, ``"buy"`` or null.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from potrio.errors import LimitExceeded
from potrio.protocol.json_guard import JSON_ERRORS, check_depth
from potrio.secrets import Secret

__all__ = [
    "AuthFrame",
    "ChangeSymbol",
    "LoadHistoryPeriod",
    "OpenOrder",
    "OpenPendingOrder",
    "Ticket",
    "Tickets",
    "read",
    "read_symbol",
]

T = TypeVar("T")

ECHO_BYTES_MAX: Final = 256
"""Longest request id or index that is given back."""

SYMBOL_CHARS_MAX: Final = 64
NULL: Final = Raw(b"null")


class Lenient(Struct, frozen=True):
    """Unknown fields are ignored: real clients send more than anybody needs."""


class AuthFrame(Lenient, frozen=True, rename="camel"):
    """``auth`` (`protocol.md` 3.4): a user's session or a guest's token."""

    session: Secret | None = None
    session_token: Secret | None = None
    token: Secret | None = None
    is_demo: int = 1
    uid: int | str | None = None
    is_fast_history: bool = False
    balance: Decimal | None = None

    @property
    def credential(self) -> Secret | None:
        """What identifies the user."""
        return self.session or self.session_token or self.token

    @property
    def is_guest(self) -> bool:
        """Whether this is a "try demo" login."""
        return self.session is None and self.session_token is None


class ChangeSymbol(Lenient, frozen=True, rename="camel"):
    """``changeSymbol``."""

    asset: str
    period: int = 60


class LoadHistoryPeriod(Lenient, frozen=True, rename="camel"):
    """``loadHistoryPeriod``."""

    asset: str
    time: float
    offset: float
    period: int
    index: Raw = NULL


class OpenOrder(Lenient, frozen=True, rename="camel"):
    """``openOrder``; ``time`` is the duration in seconds."""

    asset: str
    amount: Decimal
    action: str
    time: int = 0
    is_demo: int | None = None
    request_id: Raw = Raw(b"")
    option_type: int = 100


class OpenPendingOrder(Lenient, frozen=True, rename="camel"):
    """``openPendingOrder``."""

    open_type: int
    amount: Decimal
    asset: str
    timeframe: int
    command: int
    open_time: str | int | None = None
    open_price: float = 0
    min_payout: int = 0


class Ticket(Lenient, frozen=True, rename="camel"):
    """``cancelOrder``, ``cancelPendingOrder``."""

    ticket: str


class Tickets(Lenient, frozen=True, rename="camel"):
    """``cancelPendingOrders``."""

    tickets: list[str]


def read(target: type[T], payload: bytes) -> T | None:
    """Decode the payload of an event; None if it does not fit."""
    try:
        check_depth(payload)
        value = _decoder(target).decode(payload)
    except (*JSON_ERRORS, LimitExceeded):
        return None
    for echo in (getattr(value, "index", None), getattr(value, "request_id", None)):
        if isinstance(echo, Raw) and len(bytes(echo)) > ECHO_BYTES_MAX:
            return None
    return value


def read_symbol(payload: bytes) -> str | None:
    """Decode a payload that is an asset's symbol."""
    symbol = read(str, payload)
    return symbol if symbol is not None and len(symbol) <= SYMBOL_CHARS_MAX else None


def _decoder(target: type[T]) -> msgspec.json.Decoder[T]:
    found = _DECODERS.get(target)
    assert found is not None, f"{target.__name__} is not a request"
    return found


def _secret(target: type, value: Any) -> Secret:
    if target is Secret and isinstance(value, str) and value:
        return Secret(value)
    raise ValueError("a session is a string")


_DECODERS: Final[dict[type, msgspec.json.Decoder[Any]]] = {
    target: msgspec.json.Decoder(target, dec_hook=_secret)
    for target in (
        str,
        AuthFrame,
        ChangeSymbol,
        LoadHistoryPeriod,
        OpenOrder,
        OpenPendingOrder,
        Ticket,
        Tickets,
    )
}
