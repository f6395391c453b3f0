"""Market data of the client: assets, candles, live ticks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from operator import attrgetter

from potrio.actors.keys import ROUTER
from potrio.actors.router import Subscribe, Unsubscribe
from potrio.actors.stream import Gap, Policy, Stream
from potrio.client.core import ClientCore
from potrio.client.pages import load_candles
from potrio.errors import ConfigError
from potrio.limits import STREAM_CAPACITY
from potrio.protocol.candles import Candle
from potrio.protocol.messages.market import Asset, Tick
from potrio.protocol.timeframes import parse_timeframe

__all__ = ["MarketCalls"]


class MarketCalls(ClientCore):
    """What a client can ask of the market; a part of `Client`."""

    @property
    def assets(self) -> Mapping[str, Asset]:
        """The venue's assets by symbol: payout, tradable now, durations. Read-only."""
        return self._shared.account.assets

    async def candles(
        self, asset: str, timeframe: str | int = "1m", count: int = 100, end: datetime | None = None
    ) -> list[Candle]:
        """Load exactly ``count`` closed candles, oldest first; the last one closes at or before ``end`` (default: now).

        Args:
            asset: a symbol of `assets`.
            timeframe: ``"5s"``, ``"1m"``, ``"4h"``, ``"1d"``, or seconds.
            end: an aware datetime.

        Pages are asked for one after another; cancelling stops after the present one.

        Raises:
            ConfigError: unknown asset or timeframe, count < 1, naive ``end``.
            HistoryShort: the venue has fewer.
            NotConnected: the link is down, or went down on the way: safe to try again.
            RequestTimeout: the venue did not answer.
        """
        self._check_open()
        self._check_asset(asset)
        period_s = parse_timeframe(timeframe)
        return await load_candles(
            self.supervisor, self._shared, self._config.seam, asset, period_s, count, end
        )

    @asynccontextmanager
    async def ticks(
        self, *assets: str, policy: Policy = "ring", capacity: int = STREAM_CAPACITY
    ) -> AsyncGenerator[Stream[Tick | Gap], None]:
        """Read live ticks: ``async with client.ticks("EURUSD_otc") as stream: async for item in stream: ...``.

        The subscription survives reconnects; what was missed is back-filled, or a `Gap` says from when to when.
        Several readers of one asset share one subscription at the venue. Leaving the block ends this reader's.

        Raises:
            ConfigError: unknown asset, or none.
            RequestError: more assets at once than the venue streams on one connection.
        """
        self._check_open()
        if not assets:
            raise ConfigError("assets", "name at least one")
        for asset in assets:
            self._check_asset(asset)
        router = self.supervisor.ref(ROUTER)
        stream: Stream[Tick | Gap] = Stream(
            capacity=capacity, policy=policy, gap=overflow_gap, key=attrgetter("asset")
        )
        try:
            await router.ask(Subscribe(stream, assets))
            yield stream
        finally:
            stream.close()
            router.tell(Unsubscribe(stream))

    def _check_asset(self, asset: str) -> None:
        if asset not in self.assets:
            raise ConfigError("asset", f"{asset!r} is not among the venue's {len(self.assets)} assets")


def overflow_gap(dropped: int) -> Tick | Gap:
    """What a reader that was too slow finds in place of the ticks it lost."""
    return Gap("overflow", dropped=dropped)
