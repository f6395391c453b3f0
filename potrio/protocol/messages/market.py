"""The market: ticks, the asset table, subscriptions, history, the venue's clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Final, TypeAlias

import msgspec

from potrio.limits import STAMP_MAX
from potrio.protocol.messages.base import (
    Flag,
    Integer,
    Json,
    Message,
    Price,
    RequestId,
    Seconds,
    Stamp,
    Symbol,
    Text,
    WholeStamp,
    check_symbol,
    normalise_flag,
)
from potrio.protocol.messages.wire import bare, remembered, rows, single, structured

__all__ = [
    "CLIENT_EVENTS",
    "SERVER_EVENTS",
    "Asset",
    "CandleRow",
    "ChangeSymbol",
    "Duration",
    "History",
    "HistoryCandle",
    "HistoryFast",
    "HistoryPeriod",
    "HistoryPeriodFast",
    "HistoryTick",
    "LoadAssets",
    "LoadHistoryPeriod",
    "LoadHistoryPeriodFast",
    "Sentiment",
    "Sentiments",
    "ServerTime",
    "Subfor",
    "SubscribeSymbol",
    "Tick",
    "TickRow",
    "Unsubfor",
    "UnsubscribeSymbol",
    "UpdateAssets",
    "UpdateStream",
]

# --- the stream ------------------------------------------------------------------------------------------------------


class Tick(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One price of one asset: ``["EURUSD_otc",1770856131.3,1.19537]``.

    Attributes:
        timestamp: on the wire the venue's stamp; past the client's router UTC seconds since the Unix epoch.
    """

    asset: Symbol
    timestamp: Stamp
    price: Price

    @property
    def time(self) -> datetime:
        """The timestamp as an aware datetime, taken to be UTC already."""
        return datetime.fromtimestamp(self.timestamp, UTC)


class UpdateStream(Message, frozen=True):
    """Server: ``updateStream``. A venue sends exactly one tick in each; batches and a flat row are understood."""

    ticks: list[Tick]


class SubscribeSymbol(Message, frozen=True):
    """Client: ``subscribeSymbol``: start the stream of an asset. The venue streams the last four asked for."""

    asset: Symbol

    def __post_init__(self) -> None:
        check_symbol(self.asset)


class UnsubscribeSymbol(Message, frozen=True):
    """Client: ``unSubscribeSymbol``: end the stream of an asset."""

    asset: Symbol

    def __post_init__(self) -> None:
        check_symbol(self.asset)


class Subfor(Message, frozen=True):
    """Client: ``subfor``: the sentiment feed of an asset (`Sentiments`); some clients start their ticks with it."""

    asset: Symbol

    def __post_init__(self) -> None:
        check_symbol(self.asset)


class Unsubfor(Message, frozen=True):
    """Client: ``unsubfor``: the end of what `Subfor` started."""

    asset: Symbol

    def __post_init__(self) -> None:
        check_symbol(self.asset)


class Sentiment(msgspec.Struct, frozen=True, array_like=True):
    """How many percent of the traders expect the price of an asset to rise, it is said."""

    asset: Symbol
    percent: Price


class Sentiments(Message, frozen=True):
    """Server: ``chafor``."""

    sentiments: list[Sentiment]
    rejected: int = 0


class ServerTime(Message, frozen=True):
    """Server: ``updateTime``: the venue's clock; a client moves its own only forward."""

    stamp: WholeStamp | Stamp


# --- assets ----------------------------------------------------------------------------------------------------------

Column: TypeAlias = Annotated[int, msgspec.Meta(ge=-1, le=STAMP_MAX)]
"""Seconds or a stamp in an asset's row; −1 stands for none."""


class Duration(msgspec.Struct, frozen=True):
    """One allowed duration of a trade: ``{"time":60}``."""

    time: Seconds


class Asset(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One row of the asset table, 19 columns in this order; later columns are ignored."""

    id: Integer
    symbol: Symbol
    label: Text
    kind: Text  # stock, currency, commodity, cryptocurrency, index; another word is kept as it came
    digits: Annotated[int, msgspec.Meta(ge=0, le=12)]
    payout: Annotated[int, msgspec.Meta(ge=0, le=1000)]  # percent
    default_expiration_s: Seconds
    minimum_expiration_s: Seconds
    expiration_step_s: Seconds
    is_otc: Flag
    otc_id: Integer  # of the OTC counterpart; 0 on OTC rows
    real_id: Integer  # of the real counterpart; 0 on real rows
    signals: tuple[Json, ...]
    schedule: Column  # the next close, or what expiries are counted from; server clock
    is_active: bool  # may be traded now
    durations: tuple[Duration, ...]
    scheduled_until: Column
    minimum_timeframe_s: Seconds  # of a quick trade
    scheduled_at: Column

    def __post_init__(self) -> None:
        check_symbol(self.symbol)
        normalise_flag(self, "is_otc")

    @property
    def durations_s(self) -> tuple[int, ...]:
        """The allowed durations in seconds, as listed."""
        return tuple(duration.time for duration in self.durations)


class LoadAssets(Message, frozen=True):
    """Client: ``assets/load``. The table comes without being asked; answering with it is harmless."""


class UpdateAssets(Message, frozen=True, dict=True):
    """Server: ``updateAssets``: the whole table, again whenever a payout or an active flag changes.

    The clients of a program share it: nothing in it is to be changed.

    Attributes:
        rejected: rows that broke the table's rules and are left out; the others still count.
    """

    assets: list[Asset]
    rejected: int = 0

    @cached_property
    def by_symbol(self) -> Mapping[str, Asset]:
        """The rows by their symbols, made once for all who share the message."""
        return MappingProxyType({asset.symbol: asset for asset in self.assets})


# --- history ---------------------------------------------------------------------------------------------------------


class ChangeSymbol(Message, frozen=True):
    """Client: ``changeSymbol``: answered by `History` with the same asset and period, and starts the stream."""

    asset: Symbol
    period: Seconds

    def __post_init__(self) -> None:
        check_symbol(self.asset)


class TickRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One tick of a `History`: ``[1754518642.936,0.89803]``."""

    timestamp: Stamp
    price: Price


class CandleRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One candle as the wire has it: open, **close**, high, low; the order is proven (``protocol.md`` 6.1)."""

    time: WholeStamp | Stamp
    open: Price
    close: Price
    high: Price
    low: Price
    volume: Integer | Price | None = None


class History(Message, frozen=True):
    """Server: ``updateHistoryNew``: some minutes of ticks, oldest first, and about 100 candles, **newest first**.

    The newest candles are stale: rebuild each bucket that starts inside the ticks (`candles.merge`).
    """

    asset: Symbol
    period: Seconds
    history: list[TickRow]
    candles: list[CandleRow]
    rejected: int = 0

    def __post_init__(self) -> None:
        check_symbol(self.asset)


class HistoryFast(History, frozen=True):
    """Server: ``updateHistoryNewFast``: the same for sessions with ``isFastHistory``."""


class LoadHistoryPeriod(Message, frozen=True):
    """Client: ``loadHistoryPeriod``: the window [time − offset, time]; ``index`` comes back in the answer."""

    asset: Symbol
    index: RequestId
    time: WholeStamp | Stamp  # server clock
    offset: Seconds
    period: Seconds

    def __post_init__(self) -> None:
        check_symbol(self.asset)


class LoadHistoryPeriodFast(LoadHistoryPeriod, frozen=True):
    """Client: ``loadHistoryPeriodFast``: never send it, the real venue does not answer."""


class HistoryCandle(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One candle of a `HistoryPeriod`: an object."""

    symbol_id: Integer | None = None
    time: WholeStamp | Stamp
    open: Price
    close: Price
    high: Price
    low: Price
    asset: Symbol | None = None
    volume: Integer | Price | None = None


class HistoryTick(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One tick of a `HistoryPeriod`: an object."""

    asset: Symbol | None = None
    time: WholeStamp | Stamp
    price: Price


class HistoryPeriod(Message, frozen=True):
    """Server: ``loadHistoryPeriod``, oldest first. Its ``data`` are candles or, with ``period`` 0, ticks."""

    asset: Symbol
    index: RequestId
    period: Seconds
    candles: list[HistoryCandle]
    ticks: list[HistoryTick]
    rejected: int = 0

    def __post_init__(self) -> None:
        check_symbol(self.asset)


class HistoryPeriodFast(HistoryPeriod, frozen=True):
    """Server: ``loadHistoryPeriodFast``: the same for sessions with ``isFastHistory``; its candles carry a volume."""


# --- wire; the stream and history have forms of their own: `market_wire` ---------------------------------------------

CLIENT_EVENTS: Final = (
    single(SubscribeSymbol, Symbol, "subscribeSymbol"),
    single(UnsubscribeSymbol, Symbol, "unSubscribeSymbol"),
    single(Subfor, Symbol, "subfor"),
    single(Unsubfor, Symbol, "unsubfor"),
    bare(LoadAssets, "assets/load"),
    structured(ChangeSymbol, "changeSymbol"),
    structured(LoadHistoryPeriod, "loadHistoryPeriod"),
    structured(LoadHistoryPeriodFast, "loadHistoryPeriodFast"),
)

SERVER_EVENTS: Final = (
    remembered(rows(UpdateAssets, Asset, "updateAssets")),
    rows(Sentiments, Sentiment, "chafor"),
    single(ServerTime, WholeStamp | Stamp, "updateTime"),
)
