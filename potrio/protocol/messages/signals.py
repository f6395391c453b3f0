"""The venue's trading signals: the feed, its statistics, and who wants it."""

from __future__ import annotations

from typing import Final

import msgspec

from potrio.protocol.json_guard import check_depth
from potrio.protocol.messages.base import (
    Integer,
    Message,
    Price,
    Seconds,
    Stamp,
    Symbol,
    WholeStamp,
    check_symbol,
)
from potrio.protocol.messages.wire import Event, bare, decode_rows, late, rows, shown, to_json

__all__ = [
    "CLIENT_EVENTS",
    "SERVER_EVENTS",
    "Direction",
    "LoadSignalsStats",
    "Signal",
    "SignalStat",
    "SignalStats",
    "SignalsLoaded",
    "SignalsStats",
    "SignalsUpdated",
    "SubscribeSignals",
    "UnsubscribeSignals",
]


class Direction(msgspec.Struct, frozen=True, array_like=True):
    """What a signal says for one horizon: ``[minutes,code]``, code 0 to 4."""

    minutes: Seconds
    code: Integer


class Signal(msgspec.Struct, frozen=True, array_like=True):
    """The signals of one asset: ``["#AAPL_otc",[[1,2],[2,2]],186.844]``."""

    asset: Symbol
    directions: list[Direction]
    price: Price

    def __post_init__(self) -> None:
        check_symbol(self.asset)


class SignalsLoaded(Message, frozen=True):
    """Server: ``signals/load``: all signals, some seconds after login, where the user wants them."""

    signals: list[Signal]
    times: dict[str, WholeStamp | Stamp]
    rejected: int = 0


class SignalsUpdated(SignalsLoaded, frozen=True):
    """Server: ``signals/update``: those that changed, every few seconds."""


class SignalStat(msgspec.Struct, frozen=True, array_like=True):
    """One row of the statistics: ``["#BA_otc",240,201]``; nobody has said what the second number counts."""

    asset: Symbol
    minutes: Seconds
    value: Integer | Price

    def __post_init__(self) -> None:
        check_symbol(self.asset)


class SignalStats(msgspec.Struct, frozen=True, array_like=True):
    """The statistics of one moment: ``[1736646300,[["#BA_otc",240,201]]]``."""

    time: WholeStamp | Stamp
    stats: list[SignalStat]


class SignalsStats(Message, frozen=True):
    """Server: ``successsignals/stats``."""

    moments: list[SignalStats]
    rejected: int = 0


class SubscribeSignals(Message, frozen=True):
    """Client: ``signals/subscribe``."""


class UnsubscribeSignals(Message, frozen=True):
    """Client: ``signals/unsubscribe``."""


class LoadSignalsStats(Message, frozen=True):
    """Client: ``signals/stats``; answered by `SignalsStats`."""


# --- wire ------------------------------------------------------------------------------------------------------------


class _RawSignals(msgspec.Struct):
    signals: msgspec.Raw
    times: dict[str, WholeStamp | Stamp] = {}


_RAW: Final = late(_RawSignals)
_SIGNAL: Final = late(Signal)
_SIGNALS: Final = late(list[Signal])


def _signals(kind: type[SignalsLoaded], name: str) -> Event:
    def decode(payload: bytes) -> Message:
        check_depth(payload)
        head = _RAW(payload)
        signals, rejected = decode_rows(_SIGNALS, _SIGNAL, bytes(head.signals))
        return shown(kind(signals, head.times, rejected), payload)

    def encode(it: SignalsLoaded) -> bytes:
        return to_json({"signals": it.signals, "times": it.times})

    return Event(kind, (name,), decode, encode)


CLIENT_EVENTS: Final = (
    bare(SubscribeSignals, "signals/subscribe"),
    bare(UnsubscribeSignals, "signals/unsubscribe"),
    bare(LoadSignalsStats, "signals/stats"),
)

SERVER_EVENTS: Final = (
    _signals(SignalsLoaded, "signals/load"),
    _signals(SignalsUpdated, "signals/update"),
    rows(SignalsStats, SignalStats, "successsignals/stats", "signals/stats"),
)
