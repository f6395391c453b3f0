"""Pending orders: opened when a time or a price is reached, cancelled one by one or together."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Final

import msgspec

from potrio.protocol.json_guard import check_depth
from potrio.protocol.messages.base import (
    Flag,
    Integer,
    Json,
    Message,
    Price,
    Seconds,
    Symbol,
    Text,
    check_money,
    check_symbol,
    normalise_flag,
)
from potrio.protocol.messages.trading import Side
from potrio.protocol.messages.wire import Event, late, rows, shown, structured, to_json

__all__ = [
    "CLIENT_EVENTS",
    "NO_OPEN_TIME",
    "OPEN_AT_PRICE",
    "OPEN_AT_TIME",
    "PENDING_NEWS",
    "SERVER_EVENTS",
    "CancelPendingOrder",
    "CancelPendingOrders",
    "OpenPendingOrder",
    "PendingCancelFailed",
    "PendingCancelled",
    "PendingFailed",
    "PendingOpened",
    "PendingOrder",
    "PendingOrders",
    "PendingsCancelFailed",
    "PendingsCancelled",
    "read_open_time",
    "show_open_time",
]

OPEN_AT_TIME: Final = 0
OPEN_AT_PRICE: Final = 1
NO_OPEN_TIME: Final = "0000-00-00 00:00:00"
"""``openTime`` of an order that waits for a price."""

TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S"

OpenType = Annotated[int, msgspec.Meta(ge=0, le=1)]
Command = Annotated[int, msgspec.Meta(ge=0, le=1)]
Ticket = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


# --- what a client asks ----------------------------------------------------------------------------------------------


class OpenPendingOrder(Message, frozen=True, kw_only=True):
    """Client: ``openPendingOrder``: open a trade at a time (``open_type`` 0) or at a price (1)."""

    open_type: OpenType
    amount: Decimal
    asset: Symbol
    open_time: Text  # YYYY-MM-DD HH:MM:SS, server clock
    open_price: Price
    timeframe: Seconds
    min_payout: Integer  # percent
    command: Command

    def __post_init__(self) -> None:
        check_symbol(self.asset)
        check_money(self.amount)


class CancelPendingOrder(Message, frozen=True):
    """Client: ``cancelPendingOrder``."""

    ticket: Ticket


class CancelPendingOrders(Message, frozen=True):
    """Client: ``cancelPendingOrders``."""

    tickets: list[Ticket]


# --- what a venue answers --------------------------------------------------------------------------------------------


class PendingOrder(Message, frozen=True, kw_only=True):
    """One pending order as the venue lists it. ``asset`` instead of ``symbol`` is understood."""

    ticket: Ticket
    open_type: OpenType
    amount: Decimal
    symbol: Symbol = ""
    asset: Symbol | None = None
    open_time: Text
    open_price: Price
    timeframe: Seconds
    min_payout: Integer
    command: Command
    date_created: Text | None = None
    id: Integer | None = None
    uid: Integer | None = None
    is_demo: Flag | None = None

    def __post_init__(self) -> None:
        if not self.symbol:
            if not self.asset:
                raise ValueError("a pending order names no symbol")
            msgspec.structs.force_setattr(self, "symbol", self.asset)
        msgspec.structs.force_setattr(self, "asset", None)
        check_symbol(self.symbol, self.ticket)
        check_money(self.amount)
        normalise_flag(self, "is_demo")

    @property
    def side(self) -> Side:
        """What the order will bet on."""
        return Side.from_wire(self.command)


class PendingOpened(Message, frozen=True):
    """Server: ``successopenPendingOrder``. Written flat with a copy under ``data``, read in either form."""

    order: PendingOrder


class PendingFailed(Message, frozen=True, kw_only=True):
    """Server: ``failopenPendingOrder``, ``{"data":{"data":{order},"error","amount","asset"}}`` or flat.

    Attributes:
        error: the venue's word (``MaxDemoTrades``, ``OPEN_TIME``), empty where it gave none.
        order: the order that was asked for, as it came back.
    """

    error: Text
    amount: Decimal | None = None
    asset: Symbol | None = None
    order: Json = None

    def __post_init__(self) -> None:
        check_symbol(self.asset)
        check_money(self.amount)


class PendingOrders(Message, frozen=True):
    """Server: ``successupdatePending``: every pending order, after login and after changes."""

    orders: list[PendingOrder]
    rejected: int = 0


class PendingCancelled(Message, frozen=True):
    """Server: ``successcancelPendingOrder``; sent as a text event, some clients misread a binary one."""

    ticket: Ticket


class PendingCancelFailed(Message, frozen=True):
    """Server: ``failcancelPendingOrder``; sent as a text event."""

    error: Text | None = None
    ticket: Ticket | None = None


class PendingsCancelled(Message, frozen=True):
    """Server: ``successcancelPendingOrders``: the tickets that were cancelled; sent as a text event."""

    cancelled: list[Ticket]


class PendingsCancelFailed(Message, frozen=True):
    """Server: ``failcancelPendingOrders``; sent as a text event."""

    error: Text | None = None
    tickets: list[Ticket] = msgspec.field(default_factory=list)


def show_open_time(stamp: int) -> str:
    """A stamp of the venue's clock as ``openTime`` is written."""
    return datetime.fromtimestamp(stamp, UTC).strftime(TIME_FORMAT)


def read_open_time(text: str) -> int | None:
    """The stamp that an ``openTime`` means; None where it is none (`NO_OPEN_TIME`)."""
    try:
        moment = datetime.strptime(text, TIME_FORMAT)
    except ValueError:
        return None
    return int(moment.replace(tzinfo=UTC).timestamp())


# --- wire ------------------------------------------------------------------------------------------------------------


class _Nested(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"")


class _Failure(msgspec.Struct):
    error: Text | None = None
    amount: Decimal | None = None
    asset: Symbol | None = None
    data: msgspec.Raw = msgspec.Raw(b"")


_ORDER: Final = late(PendingOrder)
_NESTED: Final = late(_Nested)
_FAILURE: Final = late(_Failure)
_ANY: Final = msgspec.json.Decoder().decode


def inner_or_outer(message: type[Message], *names: str) -> Event:
    """An event whose fields lie at the top or under ``data``: captures show both."""
    decode_object = late(message)

    def decode(payload: bytes) -> Message:
        check_depth(payload)
        inner = bytes(_NESTED(payload).data)
        if inner.startswith(b"{"):
            try:
                return shown(decode_object(inner), payload)
            except msgspec.ValidationError:
                pass  # what lies under `data` is something else
        return shown(decode_object(payload), payload)

    return Event(message, names, decode, to_json)


def _decode_opened(payload: bytes) -> Message:
    check_depth(payload)
    try:
        order = _ORDER(payload)
    except msgspec.ValidationError:
        inner = bytes(_NESTED(payload).data)
        if not inner:
            raise
        order = _ORDER(inner)
    return shown(PendingOpened(order), payload)


def _encode_opened(it: PendingOpened) -> bytes:
    order = to_json(it.order)
    return order[:-1] + b',"data":' + order + b"}"


def _decode_failed(payload: bytes) -> Message:
    check_depth(payload)
    failure = _FAILURE(payload)
    if failure.error is None and (inner := bytes(failure.data)).startswith(b"{"):
        failure = _FAILURE(inner)
    order = _ANY(failure.data) if bytes(failure.data) else None
    it = PendingFailed(error=failure.error or "", amount=failure.amount, asset=failure.asset, order=order)
    return shown(it, payload)


def _encode_failed(it: PendingFailed) -> bytes:
    inner = {"data": it.order, "error": it.error, "amount": it.amount, "asset": it.asset}
    return to_json({"data": {key: value for key, value in inner.items() if value is not None}})


CLIENT_EVENTS: Final = (
    structured(OpenPendingOrder, "openPendingOrder"),
    structured(CancelPendingOrder, "cancelPendingOrder"),
    structured(CancelPendingOrders, "cancelPendingOrders"),
)

PENDING_NEWS: Final[tuple[type[Message], ...]] = (
    PendingOpened,
    PendingFailed,
    PendingOrders,
    PendingCancelled,
    PendingCancelFailed,
    PendingsCancelled,
    PendingsCancelFailed,
)
"""All that a venue says about pending orders."""

SERVER_EVENTS: Final = (
    Event(PendingOpened, ("successopenPendingOrder",), _decode_opened, _encode_opened),
    Event(PendingFailed, ("failopenPendingOrder",), _decode_failed, _encode_failed),
    rows(PendingOrders, PendingOrder, "successupdatePending"),
    inner_or_outer(PendingCancelled, "successcancelPendingOrder"),
    inner_or_outer(PendingCancelFailed, "failcancelPendingOrder"),
    inner_or_outer(PendingsCancelled, "successcancelPendingOrders"),
    inner_or_outer(PendingsCancelFailed, "failcancelPendingOrders"),
)
