"""The client's link in the program's own hands: outages as events, pause and resume, reconnect, regions' health."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from potrio.actors.keys import CONNECTION
from potrio.actors.link import Pause, Resync, Unpause
from potrio.actors.outages import OutageEvent
from potrio.actors.phases import LinkPhase
from potrio.actors.region_health import RegionRecord
from potrio.actors.stream import Stream
from potrio.client.core import ClientCore

__all__ = ["LinkCalls"]


class LinkCalls(ClientCore):
    """What a client can ask of its link; a part of `Client`."""

    def outages(self) -> Stream[OutageEvent]:
        """Read `ConnectionLost` and `ConnectionResumed`, in turn and one of each per outage, from now on.

        An outage is over when all subscriptions are back and back-filled; what could not be is told as gaps. The stream
        ends with the client. A reader more than a thousand events behind is ended with `StreamOverflow`.

        Raises:
            ClientClosed: the client has been closed.
        """
        self._check_open()
        return self._shared.router.outages.stream()

    async def pause(self) -> None:
        """End the link and stay disconnected until `resume`; returns when it has ended, within two seconds.

        Where another task calls `resume` in that time, it returns then.

        Orders placed meanwhile are denied at once. Subscriptions are kept, and what they miss is back-filled. To the
        readers of `outages` it is one like any other, with the reason "paused". Cancelling stops only the waiting.

        Raises:
            ClientClosed: the client has been closed.
        """
        self._check_open()
        self._tell_connections(Pause())
        pausing = self._shared.pausing
        with trio.CancelScope() as scope:
            pausing.add(scope)
            try:
                while self.phase not in (LinkPhase.DISCONNECTED, LinkPhase.CLOSED):
                    await self._shared.link.wait_change()
            finally:
                pausing.discard(scope)
        self._check_open()

    async def resume(self) -> None:
        """Connect again after `pause`, and wait until the link is up. Cancelling only stops the waiting.

        Raises:
            AuthError: the venue does not accept the SSID any more.
            ClientClosed: the client has been closed.
        """
        self._check_open()
        self._tell_connections(Unpause())
        for scope in self._shared.pausing:
            scope.cancel()
        await self.wait_ready()

    def _tell_connections(self, message: Pause | Unpause) -> None:
        self.supervisor.ref(CONNECTION).tell(message)
        if self._shared.sessions is not None:
            self._shared.sessions.tell_all(self.supervisor, message)

    @property
    def paused(self) -> bool:
        """Is the link kept ended by `pause`?"""
        return self._shared.link.paused

    async def reconnect(self) -> None:
        """Drop the present link and wait for the next: all lists are told anew. Cancelling only stops the waiting.

        Where there is no link, that is only the waiting.

        Raises:
            AuthError: the venue does not accept the SSID any more.
            ClientClosed: the client has been closed.
        """
        self._check_open()
        link, epoch = self._shared.link, self.epoch
        self.supervisor.ref(CONNECTION).tell(Resync("a reconnect was asked for", epoch, wished=True))
        while link.ready and link.epoch == epoch:
            await link.wait_change()
        await self.wait_ready()

    def region_health(self) -> Mapping[str, RegionRecord]:
        """What is known of the addresses that were tried, by URL: connect time, failures, cool-down."""
        return dict(self._shared.health.records)
