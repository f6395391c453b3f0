"""Echo applications on the venue's server core, for the official Engine.IO and Socket.IO suites to judge it by.

What the suites ask for is in their documents; the figures here are theirs. WebSocket only: a polling request gets
the quick 400 that the reference server gives for an unknown transport.
"""

from __future__ import annotations

from typing import Final, Literal

import trio

from loadsim.venue.admission import Peer
from loadsim.venue.connection import Connection
from loadsim.venue.front import Front
from loadsim.venue.stats import Stats
from potrio.protocol.engineio import Handshake
from potrio.protocol.engineio_session import EngineIOSession
from potrio.protocol.events import Connected, EventReceived, MessageReceived, SessionEvent
from potrio.protocol.server_session import ServerSession
from potrio.protocol.session import Session
from potrio.seam import REAL, Seam
from potrio.transport.accept import HttpRequest

__all__ = ["Suite", "make_front", "serve_conformance"]

Suite = Literal["engine.io", "socket.io"]

PING_INTERVAL_MS: Final = 300
PING_TIMEOUT_MS: Final = 200
MAX_PAYLOAD: Final = 1_000_000
CONNECT_TIMEOUT_S: Final = 1.0


class Echo:
    """Sends everything back: Engine.IO messages, and the events the Socket.IO suite knows."""

    def received(self, connection: Connection, event: SessionEvent) -> tuple[()]:
        """Answer one event, in one step."""
        session = connection.session
        match event:
            case MessageReceived(data):
                assert isinstance(session, EngineIOSession), "only Engine.IO has plain messages"
                session.send_message(data)
            case Connected(namespace, _, payload):
                assert isinstance(session, Session), "only Socket.IO has namespaces"
                session.send_event("auth", payload or b"{}", namespace=namespace)
            case EventReceived(name="message"):
                assert isinstance(session, Session), "only Socket.IO has events"
                session.send_event(
                    "message-back", args=event.args, attachments=event.attachments, namespace=event.namespace
                )
            case EventReceived(name="message-with-ack", ack_id=int(ack_id)):
                assert isinstance(session, Session), "only Socket.IO has events"
                session.send_ack(ack_id, event.args, event.attachments, namespace=event.namespace)
            case _:
                pass
        connection.flush_session()
        return ()

    def opened(self, connection: Connection) -> None:
        """Nothing is kept of a connection."""

    def closed(self, connection: Connection) -> None:
        """Nothing was kept of it."""

    def deadline(self, connection: Connection) -> float | None:
        """The session's deadlines are enough."""
        return None

    def due(self, connection: Connection, now: float) -> None:
        """There are no deadlines of our own."""


def new_engineio_session(sid: str, now: float) -> EngineIOSession:
    """Make a session of the Engine.IO suite."""
    return EngineIOSession(
        "server", now=now, handshake=Handshake(sid, (), PING_INTERVAL_MS, PING_TIMEOUT_MS, MAX_PAYLOAD)
    )


def new_socketio_session(sid: str, now: float) -> ServerSession:
    """Make a session of the Socket.IO suite."""
    return ServerSession(
        sid=sid,
        now=now,
        ping_interval_ms=PING_INTERVAL_MS,
        ping_timeout_ms=PING_TIMEOUT_MS,
        max_payload=MAX_PAYLOAD,
        auth_required=False,
        namespaces=("/", "/custom"),
        handshake_timeout=CONNECT_TIMEOUT_S,
    )


async def no_pages(request: HttpRequest, peer: Peer) -> bool:
    """There is nothing but the application. Never waits, so cancelling never finds it."""
    return False


def make_front(suite: Suite, *, seam: Seam = REAL) -> Front:
    """Make the server of one suite, at the path it asks for."""
    return Front(
        Echo(),
        new_session=new_engineio_session if suite == "engine.io" else new_socketio_session,
        path=f"/{suite}/",
        page=no_pages,
        stats=Stats(),
        seam=seam,
        message_max=MAX_PAYLOAD,
    )


async def serve_conformance(
    suite: Suite,
    *,
    host: str = "127.0.0.1",
    port: int = 3000,
    seam: Seam = REAL,
    task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve one suite for ever.

    Raises:
        OSError: the address cannot be listened on.

    Waits all that time. Cancelling closes everything.
    """
    listeners = await seam.listen_tcp(host, port)
    await trio.serve_listeners(make_front(suite, seam=seam).serve, listeners, task_status=task_status)
