"""Live candles of the client: gap-free with history, or of so many ticks, so much time, or by the clock."""

from __future__ import annotations

from datetime import timedelta

import trio

from potrio.actors.stream import Policy
from potrio.client.candle_source import CandleSource, check_history
from potrio.client.candle_stream import CandleStream
from potrio.client.market import MarketCalls
from potrio.client.opening import Opening
from potrio.errors import ClientClosed, ConfigError
from potrio.limits import STREAM_CAPACITY
from potrio.protocol.candle_builder import BucketRule, CandleBuilder, ClockBuckets, TickChunks, TickWindows
from potrio.protocol.timeframes import PERIOD_MAX_S, parse_period

__all__ = ["CandleStreamCalls"]

CHUNK_MAX = 1_000_000
"""Ticks of one candle: six days of them."""


class CandleStreamCalls(MarketCalls):
    """What a client can hear of the market as candles; a part of `Client`."""

    def live_candles(
        self,
        asset: str,
        timeframe: str | int = "1m",
        history: int = 0,
        *,
        policy: Policy = "ring",
        capacity: int = STREAM_CAPACITY,
    ) -> Opening[CandleStream]:
        """Read candles without a gap: ``async with client.live_candles("EURUSD_otc", "1m", history=100) as stream``.

        First come ``history`` closed candles, oldest first, then the one that forms, joined with the live ticks; from
        then on `Forming` as ticks come, a `Candle` when its bucket is over, and a `Gap` where something is missing. A
        reader that is slow gets the newest `Forming` only. Ticks missed in an outage are loaded before the stream goes
        on. A candle with ``complete=True`` has every tick the venue has told; a bucket without ticks has no candle.

        Buckets start at multiples of the period in the venue's zone, those of whole weeks on a Monday. A candle is
        closed by the first tick past it, or when the venue was heard two seconds past it.

        Args:
            asset: a symbol of `assets`.
            timeframe: any length that can be built exactly: a `TimeFrame`, ``"5s"``, ``"90s"``, ``"2m"``, seconds.
            history: closed candles to begin with.
            policy: ``latest`` overwrites closed candles that were not read; ``lossless`` ends the stream with
                `StreamOverflow` when more than ``capacity`` ticks were not read in time; ``ring`` then mends the
                candles from history.
            capacity: ticks kept for a reader that is slow.

        Opening waits for the venue's answers. Raises:
            ConfigError: unknown asset, a length that cannot be built, too much history.
            HistoryShort: the venue has fewer candles.
            NotConnected, RequestTimeout: as `HistoryCalls.candles`.
            RequestError: more assets at once than the venue streams on one connection.
        """

        async def opened() -> CandleStream:
            period_s = parse_period(timeframe)
            check_history(history, period_s)
            stream = await self._candle_stream(asset, policy, capacity, period_s)
            try:
                await stream.begin(history)
            except BaseException as error:
                stream.close()  # nobody else can
                if isinstance(error, trio.EndOfChannel):
                    raise ClientClosed("the client was closed while the candles before were loaded") from None
                raise
            return stream

        return Opening(opened)

    def chunked_candles(
        self, asset: str, size: int, *, policy: Policy = "ring", capacity: int = STREAM_CAPACITY
    ) -> Opening[CandleStream]:
        """Read candles of ``size`` ticks each, from the next tick on; their time is the second of their first tick.

        Raises:
            ConfigError: unknown asset; no whole number from 1 to a million.
            RequestError: more assets at once than the venue streams on one connection.
        """

        async def opened() -> CandleStream:
            if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= CHUNK_MAX:
                raise ConfigError("size", f"must be a whole number from 1 to {CHUNK_MAX}, not {size!r}")
            return await self._candle_stream(asset, policy, capacity, TickChunks(size))

        return Opening(opened)

    def timed_candles(
        self,
        asset: str,
        window: timedelta | float,
        *,
        policy: Policy = "ring",
        capacity: int = STREAM_CAPACITY,
    ) -> Opening[CandleStream]:
        """Read candles of the ticks within ``window`` (or seconds) from their first one.

        The next begins with the next tick, whenever that comes; a candle's time is the second of its first tick.

        Raises:
            ConfigError: unknown asset; a window that is not positive or longer than a week.
            RequestError: more assets at once than the venue streams on one connection.
        """

        async def opened() -> CandleStream:
            window_s = seconds_of("window", window)
            return await self._candle_stream(asset, policy, capacity, TickWindows(window_s))

        return Opening(opened)

    def aligned_candles(
        self,
        asset: str,
        timeframe: timedelta | str | int,
        *,
        policy: Policy = "ring",
        capacity: int = STREAM_CAPACITY,
    ) -> Opening[CandleStream]:
        """Read candles aligned to the clock, from the next tick on: `live_candles` without the past.

        The first is therefore not complete, unless its bucket begins with a tick that was heard.

        Raises:
            ConfigError: unknown asset, or a length that cannot be built.
            RequestError: more assets at once than the venue streams on one connection.
        """

        async def opened() -> CandleStream:
            length = seconds_of("timeframe", timeframe) if isinstance(timeframe, timedelta) else timeframe
            whole = int(length) if isinstance(length, float) and length.is_integer() else length
            return await self._candle_stream(asset, policy, capacity, parse_period(whole))  # type: ignore[arg-type]  # a fraction is refused there

        return Opening(opened)

    async def _candle_stream(
        self, asset: str, policy: Policy, capacity: int, rule: BucketRule | int
    ) -> CandleStream:
        """Subscribe; ``rule`` as seconds is aligned to the clock. Cancelling leaves no reader behind."""
        if policy not in ("ring", "latest", "lossless"):
            raise ConfigError("policy", f"must be ring, latest or lossless, not {policy!r}")
        source = CandleSource(self.supervisor, self._shared, self._config.seam, asset)
        ring: Policy = "lossless" if policy == "lossless" else "ring"
        ticks = await self._subscribed((asset,), ring, capacity, takes_late=True)
        builder = CandleBuilder(ClockBuckets(rule, source.zone_s) if isinstance(rule, int) else rule)
        return CandleStream(ticks, builder, source, policy)


def seconds_of(name: str, length: timedelta | float) -> float:
    """A length of time in seconds.

    Raises:
        ConfigError: it is none, not positive, or longer than a week.
    """
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= PERIOD_MAX_S:
        raise ConfigError(name, f"must be more than 0 and at most {PERIOD_MAX_S} s, not {length!r}")
    return float(seconds)
