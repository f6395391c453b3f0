"""Hypothesis strategies for messages, built from their types: a new message has one as soon as it has fields."""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from potrio.limits import MONEY_MAX, MONEY_SCALE_MAX
from potrio.protocol.messages.auth import AuthRequest
from potrio.protocol.messages.base import Message, Unknown
from potrio.protocol.messages.codec import CLIENT_EVENTS, SERVER_EVENTS
from potrio.protocol.messages.families import ANSWERED, Accepted, Drawing, Refused, Social
from potrio.protocol.messages.pending import PendingOrder
from potrio.secrets import Secret

__all__ = [
    "client_messages",
    "json_values",
    "message_of",
    "money",
    "printable_text",
    "server_messages",
    "symbols",
]

M = TypeVar("M")

INT64_MAX: Final = 2**63 - 1
LIST_MAX: Final = 3
TEXT_MAX: Final = 24

UNSHOWN: Final = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs")
"""Unicode categories of what `str.isprintable` refuses; the plain space apart."""

# --- values ----------------------------------------------------------------------------------------------------------


@functools.cache
def printable_text(min_size: int = 0, max_size: int = TEXT_MAX) -> st.SearchStrategy[str]:
    """Text that a message may hold: anything that can be shown."""
    alphabet = st.characters(codec="utf-8", exclude_categories=UNSHOWN, include_characters=" ")
    return st.text(alphabet, min_size=min_size, max_size=max_size)


@functools.cache
def symbols() -> st.SearchStrategy[str]:
    """Symbols of assets: usual ones, and anything else that may be one."""
    usual = st.sampled_from(("EURUSD", "EURUSD_otc", "#AAPL", "#AAPL_otc", "BTCUSD", "100GBP_otc"))
    return usual | printable_text(min_size=1)


@functools.cache
def money() -> st.SearchStrategy[Decimal]:
    """Amounts within the bounds, with up to all the digits they may have after the point."""
    small = st.builds(
        lambda units, scale: Decimal(units).scaleb(-scale), st.integers(-(10**9), 10**9), st.integers(0, 18)
    )
    return small | st.decimals(-MONEY_MAX, MONEY_MAX, places=2) | st.decimals(0, 1, places=MONEY_SCALE_MAX)


@functools.cache
def numbers() -> st.SearchStrategy[float]:
    """Finite floats."""
    return st.floats(allow_nan=False, allow_infinity=False)


@functools.cache
def json_values() -> st.SearchStrategy[Any]:
    """Any JSON value as Python has it after decoding, not deep."""
    leaves = st.none() | st.booleans() | st.integers(-INT64_MAX, INT64_MAX) | numbers() | printable_text()
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=LIST_MAX) | st.dictionaries(printable_text(), inner, max_size=LIST_MAX)
        ),
        max_leaves=8,
    )


# --- messages --------------------------------------------------------------------------------------------------------


@functools.cache
def server_messages() -> st.SearchStrategy[Message]:
    """Any message a venue sends."""
    return st.one_of(
        [message_of(kind) for kind in (*(event.type for event in SERVER_EVENTS), Accepted, Refused)]
    )


@functools.cache
def client_messages() -> st.SearchStrategy[Message]:
    """Any message a client sends."""
    return st.one_of([message_of(event.type) for event in CLIENT_EVENTS])


@functools.cache
def message_of(message: type[M]) -> st.SearchStrategy[M]:
    """Instances of one message type, or of any other Struct of the vocabulary, within the bounds of its fields."""
    special = _SPECIAL.get(message)
    return special() if special is not None else _struct(message)


def _struct(message: type[M], **given: st.SearchStrategy[Any]) -> st.SearchStrategy[M]:
    shape = inspect.type_info(message)
    assert isinstance(shape, inspect.StructType), f"{message.__name__} is no Struct"
    required: dict[str, st.SearchStrategy[Any]] = dict(given)
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for field in shape.fields:
        if (
            field.name in given or field.name == "rejected"
        ):  # counts what the decoder left out: never on the wire
            continue
        (required if field.required else optional)[field.name] = _of(field.type)
    return st.fixed_dictionaries(required, optional=optional).map(lambda fields: message(**fields))


def _auth_request() -> st.SearchStrategy[AuthRequest]:
    names = ("session", "session_token", "token")
    return st.one_of([_struct(AuthRequest, **{name: secrets()}) for name in names])


def secrets() -> st.SearchStrategy[Secret]:
    """Tokens; they may hold what PHP's serialisation needs to have escaped."""
    return st.text(st.characters(codec="utf-8"), min_size=1, max_size=TEXT_MAX).map(Secret)


def _unknown() -> st.SearchStrategy[Unknown]:
    return st.builds(
        Unknown, printable_text().map(lambda name: f"x-{name}"), json_values().map(msgspec.json.encode)
    )


_SPECIAL: Final[dict[type, Callable[[], st.SearchStrategy[Any]]]] = {
    Accepted: lambda: _struct(Accepted, request=st.sampled_from(sorted(ANSWERED)) | _family_names()),
    Refused: lambda: _struct(Refused, request=st.sampled_from(sorted(ANSWERED)) | _family_names()),
    Drawing: lambda: _struct(Drawing, action=printable_text()),
    Social: lambda: _struct(Social, action=printable_text()),
    AuthRequest: _auth_request,
    PendingOrder: lambda: _struct(PendingOrder, symbol=symbols(), asset=st.none()),
    Unknown: _unknown,
}


def _family_names() -> st.SearchStrategy[str]:
    return st.builds("{}/{}".format, st.sampled_from(("drawing", "social")), printable_text())


# --- types -----------------------------------------------------------------------------------------------------------


def _of(shape: inspect.Type) -> st.SearchStrategy[Any]:
    """Build the strategy of one type as msgspec sees it, its bounds included."""
    match shape:
        case inspect.Metadata(type=inner, extra=extra):
            return symbols() if extra == {"text": "symbol"} else _of(inner)
        case inspect.UnionType(types=types):
            return st.one_of(*map(_of, types))
        case inspect.StructType(cls=cls):
            return message_of(cls)
        case inspect.ListType(item_type=item):
            return st.lists(_of(item), max_size=LIST_MAX)
        case inspect.VarTupleType(item_type=item):
            return st.lists(_of(item), max_size=LIST_MAX).map(tuple)
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(_of(key), _of(value), max_size=LIST_MAX)
        case inspect.IntType(ge=low, le=high):
            return st.integers(-INT64_MAX if low is None else low, INT64_MAX if high is None else high)
        case inspect.FloatType(ge=low, le=high):
            return st.floats(low, high, allow_nan=False, allow_infinity=False)
        case inspect.StrType(min_length=low, max_length=high):
            return printable_text(low or 0, min(high or TEXT_MAX, TEXT_MAX))
        case inspect.EnumType(cls=cls):
            return st.sampled_from(sorted(cls, key=lambda member: str(member.value)))
        case inspect.CustomType(cls=cls) if cls is Secret:
            return secrets()
    return _PLAIN[type(shape)]()


_PLAIN: Final[dict[type, Callable[[], st.SearchStrategy[Any]]]] = {
    inspect.AnyType: json_values,
    inspect.BoolType: st.booleans,
    inspect.NoneType: st.none,
    inspect.DecimalType: money,
}
