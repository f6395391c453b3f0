"""The connection actor: keeps one authenticated link to the venue alive, and is the only one that touches the socket.

An outage is not a crash: the actor reports `LinkLost` and `LinkUp` and tries again by itself, first at once, then with
full-jitter backoff. What ends it for good is a rejected SSID, or a first round in which no candidate can be reached.
While there is no link its inbox is still served: an order is answered `NotSent` at once, nothing waits to be sent late.
What is to be sent waits here while a write is under way, orders ahead of requests; an order counts as `Written` when
the write that carries it begins, and not before.
"""

from __future__ import annotations

import math
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec
import trio

from potrio.actor_errors import ActorDead
from potrio.actors.keys import ORDER_BOOK, ROUTER
from potrio.actors.link import (
    Batch,
    CheckDeadline,
    LinkCounters,
    LinkLost,
    LinkPhase,
    LinkState,
    LinkUp,
    Resync,
    SubmitOrder,
    Transmit,
    count,
)
from potrio.actors.outbox import Outbox
from potrio.errors import (
    AuthError,
    ConfigError,
    ConnectionBroken,
    ConnectTimeout,
    LocalProtocolError,
    PotrioError,
)
from potrio.limits import CLOSE_TIMEOUT, HANDSHAKE_TIMEOUT, RECONNECT_BASE, RECONNECT_CAP, RECONNECT_STABLE
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
from potrio.protocol.ssid import Ssid
from potrio.seam import Seam
from potrio.secrets import redact_error
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
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.keep_connected, nursery.cancel_scope)
            async for message in ctx.inbox:
                driver.handle(message)
            await driver.leave()
            nursery.cancel_scope.cancel("the connection actor is stopping")
    finally:  # also where it crashes: nobody may believe in a link without an actor behind it
        driver.lose(ConnectionBroken("the connection actor has ended"))
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
        self.outbox = Outbox(ctx.lookup(ORDER_BOOK), settings.seam)
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
        self.leaving: trio.Event | None = None

    async def take_over(self) -> None:
        """A former incarnation crashed, and its socket went with it: say so before anything else."""
        if self.link.epoch:
            now = self.seam.now()
            self.link.reconnects += 1
            self.link.enter(LinkPhase.RECONNECTING, now)
            await self.report(LinkLost(self.link.epoch, "the connection actor was restarted", now))

    # --- what others ask for (never waits) ---------------------------------------------------------------------------

    def handle(self, message: ConnectionMessage | Any) -> None:
        match message:
            case Transmit(message=event, epoch=epoch):
                if self.is_present(epoch) and self.outbox.add_request(event):
                    self.outgoing.set()
                else:
                    self.counters.dropped += 1
            case SubmitOrder():
                if self.link.ready:
                    self.outbox.add_order(message)
                    self.outgoing.set()
                else:
                    self.outbox.refuse(message, "not connected")
            case CheckDeadline():
                self.check_deadline()
            case Resync(reason=reason, epoch=epoch):
                if self.is_present(epoch):
                    self.drop(ConnectionBroken(reason))
            case _:
                raise AssertionError(f"the connection has no use for a {type(message).__name__}")

    def is_present(self, epoch: int | None) -> bool:
        """Is there a link, and is it the one that is meant?"""
        return self.link.ready and epoch in (None, self.link.epoch)

    def check_deadline(self) -> None:
        if self.session is None:
            return
        for event in self.session.handle_deadline(self.seam.now()):
            if isinstance(event, Closed):
                self.drop(event.error or ConnectionBroken("the session ended"))
        self.link.set_deadline(self.session.next_deadline())
        self.outgoing.set()

    def lose(self, reason: PotrioError) -> None:
        """There is no link any more: from this moment nothing is taken for it. The first reason given is reported.

        Every error of a connection comes through here before anybody sees it, and leaves without the token (P8).
        """
        redact_error(reason, self.settings.ssid.session)
        if self.loss is None:
            self.loss = reason
        if self.link.ready:
            self.link.enter(LinkPhase.RECONNECTING, self.seam.now())
        self.counters.dropped += self.outbox.give_back("the link was lost before it could be sent")

    def drop(self, reason: PotrioError) -> None:
        """End the present connection at once."""
        self.lose(reason)
        self.scope.cancel(str(reason))

    async def report(self, message: LinkUp | LinkLost | Batch) -> None:
        """Tell the router, in order with the data; waits while it has too much to do. Cancelling tells nothing."""
        try:
            await self.router.send(message)
        except ActorDead:
            pass  # the tree is being stopped, and the router goes first: nobody is left to be told

    # --- the life of the link ----------------------------------------------------------------------------------------

    async def keep_connected(self, actor: trio.CancelScope) -> None:
        """Connect, stay, connect again; the candidate that worked last is tried first. Ends the actor when hopeless."""
        await self.take_over()
        candidates = deque(self.settings.candidates)
        failures = 0  # since the link was last stable
        failed: list[PotrioError] = []  # of the very first round
        while True:
            lost = await self.one_connection(candidates[0])
            now = self.seam.now()
            first = self.link.ups == 0
            if first:
                failed.append(lost)
            if self.ready_at is None:
                candidates.rotate(-1)
                failures += 1
            else:
                self.link.reconnects += 1
                failures = 0 if now - self.ready_at >= RECONNECT.reset_after else failures + 1
            hopeless = isinstance(lost, AuthError | ConfigError)
            if hopeless or (first and failures >= len(candidates)):
                self.link.fatal = lost if hopeless else first_of(failed)
                self.link.enter(LinkPhase.CLOSED, now)
                actor.cancel(str(lost))
                return
            self.link.enter(LinkPhase.CONNECTING if first else LinkPhase.RECONNECTING, now)
            # The first try after a stable link is at once; so is the very first round.
            if failures and not first:
                await trio.sleep(RECONNECT.delay(failures, self.generator))

    async def one_connection(self, region: Region) -> PotrioError:
        """One connection, from dialling to its loss; returns why it ended."""
        settings, seam = self.settings, self.seam
        self.counters = self.link.begin(region.url)
        self.loss = self.ready_at = None
        self.stage = "dns"
        self.outbox.taken()
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
        self.link.set_deadline(None)
        lost = self.loss or ConnectTimeout(region.url, self.stage, settings.handshake_timeout)
        self.link.last_error = lost
        self.link.enter(LinkPhase.RECONNECTING, seam.now())
        await self.report(LinkLost(self.link.epoch, str(lost), seam.now()))
        return lost

    def on_stage(self, stage: str) -> None:
        self.stage = stage

    async def run(self, transport: Transport, region: Region) -> None:
        """Speak the protocol over an open transport until one side ends it."""
        self.stage = "engine.io"
        self.session = ClientSession(now=self.seam.now(), target=region.url, gathers=True)
        self.outgoing = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.write, transport, self.session)
            await self.read(transport, self.session)
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
                await self.report(Batch(self.link.epoch, events, seam.now(), seam.wall()))

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
                    self.link.enter(LinkPhase.AUTHENTICATING, self.seam.now())
                    try:  # it may be larger than the venue takes, or the venue has left in the same read
                        session.authenticate(self.settings.ssid.auth_payload().reveal())
                        self.outbox.names["auth"] += 1
                    except LocalProtocolError as error:
                        session.receive_close(error)
                        ended = session.close_exc
                case Authenticated():
                    received["successauth"] += 1
                    self.scope.deadline = math.inf
                    self.ready_at = self.seam.now()
                    self.link.ups += 1
                    self.link.enter(LinkPhase.READY, self.ready_at)
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
            if self.link.ready and self.leaving is None:
                self.outbox.load(session, self.link.epoch)
            if session.has_output:
                try:
                    await self.send(transport, session)
                except PotrioError as error:
                    session.receive_close(error)  # it knows how far it had come, and types the error by that
                    self.drop(session.close_exc or error)
                    return
            if self.leaving is not None and not session.has_output:
                self.leaving.set()

    async def send(self, transport: Transport, session: ClientSession) -> None:
        """Write what the session has queued. What goes wrong forgets the frames that had the authentication (P8)."""
        try:
            await self.put(transport, session.messages_to_send())
        except BaseException as error:
            if self.ready_at is None:
                redact_error(error, self.settings.ssid.session)
            raise

    async def put(self, transport: Transport, messages: list[Any]) -> None:
        """Write, and count what was written."""
        names = self.outbox.taken()
        await transport.send(messages)
        counters = self.counters
        counters.messages_sent += len(messages)
        counters.pongs_sent += messages.count("3")
        counters.events_sent.update(names)

    async def leave(self) -> None:
        """Say goodbye to the venue, if there is a link and it takes the words in time."""
        if self.session is None or not self.link.ready:
            return
        self.leaving = trio.Event()
        self.lose(ConnectionBroken("the client is closing"))
        self.session.send_disconnect()
        self.outgoing.set()
        with trio.move_on_after(CLOSE_TIMEOUT / 2):
            await self.leaving.wait()


def first_of(failed: list[PotrioError]) -> PotrioError:
    """The error of the address that was to be tried first; what the others said is noted on it."""
    first, *others = failed
    for other in others:
        first.add_note(f"then: {other}")
    return first
