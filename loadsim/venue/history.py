"""The two ways to ask for the past: ``changeSymbol`` and ``loadHistoryPeriod`` (`protocol.md` 6).

Both read the same market, so their candles and ticks agree with each other and with the stream. Nothing later than
now is ever told, and a window without data is answered by an empty list, never by an error.
"""

from __future__ import annotations

from typing import Any, Final

from loadsim.venue.config import MarketConfig
from loadsim.venue.market import CandleRow, Market
from loadsim.venue.requests import ChangeSymbol, LoadHistoryPeriod

__all__ = ["change_symbol", "history_name", "load_history_period"]

PERIOD_MAX_S: Final = 86_400
CANDLE_ROWS_MAX: Final = 6_500
TICK_ROWS_MAX: Final = 13_000
"""Rows of one answer: public clients refuse messages above 1 MiB (`protocol.md` 4), the real service stays below."""

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
    period = request.period
    if request.asset not in market.assets or not 1 <= period <= PERIOD_MAX_S:
        return None
    known_until = now - config.candles_stale_s
    start = int(known_until) // period * period
    rows: list[CandleRow] = []
    newest = market.candle(request.asset, period, start, known_until)
    if newest is not None:
        rows.append(newest)
    at = start
    while len(rows) < config.candles_count and at > market.history_start:
        at -= period
        row = market.candle(request.asset, period, at)
        if row is not None:
            rows.append(row)
        else:
            # Closed then: go on at the bucket of the last tick before. There may be none that is old enough.
            last = int(market.last_tick(request.asset, at).stamp)
            at = min(at, last // period * period + period)
    return {
        "asset": request.asset,
        "period": period,
        "history": market.ticks(request.asset, now - config.history_ticks_s, now),
        "candles": [row[:5] for row in rows],
    }


def load_history_period(
    market: Market,
    request: LoadHistoryPeriod,
    now: float,
    *,
    fast: bool,
    unix_now: float | None = None,
) -> dict[str, Any] | None:
    """Answer ``loadHistoryPeriod``: the closed candles, or the ticks, of [time - offset, time], ascending.

    Args:
        market: what happened.
        request: what is asked.
        now: the venue's clock.
        fast: whether the session has ``isFastHistory``.
        unix_now: for the lenient reading of ``time``; None for the literal one.

    Returns:
        the payload, or None for an asset or period that does not exist.
    """
    period = request.period
    asset = market.assets.get(request.asset)
    if asset is None or not 1 <= period <= PERIOD_MAX_S:
        return None
    end = request.time
    if unix_now is not None and abs(end - unix_now) <= LENIENT_S:
        end = now
    end = min(max(end, 0.0), now, STAMP_MAX)
    start = max(end - min(max(request.offset, 0.0), STAMP_MAX), market.history_start, 0.0)
    answer: dict[str, Any] = {"asset": request.asset, "index": request.index, "period": period, "data": []}
    ticks_below = FAST_TICKS_BELOW_S if fast else CLASSIC_TICKS_BELOW_S
    if period < ticks_below:
        answer["period"] = 0
        # The newest rows are kept: paging goes backwards from them.
        start = max(start, end - TICK_ROWS_MAX / 2)
        answer["data"] = [
            {"asset": request.asset, "time": tick.stamp, "price": tick.price}
            for tick in market.ticks(request.asset, start, end)
        ]
        return answer
    last = int(end) // period * period - period
    first = max(-int(-start // period) * period, last - (CANDLE_ROWS_MAX - 1) * period)
    for stamp in range(first, last + 1, period):
        row = market.candle(request.asset, period, stamp)
        if row is not None:
            answer["data"].append(_candle_object(asset.id, request.asset, row, fast=fast))
    return answer


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
