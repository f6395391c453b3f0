"""The wire of answers to orders: deals with a request id, nested refusals, settlements with or without a sum."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from potrio.protocol.json_guard import JSON_ERRORS, check_depth
from potrio.protocol.messages.base import Message, RequestId, Symbol, Text
from potrio.protocol.messages.trading import Deal, DealsClosed, OrderFailed, OrderOpened
from potrio.protocol.messages.wire import Event, decode_rows, late, shown, to_json

__all__ = ["SERVER_EVENTS"]


class _RequestIdOnly(msgspec.Struct, rename="camel"):
    request_id: RequestId | UnsetType = UNSET


class _Nested(msgspec.Struct):
    """``{"data":{...}}``: the form some answers take."""

    data: msgspec.Raw = msgspec.Raw(b"")


class _Failure(msgspec.Struct, rename="camel"):
    error: Text | None = None
    amount: Decimal | None = None
    asset: Symbol | None = None
    request_id: RequestId | UnsetType = UNSET


class _Settlement(msgspec.Struct):
    deals: msgspec.Raw
    profit: Decimal | None = None


_DEAL: Final = msgspec.json.Decoder(Deal).decode
_DEALS: Final = msgspec.json.Decoder(list[Deal]).decode
_REQUEST_ID: Final = msgspec.json.Decoder(_RequestIdOnly).decode
_NESTED: Final = late(_Nested)
_FAILURE: Final = late(_Failure)
_SETTLEMENT: Final = late(_Settlement)


def _decode_opened(payload: bytes) -> Message:
    check_depth(payload)
    try:
        deal, found = _DEAL(payload), _REQUEST_ID(payload)
    except msgspec.ValidationError:
        inner = bytes(_NESTED(payload).data)
        if not inner:
            raise
        deal, found = _DEAL(inner), _REQUEST_ID(inner)
        if found.request_id is UNSET:
            found = _REQUEST_ID(payload)
    return shown(OrderOpened(deal, found.request_id), payload)


def _encode_opened(it: OrderOpened) -> bytes:
    deal = to_json(it.deal)
    if it.request_id is UNSET:
        return deal
    return deal[:-1] + b',"requestId":' + to_json_id(it.request_id) + b"}"


def to_json_id(request_id: Any) -> bytes:
    """Write a request id; ``None`` is the client's own ``null``."""
    return b"null" if request_id is None else to_json(request_id)


def _decode_failed(payload: bytes) -> Message:
    check_depth(payload)
    failure = _FAILURE(payload)
    if failure.error is None and (inner := bytes(_NESTED(payload).data)).startswith(b"{"):
        failure = _FAILURE(inner)
    it = OrderFailed(
        error=failure.error or "", amount=failure.amount, asset=failure.asset, request_id=failure.request_id
    )
    return shown(it, payload)


def _decode_closed(payload: bytes) -> Message:
    """Decode ``{"profit","deals":[...]}`` or the bare list that some clients have seen."""
    check_depth(payload)
    try:
        head = _SETTLEMENT(payload)
        profit, data = head.profit, bytes(head.deals)
    except JSON_ERRORS:
        if not payload.lstrip().startswith(b"["):
            raise
        profit, data = None, payload
    deals, rejected = decode_rows(_DEALS, _DEAL, data)
    return shown(DealsClosed(profit, deals, rejected), payload)


def _encode_closed(it: DealsClosed) -> bytes:
    if it.profit is None:
        return to_json(it.deals)
    return to_json({"profit": it.profit, "deals": it.deals})


SERVER_EVENTS: Final = (
    Event(OrderOpened, ("successopenOrder",), _decode_opened, _encode_opened),
    Event(OrderFailed, ("failopenOrder",), _decode_failed, to_json),
    Event(DealsClosed, ("successcloseOrder",), _decode_closed, _encode_closed),
)
