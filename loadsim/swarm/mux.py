"""`MuxClients`: thousands of clients in one task, on one poller: the crowd behind the clients that are measured.

    swarm = MuxClients(url, Owner())
    for ssid in ssids:
        swarm.start(ssid)
    await swarm.run()

`run` connects those that wait, so many a second, and lives as long as it is not cancelled; clients may be started,
closed and spoken to at any time, from callbacks or from other tasks. What happens is told to a `MuxOwner`: what it is
to be counted or measured by is its business. Whoever wants to know where everything stands asks `statistics`.

With ``wss://`` each line has TLS in between (`poller_tls`): certificate and host name are verified, and a client whose
venue is not who it says it is ends with `TlsFailed` before anything of its token has left. Some 20 KiB more a client.

Only loopback hosts are allowed, and others that the caller names: this is a program that makes load.
"""

from __future__ import annotations

import heapq
import logging
import math
import ssl
from collections import deque
from collections.abc import Collection, Sequence
from typing import Any, Final

from msgspec import Struct

from loadsim.swarm.client import MuxClient, MuxOwner, MuxPhase
from loadsim.swarm.lean import Kit
from potrio.errors import ConfigError, ConnectTimeout, LocalProtocolError, PotrioError, TlsFailed
from potrio.limits import HANDSHAKE_TIMEOUT, PS_INTERVAL
from potrio.protocol.ssid import Ssid
from potrio.seam import REAL, Seam
from potrio.transport.dial import default_ssl_context
from potrio.transport.line import Line
from potrio.transport.poller import Poller
from potrio.transport.poller_tls import connect_tls
from potrio.transport.target import is_loopback, parse_target
from potrio.transport.upgrade import ClientUpgrade, request_headers

__all__ = ["MuxClient", "MuxClients", "MuxOwner", "MuxPhase", "MuxStatistics", "spread_sources"]

LOG: Final = logging.getLogger("loadsim.swarm")

CONNECTS_PER_SECOND_MAX: Final = 2000.0
"""A server's backlog holds some thousand; past that, SYNs are lost and come again after a second."""

HANDSHAKES_MAX: Final = 500
"""Under way at once. A venue that is slow to let people in gets no more to do: with thousands waiting at its door every
one of them would run out of time, come again, and none would ever get in."""

CATCH_UP_S: Final = 0.01
"""How much of a delay is made up for by connecting faster; the rest is lost."""

PORTS_PER_SOURCE: Final = 25_000
"""Of the 28 232 ephemeral ports that one source has for one destination; some are in TIME_WAIT."""

VISIT_S: Final = 5.0
"""How often each client is looked at, at least: so much later than it could may silence be noticed."""


class MuxStatistics(Struct, frozen=True, kw_only=True):
    """Where a swarm stands. Clients by phase, and counters since the start."""

    waiting: int
    connecting: int
    ready: int
    closed: int
    connects: int
    logins: int
    ends: int
    ticks: int
    events: int
    sent: int
    bytes_received: int
    bytes_sent: int


def spread_sources(clients: int) -> tuple[str, ...]:
    """Return loopback addresses to come from, so that there are ports for all; none where one is enough."""
    count = math.ceil(clients / PORTS_PER_SOURCE)
    return tuple(f"127.0.0.{number}" for number in range(1, count + 1)) if count > 1 else ()


class MuxClients:
    """A swarm.

    Args:
        url: of the venue.
        owner: is told what happens.
        seam: the door to clock and sockets.
        connects_per_second: at most.
        handshakes_max: connections that may be on their way to READY at once; the next begin when one has arrived.
        sources: addresses to connect from, in turn; none lets the system choose (see `spread_sources`).
        handshake_timeout_s: from the beginning of a connection to READY.
        ps_interval_s: how often each client sends ``ps``.
        allowed_hosts: hosts besides this machine that may be put under load.
        ssl_context: for ``wss://``; None verifies with the certificates of the system.

    Raises:
        ConfigError: the URL cannot be used, or leads to a host that is not allowed.
    """

    def __init__(
        self,
        url: str,
        owner: MuxOwner,
        *,
        seam: Seam = REAL,
        connects_per_second: float = CONNECTS_PER_SECOND_MAX,
        handshakes_max: int = HANDSHAKES_MAX,
        sources: Sequence[str] = (),
        handshake_timeout_s: float = HANDSHAKE_TIMEOUT,
        ps_interval_s: float = PS_INTERVAL,
        allowed_hosts: Collection[str] = (),
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        target = parse_target(url)
        if not (is_loopback(target.host) or target.host in allowed_hosts):
            raise ConfigError("url", f"{target.host} is not this machine, and not among the allowed hosts")
        if not 0 < connects_per_second <= CONNECTS_PER_SECOND_MAX:
            raise ConfigError("connects_per_second", f"must be above 0, at most {CONNECTS_PER_SECOND_MAX:g}")
        if handshakes_max < 1:
            raise ConfigError("handshakes_max", "must be one at least")
        self.owner = owner
        self.kit = Kit(seam.mask_bytes, str(target))
        self.ticks = self.events = self.sent = 0
        self.clients: list[MuxClient] = []
        """All that were ever started, by their number."""
        self._target = target
        self._ssl_context = (ssl_context or default_ssl_context()) if target.tls else None
        self._headers = request_headers()
        self._seam = seam
        self._sources = tuple(sources)
        self._handshakes_max = handshakes_max
        self._under_way: set[int] = set()
        self._pause_s = 1 / connects_per_second
        self._handshake_timeout_s = handshake_timeout_s
        self._ps_interval_s = ps_interval_s
        self._poller = Poller(seam)
        self._address: tuple[int, tuple[str | int, ...]] | None = None
        self._queue: deque[MuxClient] = deque()
        self._next_connect = -math.inf
        self._visits: list[tuple[float, int, float, float]] = []
        """(when, number, began, next ps): a heap of the times to look at a client; one of an older life is void."""
        self._connects = self._logins = self._ends = 0

    # --- for the program ---

    def start(self, ssid: Ssid, tag: Any = None) -> MuxClient:
        """Add a client; it connects when its turn comes."""
        client = MuxClient(self, len(self.clients), ssid, tag)
        self.clients.append(client)
        self._enqueue(client)
        return client

    def restart(self, client: MuxClient) -> None:
        """Let a client that has ended connect again.

        Raises:
            LocalProtocolError: it has not ended.
        """
        if client.phase is not MuxPhase.CLOSED:
            raise LocalProtocolError(f"the client is {client.phase.value}")
        client.phase = MuxPhase.WAITING
        self._enqueue(client)

    async def run(self) -> None:
        """Connect and serve all clients until cancelled; then close all connections.

        Raises:
            OSError: the host has no address.
            trio.ClosedResourceError: it has run already.

        Waits for sockets and timers. Cancelling closes everything, without Close frames and without callbacks.
        """
        try:
            found = await self._seam.resolve(self._target.host, self._target.port)
            self._address = found[0]
            await self._poller.run(timers=self._run_timers)
        finally:
            self._address = None
            for client in self.clients:
                if client.phase not in (MuxPhase.CLOSED, MuxPhase.WAITING):
                    client.close()
            self._poller.close()

    def statistics(self) -> MuxStatistics:
        """Return where everything stands."""
        counts = dict.fromkeys(MuxPhase, 0)
        for client in self.clients:
            counts[client.phase] += 1
        found = self._poller.statistics()
        return MuxStatistics(
            waiting=counts[MuxPhase.WAITING],
            connecting=sum(
                counts[phase] for phase in (MuxPhase.CONNECTING, MuxPhase.UPGRADING, MuxPhase.LOGGING_IN)
            ),
            ready=counts[MuxPhase.READY],
            closed=counts[MuxPhase.CLOSED],
            connects=self._connects,
            logins=self._logins,
            ends=self._ends,
            ticks=self.ticks,
            events=self.events,
            sent=self.sent,
            bytes_received=found.bytes_received,
            bytes_sent=found.bytes_sent,
        )

    # --- for clients ---

    def now(self) -> float:
        """Trio's clock."""
        return self._seam.now()

    def upgrade(self) -> ClientUpgrade:
        """Begin a WebSocket handshake."""
        return ClientUpgrade(self._target, self._headers)

    def entered(self, client: MuxClient) -> None:
        """A client is ready."""
        self._logins += 1
        self._make_room(client)
        self._visit(client, self.now() + self._ps_interval_s)

    def left(self, client: MuxClient, error: Exception | None, *, told: bool = True) -> None:
        """A client has ended."""
        self._ends += 1
        self._make_room(client)
        if not told or self._address is None:
            return  # whoever ended it knows
        try:
            delay_s = self.owner.closed(client, error)
        except Exception:  # the supervised edge of one client: reported, the others live on
            LOG.exception("the owner of a swarm failed when told of a client's end")
            return
        if delay_s is not None and client.phase is MuxPhase.CLOSED:
            client.phase = MuxPhase.WAITING
            client.began = self.now() + delay_s
            heapq.heappush(self._visits, (client.began, client.number, client.began, math.inf))

    # --- private ---

    def _enqueue(self, client: MuxClient) -> None:
        self._queue.append(client)
        self._poller.look()

    def _make_room(self, client: MuxClient) -> None:
        """Its handshake is over, one way or the other."""
        self._under_way.discard(client.number)
        if self._queue:
            self._poller.look()

    @property
    def _has_room(self) -> bool:
        return len(self._under_way) < self._handshakes_max

    def _run_timers(self) -> float:
        """Do what is due; return when the next thing is."""
        now = self.now()
        visits = self._visits
        while visits and visits[0][0] <= now:
            _, number, began, ps_at = heapq.heappop(visits)
            client = self.clients[number]
            if client.began == began:
                self._look_at(client, now, ps_at)
        self._connect_some(now)
        wake = visits[0][0] if visits else math.inf
        return min(wake, self._next_connect) if self._queue and self._has_room else wake

    def _look_at(self, client: MuxClient, now: float, ps_at: float) -> None:
        match client.phase:
            case MuxPhase.WAITING:
                self._queue.append(client)
            case MuxPhase.CONNECTING | MuxPhase.UPGRADING | MuxPhase.LOGGING_IN:
                client.fail(ConnectTimeout(self.kit.target, client.stage, self._handshake_timeout_s))
            case MuxPhase.READY if ps_at < math.inf:
                self._look_at_ready(client, now, ps_at)
            case _:
                pass  # the visit of a handshake that was in time

    def _look_at_ready(self, client: MuxClient, now: float, ps_at: float) -> None:
        deadline = client.deadline()
        if deadline is not None and deadline <= now:
            client.run_timers(now)
            return
        try:
            if ps_at <= now:
                ps_at += self._ps_interval_s
                client.send_event("ps")
        except PotrioError as error:
            client.fail(error)
            return
        self._visit(client, ps_at)

    def _visit(self, client: MuxClient, ps_at: float) -> None:
        deadline = client.deadline() or math.inf
        when = min(ps_at, max(deadline, self.now() + min(VISIT_S, self._ps_interval_s)))
        heapq.heappush(self._visits, (when, client.number, client.began, ps_at))

    def _connect_some(self, now: float) -> None:
        """Begin as many connections as are due."""
        while self._queue and self._has_room and self._next_connect <= now:
            client = self._queue.popleft()
            if client.phase is not MuxPhase.WAITING:
                continue  # closed meanwhile
            self._next_connect = max(self._next_connect, now - CATCH_UP_S) + self._pause_s
            self._connect(client)

    def _connect(self, client: MuxClient) -> None:
        assert self._address is not None, "it is running"
        family, address = self._address
        source = self._sources[client.number % len(self._sources)] if self._sources else None
        self._connects += 1
        self._under_way.add(client.number)
        try:
            line: Line
            if self._ssl_context is None:
                line = self._poller.connect(family, address, client, source=source)
            else:
                line = connect_tls(
                    self._poller,
                    family,
                    address,
                    client,
                    context=self._ssl_context,
                    host=self._target.host,
                    target=self.kit.target,
                    source=source,
                )
        except (OSError, TlsFailed) as error:
            client.fail(error)
            return
        client.begin(line)
        heapq.heappush(
            self._visits, (client.began + self._handshake_timeout_s, client.number, client.began, math.inf)
        )
