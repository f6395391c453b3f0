"""`Session`: what a Socket.IO session is on either side; client and server add their half of the handshake."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from potrio.errors import LocalProtocolError, PotrioError, RemoteProtocolError
from potrio.limits import ATTACHMENTS_BYTES_MAX, ATTACHMENTS_TIMEOUT
from potrio.protocol.attachments import placeholder_number
from potrio.protocol.encoder import encode_ack, encode_event, encode_message
from potrio.protocol.engineio import EngineIOPacket, EngineIOPacketType, Handshake, Message
from potrio.protocol.engineio_session import EngineIOSession
from potrio.protocol.events import AckReceived, EventReceived, SessionEvent
from potrio.protocol.namespace import Namespace
from potrio.protocol.packet_reader import PacketReader
from potrio.protocol.socketio import MAIN_NAMESPACE, SocketIOPacket, SocketIOPacketType
from potrio.protocol.state import (
    EngineIOState,
    NamespaceInput,
    NamespaceState,
    Role,
    SessionState,
    session_state,
)

__all__ = ["ACCEPTED_NAME", "AUTH_NAME", "Session"]

AUTH_NAME: Final = "auth"
ACCEPTED_NAME: Final = "successauth"
"""The events of the authentication: the client's question and the server's yes; the no has several names."""

_T = SocketIOPacketType
_CONNECTED_STATES: Final = (NamespaceState.CONNECTED, NamespaceState.AUTHENTICATING, NamespaceState.READY)


class Session(ABC):
    """A Socket.IO session on top of an `EngineIOSession`; use `ClientSession` or `ServerSession`.

    In: `receive_messages`, `receive_close` and `handle_deadline` (once the time of `next_deadline` has come) return
    events, in the order in which they happened, and never raise on what the peer does: a peer that breaks the rules
    gets its session closed, and `Closed` says why. Out: ``send_*`` methods queue or raise `LocalProtocolError` and
    then have changed nothing. After each call of either direction you must send what `messages_to_send` returns,
    as answers are queued there too. Time is an argument, ``now``, in seconds of any clock that does not jump.
    """

    def __init__(
        self,
        engine: EngineIOSession,
        role: Role,
        namespaces: Iterable[str],
        *,
        attachments_bytes_max: int = ATTACHMENTS_BYTES_MAX,
        attachments_timeout: float = ATTACHMENTS_TIMEOUT,
        gathers: bool = False,
    ) -> None:
        self.acks_unknown = 0
        """Acks that nobody waited for; they are ignored."""
        self._engine = engine
        self._role = role
        self._namespaces = {name: Namespace(name, role) for name in (MAIN_NAMESPACE, *namespaces)}
        self._main = self._namespaces[MAIN_NAMESPACE]
        self._reader = PacketReader(
            engine,
            role,
            receive_frame=self._receive_frame,
            receive_packet=self._receive_packet,
            bytes_max=attachments_bytes_max,
            timeout=attachments_timeout,
            gathers=gathers,
        )
        self._send_max: int | None = None
        self._receive: Callable[[Sequence[Message], float], list[SessionEvent]] = self._receive_live

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state.name}>"

    # --- data ---

    @property
    def state(self) -> SessionState:
        """Where the session and its main namespace are."""
        return session_state(self._engine.engine_state, self._main.state)

    @property
    def handshake(self) -> Handshake | None:
        """The server's figures; None on a client that is OPENING."""
        return self._engine.handshake

    @property
    def pings_received(self) -> int:
        """Engine.IO pings the peer has sent."""
        return self._engine.pings_received

    @property
    def close_exc(self) -> PotrioError | None:
        """The error of `Closed`; None while the session lives and after an end that was asked for."""
        return self._engine.close_exc

    @property
    def close_code(self) -> int:
        """The RFC 6455 code to close the transport with."""
        for error in (self.close_exc, getattr(self.close_exc, "__cause__", None)):
            if isinstance(error, RemoteProtocolError):
                return error.close_code
        return 1000

    # --- receive ---

    def receive_messages(self, messages: Sequence[Message], now: float) -> list[SessionEvent]:
        """Take the WebSocket messages of one read; return what they mean, in order. Never raises on peer data."""
        return self._receive(messages, now)

    def receive_close(self, error: PotrioError | None) -> list[SessionEvent]:
        """Take the end of the transport; return ``[Closed(...)]``, or nothing where that was said already."""
        return self._end(error)

    @property
    def awaits_attachments(self) -> bool:
        """Whether a header has come whose attachments have not."""
        return self._reader.deadline is not None

    def next_deadline(self) -> float | None:
        """When `handle_deadline` wants to be called next, whatever comes before; None for never."""
        if self._engine.engine_state is EngineIOState.CLOSED:
            return None
        first = self._engine.next_deadline()
        for deadline in (self._handshake_deadline(), self._reader.deadline):
            if deadline is not None and (first is None or deadline < first):
                first = deadline
        return first

    def handle_deadline(self, now: float) -> list[SessionEvent]:
        """Do what is due: send a ping, or die of what is missing. Calling it early changes nothing."""
        if self._engine.engine_state is EngineIOState.CLOSED:
            return []
        error = self._engine.run_timers(now)
        late = self._reader.deadline
        if error is None and late is not None and now >= late:
            error = RemoteProtocolError("the attachments of a packet did not come in time")
        late = self._handshake_deadline()
        if error is None and late is not None and now >= late:
            error = RemoteProtocolError("the handshake did not complete in time", 1008)
        return [] if error is None else self._end(error)

    # --- send ---

    def send_event(
        self,
        name: str,
        payload: bytes | None = None,
        *,
        binary: bool = False,
        ack_id: int | None = None,
        args: Sequence[bytes] = (),
        attachments: Sequence[bytes] = (),
        namespace: str = MAIN_NAMESPACE,
    ) -> None:
        """Queue an event; the arguments are those of `encode_event`. `AckReceived` answers an `ack_id`.

        Raises:
            LocalProtocolError: the namespace is not ready for it, or the event cannot be; nothing changed.
        """
        connection = self._connection(namespace)
        connection.step(NamespaceInput.SEND_EVENT)
        if ack_id is not None:
            connection.check_ack_id(ack_id)
        messages = encode_event(
            name,
            payload,
            binary=binary,
            ack_id=ack_id,
            args=args,
            attachments=attachments,
            namespace=namespace,
        )
        self._queue(messages)
        if ack_id is not None:
            connection.expect_ack(ack_id)

    def send_encoded(self, messages: Sequence[Message], *, namespace: str = MAIN_NAMESPACE) -> None:
        """Queue an event that `encode_event` wrote, without ack id: one encoding for many sessions.

        Raises:
            LocalProtocolError: the namespace is not ready for it; nothing changed.
        """
        self._connection(namespace).step(NamespaceInput.SEND_EVENT)
        self._queue(messages)

    def send_ack(
        self,
        ack_id: int,
        args: Sequence[bytes] = (),
        attachments: Sequence[bytes] = (),
        *,
        namespace: str = MAIN_NAMESPACE,
    ) -> None:
        """Queue the acknowledgement of an event that came with this `ack_id`.

        Raises:
            LocalProtocolError: the namespace is not ready, or the ack cannot be; nothing changed.
        """
        self._connection(namespace).step(NamespaceInput.SEND_ACK)
        self._queue(encode_ack(ack_id, args, attachments, namespace=namespace))

    def send_disconnect(self, namespace: str | None = None) -> None:
        """Leave one namespace; or, without argument, all of them, which ends the session.

        After the end you must send what is queued, close the transport and call `receive_close`, which will say
        ``Closed(None)`` whatever becomes of the transport.

        Raises:
            LocalProtocolError: the namespace is not connected, or the session is closed; nothing changed.
        """
        if namespace is not None:
            connection = self._connection(namespace)
            self._step(connection, NamespaceInput.SEND_DISCONNECT)
            self._queue([encode_message(SocketIOPacket(type=_T.DISCONNECT, namespace=namespace))])
            return
        if self._engine.engine_state is EngineIOState.CLOSED:
            raise LocalProtocolError("the session is closed")
        for connection in self._namespaces.values():
            if connection.state in _CONNECTED_STATES:
                self.send_disconnect(connection.name)
        self._leave()

    @property
    def has_output(self) -> bool:
        """Whether `messages_to_send` would return anything."""
        return self._engine.has_output

    def messages_to_send(self) -> list[Message]:
        """Take what is queued: one write for all of it."""
        return self._engine.messages_to_send()

    # --- the role's half ---

    @abstractmethod
    def _receive_open(self, events: list[SessionEvent]) -> None:
        """Engine.IO is open (client)."""

    @abstractmethod
    def _receive_connect(self, packet: SocketIOPacket, events: list[SessionEvent]) -> None:
        """A CONNECT packet came, its namespace known or not."""

    @abstractmethod
    def _receive_connect_error(self, packet: SocketIOPacket, events: list[SessionEvent]) -> None:
        """A CONNECT_ERROR packet came."""

    @abstractmethod
    def _receive_disconnect(self, connection: Namespace, events: list[SessionEvent]) -> None:
        """A DISCONNECT packet came; the transition is still to be made."""

    @abstractmethod
    def _receive_event(self, connection: Namespace, event: EventReceived, events: list[SessionEvent]) -> None:
        """An event came, complete: it may be one of the handshake, or is to be delivered."""

    @abstractmethod
    def _handshake_deadline(self) -> float | None:
        """When a handshake that has not completed has failed; None where there is no such time."""

    def _typed(self, error: PotrioError | None) -> PotrioError | None:
        """Give an end the type it has for this role in this state."""
        return error

    # --- for the roles ---

    def _connection(self, namespace: str = MAIN_NAMESPACE) -> Namespace:
        """The namespace to send to; raises LocalProtocolError where that cannot be."""
        if self._engine.engine_state is EngineIOState.CLOSED:
            raise LocalProtocolError("the session is closed")
        connection = self._namespaces.get(namespace)
        if connection is None:
            raise LocalProtocolError(f"namespace {namespace!r} is not one of this session's")
        return connection

    def _check_sizes(self, messages: Sequence[Message]) -> None:
        if self._send_max is not None and any(len(message) > self._send_max for message in messages):
            raise LocalProtocolError(f"a message is larger than the {self._send_max} bytes the peer takes")

    def _queue(self, messages: Sequence[Message]) -> None:
        """Queue messages. Raises LocalProtocolError where one is larger than the peer takes; nothing changed."""
        self._check_sizes(messages)
        self._engine.queue_messages(messages)

    def _step(self, connection: Namespace, input_: NamespaceInput) -> None:
        """Make a transition; what was legal for a known header before may not be so now."""
        if connection.step(input_):
            self._reader.forget()

    def _deliver(self, connection: Namespace, event: EventReceived, events: list[SessionEvent]) -> None:
        """Give an event to the owner, unless it was under way when we left."""
        self._step(connection, NamespaceInput.RECEIVE_EVENT)
        if connection.state is not NamespaceState.LEFT:
            events.append(event)

    def _leave(self) -> None:
        """End the session by our own will."""
        self._engine.leave()
        self._receive = self._discard

    def _end(self, error: PotrioError | None) -> list[SessionEvent]:
        """End the session for `error`; say `Closed` where it was not said."""
        self._receive = self._discard
        return self._engine.end(self._typed(error))

    # --- private ---

    def _receive_live(self, messages: Sequence[Message], now: float) -> list[SessionEvent]:
        """What `receive_messages` does with a living session."""
        events: list[SessionEvent] = []
        self._engine.heard(now)
        try:
            self._reader.read(messages, now, events)
        except RemoteProtocolError as error:
            events += self._end(error.with_traceback(None))
        return events

    def _discard(self, messages: Sequence[Message], now: float) -> list[SessionEvent]:
        """What `receive_messages` does with a dead session."""
        return []

    def _receive_frame(self, frame: EngineIOPacket, events: list[SessionEvent]) -> None:
        """Take an Engine.IO packet that is no MESSAGE; heartbeats have been answered."""
        if frame.type is EngineIOPacketType.OPEN:
            self._receive_open(events)
        elif frame.type is EngineIOPacketType.CLOSE:
            events += self._end(self._engine.left_by_peer())

    def _receive_packet(
        self, packet: SocketIOPacket, attachments: tuple[bytes, ...], events: list[SessionEvent]
    ) -> None:
        """Take a complete Socket.IO packet."""
        if packet.type is _T.CONNECT:
            self._receive_connect(packet, events)
            return
        if packet.type is _T.CONNECT_ERROR:
            self._receive_connect_error(packet, events)
            return
        connection = self._namespaces.get(packet.namespace)
        if connection is None:
            raise RemoteProtocolError("a packet for a namespace that is not connected")
        match packet.type:
            case _T.DISCONNECT:
                self._receive_disconnect(connection, events)
            case _T.EVENT | _T.BINARY_EVENT:
                self._receive_event(connection, _event(packet, attachments), events)
            case _T.ACK | _T.BINARY_ACK:
                self._step(connection, NamespaceInput.RECEIVE_ACK)
                assert packet.ack_id is not None
                if connection.take_ack(packet.ack_id):
                    events.append(AckReceived(packet.ack_id, packet.args, attachments, packet.namespace))
                else:
                    self.acks_unknown += 1


def _event(packet: SocketIOPacket, attachments: tuple[bytes, ...]) -> EventReceived:
    payload, binary = b"", False
    if packet.args:
        number = placeholder_number(packet.args[0]) if attachments else None
        payload, binary = (packet.args[0], False) if number is None else (attachments[number], True)
    return EventReceived(
        packet.name, payload, packet.namespace, packet.ack_id, binary, packet.args, attachments
    )
