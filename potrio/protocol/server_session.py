"""`ServerSession`: the server's side of a session, which tolerates what clients send before they are authenticated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from potrio.errors import LimitExceeded
from potrio.limits import (
    ATTACHMENTS_TIMEOUT,
    CONNECTS_MAX,
    PREAUTH_EVENTS_MAX,
    SERVER_AUTH_TIMEOUT,
    SERVER_MESSAGE_MAX,
)
from potrio.protocol.encoder import encode_event, encode_message
from potrio.protocol.engineio import Handshake
from potrio.protocol.engineio_session import EngineIOSession
from potrio.protocol.events import AuthRequested, Connected, Disconnected, EventReceived, SessionEvent
from potrio.protocol.namespace import Namespace
from potrio.protocol.session import ACCEPTED_NAME, AUTH_NAME, Session
from potrio.protocol.socketio import MAIN_NAMESPACE, SocketIOPacket, SocketIOPacketType
from potrio.protocol.state import NamespaceInput, NamespaceState

__all__ = ["ServerSession"]

_T, _N = SocketIOPacketType, NamespaceInput
_REJECTED_NAME: Final = "NotAuthorized"
_INVALID_NAMESPACE: Final = b'{"message":"Invalid namespace"}'


class ServerSession(Session):
    """The server's side.

    It sends the Engine.IO handshake at once, answers CONNECT by itself, and pings. Where authentication is
    required, the event ``auth`` gives `AuthRequested`, which you answer with `accept_auth` or `reject_auth`; other
    events that come before that answer, even before CONNECT, are kept and given by `accept_auth`. (A Socket.IO
    server would close; but there are clients that resubscribe first after a reconnect and loop for ever if closed.)
    A later ``auth`` is ignored, so that its token goes no further.

    Args:
        sid: of the Engine.IO session; those of namespaces are made from it.
        now: the time of creation; the handshake must complete within `handshake_timeout` from here.
        ping_interval_ms, ping_timeout_ms, max_payload, upgrades: announced in the handshake.
        auth_required: False for a plain Socket.IO session; a client's DISCONNECT then gives `Disconnected` and
            leaves the session open, where otherwise it ends it.
        namespaces: those a client may connect to. More than the main one only without authentication.
        handshake_timeout: seconds until the client is authenticated, or connected where that is enough.
        preauth_events_max: events kept before authentication; one more closes the session.
        attachments_timeout: seconds from the header of a packet to its last attachment.
    """

    def __init__(
        self,
        *,
        sid: str,
        now: float,
        ping_interval_ms: int = 25_000,
        ping_timeout_ms: int = 20_000,
        max_payload: int = SERVER_MESSAGE_MAX,
        upgrades: Sequence[str] = (),
        auth_required: bool = True,
        namespaces: Sequence[str] = (MAIN_NAMESPACE,),
        handshake_timeout: float = SERVER_AUTH_TIMEOUT,
        preauth_events_max: int = PREAUTH_EVENTS_MAX,
        attachments_timeout: float = ATTACHMENTS_TIMEOUT,
    ) -> None:
        assert not auth_required or tuple(namespaces) == (MAIN_NAMESPACE,), "only the main namespace has auth"
        handshake = Handshake(sid, tuple(upgrades), ping_interval_ms, ping_timeout_ms, max_payload)
        super().__init__(
            EngineIOSession("server", now=now, handshake=handshake),
            "server",
            namespaces,
            attachments_bytes_max=max_payload,
            attachments_timeout=attachments_timeout,
        )
        self._sid = sid
        self._connect_count = 0
        self._served = frozenset(namespaces)
        self._auth_required = auth_required
        self._deadline: float | None = now + handshake_timeout
        self._buffered: list[EventReceived] = []
        self._buffered_max = preauth_events_max
        self._buffered_bytes = 0
        self._buffered_bytes_max = max_payload

    # --- send ---

    def accept_auth(self, payload: bytes) -> list[SessionEvent]:
        """Answer `AuthRequested` with yes.

        Args:
            payload: JSON of the binary event ``successauth``.

        Returns:
            The events that came before, in their order: you must handle them as if they came now.

        Raises:
            LocalProtocolError: no authentication waits for an answer; nothing changed.
        """
        messages = encode_event(ACCEPTED_NAME, payload, binary=True)
        self._step(self._connection(), _N.SEND_AUTH_ACCEPTED)
        self._queue(messages)
        self._deadline = None
        events: list[SessionEvent] = []
        buffered, self._buffered, self._buffered_bytes = self._buffered, [], 0
        for event in buffered:
            self._deliver(self._main, event, events)
        return events

    def reject_auth(self) -> None:
        """Answer `AuthRequested` with no: an event, a DISCONNECT, and the end of the session.

        You must then send what is queued, close the transport and call `receive_close`.

        Raises:
            LocalProtocolError: no authentication waits for an answer; nothing changed.
        """
        self._step(self._connection(), _N.SEND_AUTH_REJECTED)
        self._queue(encode_event(_REJECTED_NAME))
        self._queue([encode_message(SocketIOPacket(type=_T.DISCONNECT))])
        self._leave()

    # --- the role's half ---

    def _receive_open(self, events: list[SessionEvent]) -> None:
        raise AssertionError("a client's OPEN is not in the transition table")

    def _receive_connect(self, packet: SocketIOPacket, events: list[SessionEvent]) -> None:
        name = packet.namespace
        self._connect_count += 1
        if self._connect_count > CONNECTS_MAX:
            raise LimitExceeded("number of CONNECT packets", CONNECTS_MAX, 1008)
        if name not in self._served:
            refusal = SocketIOPacket(type=_T.CONNECT_ERROR, namespace=name, payload=_INVALID_NAMESPACE)
            self._queue([encode_message(refusal)])
            return
        connection = self._namespaces[name]
        self._step(connection, _N.RECEIVE_CONNECT)
        sid = f"{self._sid}-{self._connect_count}"
        reply = SocketIOPacket(type=_T.CONNECT, namespace=name, payload=msgspec.json.encode({"sid": sid}))
        self._queue([encode_message(reply)])
        events.append(Connected(name, sid, packet.payload))
        if not self._auth_required:
            self._step(connection, _N.WAIVE_AUTH)
            self._deadline = None

    def _receive_connect_error(self, packet: SocketIOPacket, events: list[SessionEvent]) -> None:
        self._step(self._main, _N.RECEIVE_CONNECT_ERROR)
        raise AssertionError("a client's CONNECT_ERROR is not in the transition table")

    def _receive_disconnect(self, connection: Namespace, events: list[SessionEvent]) -> None:
        before = connection.state
        self._step(connection, _N.RECEIVE_DISCONNECT)
        if self._auth_required:
            events += self._end(None)
        elif connection.state is not before:
            events.append(Disconnected(connection.name))

    def _receive_event(self, connection: Namespace, event: EventReceived, events: list[SessionEvent]) -> None:
        if not self._auth_required or connection.state is NamespaceState.LEFT:
            self._deliver(connection, event, events)
        elif event.name == AUTH_NAME:
            before = connection.state
            self._step(connection, _N.RECEIVE_AUTH)
            if connection.state is not before:
                events.append(AuthRequested(event.payload))
        elif connection.state is NamespaceState.READY:
            self._deliver(connection, event, events)
        else:
            self._step(connection, _N.BUFFER_EVENT)
            self._buffer(event)

    def _handshake_deadline(self) -> float | None:
        return self._deadline

    def _buffer(self, event: EventReceived) -> None:
        if len(self._buffered) >= self._buffered_max:
            raise LimitExceeded("number of events before authentication", self._buffered_max, 1008)
        self._buffered_bytes += sum(map(len, event.args)) + sum(map(len, event.attachments))
        if self._buffered_bytes > self._buffered_bytes_max:
            raise LimitExceeded("bytes of events before authentication", self._buffered_bytes_max, 1008)
        self._buffered.append(event)
