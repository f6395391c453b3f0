"""Market data of the client as it happens: live ticks, and how a stream is subscribed."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

import trio

from potrio.actor_errors import ActorDead, MailboxFull, SupervisorError
from potrio.actors.stream import Gap, Policy, Stream
from potrio.client.catalogue import CatalogueCalls
from potrio.client.opening import Opening
from potrio.errors import ConfigError, NotConnected
from potrio.limits import STREAM_CAPACITY
from potrio.protocol.messages.market import Tick

__all__ = ["MarketCalls"]

ROOM_PAUSE_S: Final = 0.005
"""Between two tries to subscribe while the reads that wait for the router leave no room: it takes them in bursts."""


class MarketCalls(CatalogueCalls):
    """What a client can hear of the market; a part of `Client`."""

    def ticks(
        self, *assets: str, policy: Policy = "ring", capacity: int = STREAM_CAPACITY
    ) -> Opening[Stream[Tick | Gap]]:
        """Read live ticks: ``async with client.ticks("EURUSD_otc") as stream: async for item in stream: ...``.

        Or ``stream = await client.ticks(...)``, and later ``await stream.aclose()``. The subscription survives
        reconnects; what was missed is back-filled, or a `Gap` says from when to when. Several readers of one asset,
        of whatever kind, share one subscription at the venue; the last one to be closed ends it.

        Raises:
            ConfigError: unknown asset, or none.
            RequestError: more assets at once than the venue streams on the ``sessions_max`` connections, or another
                session could not be had.
            NotConnected: the actor that was asked was just being restarted: safe to try again.
            ClientClosed: the client has been closed, or was while this waited.
        """

        async def opened() -> Stream[Tick | Gap]:
            return await self._subscribed(assets, policy, capacity)

        return Opening(opened)

    async def _subscribed(
        self, assets: tuple[str, ...], policy: Policy, capacity: int, *, takes_late: bool = False
    ) -> Stream[Tick | Gap]:
        """A stream that reads the ticks of these assets; closing it unsubscribes it. Waits for the router.

        Cancelling leaves no reader behind. Raises as `ticks`.
        """
        self._check_open()
        if not assets:
            raise ConfigError("assets", "name at least one")
        for asset in assets:
            self._check_asset(asset)
        running, sessions = self.supervisor, self._shared.sessions
        assert sessions is not None, "made before the client"
        stream: Stream[Tick | Gap] = Stream(
            capacity=capacity,
            policy=policy,
            gap=overflow_gap,
            key=attrgetter("asset"),
            on_close=lambda: forget(stream),
            takes_late=takes_late,
        )

        def forget(stream: Stream[Tick | Gap]) -> None:
            sessions.forget(running, stream)  # no room: the next subscriber clears away what was closed

        try:
            while True:
                try:
                    await sessions.subscribe(running, stream, assets)
                    return stream
                except MailboxFull:
                    await trio.sleep(ROOM_PAUSE_S)
        except (ActorDead, SupervisorError) as error:
            stream.close()
            self._check_open()
            raise NotConnected("the subscription was given up while its actor was restarted") from error
        except BaseException:
            stream.close()
            raise


def overflow_gap(dropped: int) -> Tick | Gap:
    """What a reader that was too slow finds in place of the ticks it lost."""
    return Gap("overflow", dropped=dropped)
