"""The connection actor: keeps one authenticated link to the venue alive, and is the only one that touches the socket.

An outage is not a crash: the actor reports `LinkLost` and `LinkUp` and tries again by itself, first at once, then with
full-jitter backoff. What ends it for good is a rejected SSID, or a first round in which no candidate can be reached.
While there is no link its inbox is still served: an order is answered `NotSent` at once, nothing waits to be sent late.
"""

from __future__ import annotations

import math
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec
import trio

from potrio.actors.keys import ORDER_BOOK, ROUTER
from potrio.actors.link import (
    Batch,
    CheckDeadline,
    LinkCounters,
    LinkLost,
    LinkPhase,
    LinkState,
    LinkUp,
    NotSent,
    Resync,
    SubmitOrder,
    Transmit,
    Written,
)
from potrio.errors import (
    AuthError,
    ConfigError,
    ConnectionBroken,
    ConnectTimeout,
    PotrioError,
)
from potrio.limits import (
    CLOSE_TIMEOUT,
    HANDSHAKE_TIMEOUT,
    MAILBOX_CAPACITY,
    RECONNECT_BASE,
    RECONNECT_CAP,
    RECONNECT_STABLE,
)
from potrio.protocol.client_session import ClientSession
from potrio.protocol.events import Authenticated, Closed, Connected, EventReceived, Opened, SessionEvent
from potrio.protocol.messages.base import Message
from potrio.protocol.messages.codec import encode
from potrio.protocol.regions import Region
from potrio.protocol.ssid import Ssid
from potrio.seam import Seam
from potrio.supervision.backoff import Backoff
from potrio.supervision.context import Context
from potrio.transport.base import Transport, TransportKind
from potrio.transport.dial import default_ssl_context, dial

__all__ = ["ConnectionMessage", "LinkSettings", "connection", "lane"]

ConnectionMessage = Transmit | SubmitOrder | CheckDeadline | Resync

RECONNECT = Backoff(base=RECONNECT_BASE, cap=RECONNECT_CAP, jitter="full", reset_after=RECONNECT_STABLE)


class LinkSettings(msgspec.Struct, frozen=True):
    """How to reach the venue: everything the connection needs to know that does not change while it lives."""

    ssid: Ssid
    candidates: tuple[Region, ...]
    seam: Seam
    transport: TransportKind = "framed"
    headers: Mapping[str, str] | None = None
    ssl_context: ssl.SSLContext | None = None
    allow_insecure: bool = False
    handshake_timeout: float = HANDSHAKE_TIMEOUT


def lane(message: ConnectionMessage) -> int:
    """Control before orders before requests: an order never waits behind a page of history."""
    match message:
        case CheckDeadline() | Resync():
            return 0
        case SubmitOrder():
            return 1
        case _:
            return 2


async def connection(ctx: Context[ConnectionMessage], settings: LinkSettings, link: LinkState) -> None:
    """Run the link until the supervisor stops it. Cancelling closes the socket within CLOSE_TIMEOUT.

    Raises:
        AuthError: the venue rejects the SSID.
        ConnectError: no candidate could be reached before there ever was a link.
        ConfigError: an address among the candidates cannot be used.
    """
    driver = _Driver(ctx, settings, link)
    driver.take_over()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(driver.keep_connected, nursery.cancel_scope)
        async for message in ctx.inbox:
            driver.handle(message)
        await driver.leave()
        nursery.cancel_scope.cancel("the connection actor is stopping")
    if link.fatal is not None:
        raise link.fatal


class _Driver:
    """The state of one incarnation."""

    def __init__(self, ctx: Context[ConnectionMessage], settings: LinkSettings, link: LinkState) -> None:
        self.ctx = ctx
        self.settings = settings
        self.link = link
        self.seam = settings.seam
        self.router = ctx.lookup(ROUTER)
        self.orders = ctx.lookup(ORDER_BOOK)
        self.generator = self.seam.generator()
        # Loading the system's certificates takes some 30 ms: once, not at every attempt.
        tls = any(region.url.startswith("wss:") for region in settings.candidates)
        self.ssl_context = settings.ssl_context or (default_ssl_context() if tls else None)
        self.session: ClientSession | None = None
        self.counters = LinkCounters()
        self.scope = trio.CancelScope()
        self.loss: PotrioError | None = None
        self.outgoing = trio.Event()
        self.stage = "dns"
        self.ready_at: float | None = None
        self.unsent = 0
        self.leaving: trio.Event | None = None

    def take_over(self) -> None:
        """A former incarnation crashed, and its socket went with it: say so before anything else."""
        if self.link.epoch:
            now = self.seam.now()
            self.link.reconnects += 1
            self.link.enter(LinkPhase.RECONNECTING, now)
            self.router.tell(LinkLost(self.link.epoch, "the connection actor was restarted", now))

    # --- what others ask for (never waits) ---------------------------------------------------------------------------

    def handle(self, message: ConnectionMessage | Any) -> None:
        match message:
            case Transmit(message=event, epoch=epoch):
                stale = epoch is not None and epoch != self.link.epoch
                if stale or not self.link.ready or self.unsent >= MAILBOX_CAPACITY:
                    self.counters.dropped += 1
                else:
                    self.put(event)
            case SubmitOrder():
                self.submit(message)
            case CheckDeadline():
                self.check_deadline()
            case Resync(reason=reason):
                if self.link.ready:
                    self.drop(ConnectionBroken(reason))
            case _:
                raise AssertionError(f"the connection has no use for a {type(message).__name__}")

    def submit(self, order: SubmitOrder) -> None:
        now = self.seam.now()
        if now > order.expires_at:
            self.orders.tell(NotSent(order.request_id, "expired before it could be sent", expired=True))
        elif not self.link.ready:
            self.orders.tell(NotSent(order.request_id, "not connected"))
        else:
            # Said before the bytes leave: from here on the order may have reached the venue (P1).
            self.orders.tell(Written(order.request_id, self.link.epoch, now, self.seam.wall()))
            self.put(order.message)

    def put(self, message: Message) -> None:
        assert self.session is not None
        name, payload = encode(message)
        self.session.send_event(name, payload)
        self.unsent += 1
        self.counters.events_sent[name] += 1
        self.outgoing.set()

    def check_deadline(self) -> None:
        if self.session is None:
            return
        for event in self.session.handle_deadline(self.seam.now()):
            if isinstance(event, Closed):
                self.drop(event.error or ConnectionBroken("the session ended"))
        self.link.deadline = self.session.next_deadline()
        self.outgoing.set()

    def drop(self, reason: PotrioError) -> None:
        """End the present connection; the first reason given is the one that is reported."""
        if self.loss is None:
            self.loss = reason
        self.scope.cancel(str(reason))

    # --- the life of the link ----------------------------------------------------------------------------------------

    async def keep_connected(self, actor: trio.CancelScope) -> None:
        """Connect, stay, connect again; the candidate that worked last is tried first. Ends the actor when hopeless."""
        candidates = deque(self.settings.candidates)
        failures = 0  # since the link was last stable
        while True:
            lost = await self.one_connection(candidates[0])
            now = self.seam.now()
            first = self.link.reconnects == 0 and self.ready_at is None
            if self.ready_at is None:
                candidates.rotate(-1)
                failures += 1
            else:
                self.link.reconnects += 1
                failures = 0 if now - self.ready_at >= RECONNECT.reset_after else failures + 1
            if isinstance(lost, AuthError | ConfigError) or (first and failures >= len(candidates)):
                self.link.fatal = lost
                self.link.enter(LinkPhase.CLOSED, now)
                actor.cancel(str(lost))
                return
            self.link.enter(LinkPhase.CONNECTING if first else LinkPhase.RECONNECTING, now)
            if (
                not first and failures
            ):  # the first try after a stable link is at once; so is the very first round
                await trio.sleep(RECONNECT.delay(failures, self.generator))

    async def one_connection(self, region: Region) -> PotrioError:
        """One connection, from dialling to its loss; returns why it ended."""
        settings, seam = self.settings, self.seam
        self.counters = self.link.begin(region.url)
        self.loss = self.ready_at = None
        self.stage = "dns"
        self.link.enter(LinkPhase.CONNECTING, seam.now())
        self.scope = trio.CancelScope(deadline=seam.now() + settings.handshake_timeout)
        with self.scope:
            try:
                async with dial(
                    region.url,
                    seam=seam,
                    kind=settings.transport,
                    headers=settings.headers,
                    ssl_context=self.ssl_context,
                    allow_insecure=settings.allow_insecure,
                    on_stage=self.on_stage,
                ) as transport:
                    await self.run(transport, region)
            except PotrioError as error:
                self.drop(error)
        self.session = None
        self.link.deadline = None
        timeout = ConnectTimeout(region.url, self.stage, settings.handshake_timeout)
        lost = self.loss or timeout
        self.link.last_error = lost
        self.link.enter(LinkPhase.RECONNECTING, seam.now())
        await self.router.send(LinkLost(self.link.epoch, str(lost), seam.now()))
        return lost

    def on_stage(self, stage: str) -> None:
        self.stage = stage

    async def run(self, transport: Transport, region: Region) -> None:
        """Speak the protocol over an open transport until one side ends it."""
        self.stage = "engine.io"
        self.session = ClientSession(now=self.seam.now(), target=region.url)
        self.outgoing = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.write, transport, self.session)
            await self.read(transport, self.session)
            nursery.cancel_scope.cancel("the session has ended")
        last_words = self.session.messages_to_send()
        if last_words:
            with trio.move_on_after(CLOSE_TIMEOUT / 2):
                await transport.send(last_words)

    async def read(self, transport: Transport, session: ClientSession) -> None:
        """Feed what comes to the session and what it says to the router, one message per read."""
        counters, seam, router = self.counters, self.seam, self.router
        while self.loss is None:
            try:
                messages = await transport.receive()
            except PotrioError as error:
                events = session.receive_close(error)
            else:
                counters.messages_received += len(messages)
                counters.pings_received += messages.count("2")
                events = session.receive_messages(messages, seam.now())
            self.link.deadline = session.next_deadline()
            ended = self.follow(events, session)
            if session.has_output:
                self.outgoing.set()
            if events:
                await router.send(Batch(self.link.epoch, events, seam.now(), seam.wall()))
            if ended is not None:
                self.loss = self.loss or ended

    def follow(self, events: list[SessionEvent], session: ClientSession) -> PotrioError | None:
        """Take the steps of the handshake as they come; returns why the session ended, if it did."""
        received = self.counters.events_received
        ended: PotrioError | None = None
        for event in events:
            match event:
                case EventReceived(name=name):
                    received[name] += 1
                case Opened(handshake=handshake):
                    self.stage = "socket.io"
                    self.link.handshake = handshake
                case Connected():
                    self.stage = "auth"
                    self.link.enter(LinkPhase.AUTHENTICATING, self.seam.now())
                    session.authenticate(self.settings.ssid.auth_payload().reveal())
                    self.counters.events_sent["auth"] += 1
                case Authenticated():
                    received["successauth"] += 1
                    self.scope.deadline = math.inf
                    self.ready_at = self.seam.now()
                    self.link.enter(LinkPhase.READY, self.ready_at)
                    self.router.tell(LinkUp(self.link.epoch, self.ready_at))
                case Closed(error=error):
                    ended = error or ConnectionBroken("the venue ended the session")
                case _:
                    pass
        return ended

    async def write(self, transport: Transport, session: ClientSession) -> None:
        """Send whatever is waiting at each wake-up, in one write."""
        while True:
            await self.outgoing.wait()
            self.outgoing = trio.Event()
            messages = session.messages_to_send()
            self.unsent = 0
            if messages:
                self.counters.messages_sent += len(messages)
                self.counters.pongs_sent += messages.count("3")
                try:
                    await transport.send(messages)
                except PotrioError as error:
                    self.drop(error)
                    return
            if self.leaving is not None:
                self.leaving.set()

    async def leave(self) -> None:
        """Say goodbye to the venue, if there is a link and it takes the words in time."""
        if self.session is None or not self.link.ready:
            return
        self.leaving = trio.Event()
        self.session.send_disconnect()
        self.outgoing.set()
        with trio.move_on_after(CLOSE_TIMEOUT / 2):
            await self.leaving.wait()
