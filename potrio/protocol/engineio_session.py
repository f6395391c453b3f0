"""`EngineIOSession`: one Engine.IO session over WebSocket, either role, with nothing on top or a Socket.IO session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from potrio.errors import ConnectionBroken, PotrioError, RemoteProtocolError
from potrio.limits import HEARTBEAT_GRACE, PONGS_PENDING_MAX
from potrio.protocol.engineio import (
    EngineIOPacket,
    EngineIOPacketType,
    Handshake,
    Message,
    decode_engineio_packet,
    decode_handshake,
    encode_engineio_packet,
    encode_handshake,
)
from potrio.protocol.events import Closed, MessageReceived, Opened, SessionEvent
from potrio.protocol.heartbeat import PingTimer, SilenceTimer
from potrio.protocol.state import (
    ENGINEIO_TRANSITIONS,
    EngineIOInput,
    EngineIOState,
    Role,
    SessionState,
    step,
)

__all__ = ["EngineIOSession"]

_T, _I = EngineIOPacketType, EngineIOInput
_RECEIVE_INPUTS = {
    _T.OPEN: _I.RECEIVE_OPEN,
    _T.CLOSE: _I.RECEIVE_CLOSE,
    _T.PING: _I.RECEIVE_PING,
    _T.PONG: _I.RECEIVE_PONG,
    _T.MESSAGE: _I.RECEIVE_MESSAGE,
    _T.UPGRADE: _I.RECEIVE_UPGRADE,
    _T.NOOP: _I.RECEIVE_NOOP,
}


class EngineIOSession:
    """The Engine.IO half of every session, and a whole session for who needs no Socket.IO.

    In: `receive_messages`, `receive_close`, `handle_deadline` (once the time of `next_deadline` has come)
    return events and never raise on what the peer does. Out: `send_message`, `send_close`; after each call
    of either direction you must send what `messages_to_send` returns, as pings and pongs are queued there
    too. Time is an argument; there is no lock: one owner.

    Args:
        role: a client waits for the handshake; a server queues its own at once.
        now: the time of creation.
        handshake: the server's figures; None for a client.
        grace: of a client, see `SilenceTimer`.

    The second half of the class (`receive_packet` and below) is for the Socket.IO session on top: those
    methods raise, and leave it to that session to end.
    """

    def __init__(
        self,
        role: Role,
        *,
        now: float,
        handshake: Handshake | None = None,
        grace: float = HEARTBEAT_GRACE,
    ) -> None:
        assert (handshake is None) == (role == "client"), "the server announces the handshake"
        self.handshake = handshake
        self.close_exc: PotrioError | None = None
        self.engine_state = EngineIOState.OPENING
        self._table = ENGINEIO_TRANSITIONS[role]
        self._grace = grace
        self._to_send: list[Message] = []
        self.pings_received = 0
        """Plain ones; a probe is another thing."""
        self._pongs_pending = 0
        self._silence: SilenceTimer | None = None
        self._pings: PingTimer | None = None
        self._closed_reported = False
        self._receive: Callable[[Sequence[Message], float], list[SessionEvent]] = self._receive_live
        if handshake is not None:
            self._step(_I.SEND_OPEN)
            self._queue(EngineIOPacket(_T.OPEN, encode_handshake(handshake)))
            self._pings = PingTimer(handshake, now)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state.name}>"

    @property
    def state(self) -> SessionState:
        """OPENING, READY or CLOSED."""
        match self.engine_state:
            case EngineIOState.OPENING:
                return SessionState.OPENING
            case EngineIOState.OPEN:
                return SessionState.READY
            case EngineIOState.CLOSED:
                return SessionState.CLOSED

    # --- receive ---

    def receive_messages(self, messages: Sequence[Message], now: float) -> list[SessionEvent]:
        """Take the WebSocket messages of one read; return what they mean, in order. Never raises on peer data."""
        return self._receive(messages, now)

    def receive_close(self, error: PotrioError | None) -> list[SessionEvent]:
        """Take the end of the transport; return ``[Closed(...)]``, or nothing where that was said already."""
        return self.end(error)

    def next_deadline(self) -> float | None:
        """When `handle_deadline` wants to be called next, whatever comes before; None for never."""
        if self.engine_state is EngineIOState.CLOSED:
            return None
        if self._pings is not None:
            return self._pings.deadline
        if self._silence is not None:
            return self._silence.deadline
        return None

    def handle_deadline(self, now: float) -> list[SessionEvent]:
        """Do what is due: send a ping, or die of a missed heartbeat. Calling it early changes nothing."""
        if self.engine_state is EngineIOState.CLOSED:
            return []
        missed = self.run_timers(now)
        return [] if missed is None else self.end(missed)

    # --- send ---

    def send_message(self, data: Message) -> None:
        """Queue a MESSAGE packet.

        Raises:
            LocalProtocolError: the session is not open; nothing changed.
        """
        self._step(_I.SEND_MESSAGE)
        self._queue(EngineIOPacket(_T.MESSAGE, data))

    def send_close(self) -> None:
        """Queue a CLOSE packet and end the session; `receive_close` will say ``Closed(None)``.

        Raises:
            LocalProtocolError: the session is not open; nothing changed.
        """
        self._step(_I.SEND_CLOSE)
        self._queue(EngineIOPacket(_T.CLOSE))
        self._receive = self._discard

    @property
    def has_output(self) -> bool:
        """Whether `messages_to_send` would return anything."""
        return bool(self._to_send)

    def messages_to_send(self) -> list[Message]:
        """Take what is queued: one write for all of it."""
        queued, self._to_send = self._to_send, []
        self._pongs_pending = 0
        return queued

    # --- for the Socket.IO session on top ---

    def receive_packet(self, message: Message, now: float) -> EngineIOPacket:
        """Take one message as a packet: check that it is legal now and do what its type asks for.

        Raises:
            RemoteProtocolError: it is no packet, or not legal now. You must call `end` then, as after a CLOSE
                packet.
        """
        packet = decode_engineio_packet(message)
        after = step(self._table, self.engine_state, _RECEIVE_INPUTS[packet.type])
        match packet.type:
            case _T.OPEN:
                self.handshake = decode_handshake(packet.data)
                self._silence = SilenceTimer(self.handshake, now, self._grace)
            case _T.PING:
                self.pings_received += not packet.data
                if self._pongs_pending < PONGS_PENDING_MAX:
                    self._queue(EngineIOPacket(_T.PONG, packet.data))
                    self._pongs_pending += 1
            case _T.PONG if self._pings is not None:
                self._pings.pong()
        if packet.type is not _T.CLOSE:  # `end` closes, and wants to know the state it ended in
            self.engine_state = after
        return packet

    def left_by_peer(self) -> PotrioError | None:
        """The error of an end the peer asked for: on a server none, a client may leave when it likes."""
        return None if self._pings is not None else ConnectionBroken("the server closed the session")

    def heard(self, now: float) -> None:
        """Note that something came from the peer."""
        if self._silence is not None:
            self._silence.heard(now)

    def run_timers(self, now: float) -> PotrioError | None:
        """Queue a ping that is due, or return the error of a heartbeat that is missing: then call `end`."""
        if self._silence is not None:
            return self._silence.missed(now)
        if self._pings is None:
            return None
        missed = self._pings.missed(now)
        if missed is None and self._pings.due(now):
            self._step(_I.SEND_PING)
            self._queue(EngineIOPacket(_T.PING))
        return missed

    def queue_messages(self, messages: Iterable[Message]) -> None:
        """Queue encoded MESSAGE packets.

        Raises:
            LocalProtocolError: the session is not open; nothing changed.
        """
        self._step(_I.SEND_MESSAGE)
        self._to_send.extend(messages)

    def leave(self) -> None:
        """End the session by our own will: what is queued may still be sent; `end` will say ``Closed(None)``."""
        self._step(_I.END)
        self._receive = self._discard

    def end(self, error: PotrioError | None) -> list[SessionEvent]:
        """End the session and drop what is queued, unless we have left it; say `Closed` where it was not said."""
        if self._closed_reported:
            return []
        self._closed_reported = True
        if self.engine_state is not EngineIOState.CLOSED:
            self._step(_I.END)
            self._receive = self._discard
            self._to_send.clear()
            self.close_exc = error
        return [Closed(self.close_exc)]

    # --- private ---

    def _receive_live(self, messages: Sequence[Message], now: float) -> list[SessionEvent]:
        events: list[SessionEvent] = []
        self.heard(now)
        try:
            for message in messages:
                packet = self.receive_packet(message, now)
                if packet.type is _T.MESSAGE:
                    events.append(MessageReceived(packet.data))
                elif packet.type is _T.OPEN:
                    assert self.handshake is not None
                    events.append(Opened(self.handshake))
                elif packet.type is _T.CLOSE:
                    events += self.end(self.left_by_peer())
                    break
        except RemoteProtocolError as error:
            events += self.end(error.with_traceback(None))
        return events

    def _discard(self, messages: Sequence[Message], now: float) -> list[SessionEvent]:
        """What `receive_messages` does with a dead session."""
        return []

    def _step(self, input_: EngineIOInput) -> None:
        self.engine_state = step(self._table, self.engine_state, input_)

    def _queue(self, packet: EngineIOPacket) -> None:
        self._to_send.append(encode_engineio_packet(packet))
