"""`open_venue`: the whole venue, listening, as long as the block lasts.

Laws: one write per wake-up and connection, a bounded queue for each; nothing waits for a slow client; the market and
the deals are one task each, however many clients there are.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import trio

from loadsim.venue.admission import Admission
from loadsim.venue.clock import VenueClock
from loadsim.venue.config import VenueConfig
from loadsim.venue.control import Control
from loadsim.venue.deals import Book
from loadsim.venue.desk import Desk
from loadsim.venue.exchange import Exchange
from loadsim.venue.faults import FaultPlan
from loadsim.venue.front import Front
from loadsim.venue.market import Market
from loadsim.venue.pending import PendingBook
from loadsim.venue.schedule import DAY_S
from loadsim.venue.state_file import StateFile
from loadsim.venue.stats import Stats
from loadsim.venue.tasks import MarketTasks
from potrio.errors import ConfigError
from potrio.protocol.server_session import ServerSession
from potrio.seam import REAL, Seam
from potrio.transport.poller import Poller

__all__ = ["Venue", "lone", "open_venue", "tls_context"]

PATH: Final = "/socket.io/"
DELAYED_MAX: Final = 10_000
"""Frames a DELAY fault holds back at once; further ones are sent at their time."""

HANDSHAKE_SLACK_S: Final = 5.0
"""The session's own time limit comes after the venue's, which knows the better reason."""


class Venue:
    """A running venue.

    Attributes:
        host: the address it listens on.
        port: its port.
        url: for clients.
        http_url: for ``/stats`` and ``/faults``.
        exchange: what happens in it.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        is_tls: bool,
        exchange: Exchange,
        snapshot: Callable[[], dict[str, Any]],
    ) -> None:
        self.host = host
        self.port = port
        self.exchange = exchange
        self._snapshot = snapshot
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        secure = "s" if is_tls else ""
        self.url = f"ws{secure}://{authority}{PATH}?EIO=4&transport=websocket"
        self.http_url = f"http{secure}://{authority}"

    def stats(self) -> dict[str, Any]:
        """Return what ``GET /stats`` shows."""
        return self._snapshot()


@asynccontextmanager
async def open_venue(config: VenueConfig | None = None, *, seam: Seam = REAL) -> AsyncIterator[Venue]:
    """Listen and serve while the block runs; then close every connection.

    Args:
        config: None for the defaults: loopback, a port of the system's choice, seed 1.
        seam: the door to clock, ids, sockets and files.

    Raises:
        ConfigError: the state file or the certificate cannot be used.
        OSError: the address cannot be listened on.

    Waits for the listening socket. Cancelling closes everything.
    """
    config = config if config is not None else VenueConfig()
    tls = tls_context(config)
    try:
        listeners = await seam.listen_tcp(config.host, config.port)
        async with (
            _closing(listeners),
            _open_poller(listeners, seam) as poller,
            trio.open_nursery() as nursery,
        ):
            clock = VenueClock(config.offset_s, seam)
            parts = _Parts(config, clock, seam, nursery)
            front = parts.make_front(tls, poller)
            nursery.start_soon(trio.serve_listeners, front.serve, listeners)
            nursery.start_soon(parts.tasks.stream)
            nursery.start_soon(parts.tasks.settle)
            parts.exchange.hurt_at_once(fault for fault in config.faults if fault.is_immediate)
            yield Venue(
                config.host,
                port_of(listeners, config.port),
                is_tls=config.is_tls,
                exchange=parts.exchange,
                snapshot=parts.snapshot,
            )
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise lone(group) from None


@asynccontextmanager
async def _closing(listeners: list[trio.SocketListener]) -> AsyncIterator[None]:
    """Leave none of them open, also where what is to serve them cannot be made: a state file that is nonsense."""
    try:
        yield
    finally:
        for listener in listeners:
            await trio.aclose_forcefully(listener)


@asynccontextmanager
async def _open_poller(listeners: list[trio.SocketListener], seam: Seam) -> AsyncIterator[Poller | None]:
    """Run a poller for real sockets while the block runs, and until it has ended: connections say good-bye with it."""
    if not all(isinstance(listener, trio.SocketListener) for listener in listeners):
        yield None  # in memory
        return
    poller = Poller(seam)

    shield = trio.CancelScope(shield=True)

    async def run() -> None:
        with shield:
            await poller.run()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        try:
            yield poller
        finally:
            shield.cancel()


def lone(error: BaseException) -> BaseException:
    """Return what a group of one holds: the nursery is nobody's business outside."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def tls_context(config: VenueConfig) -> ssl.SSLContext | None:
    """Load the certificate; None for a venue without TLS.

    Raises:
        ConfigError: it cannot be read or does not fit its key.
    """
    if config.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError("tls_cert", f"{error.strerror or error}") from error
    return context


def port_of(listeners: list[trio.SocketListener], asked: int) -> int:
    """Return the port the system chose; what was asked for, where the listeners have no sockets."""
    sockets = [listener.socket for listener in listeners if isinstance(listener, trio.SocketListener)]
    return int(sockets[0].getsockname()[1]) if sockets else asked


class _Parts:
    """The venue's parts, wired to each other."""

    def __init__(self, config: VenueConfig, clock: VenueClock, seam: Seam, nursery: trio.Nursery) -> None:
        self._config = config
        self._clock = clock
        self._nursery = nursery
        self._delayed = 0
        self._seam = seam
        self._front: Front | None = None
        self.stats = Stats()
        self.market = Market(
            config.seed,
            volatility=config.market.volatility,
            payout_period_s=config.market.payout_period_s,
            history_start=max(0, int(clock.stamp() // DAY_S - config.market.history_days) * DAY_S),
        )
        self.book = Book(config.trading)
        self.pending = PendingBook()
        self.state_file: StateFile | None = None
        if config.state_file is not None:
            self.state_file = StateFile(
                config.state_file, seed=config.seed, offset_s=config.offset_s, seam=seam
            )
            self.state_file.load(self.book, self.pending)
        desk = Desk(
            config, self.market, self.book, self.pending, self.stats, new_id=seam.new_id, save=self._save
        )
        self.exchange = Exchange(
            config,
            clock=clock,
            market=self.market,
            book=self.book,
            pending=self.pending,
            desk=desk,
            stats=self.stats,
            plan=FaultPlan(config.seed, tuple(fault for fault in config.faults if not fault.is_immediate)),
            later=self._later,
            restart=self._restart,
        )
        self.control = Control(self.exchange, self.snapshot)
        self.tasks = MarketTasks(self.exchange, self.market, clock, seam)

    def make_front(self, tls: ssl.SSLContext | None, poller: Poller | None) -> Front:
        """Make the front of this venue."""
        config = self._config
        self._front = Front(
            self.exchange,
            new_session=self.new_session,
            path=PATH,
            page=self.control.answer,
            stats=self.stats,
            seam=self._seam,
            message_max=config.max_payload,
            connections_max=config.connections_max,
            admission=Admission(
                per_host_max=config.connections_per_host_max,
                unauthenticated_max=config.unauthenticated_max,
                limits_loopback=config.limits_loopback,
            ),
            outbound_messages_max=config.outbound_messages_max,
            outbound_bytes_max=config.outbound_bytes_max,
            tls=tls,
            poller=poller,
            refuses=self.refuses,
        )
        return self._front

    def snapshot(self) -> dict[str, Any]:
        """Return the statistics."""
        uptime_s = self._clock.now() - self._clock.started
        return self.stats.snapshot(self.book, uptime_s=uptime_s, stamp=self._clock.stamp())

    def new_session(self, sid: str, now: float) -> ServerSession:
        """Make the session of a new connection."""
        return ServerSession(
            sid=sid,
            now=now,
            ping_interval_ms=self._config.ping_interval_ms,
            ping_timeout_ms=self._config.ping_timeout_ms,
            max_payload=self._config.max_payload,
            handshake_timeout=self._config.auth_timeout_s + HANDSHAKE_SLACK_S,
        )

    def refuses(self) -> bool:
        """Tell whether a fault refuses the connection that is coming in."""
        fault = self.exchange.plan.on_connect()
        if fault is None:
            return False
        self.stats.faults.count(fault.kind.value)
        return True

    def _save(self) -> None:
        if self.state_file is not None:
            self.state_file.save(self.book, self.pending)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        if self._delayed >= DELAYED_MAX:
            action()
            return
        self._delayed += 1

        async def wait() -> None:
            await trio.sleep(seconds)
            self._delayed -= 1
            action()

        self._nursery.start_soon(wait)

    def _restart(self, seconds: float) -> None:
        assert self._front is not None, "the front is there before the first connection"
        self._front.closed_until = self._clock.now() + seconds
        self.exchange.drop_all()
