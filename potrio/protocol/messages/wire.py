"""How an event lies on the wire: its names, and the two functions between JSON bytes and its message.

Laws: decoding goes straight from bytes to the Struct; nesting is bounded before the decoder sees the bytes; no text
of a message carries characters that could steer a terminal; a number that is not finite never leaves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from potrio.errors import LimitExceeded, LocalProtocolError
from potrio.limits import ROWS_COMMAS_MAX
from potrio.protocol.json_guard import JSON_ERRORS, check_depth
from potrio.protocol.messages.base import Message, shown_text

__all__ = [
    "BACKSLASH",
    "Event",
    "bare",
    "decode_rows",
    "late",
    "opaque",
    "remembered",
    "rows",
    "shown",
    "single",
    "structured",
    "to_json",
]

T = TypeVar("T")

BACKSLASH: Final = 0x5C
"""As a number: looking for one byte is five times faster than for a text of one."""

_ENCODE: Final = msgspec.json.Encoder(decimal_format="number").encode
_RAW_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Event(NamedTuple):
    """One row of the vocabulary. ``encode`` gives None where the event has no argument.

    Attributes:
        names: the first is the one written; all are understood.
    """

    type: type[Message]
    names: tuple[str, ...]
    decode: Callable[[bytes], Message]
    encode: Callable[[Any], bytes | None]


def late(of: type[T]) -> Callable[[bytes], T]:
    """Decode JSON as one type. The decoder is made for the first payload: no program meets the whole vocabulary."""

    @cache
    def decoder() -> Callable[[bytes], T]:
        return msgspec.json.Decoder(of).decode

    return lambda payload: decoder()(payload)


# --- kinds of events -------------------------------------------------------------------------------------------------


def structured(message: type[Message], *names: str, optional: bool = False) -> Event:
    """An event whose argument is a JSON object with the message's fields; ``optional``: it may be missing."""
    decode_object = late(message)

    def decode(payload: bytes) -> Message:
        if optional and payload in (b"", b"null"):
            payload = b"{}"
        check_depth(payload)
        return shown(decode_object(payload), payload)

    return Event(message, names, decode, to_json)


def single(message: type[Message], value: Any, *names: str) -> Event:
    """An event whose argument is the value of the message's only field."""
    (field,) = message.__struct_fields__
    decode_value = late(value)

    def decode(payload: bytes) -> Message:
        check_depth(payload)
        return shown(message(decode_value(payload)), payload)

    return Event(message, names, decode, lambda it: to_json(getattr(it, field)))


def rows(message: type[Message], row: Any, *names: str) -> Event:
    """An event whose argument is a list: the message's first field; ``rejected`` counts the rows that did not fit."""
    field = message.__struct_fields__[0]
    decode_all, decode_row = late(list[row]), late(row)

    def decode(payload: bytes) -> Message:
        check_depth(payload)
        good, rejected = decode_rows(decode_all, decode_row, payload)
        return message(**{field: shown(good, payload), "rejected": rejected})

    return Event(message, names, decode, lambda it: to_json(getattr(it, field)))


def remembered(event: Event) -> Event:
    """The same event, whose last payload is decoded once, however many clients of a program are sent it.

    For what is large, frozen through and through, and alike for all: a swarm then holds one asset table.
    """
    return event._replace(decode=lru_cache(maxsize=1)(event.decode))


def bare(message: type[Message], *names: str) -> Event:
    """An event without argument; one that comes all the same is ignored."""
    return Event(message, names, lambda payload: message(), lambda it: None)


def opaque(message: type[Message], *names: str) -> Event:
    """An event whose argument has a shape nobody has captured: its only field holds any JSON, None for none."""
    (field,) = message.__struct_fields__
    decode_value = msgspec.json.Decoder().decode

    def decode(payload: bytes) -> Message:
        check_depth(payload)
        return shown(message(decode_value(payload or b"null")), payload)

    def encode(it: Message) -> bytes | None:
        value = getattr(it, field)
        return None if value is None else to_json(value)

    return Event(message, names, decode, encode)


# --- decoding --------------------------------------------------------------------------------------------------------


def decode_rows(
    decode_all: Callable[[bytes], list[T]], decode_row: Callable[[bytes | msgspec.Raw], T], payload: bytes
) -> tuple[list[T], int]:
    """Decode a list; where that fails, row by row, so that one bad row does not lose the others.

    Returns:
        the good rows, and how many were bad.

    Raises:
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError: it is not a list, or no row of it is good: an
            empty result would claim that the venue said "none".
        LimitExceeded: too long to be taken apart.
    """
    try:
        return decode_all(payload), 0
    except JSON_ERRORS as error:
        first = error
    if payload.count(b",") > ROWS_COMMAS_MAX:
        raise LimitExceeded("commas in a list with bad rows", ROWS_COMMAS_MAX)
    raw_rows = _RAW_ROWS(payload)
    good: list[T] = []
    for raw in raw_rows:
        try:
            good.append(decode_row(raw))
        except JSON_ERRORS:
            continue
    if not good:
        raise first
    return good, len(raw_rows) - len(good)


def shown(value: T, payload: bytes) -> T:
    """Take out of all texts what a terminal could obey: C0, C1, bidi and other characters that cannot be shown.

    They can only come as an escape or as bytes beyond ASCII: a payload with neither is returned as it is.
    """
    if payload.isascii() and BACKSLASH not in payload:
        return value
    return _shown(value)  # type: ignore[no-any-return]  # the walk keeps every type


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return shown_text(value)
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_shown(item) for item in value)
    if isinstance(value, dict):
        return {_shown(key): _shown(item) for key, item in value.items()}
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        changed = {
            name: new for name, old in fields.items() if (new := _shown(old)) is not old and new != old
        }
        return msgspec.structs.replace(value, **changed) if changed else value
    return value


# --- encoding --------------------------------------------------------------------------------------------------------


def to_json(value: Any) -> bytes:
    """Write compact JSON; Decimals as numbers with all their digits.

    Raises:
        LocalProtocolError: a number is not finite (it would leave as ``null`` or as no JSON at all).
    """
    data = _ENCODE(value)
    if (b"null" in data or b"NaN" in data or b"Infinity" in data) and not _finite(value):
        raise LocalProtocolError(f"a number in {type(value).__name__} is not finite")
    return data


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Decimal):
        return value.is_finite()
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, msgspec.Struct):
        return all(_finite(getattr(value, name)) for name in value.__struct_fields__)
    return True
