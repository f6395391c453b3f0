"""The connection actor: keeps one authenticated link to the venue alive, and is the only one that touches the socket.

An outage is not a crash: the actor reports `LinkLost` and `LinkUp` and tries again by itself, first at once, then with
full-jitter backoff, each time at the address that is best by what was measured. What ends it for good is a rejected
SSID for which no fresh one can be had, a first round in which no candidate can be reached in time, or more attempts in
vain than are allowed. While there is no link its inbox is still served: an order is answered `NotSent` at once, nothing
waits to be sent late. `Pause` ends the link and keeps it ended until `Unpause`.
"""

from __future__ import annotations

import math
import random
from functools import cached_property
from typing import Any, Final

import trio

from potrio.actor_errors import ActorDead
from potrio.actors.keys import ORDER_BOOK, ROUTER
from potrio.actors.limiter import account_of
from potrio.actors.link import (
    Batch,
    CheckDeadline,
    LinkLost,
    LinkState,
    LinkUp,
    Pause,
    Resync,
    StreamsStale,
    SubmitOrder,
    TooMany,
    Transmit,
    Unpause,
)
from potrio.actors.link_settings import LinkSettings
from potrio.actors.outbox import Outbox
from potrio.actors.phases import LinkPhase
from potrio.actors.wire import Wire
from potrio.errors import (
    AuthError,
    ConfigError,
    ConnectError,
    ConnectionBroken,
    ConnectionClosed,
    NotConnected,
    PotrioError,
    RemoteProtocolError,
)
from potrio.limits import CLOSE_TIMEOUT, RECONNECT_STABLE
from potrio.protocol.regions import Region
from potrio.supervision.context import Context
from potrio.supervision.ref import Ref
from potrio.transport.dial import default_ssl_context

__all__ = ["GIVEN_UP", "ConnectionMessage", "connection", "lane"]

ConnectionMessage = Transmit | SubmitOrder | CheckDeadline | Resync | TooMany | StreamsStale | Pause | Unpause


GIVEN_UP: Final = (AuthError, ConfigError, ConnectError, ConnectionClosed, RemoteProtocolError)
"""What the actor ends with when it gives up: the end of the client, whatever the last error was."""

PAUSED: Final = "paused"


def lane(message: ConnectionMessage) -> int:
    """Control before orders before requests: an order never waits behind a page of history."""
    match message:
        case Transmit():
            return 2
        case SubmitOrder():
            return 1
        case _:
            return 0


async def connection(ctx: Context[ConnectionMessage], settings: LinkSettings, link: LinkState) -> None:
    """Run the link until the supervisor stops it. Cancelling closes the socket within CLOSE_TIMEOUT.

    Raises:
        AuthError: the venue rejects the SSID, and there is no fresh one.
        ConnectError: no candidate could be reached before there ever was a link.
        ConfigError: an address among the candidates cannot be used.
    """
    if (
        link.fatal is not None
    ):  # given up before, by an incarnation whose supervisor was restarted: it stays so
        raise link.fatal
    driver = _Driver(ctx, settings, link)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.keep_connected, nursery.cancel_scope)
            async for message in ctx.inbox:
                driver.handle(message)
            await driver.leave()
            nursery.cancel_scope.cancel("the connection actor is stopping")
    finally:  # also where it crashes: nobody may believe in a link without an actor behind it
        if driver.wire is not None:
            driver.wire.lose(ConnectionBroken("the connection actor has ended"))
        driver.outbox.close()
    if link.fatal is not None:
        raise link.fatal


class _Driver:
    """The state of one incarnation."""

    def __init__(self, ctx: Context[ConnectionMessage], settings: LinkSettings, link: LinkState) -> None:
        self.settings = settings
        self.link = link
        self.seam = settings.seam
        self.router: Ref[Any] = ctx.lookup(ROUTER.name)  # of this session
        gate = settings.limits.gate(account_of(settings.ssid), settings.address, self.seam.now())
        self.outbox = Outbox(ctx.lookup(ORDER_BOOK), settings.seam, gate)
        link.forecast = self.outbox.forecast
        # Loading the system's certificates takes some 30 ms: once, not at every attempt.
        tls = any(region.url.startswith("wss:") for region in settings.candidates)
        self.ssl_context = settings.ssl_context or (default_ssl_context() if tls else None)
        self.pauses = settings.reconnect
        self.wire: Wire | None = None  # the present attempt, or the last one
        self.wished: Wire | None = None  # the last one that the program itself wanted ended
        self.renewing = False  # no link is tried while the program is asked for a fresh SSID
        self.leaving = False
        self.turned = trio.Event()  # paused, or not any more

    @cached_property
    def generator(self) -> random.Random:
        """For the jitter of attempts; made when one has failed, for it is 2.5 KiB."""
        return self.seam.generator()

    async def take_over(self) -> None:
        """A former incarnation crashed, and its socket went with it: say so before anything else."""
        if self.link.epoch:
            now = self.seam.now()
            if not self.link.paused:
                self.link.lost(now)
            self.link.move(LinkPhase.RECONNECTING, now)
            await self.report(LinkLost(self.link.epoch, "the connection actor was restarted", now))

    # --- what others ask for (never waits) ---------------------------------------------------------------------------

    def handle(self, message: ConnectionMessage | Any) -> None:
        match message:
            case Transmit(epoch=epoch):
                wire = self.present(epoch)
                if wire is not None and self.outbox.add_request(message):
                    wire.wake()
                    return
                if wire is None:
                    message.settle(NotConnected("there is no connection to the venue now; nothing was sent"))
                if self.wire is not None:
                    self.wire.counters.dropped += 1
            case SubmitOrder():
                wire = self.present(None)
                if wire is not None:
                    self.outbox.add_order(message)
                    wire.wake()
                else:
                    self.outbox.refuse(message, PAUSED if self.link.paused else "not connected")
            case CheckDeadline():
                if self.wire is not None:
                    self.wire.check_deadline()
            case StreamsStale(assets=assets, epoch=epoch):
                if self.present(epoch) is not None:
                    phase = LinkPhase.DEGRADED if assets else LinkPhase.READY
                    if phase is not self.link.phase:
                        self.link.move(phase, self.seam.now())
            case TooMany(lane=refused):
                self.outbox.too_many(refused)
            case Resync(reason=reason, epoch=epoch, wished=wished):
                if (wire := self.present(epoch)) is not None:
                    self.wished = wire if wished else self.wished
                    wire.drop(ConnectionBroken(reason))
            case Pause() | Unpause():
                self.turn(isinstance(message, Pause))
            case _:
                raise AssertionError(f"the connection has no use for a {type(message).__name__}")

    def present(self, epoch: int | None) -> Wire | None:
        """The link, if there is one and it is the one that is meant."""
        return self.wire if self.link.ready and epoch in (None, self.link.epoch) else None

    def turn(self, paused: bool) -> None:
        """Paused, or not any more; the second time says nothing new."""
        if paused == self.link.paused:
            return
        self.link.paused = paused
        turned, self.turned = self.turned, trio.Event()
        turned.set()
        if self.renewing:
            self.link.move(LinkPhase.DISCONNECTED if paused else LinkPhase.RECONNECTING, self.seam.now())
        elif paused and self.wire is not None and self.wire.loss is None:
            self.wished = self.wire
            self.wire.leave(ConnectionBroken(PAUSED))

    async def report(self, message: LinkUp | LinkLost | Batch) -> None:
        """Tell the router, in order with the data; waits while it has too much to do. Cancelling tells nothing."""
        try:
            await self.router.send(message)
        except ActorDead:
            pass  # the tree is being stopped, and the router goes first: nobody is left to be told

    async def leave(self) -> None:
        """Say goodbye to the venue, if there is a link and it takes the words in time."""
        self.leaving = True
        if self.wire is None or self.wire.loss is not None:
            return
        said = self.wire.leave(ConnectionBroken("the client is closing"))
        if said is not None:
            with trio.move_on_after(CLOSE_TIMEOUT / 2):
                await said.wait()

    # --- the life of the link ----------------------------------------------------------------------------------------

    async def keep_connected(self, actor: trio.CancelScope) -> None:
        """Connect, stay, connect again, until it is hopeless: that ends the actor."""
        await self.take_over()
        link, candidates, health = self.link, self.settings.candidates, self.settings.health
        max_retries = math.inf if self.settings.max_retries is None else self.settings.max_retries
        deadline = self.seam.now() + self.settings.connect_deadline
        failures = retries = 0  # since the link was last stable; attempts in vain since it was last up
        failed: list[PotrioError] = []  # of the very first round
        while True:
            if link.paused:
                await self.stay_paused()
                failures, deadline = 0, self.seam.now() + self.settings.connect_deadline
            region = health.ranked(candidates, self.seam.now())[0]
            lost = await self.one_connection(region, deadline)
            if self.leaving:
                return
            first, ready_for = link.ups == 0, self.was_ready_for()
            # What the link was like counts whoever has ended it.
            retries = 0 if ready_for >= 0 else retries
            failures = 0 if ready_for >= RECONNECT_STABLE else failures
            if link.paused and not isinstance(lost, AuthError | ConfigError):
                continue
            if isinstance(lost, AuthError):
                try:
                    await self.renew(lost)
                except AuthError as error:
                    return self.give_up(error, actor)
                deadline = self.seam.now() + self.settings.connect_deadline
                continue
            if self.wire is self.wished:
                continue  # nothing failed
            if ready_for < 0:
                retries += 1
            if ready_for < RECONNECT_STABLE:
                failures += 1
                health.failed(region, self.seam.now())
            if first:
                failed.append(lost)
            if isinstance(lost, ConfigError) or (not first and retries >= max_retries):
                return self.give_up(lost, actor)
            if first and (failures >= len(candidates) or self.seam.now() >= deadline):
                return self.give_up(first_of(failed), actor)
            # The first try after a stable link is at once; so is the very first round.
            if failures and not first:
                with trio.move_on_after(self.pauses.delay(failures, self.generator)):
                    await self.turned.wait()

    async def one_connection(self, region: Region, deadline: float) -> PotrioError:
        """One connection, from dialling to its loss; returns why it ended."""
        settings, link = self.settings, self.link
        budget = settings.handshake_timeout
        if link.ups == 0:
            budget = min(budget, max(0.0, deadline - self.seam.now()))
        self.wire = Wire(settings, region, link, self.outbox, self.report, self.ssl_context)
        lost = await self.wire.run(budget)
        if self.wire.ready_at is not None and self.wire is not self.wished:
            link.lost(self.seam.now())
        return lost

    def was_ready_for(self) -> float:
        """For how long the last link was one; -1 where there was none."""
        assert self.wire is not None
        return -1.0 if self.wire.ready_at is None else self.seam.now() - self.wire.ready_at

    async def renew(self, rejection: AuthError) -> None:
        """The SSID was rejected: get another one, or raise what ends the client."""
        if self.settings.fresh is None:
            raise rejection
        assert self.wire is not None
        if self.link.paused:
            self.rest()
        self.renewing = True
        try:
            await self.settings.fresh.renew(rejection, self.wire.ssid)
        finally:
            self.renewing = False

    def rest(self) -> None:
        """Nothing is tried from here on."""
        if self.link.phase is not LinkPhase.DISCONNECTED:
            self.link.move(LinkPhase.DISCONNECTED, self.seam.now())

    async def stay_paused(self) -> None:
        """Wait for `Unpause`."""
        self.rest()
        while self.link.paused:
            await self.turned.wait()

    def give_up(self, reason: PotrioError, actor: trio.CancelScope) -> None:
        """It is hopeless: end the actor, and with it the client."""
        self.link.fatal = reason
        self.link.move(LinkPhase.CLOSED, self.seam.now())
        actor.cancel(str(reason))


def first_of(failed: list[PotrioError]) -> PotrioError:
    """The error of the address that was to be tried first; what the others said is noted on it."""
    first, *others = failed
    for other in others:
        first.add_note(f"then: {other}")
    return first
