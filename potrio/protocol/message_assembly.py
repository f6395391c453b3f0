"""One incoming WebSocket message, put together from frames and from the pieces in which they arrive.

Payload is taken as it comes, never searched or joined again: what a byte costs does not depend on how the
stream was cut. Limits are checked on the header, before the payload is there. Text is checked piece by piece
while it is not complete, so that bad UTF-8 ends the connection at the first piece that shows it (RFC 6455
section 8.1).
"""

from __future__ import annotations

from codecs import utf_8_decode

from potrio.errors import LimitExceeded, RemoteProtocolError
from potrio.protocol.frames import CONTINUATION, TEXT, FrameHeader, Message, apply_mask

__all__ = ["MessageAssembly"]


class MessageAssembly:
    """Holds the message under way, if there is one.

    For each data frame call `begin` once with its header, then `take` until `missing` is 0; `take` returns
    the message when its last frame is complete. Control frames may come between frames and are none of its
    business.

    Attributes:
        missing: bytes of the current frame's payload that have not arrived.
        under_way: whether a message has begun and not ended.
    """

    __slots__ = (
        "_buffer",
        "_carry",
        "_empty_fragments",
        "_empty_fragments_max",
        "_final",
        "_fragments",
        "_fragments_max",
        "_is_text",
        "_key",
        "_message_max",
        "_size",
        "missing",
        "under_way",
    )

    def __init__(self, *, message_max: int, fragments_max: int, empty_fragments_max: int) -> None:
        self._message_max = message_max
        self._fragments_max = fragments_max
        self._empty_fragments_max = empty_fragments_max
        self.reset()

    def reset(self) -> None:
        """Forget the message under way and free its memory."""
        self.under_way = False
        self.missing = 0
        self._is_text = False
        self._final = False
        self._key = b""
        self._size = 0
        self._fragments = 0
        self._empty_fragments = 0
        self._buffer = bytearray()
        self._carry = b""

    def begin(self, header: FrameHeader) -> None:
        """Start a data frame.

        Raises:
            RemoteProtocolError: it continues nothing, or starts a message inside another (section 5.4).
            LimitExceeded: the message becomes too long or has too many frames.
        """
        assert not self.missing, "the frame before is not complete"
        if header.opcode != CONTINUATION:
            if self.under_way:
                raise RemoteProtocolError("a new WebSocket message starts before the end of the one before")
            self.under_way = True
            self._is_text = header.opcode == TEXT
        elif not self.under_way:
            raise RemoteProtocolError("a WebSocket continuation frame continues nothing")
        self._size += header.length
        if self._size > self._message_max:
            raise LimitExceeded("the length of a WebSocket message", self._message_max)
        self._fragments += 1
        if self._fragments > self._fragments_max:
            raise LimitExceeded("the count of frames in a WebSocket message", self._fragments_max)
        if not (header.length or header.final):
            self._empty_fragments += 1
            if self._empty_fragments > self._empty_fragments_max:
                raise LimitExceeded(
                    "the number of empty frames of a WebSocket message", self._empty_fragments_max
                )
        self._final = header.final
        self._key = header.key
        self.missing = header.length

    def take(self, piece: bytes) -> Message | None:
        """Take the next bytes of the current frame's payload, at most ``missing``.

        Returns:
            The message, when this completes it.

        Raises:
            RemoteProtocolError: the text is not UTF-8 (1007).
        """
        assert self.under_way, "no frame has begun"
        assert len(piece) <= self.missing, "more than the payload of one frame"
        if self._key:
            turn = len(piece) % 4
            piece = apply_mask(piece, self._key)
            self._key = self._key[turn:] + self._key[:turn]
        self.missing -= len(piece)
        if self.missing or not self._final:
            if self._is_text:
                self._check_text(piece)
            self._buffer += piece
            return None
        payload = b"".join((self._buffer, piece)) if self._buffer else piece
        is_text = self._is_text
        self.reset()
        return _decode_text(payload) if is_text else payload

    def _check_text(self, piece: bytes) -> None:
        """Check the text so far; a character cut at the end of the piece is carried over to the next."""
        carried = self._carry + piece
        try:
            _, consumed = utf_8_decode(carried, "strict", False)
        except UnicodeDecodeError:
            consumed = -1
        if consumed < 0:
            raise _not_utf_8()
        self._carry = carried[consumed:]


def _decode_text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        pass
    raise _not_utf_8()


def _not_utf_8() -> RemoteProtocolError:
    """Build the error. It is raised outside of ``except``: its context would hold the peer's bytes."""
    return RemoteProtocolError("a WebSocket text message is not UTF-8", 1007)
