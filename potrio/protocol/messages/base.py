"""What every message is made of: the base type, the unknown one, and field types that carry their bounds."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from potrio.limits import (
    MONEY_MAGNITUDE_MAX,
    MONEY_MAX,
    MONEY_SCALE_MAX,
    PRICE_MAX,
    STAMP_MAX,
    SYMBOL_CHARS_MAX,
    TEXT_CHARS_MAX,
)

__all__ = [
    "Flag",
    "Integer",
    "Json",
    "Message",
    "Price",
    "RequestId",
    "Seconds",
    "Stamp",
    "Symbol",
    "Text",
    "Unknown",
    "WholeStamp",
    "check_money",
    "check_symbol",
    "normalise_flag",
    "shown_text",
]

INT64_MAX: Final = 2**63 - 1


class Message(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One typed value of the venue's vocabulary. What is None is not written to the wire.

    Field names are the wire's, snake-cased. Times are the venue's own stamps until `ServerClock` converts them.
    """


class Unknown(Message, frozen=True):
    """An event this vocabulary has no type for. ``payload`` is its JSON as it came, or empty."""

    name: str
    payload: bytes = b""


# --- field types -----------------------------------------------------------------------------------------------------

Json: TypeAlias = Any
"""A JSON value whose shape no capture has shown: kept as it came."""

Integer: TypeAlias = Annotated[int, msgspec.Meta(ge=-INT64_MAX, le=INT64_MAX)]
Flag: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1)] | bool
"""0 or 1 on the wire; ``true`` and ``false`` are understood, and written as 0 and 1 (see `normalise_flag`)."""

Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS_MAX)]
Symbol: TypeAlias = Annotated[
    str, msgspec.Meta(min_length=1, max_length=SYMBOL_CHARS_MAX, extra={"text": "symbol"})
]
"""An asset's symbol (``EURUSD_otc``, ``#AAPL``): printable, or the message is refused (`check_symbol`)."""

Price: TypeAlias = Annotated[float, msgspec.Meta(ge=-PRICE_MAX, le=PRICE_MAX)]
Stamp: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=STAMP_MAX)]
WholeStamp: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=STAMP_MAX)]
Seconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=STAMP_MAX)]

RequestId: TypeAlias = Integer | float | Text | bool | None
"""Whatever a client chose to name its request by; given back with the same JSON type (``protocol.md`` 0.12)."""


# --- checks that the decoder cannot make -----------------------------------------------------------------------------


def check_money(*amounts: Decimal | None) -> None:
    """Refuse an amount that is not finite, too large, or has too many digits after the point.

    Raises:
        ValueError: one of them is out of bounds; the text does not repeat it.
    """
    for amount in amounts:
        if amount is None:
            continue
        if not amount.is_finite():
            raise ValueError("an amount is not finite")
        exponent = amount.as_tuple().exponent
        assert isinstance(exponent, int), "a finite Decimal has a numeric exponent"
        # The magnitude first: arithmetic with 1e99999999 is no ValueError but a decimal.Overflow.
        if exponent < -MONEY_SCALE_MAX or amount.adjusted() > MONEY_MAGNITUDE_MAX or abs(amount) > MONEY_MAX:
            raise ValueError("an amount is out of bounds")


def check_symbol(*symbols: str | None) -> None:
    """Refuse a symbol with control, bidi or other invisible characters: stripping them would name another asset.

    Raises:
        ValueError: one of them is not printable.
    """
    for symbol in symbols:
        if symbol is not None and not symbol.isprintable():
            raise ValueError("a symbol has characters that cannot be shown")


def shown_text(text: str) -> str:
    """Take out of one text what cannot be shown; white space of any kind becomes a space."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)


def normalise_flag(message: msgspec.Struct, *fields: str) -> None:
    """Turn a bool in a `Flag` field into 0 or 1: some clients take nothing else. For ``__post_init__`` only."""
    for field in fields:
        value = getattr(message, field)
        if value is True or value is False:
            msgspec.structs.force_setattr(message, field, int(value))
