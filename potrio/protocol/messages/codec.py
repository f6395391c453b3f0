"""Event name ↔ message, one table for each direction; total: a name that is in no table becomes `Unknown`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from potrio.errors import LimitExceeded, LocalProtocolError, PayloadInvalid
from potrio.protocol.json_guard import JSON_ERRORS
from potrio.protocol.messages import (
    account,
    auth,
    charts,
    market,
    market_wire,
    pending,
    signals,
    social,
    trading,
    trading_wire,
)
from potrio.protocol.messages.base import Message, Unknown, shown_text
from potrio.protocol.messages.families import decode_client_family, decode_server_family, encode_family
from potrio.protocol.messages.wire import Event

__all__ = [
    "CLIENT_EVENTS",
    "SERVER_EVENTS",
    "TEXT_EVENTS",
    "decode_client_event",
    "decode_server_event",
    "encode",
    "name_of",
]

CLIENT_EVENTS: Final[tuple[Event, ...]] = (
    *auth.CLIENT_EVENTS,
    *account.CLIENT_EVENTS,
    *market.CLIENT_EVENTS,
    *trading.CLIENT_EVENTS,
    *pending.CLIENT_EVENTS,
    *charts.CLIENT_EVENTS,
    *signals.CLIENT_EVENTS,
    *social.CLIENT_EVENTS,
)
"""What a client sends and a venue receives."""

SERVER_EVENTS: Final[tuple[Event, ...]] = (
    *auth.SERVER_EVENTS,
    *account.SERVER_EVENTS,
    *market_wire.SERVER_EVENTS,
    *market.SERVER_EVENTS,
    *trading_wire.SERVER_EVENTS,
    *trading.SERVER_EVENTS,
    *pending.SERVER_EVENTS,
    *charts.SERVER_EVENTS,
    *signals.SERVER_EVENTS,
    *social.SERVER_EVENTS,
)
"""What a venue sends and a client receives."""

TEXT_EVENTS: Final = frozenset(
    {
        "NotAuthorized",
        *("successcancelPendingOrder", "failcancelPendingOrder"),
        *("successcancelPendingOrders", "failcancelPendingOrders"),
    }
)
"""What a venue sends as text events; all others are binary events with one attachment (``protocol.md`` 4)."""


def decode_server_event(name: str, payload: bytes) -> Message:
    """Decode an event that a client received.

    Args:
        name: of the Socket.IO event.
        payload: JSON of its first argument, empty where it has none.

    Raises:
        PayloadInvalid: the name is known and the payload does not fit it.
        LimitExceeded: the payload is nested too deep, or too long to be taken apart.
    """
    decode = _DECODE_SERVER.get(name)
    try:
        if decode is not None:
            return decode(payload)
        return decode_server_family(name, payload) or Unknown(shown_text(name), payload)
    except (*JSON_ERRORS, ValueError, LimitExceeded) as error:
        problem = _problem(name, error)
    del payload  # it may hold a token, and tracebacks can be asked to show local values
    raise problem


def decode_client_event(name: str, payload: bytes) -> Message:
    """Decode an event that a venue received; arguments and errors as in `decode_server_event`."""
    decode = _DECODE_CLIENT.get(name)
    try:
        if decode is not None:
            return decode(payload)
        return decode_client_family(name, payload) or Unknown(shown_text(name), payload)
    except (*JSON_ERRORS, ValueError, LimitExceeded) as error:
        problem = _problem(name, error)
    del payload
    raise problem


def encode(message: Message) -> tuple[str, bytes | None]:
    """Write a message: the event's name and the compact JSON of its argument, None where it has none.

    Raises:
        LocalProtocolError: the type is no event, or a number in it is not finite.
    """
    found = _ENCODE.get(type(message))
    if found is not None:
        name, write = found
        return name, write(message)
    if isinstance(message, Unknown):
        return message.name, message.payload or None
    encoded = encode_family(message)
    if encoded is None:
        raise LocalProtocolError(f"{type(message).__name__} is not an event")
    return encoded


def name_of(message: Message) -> str:
    """The name of the event that `encode` would make of a message.

    Raises:
        LocalProtocolError: the type is no event.
    """
    found = _ENCODE.get(type(message))
    if found is not None:
        return found[0]
    return message.name if isinstance(message, Unknown) else encode(message)[0]


# --- private ---------------------------------------------------------------------------------------------------------


def _by_name(events: Iterable[Event]) -> dict[str, Callable[[bytes], Message]]:
    table: dict[str, Callable[[bytes], Message]] = {}
    for event in events:
        for name in event.names:
            assert name not in table, f"two events are named {name}"
            table[name] = event.decode
    return table


_DECODE_SERVER: Final = _by_name(SERVER_EVENTS)
_DECODE_CLIENT: Final = _by_name(CLIENT_EVENTS)
_ENCODE: Final[dict[type[Message], tuple[str, Callable[[Any], bytes | None]]]] = {
    event.type: (event.names[0], event.encode) for event in (*CLIENT_EVENTS, *SERVER_EVENTS)
}

_QUOTED: Final = re.compile(r"^(Invalid enum value|Invalid value) .*?( - at `\$[^`]*`)?$", re.DOTALL)


def _problem(name: str, error: Exception) -> PayloadInvalid | LimitExceeded:
    """Say what is wrong without the data: a fresh error, without the frames and objects that hold them."""
    if isinstance(error, LimitExceeded):
        return LimitExceeded(error.what, error.limit, error.close_code)
    if isinstance(error, msgspec.MsgspecError):
        return PayloadInvalid(name, _QUOTED.sub(r"\1\2", str(error)))
    if isinstance(error, UnicodeDecodeError):
        return PayloadInvalid(name, "a text is not UTF-8")
    return PayloadInvalid(name, "its values are out of bounds")
