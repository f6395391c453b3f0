"""The wire of ticks and history, in every form they have been seen in (``protocol.md`` 11.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from potrio.limits import JSON_DEPTH_MAX
from potrio.protocol.json_guard import JSON_ERRORS, check_depth
from potrio.protocol.messages.base import (
    Integer,
    Message,
    Price,
    RequestId,
    Seconds,
    Stamp,
    Symbol,
    WholeStamp,
)
from potrio.protocol.messages.market import (
    CandleRow,
    History,
    HistoryCandle,
    HistoryFast,
    HistoryPeriod,
    HistoryPeriodFast,
    HistoryTick,
    Tick,
    TickRow,
    UpdateStream,
)
from potrio.protocol.messages.wire import BACKSLASH, Event, decode_rows, late, shown, to_json

__all__ = ["SERVER_EVENTS", "decode_tick_run", "decode_update_stream"]

BORDER: Final = b"]],[["
FLAT_BORDER: Final = b"],["
_TICKS: Final = msgspec.json.Decoder(list[Tick]).decode
_TICK: Final = msgspec.json.Decoder(Tick).decode
_TICK_RUN: Final = msgspec.json.Decoder(list[list[Tick]]).decode

# --- ticks -----------------------------------------------------------------------------------------------------------


def decode_update_stream(payload: bytes) -> UpdateStream:
    """Decode ``[[asset,time,price],...]`` or the flat ``[asset,time,price]``.

    Raises:
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError, LimitExceeded: it is neither.
    """
    if len(payload) > JSON_DEPTH_MAX:  # a shorter text cannot be nested deeper; a tick has about 40 bytes
        check_depth(payload)
    try:
        ticks = _TICKS(payload)
    except msgspec.ValidationError as error:
        ticks = _flat(payload, error)
    if BACKSLASH in payload or not payload.isascii():
        _check_symbols(ticks)
    return UpdateStream(ticks)


def decode_tick_run(payloads: Sequence[bytes], joined: bytes | None = None) -> list[Tick]:
    """Decode the payloads of a run of ``updateStream`` events in one call of the decoder: for a read that brought many.

    Where a venue's usual form is joined, ``[[tick]],[[tick]]``, the borders are taken out, and one flat array is left.
    Whoever has the payloads joined with commas already can give that too.

    Raises:
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError, LimitExceeded: one of them is bad, or of another
            form than nested; decode them one by one.
    """
    if joined is None:
        joined = b",".join(payloads)
    borders = len(payloads) - 1
    flat = joined.replace(BORDER, FLAT_BORDER)
    if len(joined) - len(flat) == borders * (len(BORDER) - len(FLAT_BORDER)):  # each border was such a one
        # A border closes as many as it opens: what is left of all opening brackets bounds the depth.
        if joined.count(b"[") + joined.count(b"{") - 2 * borders > JSON_DEPTH_MAX:
            check_depth(joined)
        ticks = _TICKS(flat)
    else:
        joined = b"[" + joined + b"]"
        check_depth(joined)
        batches = _TICK_RUN(joined)
        if len(batches) != len(payloads):
            raise msgspec.ValidationError("the payloads of a run are not whole")
        ticks = [tick for batch in batches for tick in batch]
    if BACKSLASH in joined or not joined.isascii():
        _check_symbols(ticks)
    return ticks


def _check_symbols(ticks: list[Tick]) -> None:
    for tick in ticks:
        if not tick.asset.isprintable():
            raise msgspec.ValidationError("a symbol has characters that cannot be shown")


def _flat(payload: bytes, error: msgspec.ValidationError) -> list[Tick]:
    try:
        return [_TICK(payload)]
    except msgspec.ValidationError:
        raise error from None


# --- history ---------------------------------------------------------------------------------------------------------


class _ObjectCandle(msgspec.Struct, gc=False):
    """A candle of a `History` that came as an object."""

    time: WholeStamp | Stamp
    open: Price
    close: Price
    high: Price
    low: Price
    volume: Integer | Price | None = None


class _Snapshot(msgspec.Struct):
    asset: Symbol
    period: Seconds
    history: list[TickRow] | None = None
    candles: list[CandleRow] | None = None


class _RawSnapshot(msgspec.Struct):
    asset: Symbol
    period: Seconds
    history: msgspec.Raw = msgspec.Raw(b"[]")
    candles: msgspec.Raw = msgspec.Raw(b"[]")


class _RawPeriod(msgspec.Struct):
    asset: Symbol
    period: Seconds
    index: RequestId = None
    data: msgspec.Raw = msgspec.Raw(b"[]")


_SNAPSHOT: Final = late(_Snapshot)
_RAW_SNAPSHOT: Final = late(_RawSnapshot)
_RAW_PERIOD: Final = late(_RawPeriod)
_TICK_ROW: Final = msgspec.json.Decoder(TickRow).decode
_TICK_ROWS: Final = msgspec.json.Decoder(list[TickRow]).decode
_CANDLE_ROW: Final = late(CandleRow)
_CANDLE_ROWS: Final = late(list[CandleRow])
_OBJECT_CANDLE: Final = late(_ObjectCandle)
_PERIOD_CANDLE: Final = late(HistoryCandle)
_PERIOD_CANDLES: Final = late(list[HistoryCandle])
_PERIOD_TICK: Final = late(HistoryTick)
_PERIOD_TICKS: Final = late(list[HistoryTick])


def _history(kind: type[History]) -> Event:
    def decode(payload: bytes) -> Message:
        check_depth(payload)
        try:
            head = _SNAPSHOT(payload)
            return shown(kind(head.asset, head.period, head.history or [], head.candles or []), payload)
        except msgspec.ValidationError:
            pass
        raw = _RAW_SNAPSHOT(payload)
        ticks, bad_ticks = decode_rows(_TICK_ROWS, _tick_row, _list(raw.history))
        candles, bad_candles = decode_rows(_CANDLE_ROWS, _candle_row, _list(raw.candles))
        return kind(raw.asset, raw.period, ticks, candles, bad_ticks + bad_candles)

    def encode(it: History) -> bytes:
        candles = [_row(candle) for candle in it.candles]
        return to_json({"asset": it.asset, "period": it.period, "history": it.history, "candles": candles})

    name = "updateHistoryNewFast" if kind is HistoryFast else "updateHistoryNew"
    return Event(kind, (name,), decode, encode)


def _history_period(kind: type[HistoryPeriod]) -> Event:
    def decode(payload: bytes) -> Message:
        check_depth(payload)
        head = _RAW_PERIOD(payload)
        candles, ticks, rejected = _period_rows(_list(head.data))
        return shown(kind(head.asset, head.index, head.period, candles, ticks, rejected), payload)

    def encode(it: HistoryPeriod) -> bytes:
        data = [*it.candles, *it.ticks]
        return to_json({"asset": it.asset, "index": it.index, "period": it.period, "data": data})

    name = "loadHistoryPeriodFast" if kind is HistoryPeriodFast else "loadHistoryPeriod"
    return Event(kind, (name,), decode, encode)


def _period_rows(data: bytes) -> tuple[list[HistoryCandle], list[HistoryTick], int]:
    """Decode candles, or ticks, or what is neither clean: row by row, each as what it is."""
    try:
        return _PERIOD_CANDLES(data), [], 0
    except JSON_ERRORS:
        pass
    try:
        return [], _PERIOD_TICKS(data), 0
    except JSON_ERRORS:
        pass
    mixed, rejected = decode_rows(_no_rows, _period_row, data)
    candles = [row for row in mixed if isinstance(row, HistoryCandle)]
    return candles, [row for row in mixed if isinstance(row, HistoryTick)], rejected


def _no_rows(data: bytes) -> list[HistoryCandle | HistoryTick]:
    raise msgspec.ValidationError("no row is a candle or a tick")


def _period_row(raw: bytes | msgspec.Raw) -> HistoryCandle | HistoryTick:
    for decode in (_PERIOD_CANDLE, _PERIOD_TICK):
        try:
            return decode(raw)
        except msgspec.ValidationError:
            continue
    try:
        row = _CANDLE_ROW(raw)
    except msgspec.ValidationError:
        tick = _TICK_ROW(raw)
        return HistoryTick(time=tick.timestamp, price=tick.price)
    return HistoryCandle(
        time=row.time, open=row.open, close=row.close, high=row.high, low=row.low, volume=row.volume
    )


def _tick_row(raw: bytes | msgspec.Raw) -> TickRow:
    """Decode ``[time,price]``, ``{"time","price"}`` or a whole tick ``[asset,time,price]``."""
    try:
        return _TICK_ROW(raw)
    except msgspec.ValidationError:
        pass
    try:
        tick = _PERIOD_TICK(raw)
        return TickRow(float(tick.time), tick.price)
    except msgspec.ValidationError:
        whole = _TICK(raw)
        return TickRow(whole.timestamp, whole.price)


def _candle_row(raw: bytes | msgspec.Raw) -> CandleRow:
    """Decode ``[time,open,close,high,low(,volume)]`` or an object with these keys."""
    try:
        return _CANDLE_ROW(raw)
    except msgspec.ValidationError:
        it = _OBJECT_CANDLE(raw)
        return CandleRow(it.time, it.open, it.close, it.high, it.low, it.volume)


def _row(candle: CandleRow) -> Any:
    """Write five columns, and the sixth only where there is one: a ``null`` would break strict readers."""
    if candle.volume is not None:
        return candle
    return (candle.time, candle.open, candle.close, candle.high, candle.low)


def _list(raw: msgspec.Raw) -> bytes:
    data = bytes(raw)
    return b"[]" if data == b"null" else data


SERVER_EVENTS: Final = (
    Event(UpdateStream, ("updateStream",), decode_update_stream, lambda it: to_json(it.ticks)),
    _history(History),
    _history(HistoryFast),
    _history_period(HistoryPeriod),
    _history_period(HistoryPeriodFast),
)
