"""`ClientSession`: the client's side of a session, from the Engine.IO handshake through authentication."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from potrio.errors import (
    AuthError,
    ConnectError,
    ConnectionBroken,
    HandshakeFailed,
    LocalProtocolError,
    PotrioError,
    RemoteProtocolError,
)
from potrio.limits import ATTACHMENTS_BYTES_MAX, ATTACHMENTS_TIMEOUT, HEARTBEAT_GRACE, SID_CHARS_MAX
from potrio.protocol.encoder import encode_message
from potrio.protocol.engineio_session import EngineIOSession
from potrio.protocol.events import (
    Authenticated,
    Connected,
    ConnectErrorReceived,
    Disconnected,
    EventReceived,
    Opened,
    SessionEvent,
)
from potrio.protocol.json_guard import JSON_ERRORS
from potrio.protocol.namespace import Namespace
from potrio.protocol.session import ACCEPTED_NAME, AUTH_NAME, Session
from potrio.protocol.socketio import MAIN_NAMESPACE, SocketIOPacket, SocketIOPacketType
from potrio.protocol.state import NamespaceInput, NamespaceState, SessionState
from potrio.secrets import Secret

__all__ = ["REJECTED_NAMES", "ClientSession"]

REJECTED_NAMES: Final = frozenset({"NotAuthorized", "notAuthorized", "auth_error"})

_REASON_CHARS_MAX: Final = 200
_STAGES: Final = {
    SessionState.OPENING: "engine.io",
    SessionState.CONNECTING: "socket.io",
    SessionState.CONNECTED: "socket.io",
    SessionState.AUTHENTICATING: "auth",
}
_N = NamespaceInput


class _ConnectReply(msgspec.Struct):
    """What a server's CONNECT must have."""

    sid: str


class _Refusal(msgspec.Struct):
    """What a CONNECT_ERROR may have."""

    message: str = ""


_connect_decoder: Final = msgspec.json.Decoder(_ConnectReply)
_refusal_decoder: Final = msgspec.json.Decoder(_Refusal | str)


class ClientSession(Session):
    """The client's side.

    It waits for the Engine.IO handshake, connects the namespaces by itself and then, where authentication is
    required, waits for `authenticate`: your answer to `Connected`. Nothing but the handshake is sent before
    `Authenticated`; events that come earlier (the asset table does) are given all the same.

    Such a session, if it ends before it is READY, ends with a `ConnectError` that says at which stage, or with
    `AuthError` where the server's answer to the authentication was no: an event of `REJECTED_NAMES`, a DISCONNECT
    or a CONNECT_ERROR. A mere loss of the transport is never taken for that answer.

    Args:
        now: the time of creation.
        target: where the transport leads, for the texts of errors.
        auth_required: False for a plain Socket.IO session: it is READY once connected.
        namespaces: connected as soon as Engine.IO is open. More than the main one only without authentication.
        connect_payload: JSON object sent with each of these CONNECT packets.
        grace: seconds of silence allowed beyond pingInterval + pingTimeout.
        attachments_bytes_max: bytes of the attachments of one packet.
        attachments_timeout: seconds from the header of a packet to its last attachment.
        gathers: give events in a row that differ in their attachment only as one `EventRun`.

    Raises:
        LocalProtocolError: a namespace or `connect_payload` cannot be sent.
    """

    def __init__(
        self,
        *,
        now: float,
        target: str = "the server",
        auth_required: bool = True,
        namespaces: Sequence[str] = (MAIN_NAMESPACE,),
        connect_payload: bytes | None = None,
        grace: float = HEARTBEAT_GRACE,
        attachments_bytes_max: int = ATTACHMENTS_BYTES_MAX,
        attachments_timeout: float = ATTACHMENTS_TIMEOUT,
        gathers: bool = False,
    ) -> None:
        assert not auth_required or tuple(namespaces) == (MAIN_NAMESPACE,), "only the main namespace has auth"
        super().__init__(
            EngineIOSession("client", now=now, grace=grace),
            "client",
            namespaces,
            attachments_bytes_max=attachments_bytes_max,
            attachments_timeout=attachments_timeout,
            gathers=gathers,
        )
        self._target = target
        self._auth_required = auth_required
        self._auth_sent = False
        self._was_ready = False
        self._connects = {name: _connect_message(name, connect_payload) for name in namespaces}

    # --- send ---

    def authenticate(self, frame_payload: str) -> None:
        """Queue the authentication. The session keeps nothing of it once it has left.

        Args:
            frame_payload: JSON text of the auth object, sent as it is: ``42["auth",<frame_payload>]``.

        Raises:
            LocalProtocolError: not connected, already sent, or not JSON; nothing changed.
        """
        secret = Secret(frame_payload)
        del frame_payload  # from here on no local of a frame that may raise holds it
        fault = _auth_fault(secret, self._send_max)
        if fault:
            raise LocalProtocolError(fault)
        self._step(self._connection(), _N.SEND_AUTH)
        self._auth_sent = True
        self._queue([_auth_message(secret)])

    def send_connect(self, namespace: str, payload: bytes | None = None) -> None:
        """Queue a CONNECT to a further namespace, or to one the server refused or ended; `Connected` answers.

        Raises:
            LocalProtocolError: Engine.IO is not open, it is connected already, authentication is required (then
                there is only the main namespace), or the payload is no JSON object; nothing changed.
        """
        if self._auth_required:
            raise LocalProtocolError("only the main namespace is connected where authentication is required")
        message = _connect_message(namespace, payload)
        if self.state in (SessionState.OPENING, SessionState.CLOSED):
            raise LocalProtocolError(f"cannot send CONNECT in state {self.state.name}")
        self._check_sizes([message])
        connection = self._namespaces.get(namespace) or Namespace(namespace, "client")
        self._step(connection, _N.SEND_CONNECT)
        self._namespaces[namespace] = connection
        self._queue([message])

    # --- the role's half ---

    def _receive_open(self, events: list[SessionEvent]) -> None:
        assert self.handshake is not None
        self._send_max = self.handshake.max_payload
        events.append(Opened(self.handshake))
        for namespace, message in self._connects.items():
            if len(message) > self._send_max:
                raise RemoteProtocolError("the server's maxPayload is too small for our CONNECT")
            self._step(self._namespaces[namespace], _N.SEND_CONNECT)
            self._queue([message])

    def _receive_connect(self, packet: SocketIOPacket, events: list[SessionEvent]) -> None:
        connection = self._known_connection(packet)
        self._step(connection, _N.RECEIVE_CONNECT)
        try:
            sid = _connect_decoder.decode(packet.payload or b"{}").sid
        except JSON_ERRORS:
            sid = ""
        if not 0 < len(sid) <= SID_CHARS_MAX:
            raise RemoteProtocolError("the server's CONNECT has no sid")
        events.append(Connected(connection.name, sid, packet.payload))
        if not self._auth_required:
            self._step(connection, _N.WAIVE_AUTH)

    def _receive_connect_error(self, packet: SocketIOPacket, events: list[SessionEvent]) -> None:
        connection = self._known_connection(packet)
        if self._auth_required:
            error = self._rejection(f"CONNECT_ERROR {_text_of(packet.payload)}".rstrip(), "CONNECT_ERROR")
            self._step(connection, _N.RECEIVE_CONNECT_ERROR)
            events += self._end(error)
        else:
            self._step(connection, _N.RECEIVE_CONNECT_ERROR)
            events.append(ConnectErrorReceived(connection.name, packet.payload))

    def _receive_disconnect(self, connection: Namespace, events: list[SessionEvent]) -> None:
        before = connection.state
        error: PotrioError = ConnectionBroken("the server disconnected the namespace")
        if before is not NamespaceState.READY:
            error = self._rejection("DISCONNECT", "DISCONNECT")
        self._step(connection, _N.RECEIVE_DISCONNECT)
        if self._auth_required:
            events += self._end(error)
        elif connection.state is not before:
            events.append(Disconnected(connection.name))

    def _receive_event(self, connection: Namespace, event: EventReceived, events: list[SessionEvent]) -> None:
        if not self._auth_required or connection.state is NamespaceState.LEFT:
            self._deliver(connection, event, events)
        elif event.name in REJECTED_NAMES:
            error = self._rejection(event.name, event.name)
            self._step(connection, _N.RECEIVE_AUTH_REJECTED)
            events += self._end(error)
        elif event.name == ACCEPTED_NAME:
            before = connection.state
            self._step(connection, _N.RECEIVE_AUTH_ACCEPTED)
            if connection.state is not before:
                self._was_ready = True
                events.append(Authenticated(event.payload))
        else:
            self._deliver(connection, event, events)

    def _handshake_deadline(self) -> float | None:
        """None: whoever connects holds one deadline over all stages, of which these are the last."""
        return None

    def _typed(self, error: PotrioError | None) -> PotrioError | None:
        """An end before READY is a failure to connect, whatever its cause; the cause is kept."""
        opening = self.state is SessionState.OPENING
        stage = _STAGES.get(self.state) if opening or (self._auth_required and not self._was_ready) else None
        if stage is None or isinstance(error, ConnectError | AuthError):
            return error
        reason = "the connection was closed" if error is None else str(error) or type(error).__name__
        failure = HandshakeFailed(self._target, reason, stage)
        failure.__cause__ = error
        return failure

    def _rejection(self, reason: str, reason_after_auth: str) -> PotrioError:
        """The error of a server that says no; after the authentication without text that might repeat the token."""
        if self._auth_sent:
            return AuthError(reason_after_auth)
        return HandshakeFailed(self._target, f"the server answered {reason}", "socket.io")

    def _known_connection(self, packet: SocketIOPacket) -> Namespace:
        connection = self._namespaces.get(packet.namespace)
        if connection is None:
            raise RemoteProtocolError("a packet for a namespace that was not asked for")
        return connection


def _text_of(payload: bytes | None) -> str:
    """The message of a CONNECT_ERROR in one printable line."""
    try:
        refusal = _refusal_decoder.decode(payload or b'""')
    except JSON_ERRORS:
        return ""
    text = refusal if isinstance(refusal, str) else refusal.message
    return "".join(char for char in text[:_REASON_CHARS_MAX] if char.isprintable())


def _connect_message(namespace: str, payload: bytes | None) -> str:
    packet = SocketIOPacket(type=SocketIOPacketType.CONNECT, namespace=namespace, payload=payload)
    return encode_message(packet)


def _auth_message(secret: Secret) -> str:
    return f'42["{AUTH_NAME}",{secret.reveal()}]'


def _auth_fault(secret: Secret, size_max: int | None) -> str:
    """Say why this cannot be sent as authentication, or return an empty text. Never raises."""
    try:
        msgspec.json.decode(secret.reveal(), type=msgspec.Raw)
    except (*JSON_ERRORS, UnicodeEncodeError):
        return "the authentication is not JSON"
    if size_max is not None and len(_auth_message(secret)) > size_max:
        return f"the authentication is larger than the {size_max} bytes the server takes"
    return ""
