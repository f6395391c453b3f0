"""One connection on the wire, from dialling to its loss: dial, handshake, authenticate, read, write.

The connection actor makes one for each attempt. What is to be sent waits in the outbox while a write is under way; what
comes in goes to the router, one message per read. A `Wire` ends once, for the first reason that is given.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from potrio.actors.latencies import note
from potrio.actors.link import Batch, LinkLost, LinkState, LinkUp, count
from potrio.actors.link_settings import LinkSettings
from potrio.actors.outbox import Outbox
from potrio.actors.phases import LinkPhase
from potrio.errors import ClosedForPolicy, ConnectionBroken, ConnectTimeout, LocalProtocolError, PotrioError
from potrio.limits import CLOSE_TIMEOUT
from potrio.protocol.client_session import ClientSession
from potrio.protocol.events import (
    Authenticated,
    Closed,
    Connected,
    EventReceived,
    EventRun,
    Opened,
    SessionEvent,
)
from potrio.protocol.regions import Region
from potrio.secrets import redact_error
from potrio.transport.base import Transport
from potrio.transport.dial import dial

__all__ = ["Report", "Wire"]

Report = Callable[[LinkUp | LinkLost | Batch], Awaitable[None]]
"""Tells the router, in order with the data."""


class Wire:
    """One attempt, and the link it may become.

    Attributes:
        session: the protocol's state, once there is a transport and until it is lost.
        loss: why it ended, or is about to.
        ready_at: when it was authenticated; None: not yet.
    """

    def __init__(
        self,
        settings: LinkSettings,
        region: Region,
        link: LinkState,
        outbox: Outbox,
        report: Report,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self.settings = settings
        self.seam = settings.seam
        self.ssid = settings.ssid_now
        self.region = region
        self.link = link
        self.outbox = outbox
        self.report = report
        self.ssl_context = ssl_context
        self.began = self.seam.now()
        self.counters = link.begin(region.url)
        self.session: ClientSession | None = None
        self.loss: PotrioError | None = None
        self.ready_at: float | None = None
        self.stage = "dns"
        self.scope = trio.CancelScope()
        self.outgoing = trio.Event()
        self.goodbye: trio.Event | None = None

    # --- what others ask for (never waits) ---------------------------------------------------------------------------

    def wake(self) -> None:
        """There is something in the outbox."""
        self.outgoing.set()

    def check_deadline(self) -> None:
        """The session's deadline may have passed: end it where the peer has gone silent."""
        if self.session is None:
            return
        for event in self.session.handle_deadline(self.seam.now()):
            if isinstance(event, Closed):
                self.drop(event.error or ConnectionBroken("the session ended"))
        self.link.set_deadline(self.session.next_deadline())
        self.wake()

    def lose(self, reason: PotrioError) -> None:
        """There is no link any more: from this moment nothing is taken for it. The first reason given is reported.

        Every error of a connection comes through here before anybody sees it, and leaves without the token (P8).
        """
        redact_error(reason, self.ssid.session)
        if self.loss is None:
            self.loss = reason
        if self.link.ready:
            if isinstance(reason, ClosedForPolicy):
                self.outbox.far_too_many()  # before a login it means something else, as a token that is not taken
            self.link.move(LinkPhase.RECONNECTING, self.seam.now())
        self.counters.dropped += self.outbox.give_back("the link was lost before it could be sent")

    def drop(self, reason: PotrioError) -> None:
        """End the connection at once."""
        self.lose(reason)
        self.scope.cancel(str(reason))

    def leave(self, reason: PotrioError) -> trio.Event | None:
        """End the connection, with a word to the venue if it takes it in time; returns what tells that it has left.

        None: there was nobody to say it to, and the connection is dropped.
        """
        if self.session is None or not self.link.ready:
            self.drop(reason)
            return None
        self.goodbye = trio.Event()
        self.lose(reason)
        self.session.send_disconnect()
        self.scope.deadline = self.seam.now() + CLOSE_TIMEOUT / 2
        self.wake()
        return self.goodbye

    # --- its life ----------------------------------------------------------------------------------------------------

    async def run(self, budget: float) -> PotrioError:
        """Connect within ``budget`` seconds and stay until it is lost; returns why. Cancelling closes the socket."""
        settings, seam, region = self.settings, self.seam, self.region
        self.outbox.taken()
        self.link.move(LinkPhase.CONNECTING, seam.now())
        self.scope.deadline = self.began + budget
        with self.scope:
            try:
                async with dial(
                    region.url,
                    seam=seam,
                    kind=settings.transport,
                    headers=settings.headers,
                    ssl_context=self.ssl_context,
                    allow_insecure=settings.allow_insecure,
                    proxy=settings.proxy,
                    on_stage=self.on_stage,
                ) as transport:
                    if settings.recorder is None:
                        await self.converse(transport)
                    else:
                        recorded = settings.recorder.wrap(transport)
                        try:
                            await self.converse(recorded)
                        finally:
                            recorded.closed()
            except PotrioError as error:
                self.drop(error)
        self.session = None
        self.link.measure()
        self.link.meter = None  # nothing that hangs on the transport is kept
        if self.goodbye is not None:
            self.goodbye.set()
        self.link.set_deadline(None)
        lost = self.loss or ConnectTimeout(region.url, self.stage, budget)
        self.link.last_error = lost
        down = LinkPhase.RECONNECTING if self.link.ups else LinkPhase.CONNECTING
        self.link.move(down, seam.now())
        await self.report(LinkLost(self.link.epoch, str(lost), seam.now()))
        return lost

    def on_stage(self, stage: str) -> None:
        self.stage = stage

    async def converse(self, transport: Transport) -> None:
        """Speak the protocol over an open transport until one side ends it."""
        self.stage = "engine.io"
        self.link.meter = transport.statistics
        self.session = ClientSession(now=self.seam.now(), target=self.region.url, gathers=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.write, transport, self.session)
            await self.read(transport, self.session)
            if self.goodbye is not None:  # it is being written; the scope bounds it
                await self.goodbye.wait()
            nursery.cancel_scope.cancel("the session has ended")
        if self.session.has_output:
            with trio.move_on_after(CLOSE_TIMEOUT / 2):
                await self.send(transport, self.session)

    async def read(self, transport: Transport, session: ClientSession) -> None:
        """Feed what comes to the session and what it says to the router, one message per read."""
        counters, seam = self.counters, self.seam
        while self.loss is None:
            try:
                messages = await transport.receive()
            except PotrioError as error:
                events = session.receive_close(error)
            else:
                counters.messages_received += len(messages)
                if self.link.frame_readers:
                    self.show(False, messages)
                events = session.receive_messages(messages, seam.now())
                counters.pings_received = session.pings_received
            self.link.set_deadline(session.next_deadline())
            was_ready = self.link.ready
            ended = self.follow(events, session)
            if ended is not None:
                self.lose(ended)
            if session.has_output:
                self.outgoing.set()
            if self.link.ready and not was_ready:
                await self.report(LinkUp(self.link.epoch, seam.now()))
            if events:
                wall = seam.wall()  # first: what came after a jump has a time after it
                await self.report(Batch(self.link.epoch, events, seam.now(), wall))

    def show(self, sent: bool, messages: list[Any]) -> None:
        """Somebody reads along."""
        for reader in tuple(self.link.frame_readers):
            reader(sent, self.link, messages, self.seam.now())

    def follow(self, events: list[SessionEvent], session: ClientSession) -> PotrioError | None:
        """Take the steps of the handshake as they come; returns why the session ended, if it did."""
        received = self.counters.events_received
        ended: PotrioError | None = None
        for event in events:
            match event:
                case EventReceived(name=name):
                    count(received, name)
                case EventRun(name=name, payloads=payloads):
                    count(received, name, len(payloads))
                case Opened(handshake=handshake):
                    self.stage = "socket.io"
                    self.link.handshake = handshake
                case Connected():
                    self.stage = "auth"
                    self.link.move(LinkPhase.AUTHENTICATING, self.seam.now())
                    try:  # it may be larger than the venue takes, or the venue has left in the same read
                        session.authenticate(self.ssid.auth_payload().reveal())
                        self.outbox.names["auth"] += 1
                    except LocalProtocolError as error:
                        session.receive_close(error)
                        ended = session.close_exc
                case Authenticated():
                    received["successauth"] += 1
                    self.authenticated()
                case Closed(error=error):
                    ended = error or ConnectionBroken("the venue ended the session")
                case _:
                    pass
        return ended

    def authenticated(self) -> None:
        """The link is there."""
        self.scope.deadline = math.inf
        self.ready_at = self.seam.now()
        self.link.ups += 1
        self.link.move(LinkPhase.READY, self.ready_at)
        self.settings.health.worked(self.region, self.ready_at - self.began)
        note(self.link.latencies.ready, self.ready_at - self.began)

    async def write(self, transport: Transport, session: ClientSession) -> None:
        """Send whatever is waiting at each wake-up, in one write."""
        while True:
            await self.something_to_send()
            if self.link.ready and self.goodbye is None:
                self.counters.dropped += self.outbox.load(session, self.link.epoch)
            if session.has_output:
                try:
                    await self.send(transport, session)
                except PotrioError as error:
                    session.receive_close(error)  # it knows how far it had come, and types the error by that
                    self.drop(session.close_exc or error)
                    return
            if self.goodbye is not None and not session.has_output:
                self.goodbye.set()
                self.scope.cancel("the venue has been told")

    async def something_to_send(self) -> None:
        """Wait until there is something to write, or the limiter lets more of it pass."""
        if self.outbox.wake_at == math.inf:
            await self.outgoing.wait()
        else:
            with trio.move_on_at(self.outbox.wake_at):
                await self.outgoing.wait()
        self.outgoing = trio.Event()

    async def send(self, transport: Transport, session: ClientSession) -> None:
        """Write what the session has queued. What goes wrong forgets the frames that had the authentication (P8)."""
        try:
            await self.put(transport, session.messages_to_send())
        except BaseException as error:
            if self.ready_at is None:
                redact_error(error, self.ssid.session)
            raise

    async def put(self, transport: Transport, messages: list[Any]) -> None:
        """Write, and count what was written."""
        names = self.outbox.taken()
        await transport.send(messages)
        counters = self.counters
        counters.messages_sent += len(messages)
        if self.link.frame_readers:
            self.show(True, messages)
        counters.pongs_sent += messages.count("3")
        counters.events_sent.update(names)
