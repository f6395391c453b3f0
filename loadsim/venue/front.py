"""The front of a server core: one port where an HTTP request is answered, or becomes a connection of the application.

Anything that is not a WebSocket request for the application's path gets a quick, complete answer: 400 for Engine.IO
polling, what the program's own pages say, 404 otherwise.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from loadsim.venue.admission import Admission, Guest, Peer
from loadsim.venue.connection import Application, Connection
from loadsim.venue.stats import Stats
from potrio.errors import ConnectionClosed, RemoteProtocolError
from potrio.limits import (
    SERVER_HEAD_TIMEOUT,
    SERVER_MESSAGE_MAX,
    VENUE_CONNECTIONS_MAX,
    VENUE_OUTBOUND_BYTES_MAX,
    VENUE_OUTBOUND_MESSAGES_MAX,
    VENUE_PER_HOST_MAX,
    VENUE_UNAUTHENTICATED_MAX,
)
from potrio.protocol.engineio_session import EngineIOSession
from potrio.protocol.session import Session
from potrio.seam import REAL, Seam
from potrio.transport.accept import HttpRequest, accept
from potrio.transport.line_stream import LineStream
from potrio.transport.poller import Poller

__all__ = ["JSON", "Front", "Page"]

LOG: Final = logging.getLogger("loadsim.venue")

BAD_TRANSPORT: Final = b'{"code":0,"message":"Transport unknown"}'
BAD_VERSION: Final = b'{"code":5,"message":"Unsupported protocol version"}'
"""The words of the reference server (Engine.IO protocol, "error codes")."""

JSON: Final = "application/json"

Page = Callable[[HttpRequest, Peer], Awaitable[bool]]
"""Answers a request that is not for the application; False if it is not one of its pages."""


class Front:
    """Accepts streams and serves them.

    Args:
        application: what connections belong to.
        new_session: makes the session of a connection, given an id and the time.
        path: the application's, with its last slash.
        page: other pages.
        stats: counters.
        seam: clock and ids.
        message_max: largest message accepted.
        connections_max: open at once.
        admission: who may come in at all; None for the usual limits.
        outbound_messages_max, outbound_bytes_max: what may wait for one slow reader.
        tls: to speak TLS.
        poller: reads and writes for all connections that have sockets; None to leave that to a stream for each.
        refuses: asked for each WebSocket request; True answers it with 503.
    """

    def __init__(
        self,
        application: Application,
        *,
        new_session: Callable[[str, float], Session | EngineIOSession],
        path: str,
        page: Page,
        stats: Stats,
        seam: Seam = REAL,
        message_max: int = SERVER_MESSAGE_MAX,
        connections_max: int = VENUE_CONNECTIONS_MAX,
        admission: Admission | None = None,
        outbound_messages_max: int = VENUE_OUTBOUND_MESSAGES_MAX,
        outbound_bytes_max: int = VENUE_OUTBOUND_BYTES_MAX,
        tls: ssl.SSLContext | None = None,
        poller: Poller | None = None,
        refuses: Callable[[], bool] = lambda: False,
    ) -> None:
        self.closed_until = float("-inf")
        """Until this time new streams are closed at once: the venue is "restarting"."""
        self._application = application
        self._new_session = new_session
        self._path = path
        self._page = page
        self._stats = stats
        self._seam = seam
        self._message_max = message_max
        self._connections_max = connections_max
        self._outbound_messages_max = outbound_messages_max
        self._outbound_bytes_max = outbound_bytes_max
        self._tls = tls
        self._poller = poller
        self._refuses = refuses
        self._count = 0
        self._admission = admission or Admission(
            per_host_max=VENUE_PER_HOST_MAX, unauthenticated_max=VENUE_UNAUTHENTICATED_MAX
        )

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Serve one stream until it ends; a bug in serving it is logged and ends only it.

        Waits all that time. Cancelling closes the stream.
        """
        try:
            guest = None if self._seam.now() < self.closed_until else self._admission.admit(_peer_of(stream))
            if guest is None:
                self._stats.connections_refused += 1
                await trio.aclose_forcefully(stream)
                return
            try:
                if self._poller is not None and isinstance(stream, trio.SocketStream):
                    stream = self._over_poller(self._poller, stream)
                await self._serve(stream, guest)
            finally:
                guest.leave()
                with trio.CancelScope(shield=True):
                    await trio.aclose_forcefully(stream)  # whatever happened; a poller would keep it
        except (ConnectionClosed, RemoteProtocolError, trio.BrokenResourceError):
            pass  # The client went away or does not speak HTTP: accept() has told it where that was possible.
        except Exception:  # the supervised edge of one connection: reported, the others live on
            LOG.exception("a connection ended by a fault of the venue")
            self._stats.violations.count("internal error")
            await trio.aclose_forcefully(stream)

    def _over_poller(self, poller: Poller, stream: trio.SocketStream) -> LineStream:
        owner = LineStream()
        # One message at a time leaves here, and what waits is bounded before: by the connection.
        return owner.attach(poller.add(self._seam.take_socket(stream), owner))

    async def _serve(self, stream: trio.abc.Stream, guest: Guest) -> None:
        if self._tls is not None:
            stream = trio.SSLStream(stream, self._tls, server_side=True, https_compatible=True)
            with trio.move_on_after(SERVER_HEAD_TIMEOUT) as scope:
                await stream.do_handshake()
            if scope.cancelled_caught:
                await trio.aclose_forcefully(stream)
                return
        request = await accept(stream, seam=self._seam)
        if request.path.rstrip("/") + "/" != self._path:
            self._stats.http_requests += 1
            if not await self._page(request, guest.peer):
                await request.respond(404, b"not found\n")
            return
        if not request.wants_websocket or request.query.get("transport") != "websocket":
            await self._reject(request, 400, BAD_TRANSPORT)
        elif request.query.get("EIO") != "4":
            await self._reject(request, 400, BAD_VERSION)
        elif self._stats.connections >= self._connections_max or self._refuses():
            self._stats.connections_refused += 1
            await request.respond(503, b"try again later\n")
        else:
            await self._connect(request, stream, guest)

    async def _connect(self, request: HttpRequest, stream: trio.abc.Stream, guest: Guest) -> None:
        transport = await request.upgrade(message_max=self._message_max)
        self._count += 1
        sid = self._seam.new_id().replace("-", "")[:20]
        connection = Connection(
            self._count,
            transport=transport,
            stream=stream,
            session=self._new_session(sid, self._seam.now()),
            application=self._application,
            stats=self._stats,
            seam=self._seam,
            messages_max=self._outbound_messages_max,
            bytes_max=self._outbound_bytes_max,
            authenticated=guest.authenticated,
        )
        await connection.run()

    async def _reject(self, request: HttpRequest, status: int, body: bytes) -> None:
        self._stats.http_requests += 1
        await request.respond(status, body, JSON)


def _peer_of(stream: trio.abc.Stream) -> Peer:
    if not isinstance(stream, trio.SocketStream):
        return None
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:
        return ""  # gone already; an address that is nobody's
