"""What a client may ask of the venue: the payloads of its events, read leniently and bounded.

These types are the venue's own, apart from `potrio.protocol.messages`, on purpose: the venue is what the client is
judged by, and a wrong belief in a shared type would be invisible. And what has to be echoed is kept as the bytes that
came (`protocol.md` rule 12): uuid, number, ``"buy"`` or null.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

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

REQUEST_BYTES_MAX: Final = 64 * 1024
"""Longest request: a session has two kilobytes, and nothing else that is honest is as long."""

SYMBOL_CHARS_MAX: Final = 64
TEXT_CHARS_MAX: Final = 256
TICKETS_MAX: Final = 1000
INT_MAX: Final = 2**53 - 1
"""Integers beyond are not the same number in every client, and beyond 64 bits not in our state file either."""

MONEY_DIGITS_MAX: Final = 15
MONEY_SCALE_MAX: Final = 18
"""Digits of an amount before and after the point: ``1e99999999`` is a Decimal of nine bytes and an integer of 41 MB."""

NULL: Final = Raw(b"null")

Integer: TypeAlias = Annotated[int, Meta(ge=-INT_MAX, le=INT_MAX)]
UserId: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Symbol: TypeAlias = Annotated[str, Meta(max_length=SYMBOL_CHARS_MAX)]
Text: TypeAlias = Annotated[str, Meta(max_length=TEXT_CHARS_MAX)]


class Lenient(Struct, frozen=True):
    """Unknown fields are ignored: real clients send more than anybody needs."""


class AuthFrame(Lenient, frozen=True, rename="camel"):
    """``auth`` (`protocol.md` 3.4): a user's session or a guest's token."""

    session: Secret | None = None
    session_token: Secret | None = None
    token: Secret | None = None
    is_demo: Integer = 1
    uid: UserId | Text | None = None
    is_fast_history: bool = False

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

    asset: Symbol
    period: Integer = 60


class LoadHistoryPeriod(Lenient, frozen=True, rename="camel"):
    """``loadHistoryPeriod``."""

    asset: Symbol
    time: float
    offset: float
    period: Integer
    index: Raw = NULL


class OpenOrder(Lenient, frozen=True, rename="camel"):
    """``openOrder``; ``time`` is the duration in seconds."""

    asset: Symbol
    amount: Decimal
    action: Text
    time: Integer = 0
    is_demo: Integer | None = None
    request_id: Raw = Raw(b"")
    option_type: Integer = 100


class OpenPendingOrder(Lenient, frozen=True, rename="camel"):
    """``openPendingOrder``."""

    open_type: Integer
    amount: Decimal
    asset: Symbol
    timeframe: Integer
    command: Integer
    open_time: Text | Integer | None = None
    open_price: float = 0
    min_payout: Integer = 0


class Ticket(Lenient, frozen=True, rename="camel"):
    """``cancelOrder``, ``cancelPendingOrder``."""

    ticket: Text


class Tickets(Lenient, frozen=True, rename="camel"):
    """``cancelPendingOrders``."""

    tickets: Annotated[list[Text], Meta(max_length=TICKETS_MAX)]


def read(target: type[T], payload: bytes) -> T | None:
    """Decode the payload of an event; None if it does not fit or a number in it is out of bounds."""
    if len(payload) > REQUEST_BYTES_MAX:
        return None
    try:
        check_depth(payload)
        value = _decoder(target).decode(payload)
        for name in ("index", "request_id"):
            _check_echo(getattr(value, name, None))
    except (*JSON_ERRORS, LimitExceeded, _OutOfBoundsError):
        return None
    amount = getattr(value, "amount", None)
    return value if amount is None or _is_money(amount) else None


class _OutOfBoundsError(Exception):
    """A value is longer than it may be."""


def _check_echo(echo: object) -> None:
    """Refuse what cannot be given back: too long, or bytes that the lazy decoder has not looked into and are not JSON.

    Raises:
        _OutOfBoundsError, *JSON_ERRORS: it is one of those.
    """
    if not isinstance(echo, Raw) or not bytes(echo):
        return
    if len(bytes(echo)) > ECHO_BYTES_MAX:
        raise _OutOfBoundsError
    msgspec.json.decode(echo)


def _is_money(amount: Decimal) -> bool:
    """Tell whether an amount can be reckoned with. No arithmetic here: on a huge one it is what must not happen."""
    if not amount.is_finite() or amount.adjusted() > MONEY_DIGITS_MAX:
        return False
    exponent = amount.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -MONEY_SCALE_MAX


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
