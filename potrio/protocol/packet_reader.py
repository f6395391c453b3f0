"""WebSocket messages to Socket.IO packets: headers joined with attachments, and a short way for the common pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from potrio.errors import LimitExceeded, RemoteProtocolError
from potrio.limits import BINARY_HEADERS_KEPT_MAX
from potrio.protocol.attachments import ATTACHMENTS_BYTES, Attachments, placeholder_number, strip_type_byte
from potrio.protocol.engineio import EngineIOPacket, EngineIOPacketType, Message
from potrio.protocol.engineio_session import EngineIOSession
from potrio.protocol.events import EventReceived, EventRun, SessionEvent
from potrio.protocol.socketio import MAIN_NAMESPACE, SocketIOPacket, decode_socketio_packet
from potrio.protocol.state import EngineIOState, Role

__all__ = ["PacketReader"]

_HEARTBEATS: Final = (EngineIOPacketType.PING.value, EngineIOPacketType.PONG.value)
_EIO3_TYPE_BYTE: Final = 4
_RUN_MIN: Final = 4
_WINDOW_MIN: Final = 16
_WINDOW_MAX: Final = 512


class PacketReader:
    """Reads the messages of one session, in order, and hands on what is complete.

    Nearly all that a client gets are pairs of a header it has seen and its one attachment. The first time, a header
    goes the long way; if it ends as one plain event, its text is remembered with the event's name, and from then on
    an equal text is found in a dict and neither parsed nor checked again.

    Between the header of a packet and its attachments nothing may come, with one exception: the packets ``2`` and
    ``3`` alone. Engine.IO lets a server ping whenever it likes, servers are known to do so here, and a ping carries
    nothing that could be taken for an attachment; so it is answered, and the header keeps waiting. Every other text
    is an error.

    A venue's ticks come as hundreds of such pairs in one read, all with the same header. Whoever asks for it gets a
    run of them as one `EventRun`, found by counting equal headers, so that nothing is done for each pair here. A
    run is taken only where every pair would have gone the short way with the same result.

    Args:
        engine: asked whether a packet is legal; answers heartbeats.
        role: a client strips the type byte that Engine.IO 3 put before binary data.
        receive_frame: takes an Engine.IO packet other than MESSAGE.
        receive_packet: takes a complete Socket.IO packet with its attachments.
        bytes_max: bytes of the attachments of one packet.
        timeout: seconds from a header to its last attachment.
        gathers: tell runs of equal headers as one `EventRun`.
    """

    def __init__(
        self,
        engine: EngineIOSession,
        role: Role,
        *,
        receive_frame: Callable[[EngineIOPacket, list[SessionEvent]], None],
        receive_packet: Callable[[SocketIOPacket, tuple[bytes, ...], list[SessionEvent]], None],
        bytes_max: int,
        timeout: float,
        gathers: bool = False,
    ) -> None:
        self._gathers = gathers
        self._engine = engine
        self._strips = role == "client"
        self._receive_frame = receive_frame
        self._receive_packet = receive_packet
        self._bytes_max = bytes_max
        self._timeout = timeout
        # The long way: a packet, its text, and its attachments so far.
        self._packet: SocketIOPacket | None = None
        self._text = ""
        self._attachments: Attachments | None = None
        # The short way: the text of a header -> name and arguments of its event; and the one that waits.
        self._known: dict[Message, tuple[str, tuple[bytes, ...]]] = {}
        self._waiting: tuple[str, tuple[bytes, ...]] | None = None
        self._waiting_deadline = 0.0

    @property
    def deadline(self) -> float | None:
        """When the attachments of a packet are late; None where none is due."""
        if self._waiting is not None:
            return self._waiting_deadline
        return None if self._attachments is None else self._attachments.deadline

    def forget(self) -> None:
        """Send all headers the long way again: you must call this when the main namespace changes its state."""
        self._known.clear()

    def read(self, messages: Sequence[Message], now: float, events: list[SessionEvent]) -> None:
        """Take the messages of one read; stop where the session ends.

        For a known header the transition to be made is (state, RECEIVE_EVENT) to the same state, as it was when
        the header was remembered, so that nothing is left to do but the event itself.

        Raises:
            RemoteProtocolError: the peer broke the rules; `events` holds what happened before.
        """
        deliver = events.append
        known = self._known
        bytes_max = self._bytes_max
        strips = self._strips
        waiting = was_waiting = self._waiting
        count = len(events)
        index, size = 0, len(messages)
        run_from = 0 if self._gathers else size  # where a run may begin: behind what was found to be none
        while index < size:
            message = messages[index]
            index += 1
            if type(message) is bytes:
                if waiting is not None:
                    if len(message) > bytes_max:
                        raise LimitExceeded(ATTACHMENTS_BYTES, bytes_max)
                    if strips and message and message[0] == _EIO3_TYPE_BYTE:
                        message = strip_type_byte(message)
                    name, args = waiting
                    deliver(EventReceived(name, message, MAIN_NAMESPACE, None, True, args, (message,)))
                    waiting = None
                    continue
                self._read_binary(message, events)
            elif waiting is None:
                waiting = known.get(message)
                if waiting is not None:
                    if run_from < index < size - 1 and messages[index + 1] == message:
                        run_from = _run_stop(messages, index - 1)
                        run = self._gather(messages[index:run_from:2], waiting)
                        if run is not None:
                            deliver(run)
                            waiting, index = None, run_from
                    continue
                self._read_text(message, now, events)
            else:
                self._read_between(message, now)
            if self._engine.engine_state is EngineIOState.CLOSED:
                break
        if waiting is not None and (was_waiting is None or len(events) > count):
            self._waiting_deadline = now + self._timeout
        self._waiting = waiting

    def _gather(self, payloads: Sequence[Message], header: tuple[str, tuple[bytes, ...]]) -> EventRun | None:
        """Make a run of the attachments behind equal headers; None where one may need a look of its own."""
        if len(payloads) < _RUN_MIN:
            return None
        try:
            joined = b",".join(payloads)  # type: ignore[arg-type]  # a text among them is what the except is for
        except TypeError:
            return None
        if len(joined) > self._bytes_max or (self._strips and _EIO3_TYPE_BYTE in joined):
            return None
        name, args = header
        return EventRun(name, tuple(payloads), joined, args)  # type: ignore[arg-type]  # joined: all are bytes

    def _read_text(self, message: Message, now: float, events: list[SessionEvent]) -> None:
        if self._attachments is not None:
            self._read_between(message, now)
            return
        frame = self._engine.receive_packet(message, now)
        if frame.type is not EngineIOPacketType.MESSAGE:
            self._receive_frame(frame, events)
            return
        assert isinstance(message, str)
        assert isinstance(frame.data, str)
        packet = decode_socketio_packet(frame.data)
        if packet.attachment_count == 0:
            self._receive_packet(packet, (), events)
            return
        self._packet, self._text = packet, message
        self._attachments = Attachments(
            packet.attachment_count, now, bytes_max=self._bytes_max, timeout=self._timeout
        )

    def _read_between(self, message: Message, now: float) -> None:
        if message not in _HEARTBEATS:
            raise RemoteProtocolError("a text message where an attachment was due")
        self._engine.receive_packet(message, now)

    def _read_binary(self, data: bytes, events: list[SessionEvent]) -> None:
        if self._attachments is None:
            raise RemoteProtocolError("a binary message that belongs to no packet")
        assert self._packet is not None
        parts = self._attachments.add(strip_type_byte(data) if self._strips else data)
        if parts is None:
            return
        packet, text = self._packet, self._text
        self._packet, self._text, self._attachments = None, "", None
        count = len(events)
        self._receive_packet(packet, parts, events)
        if len(events) == count + 1 and type(events[-1]) is EventReceived:
            self._remember(packet, text)

    def _remember(self, packet: SocketIOPacket, text: str) -> None:
        """Keep a header that ended as one plain event, where it has the common form."""
        if packet.namespace != MAIN_NAMESPACE or packet.ack_id is not None or len(packet.args) != 1:
            return
        if packet.attachment_count != 1 or placeholder_number(packet.args[0]) is None:
            return
        if len(self._known) >= BINARY_HEADERS_KEPT_MAX:
            self._known.clear()
        self._known[text] = (packet.name, packet.args)


def _run_stop(messages: Sequence[Message], start: int) -> int:
    """Where the pairs end that have the same header as the one at ``start``; one that lacks its attachment is none."""
    header = messages[start]
    stop = start + 2
    window = _WINDOW_MIN
    while True:
        headers = messages[stop : stop + 2 * window : 2]
        equal = headers.count(header)
        if equal < len(headers) or not headers:
            for each in headers:
                if each != header:
                    break
                stop += 2
            return stop if stop <= len(messages) else stop - 2
        stop += 2 * equal
        window = min(2 * window, _WINDOW_MAX)
