"""The two ways to ask for the past: ``changeSymbol`` and ``loadHistoryPeriod`` (`protocol.md` 6).

Both read the same market, so their candles and ticks agree with each other and with the stream. Nothing later than
now is ever told, and a window without data is answered by an empty list, never by an error.

A page can be long to draw but is quick to tell a second time, from the market's caches. So there are two functions for
each question: ``prepare_...`` draws in short steps, between which others may run, and the other one answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from loadsim.venue.config import MarketConfig
from loadsim.venue.market import CandleRow, Market
from loadsim.venue.requests import ChangeSymbol, LoadHistoryPeriod

__all__ = [
    "change_symbol",
    "history_name",
    "load_history_period",
    "prepare_change_symbol",
    "prepare_load_history_period",
]

PERIOD_MAX_S: Final = 86_400
CANDLE_ROWS_MAX: Final = 1_500
"""Candles of one answer; the web client's windows have 200 of them."""

TICK_ROWS_MAX: Final = 13_000
"""Ticks of one answer; the longest window of the web client that is answered with ticks has 12 000. Public clients
refuse messages above 1 MiB (`protocol.md` 4); this stays below."""

STEP_TICKS_S: Final = 50
"""Seconds of ticks drawn in one step: a hundred, in a quarter of a millisecond."""

LENIENT_S: Final = 5.0
"""How near to Unix now a request's time must be to be taken for a client that does not know the venue's clock."""

CLASSIC_TICKS_BELOW_S: Final = 60
FAST_TICKS_BELOW_S: Final = 5
"""Shorter periods are answered with ticks (6.2, the rule that satisfies all clients)."""

STAMP_MAX: Final = 4_102_444_800
"""The year 2100: nobody's history reaches there, and arithmetic stays small."""


def history_name(event: str, *, fast: bool) -> str:
    """Return the name of an answer: sessions with ``isFastHistory`` get another one."""
    return event + "Fast" if fast else event


def change_symbol(
    market: Market, request: ChangeSymbol, now: float, config: MarketConfig
) -> dict[str, Any] | None:
    """Answer ``changeSymbol``: the last minutes of ticks, ascending, and about a hundred candles, descending.

    The newest candle row is a stale partial snapshot, as the real service's is: the candle as it stood
    ``candles_stale_s`` ago, and nothing after it. A client has to rebuild what came later from the ticks.

    Returns:
        the payload, or None for an asset or period that does not exist.
    """
    if not _is_known(market, request):
        return None
    return {
        "asset": request.asset,
        "period": request.period,
        "history": market.ticks(request.asset, now - config.history_ticks_s, now),
        "candles": [row[:5] for row in _stale_candles(market, request, now, config) if row is not None],
    }


def prepare_change_symbol(
    market: Market, request: ChangeSymbol, now: float, config: MarketConfig
) -> Iterator[None]:
    """Draw what `change_symbol` will tell, step by step."""
    if _is_known(market, request):
        for _ in _stale_candles(market, request, now, config):
            yield
        yield from _draw_ticks(market, request.asset, now - config.history_ticks_s, now)


def _stale_candles(
    market: Market, request: ChangeSymbol, now: float, config: MarketConfig
) -> Iterator[CandleRow | None]:
    """Yield the candles, descending; None for a bucket without ticks."""
    period = request.period
    known_until = now - config.candles_stale_s
    at = int(known_until) // period * period
    newest = market.candle(request.asset, period, at, known_until)
    yield newest
    count = int(newest is not None)
    while count < config.candles_count and at > market.history_start:
        at -= period
        row = market.candle(request.asset, period, at)
        if row is None:
            # Closed then: go on at the bucket of the last tick before. There may be none that is old enough.
            last = int(market.last_tick(request.asset, at).stamp)
            at = min(at, last // period * period + period)
        else:
            count += 1
        yield row


def load_history_period(
    market: Market,
    request: LoadHistoryPeriod,
    now: float,
    *,
    fast: bool,
    unix_now: float | None = None,
    lag_s: float = 0.0,
) -> dict[str, Any] | None:
    """Answer ``loadHistoryPeriod``: the closed candles, or the ticks, of [time - offset, time], ascending.

    Args:
        market: what happened.
        request: what is asked.
        now: the venue's clock.
        fast: whether the session has ``isFastHistory``.
        unix_now: for the lenient reading of ``time``; None for the literal one.
        lag_s: candles are told as they stood so long ago: the newest is a part of its bucket, later ones are absent.

    Returns:
        the payload, or None for an asset or period that does not exist.
    """
    window = _window(market, request, now, fast=fast, unix_now=unix_now, lag_s=lag_s)
    if window is None:
        return None
    asset, period = market.assets[request.asset], request.period
    answer: dict[str, Any] = {"asset": request.asset, "index": request.index, "period": period, "data": []}
    if window.is_ticks:
        answer["period"] = 0
        answer["data"] = [
            {"asset": request.asset, "time": tick.stamp, "price": tick.price}
            for tick in market.ticks(request.asset, window.start, window.end)
        ]
        return answer
    for stamp in window.candles:
        row = market.candle(request.asset, period, stamp, window.known_until(stamp + period))
        if row is not None:
            answer["data"].append(_candle_object(asset.id, request.asset, row, fast=fast))
    return answer


def prepare_load_history_period(
    market: Market,
    request: LoadHistoryPeriod,
    now: float,
    *,
    fast: bool,
    unix_now: float | None = None,
    lag_s: float = 0.0,
) -> Iterator[None]:
    """Draw what `load_history_period` will tell, step by step."""
    window = _window(market, request, now, fast=fast, unix_now=unix_now, lag_s=lag_s)
    if window is None:
        return
    if window.is_ticks:
        yield from _draw_ticks(market, request.asset, window.start, window.end)
        return
    for stamp in window.candles:
        market.candle(request.asset, request.period, stamp, window.known_until(stamp + request.period))
        yield


class Window(NamedTuple):
    """What a `LoadHistoryPeriod` asks for: ticks from start to end, or candles that begin at these stamps."""

    is_ticks: bool
    start: float
    end: float
    candles: range
    known: float = float("inf")

    def known_until(self, end: int) -> float | None:
        """The moment a candle that ends then is told as of; None for the whole of it."""
        return self.known if self.known < end else None


def _window(
    market: Market,
    request: LoadHistoryPeriod,
    now: float,
    *,
    fast: bool,
    unix_now: float | None,
    lag_s: float,
) -> Window | None:
    if not _is_known(market, request):
        return None
    period = request.period
    end = request.time
    if unix_now is not None and abs(end - unix_now) <= LENIENT_S:
        end = now
    end = min(max(end, 0.0), now, STAMP_MAX)
    start = max(end - min(max(request.offset, 0.0), STAMP_MAX), market.history_start, 0.0)
    if period < (FAST_TICKS_BELOW_S if fast else CLASSIC_TICKS_BELOW_S):
        # The newest rows are kept: paging goes backwards from them.
        return Window(True, max(start, end - TICK_ROWS_MAX / 2), end, range(0))
    known = now - lag_s
    last = min(int(end) // period * period - period, int(known) // period * period)
    first = max(-int(-start // period) * period, last - (CANDLE_ROWS_MAX - 1) * period)
    return Window(False, start, end, range(first, last + 1, period), known)


def _is_known(market: Market, request: ChangeSymbol | LoadHistoryPeriod) -> bool:
    return request.asset in market.assets and 1 <= request.period <= PERIOD_MAX_S


def _draw_ticks(market: Market, symbol: str, start: float, end: float) -> Iterator[None]:
    while start < end:
        market.ticks(symbol, start, min(start + STEP_TICKS_S, end))
        start += STEP_TICKS_S
        yield


def _candle_object(asset_id: int, symbol: str, row: CandleRow, *, fast: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "symbol_id": asset_id,
        "time": row.stamp,
        "open": row.open,
        "close": row.close,
        "high": row.high,
        "low": row.low,
        "asset": symbol,
    }
    if fast:
        found["volume"] = row.volume
    return found
