"""A client's WebSocket and session in a hundred bytes: the full ones are there only while something unusual happens.

Logging in is done by a `WebSocketCodec` and a `ClientSession`. Once the session is ready and nothing is under way, both
are dropped, and what comes is taken by two loops: whole frames by the codec's own fast path, then pairs of a known
header and its attachment, and pings. At the first thing that is not of that kind, a codec is made anew, or a session
is brought to the same state (`Kit.revive`), and they go on from exactly there. So the full ones decide all that is to
be decided, and `tests/loadsim/swarm/test_lean.py` holds the results against theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec

from potrio.errors import ConnectionBroken, LocalProtocolError, PotrioError
from potrio.limits import BINARY_HEADERS_KEPT_MAX, HEARTBEAT_GRACE
from potrio.protocol.client_session import ClientSession
from potrio.protocol.encoder import encode_event
from potrio.protocol.engineio import Handshake, encode_handshake
from potrio.protocol.events import EventReceived, SessionEvent
from potrio.protocol.frame_runs import decode_unmasked
from potrio.protocol.frames import Message, encode_messages
from potrio.protocol.socketio import MAIN_NAMESPACE
from potrio.protocol.state import SessionState
from potrio.protocol.websocket import WebSocketCodec
from potrio.secrets import Secret

__all__ = ["Kit", "LeanSession"]

PING: Final = "2"
PONG: Final = "3"
HEADER_START: Final = "451-"
EIO3_TYPE_BYTE: Final = 4


class Opening(msgspec.Struct, frozen=True):
    """A server's handshake without its sid: many clients share one."""

    text: str
    budget_s: float


class Kit:
    """What all sessions of one swarm share.

    Args:
        mask_bytes: unpredictable bytes for masks.
        target: where the sessions lead, for the texts of errors.
    """

    def __init__(self, mask_bytes: Callable[[int], bytes], target: str = "the server") -> None:
        self.mask_bytes = mask_bytes
        self.target = target
        self.known: dict[Any, tuple[str, tuple[bytes, ...]]] = {}
        """The text of a header -> name and arguments of its event."""
        self._openings: dict[Handshake, Opening] = {}

    def codec(self) -> WebSocketCodec:
        """Return a fresh codec."""
        return WebSocketCodec("client", mask_bytes=self.mask_bytes)

    def opening(self, handshake: Handshake) -> Opening:
        """Return the one value for all handshakes with these figures."""
        plain = msgspec.structs.replace(handshake, sid="0")
        found = self._openings.get(plain)
        if found is None:
            if len(self._openings) >= BINARY_HEADERS_KEPT_MAX:
                self._openings.clear()
            budget_s = (plain.ping_interval_ms + plain.ping_timeout_ms) / 1000 + HEARTBEAT_GRACE
            found = self._openings[plain] = Opening("0" + encode_handshake(plain), budget_s)
        return found

    def revive(self, opening: Opening, heard_at: float) -> ClientSession:
        """Return a session that is ready, and heard its server last at that time."""
        session = ClientSession(now=heard_at, target=self.target)
        session.receive_messages([opening.text, '40{"sid":"0"}'], heard_at)
        session.authenticate("{}")
        session.receive_messages(['42["successauth",{}]'], heard_at)
        assert session.state is SessionState.READY, "the way of every login"
        session.messages_to_send()
        return session

    def learn(self, messages: Sequence[Message], events: Sequence[SessionEvent]) -> None:
        """Remember the headers that ended as one plain event, where they have the common form."""
        headers = {
            id(payload): header
            for header, payload in pairwise(messages)
            if isinstance(header, str) and header.startswith(HEADER_START) and isinstance(payload, bytes)
        }
        for event in events:
            if not isinstance(event, EventReceived) or not event.binary or event.ack_id is not None:
                continue
            header = headers.get(id(event.payload))
            if header is None or event.namespace != MAIN_NAMESPACE or len(event.args) != 1:
                continue
            if len(self.known) >= BINARY_HEADERS_KEPT_MAX:
                self.known.clear()
            self.known[header] = (event.name, event.args)


class LeanSession:
    """One client's half of the wire, from the end of the HTTP upgrade on. Bytes in; events and bytes out.

    Args:
        kit: shared.
        now: the time.
    """

    __slots__ = ("_codec", "_heard_at", "_kit", "_opening", "_session")

    def __init__(self, kit: Kit, now: float) -> None:
        self._kit = kit
        self._codec: WebSocketCodec | None = kit.codec()
        self._session: ClientSession | None = ClientSession(now=now, target=kit.target)
        self._opening: Opening | None = None
        self._heard_at = now

    @property
    def is_lean(self) -> bool:
        """Whether neither codec nor session are there."""
        return self._session is None and self._codec is None

    @property
    def state(self) -> SessionState:
        """Where the session is."""
        return SessionState.READY if self._session is None else self._session.state

    def deadline(self) -> float | None:
        """When `handle_deadline` wants to be called, whatever comes before."""
        if self._session is not None:
            return self._session.next_deadline()
        assert self._opening is not None, "a lean session has been ready"
        return self._heard_at + self._opening.budget_s

    # --- in ---

    def receive_data(self, data: bytes, now: float) -> tuple[list[SessionEvent], bytes]:
        """Take the bytes of one read; return what they mean, and what is to be written. Never raises on peer data."""
        messages: list[Message] = []
        if self._codec is None:
            stop = decode_unmasked(data, 0, messages)
            if stop < len(data):
                self._codec = self._kit.codec()
                self._decode(self._codec, data[stop:], messages, now)
        else:
            self._decode(self._codec, data, messages, now)
        events: list[SessionEvent] = []
        replies = self._read(messages, events, now) if messages else []
        codec = self._codec
        if codec is None:
            return events, encode_messages(replies, self._kit.mask_bytes)[0] if replies else b""
        if codec.closed:
            close = codec.close_received
            code = "" if close is None else f" (code {close.code})"
            events += self._end(
                codec.close_exc or ConnectionBroken(f"the server closed the connection{code}")
            )
        elif replies:
            codec.send_messages(replies)
        written = codec.data_to_send()
        if codec.is_fresh and self.state is SessionState.READY:
            self._codec = None
        return events, written

    def receive_close(self, error: PotrioError | None) -> list[SessionEvent]:
        """Take the end of the connection; return ``[Closed(...)]``, or nothing where that was said already."""
        return self._end(error)

    def handle_deadline(self, now: float) -> list[SessionEvent]:
        """Die of silence, where it is time."""
        return self._full().handle_deadline(now)

    # --- out ---

    def authenticate(self, payload: Secret) -> bytes:
        """Return what logs in: the answer to `Connected`.

        Raises:
            LocalProtocolError: it is not the time for it, or not JSON.
        """
        session = self._full()
        session.authenticate(payload.reveal())
        return self._encode(session.messages_to_send())

    def send_event(self, name: str, payload: bytes | None = None) -> bytes:
        """Return an event as what is to be written.

        Raises:
            LocalProtocolError: not ready, or not JSON.
        """
        if self.state is not SessionState.READY:
            raise LocalProtocolError(f"cannot send an event in state {self.state.name}")
        return self._encode(encode_event(name, payload))

    # --- private ---

    def _decode(self, codec: WebSocketCodec, data: bytes, messages: list[Message], now: float) -> None:
        messages += [each for each in codec.receive_data(data, now) if isinstance(each, str | bytes)]

    def _read(self, messages: list[Message], events: list[SessionEvent], now: float) -> list[Message]:
        """Add what the messages mean; return what is to be answered."""
        session = self._session
        replies: list[Message] = []
        if session is None:
            if self._read_usual(messages, events, replies):
                self._heard_at = now
                return replies
            assert self._opening is not None, "a lean session has been ready"
            events.clear()
            replies.clear()
            session = self._session = self._kit.revive(self._opening, self._heard_at)
        was_ready = session.state is SessionState.READY
        self._heard_at = now
        found = session.receive_messages(messages, now)
        events += found
        replies += session.messages_to_send()
        if session.state is SessionState.READY:
            if was_ready:
                self._kit.learn(messages, found)
            if not session.awaits_attachments:
                assert session.handshake is not None, "it is ready"
                self._opening = self._opening or self._kit.opening(session.handshake)
                self._session = None
        return replies

    def _read_usual(
        self, messages: list[Message], events: list[SessionEvent], replies: list[Message]
    ) -> bool:
        """Take a read of nothing but pairs of a known header and its attachment, and one ping; False for any other."""
        known = self._kit.known
        last = len(messages) - 1
        index = 0
        while index <= last:
            message = messages[index]
            header = known.get(message)
            if header is not None and index < last:
                payload = messages[index + 1]
                if type(payload) is not bytes or (payload and payload[0] == EIO3_TYPE_BYTE):
                    return False
                name, args = header
                events.append(EventReceived(name, payload, MAIN_NAMESPACE, None, True, args, (payload,)))
                index += 2
            elif message == PING and not replies:
                replies.append(PONG)
                index += 1
            else:
                return False
        return True

    def _full(self) -> ClientSession:
        if self._session is None:
            assert self._opening is not None, "a lean session has been ready"
            self._session = self._kit.revive(self._opening, self._heard_at)
        return self._session

    def _end(self, error: PotrioError | None) -> list[SessionEvent]:
        return self._full().receive_close(error)

    def _encode(self, messages: Sequence[Message]) -> bytes:
        if self._codec is None:
            return encode_messages(messages, self._kit.mask_bytes)[0]
        self._codec.send_messages(messages)
        return self._codec.data_to_send()
