"""Market data of the client as it happens: live ticks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from operator import attrgetter

from potrio.actors.keys import ROUTER
from potrio.actors.router import Subscribe, Unsubscribe
from potrio.actors.stream import Gap, Policy, Stream
from potrio.client.catalogue import CatalogueCalls
from potrio.errors import ConfigError
from potrio.limits import STREAM_CAPACITY
from potrio.protocol.messages.market import Tick

__all__ = ["MarketCalls"]


class MarketCalls(CatalogueCalls):
    """What a client can hear of the market; a part of `Client`."""

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


def overflow_gap(dropped: int) -> Tick | Gap:
    """What a reader that was too slow finds in place of the ticks it lost."""
    return Gap("overflow", dropped=dropped)
