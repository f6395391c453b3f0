"""The WebSocket protocol (RFC 6455) after the upgrade, both roles, without I/O: bytes in, messages out.

One read is one synchronous pass. Between messages the codec hands the read to the fast path of `frame_runs`,
which takes whole short data frames in a tight loop and stops, without judging it, at the first byte it does
not understand completely. There the slow path decodes one frame (`frames`, `message_assembly`) with every
check, and the fast path goes on behind it. That is safe because the fast path keeps no state, runs only where
no message is under way, and accepts only what the slow path would accept with the same result; which of them
saw a frame cannot be told from outside. Between two reads nothing is kept but a header or control frame that
was cut (130 bytes at most) and the payload of the message under way, so bytes are never searched or copied
again because more of them arrive.

When the peer breaks the rules, what came before the fault is still returned, ``close_exc`` says what it was,
a Close frame with the right code is queued, and the method that receives is exchanged for one that discards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from potrio.errors import ConnectionBroken, LimitExceeded, LocalProtocolError, RemoteProtocolError
from potrio.limits import (
    CLIENT_MESSAGE_MAX,
    CONTROL_FRAMES_BURST,
    CONTROL_FRAMES_PER_SECOND,
    EMPTY_FRAGMENTS_MAX,
    FRAGMENTS_MAX,
    PONGS_PENDING_MAX,
)
from potrio.protocol.frame_runs import FAST_LENGTH_MAX, decode_masked, decode_unmasked
from potrio.protocol.frames import (
    CLOSE,
    CONTROL_PAYLOAD_MAX,
    PING,
    PONG,
    FrameHeader,
    Message,
    apply_mask,
    decode_close,
    decode_header,
    encode_close,
    encode_frame,
    encode_messages,
)
from potrio.protocol.message_assembly import MessageAssembly

__all__ = ["Close", "Ping", "Pong", "Role", "WebSocketCodec", "WebSocketEvent"]

Role: TypeAlias = Literal["client", "server"]


class Ping(Struct, frozen=True):
    """A Ping frame from the peer. The pong that answers it is queued already, unless our Close frame is."""

    payload: bytes


class Pong(Struct, frozen=True):
    """A Pong frame from the peer, asked for or not."""

    payload: bytes


class Close(Struct, frozen=True):
    """The peer's Close frame: the last event. ``code`` is 1005 where it carried none."""

    code: int
    reason: str


WebSocketEvent: TypeAlias = Message | Ping | Pong | Close
"""What a stream of frames says, in its order."""


class WebSocketCodec:
    """One side of one WebSocket connection, from the end of the HTTP upgrade on.

    After each call of a ``receive_*`` or ``send_*`` method write what `data_to_send` returns. When ``closed``
    is true, write that and close TCP: a server at once, a client when the server has done so, or after a
    short time.

    Attributes:
        role: which side we are; it decides who closes TCP first.
        close_sent: our Close frame is queued or sent; nothing can be sent any more.
        close_received: the peer's Close frame.
        close_exc: set when the peer broke the rules, or ended the connection without a Close frame.
        closed: nothing more will be received.
        frames_received: complete frames accepted from the peer, control frames included.
        control_frames_received: those among them that are no messages, Close frames included.
        frames_sent: frames handed out by `data_to_send` or queued for it.
    """

    def __init__(
        self,
        role: Role,
        *,
        mask_bytes: Callable[[int], bytes],
        message_max: int = CLIENT_MESSAGE_MAX,
        fragments_max: int = FRAGMENTS_MAX,
        empty_fragments_max: int = EMPTY_FRAGMENTS_MAX,
        control_frames_per_second: float = CONTROL_FRAMES_PER_SECOND,
        control_frames_burst: int = CONTROL_FRAMES_BURST,
    ) -> None:
        """Start in the open state.

        Args:
            role: which side we are; a client masks what it sends, a server must not.
            mask_bytes: returns that many unpredictable bytes; only a client uses it.
            message_max: bytes of payload in one message from the peer (1009 past it).
            fragments_max: frames in one message from the peer (1009).
            empty_fragments_max: empty non-final frames in one message from the peer (1009).
            control_frames_per_second: pings and pongs the peer may send in the long run (1008).
            control_frames_burst: how many of them it may send at once.
        """
        if role not in ("client", "server"):
            raise ValueError(f"role must be 'client' or 'server', not {role!r}")
        self.role: Final = role
        self.close_sent = False
        self.close_received: Close | None = None
        self.close_exc: RemoteProtocolError | ConnectionBroken | None = None
        self.closed = False
        self.frames_received = 0
        self.control_frames_received = 0
        self.frames_sent = 0

        self._mask_bytes = mask_bytes if role == "client" else None
        self._peer_masks = role == "server"
        self._receive: Callable[[bytes, float], list[WebSocketEvent]] = self._receive_open
        self._decode_fast = decode_masked if role == "server" else decode_unmasked
        self._fast_allowed = message_max >= FAST_LENGTH_MAX
        self._assembly = MessageAssembly(
            message_max=message_max, fragments_max=fragments_max, empty_fragments_max=empty_fragments_max
        )
        self._cut = b""  # A header or control frame of which more must come.
        self._budget = _ControlFrameBudget(control_frames_per_second, control_frames_burst)
        self._to_send: list[bytes] = []
        self._pongs_to_send: list[bytes] = []

    @property
    def is_fresh(self) -> bool:
        """Whether a new codec would go on exactly as this one does: nothing is half received, queued or counted."""
        return not (
            self._cut
            or self._assembly.under_way
            or self.control_frames_received
            or self.closed
            or self.close_sent
            or self._to_send
        )

    # --- receiving ------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes | bytearray | memoryview, now: float) -> list[WebSocketEvent]:
        """Take what one read of the connection brought.

        Never raises because of what the peer sent: look at ``close_exc`` when ``closed`` is true.

        Args:
            data: any number of bytes, cut anywhere.
            now: seconds on a clock that does not go back; only control frames are measured by it.

        Returns:
            The messages and control frames that are complete now, in the order of the stream. A `Close` is
            the last event there is.
        """
        return self._receive(data if type(data) is bytes else bytes(data), now)

    def receive_eof(self) -> None:
        """Take the end of the peer's stream; without a Close frame before it, ``close_exc`` says so."""
        if self.close_received is None and self.close_exc is None:
            self.close_exc = ConnectionBroken("the peer ended the connection without a WebSocket Close frame")
        self._end()

    def _receive_open(self, data: bytes, now: float) -> list[WebSocketEvent]:
        events: list[WebSocketEvent] = []
        if self._cut:
            data = self._cut + data
            self._cut = b""
        assembly = self._assembly
        offset = 0
        end = len(data)
        try:
            while offset < end:
                if assembly.missing:
                    offset = self._take_payload(data, offset, events)
                    continue
                if self._fast_allowed and not assembly.under_way:
                    before = len(events)
                    offset = self._decode_fast(data, offset, events)
                    self.frames_received += len(events) - before
                    if offset == end:
                        break
                resumed = self._receive_frame(data, offset, events, now)
                if resumed == offset:
                    self._cut = data[offset:]
                    break
                offset = resumed
        except RemoteProtocolError as error:
            self._fail(error)
        return events

    def _discard(self, data: bytes, now: float) -> list[WebSocketEvent]:
        """Take the place of `_receive_open` when nothing more may be delivered."""
        return []

    def _receive_frame(self, data: bytes, offset: int, events: list[WebSocketEvent], now: float) -> int:
        """Decode one frame with every check; a data frame may be incomplete.

        Returns:
            Where the next one starts; ``offset`` itself where more bytes are needed to say anything.
        """
        header = decode_header(data, offset, masked=self._peer_masks)
        if header is None:
            return offset
        if header.opcode < CLOSE:
            self._assembly.begin(header)
            return self._take_payload(data, header.payload_at, events)
        stop = header.payload_at + header.length
        if stop > len(data):
            return offset
        payload = data[header.payload_at : stop]
        if header.key:
            payload = apply_mask(payload, header.key)
        return stop if self._receive_control(header, payload, events, now) else len(data)

    def _take_payload(self, data: bytes, offset: int, events: list[WebSocketEvent]) -> int:
        """Give the message under way what has come of its frame; return where that ends."""
        assembly = self._assembly
        stop = min(offset + assembly.missing, len(data))
        message = assembly.take(data[offset:stop])
        if message is not None:
            events.append(message)
        if not assembly.missing:
            self.frames_received += 1
        return stop

    def _receive_control(
        self, header: FrameHeader, payload: bytes, events: list[WebSocketEvent], now: float
    ) -> bool:
        """Handle a control frame; return whether anything may follow it."""
        if header.opcode == CLOSE:
            close = Close(*decode_close(payload))
            self.frames_received += 1
            self.control_frames_received += 1
            events.append(close)
            self.close_received = close
            if not self.close_sent:
                self._queue_close(encode_close(close.code, ""))
            self._end()
            return False
        self._budget.spend(now)
        self.frames_received += 1
        self.control_frames_received += 1
        if header.opcode == PONG:
            events.append(Pong(payload))
            return True
        events.append(Ping(payload))
        # After its Close frame "a peer does not send any further data" (RFC 6455 section 1.4).
        if not self.close_sent:
            self._pongs_to_send.append(payload)
            del self._pongs_to_send[:-PONGS_PENDING_MAX]
        return True

    # --- sending --------------------------------------------------------------------------------------------

    def send_messages(self, messages: Iterable[Message]) -> None:
        """Queue whole messages, one frame each, as one buffer.

        Raises:
            LocalProtocolError: after our Close frame or the end, or something is not a message; none is
                queued.
        """
        self._check_open()
        data, count = encode_messages(messages, self._mask_bytes)
        if count:
            self._to_send.append(data)
            self.frames_sent += count

    def send_encoded(self, data: bytes, count: int) -> None:
        """Queue ``count`` frames as they are, a server's: what `encode_messages` made of a broadcast, once for all.

        Raises:
            LocalProtocolError: after our Close frame or the end; nothing is queued.
        """
        assert self._mask_bytes is None, "a client masks each frame by itself"
        self._check_open()
        self._to_send.append(data)
        self.frames_sent += count

    def send_ping(self, payload: bytes = b"") -> None:
        """Queue a Ping frame.

        Raises:
            LocalProtocolError: after our Close frame or the end, or more than 125 bytes; nothing is queued.
        """
        self._check_open()
        if len(payload) > CONTROL_PAYLOAD_MAX:
            raise LocalProtocolError(
                f"a ping carries at most {CONTROL_PAYLOAD_MAX} bytes, not {len(payload)}"
            )
        self._queue_frame(PING, payload)

    def send_close(self, code: int = 1000, reason: str = "") -> None:
        """Queue a Close frame, the last frame we send; what the peer sends before its own is still received.

        Args:
            code: a code that may be on the wire, or 1005 for a frame without one.
            reason: for people to read; cut to 123 bytes.

        Raises:
            LocalProtocolError: after our Close frame or the end, or the code may not be sent; nothing is
                queued.
        """
        self._check_open()
        self._queue_close(encode_close(code, reason))

    def data_to_send(self) -> bytes:
        """Return the bytes to write now, and forget them. Pongs overtake what has been queued with them."""
        if not self._pongs_to_send:
            data = b"".join(self._to_send)
        else:
            pongs = [encode_frame(PONG, payload, self._new_key()) for payload in self._pongs_to_send]
            self.frames_sent += len(pongs)
            self._pongs_to_send.clear()
            data = b"".join(pongs + self._to_send)
        self._to_send.clear()
        return data

    def _check_open(self) -> None:
        if self.close_sent:
            raise LocalProtocolError("nothing can be sent after a WebSocket Close frame")
        if self.closed:
            raise LocalProtocolError("nothing can be sent on a WebSocket connection that has ended")

    def _queue_frame(self, opcode: int, payload: bytes) -> None:
        self._to_send.append(encode_frame(opcode, payload, self._new_key()))
        self.frames_sent += 1

    def _queue_close(self, payload: bytes) -> None:
        assert not self.close_sent, "a Close frame is sent once"
        self._queue_frame(CLOSE, payload)
        self.close_sent = True

    def _new_key(self) -> bytes | None:
        return None if self._mask_bytes is None else self._mask_bytes(4)

    # --- the end --------------------------------------------------------------------------------------------

    def _fail(self, error: RemoteProtocolError) -> None:
        """Fail the connection (RFC 6455 section 7.1.7)."""
        self.close_exc = error.with_traceback(None)  # Its frames hold what the peer sent.
        if not self.close_sent:
            self._queue_close(encode_close(error.close_code, str(error)))
        self._end()

    def _end(self) -> None:
        self.closed = True
        self._receive = self._discard
        self._assembly.reset()
        self._cut = b""


class _ControlFrameBudget:
    """A token bucket for the peer's pings and pongs."""

    __slots__ = ("_burst", "_filled_at", "_per_second", "_tokens")

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second: Final = per_second
        self._burst: Final = burst
        self._tokens = float(burst)
        self._filled_at: float | None = None

    def spend(self, now: float) -> None:
        """Take one token.

        Raises:
            LimitExceeded: there is none (1008).
        """
        if self._filled_at is not None:
            earned = max(0.0, now - self._filled_at) * self._per_second
            self._tokens = min(self._burst, self._tokens + earned)
        self._filled_at = now
        if self._tokens < 1.0:
            raise LimitExceeded("the rate of WebSocket control frames per second", self._per_second, 1008)
        self._tokens -= 1.0
