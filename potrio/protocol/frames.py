"""WebSocket frames (RFC 6455 section 5): headers, masks and close payloads, to bytes and back.

Plain functions on values: no state, no buffer. Whatever a peer may get wrong in one frame by itself is found
here and raised as `RemoteProtocolError` with the close code that answers it; what is wrong between frames is
the business of `message_assembly`, and what to do about it that of `websocket`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from struct import Struct as Layout
from typing import Final, TypeAlias

from msgspec import Struct

from potrio.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "CONTROL_PAYLOAD_MAX",
    "NO_CODE",
    "PING",
    "PONG",
    "TEXT",
    "FrameHeader",
    "Message",
    "apply_mask",
    "decode_close",
    "decode_header",
    "encode_close",
    "encode_frame",
    "encode_messages",
    "is_close_code",
]

Message: TypeAlias = str | bytes
"""One whole WebSocket message: text as `str`, binary as `bytes`."""

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
"""Opcodes (section 5.2); those from 8 on are control frames."""

OPCODES: Final = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))

CONTROL_PAYLOAD_MAX: Final = 125
"""Control frames are short and never fragmented (section 5.5)."""

NO_CODE: Final = 1005
"""Stands for a Close frame without a code; never on the wire (section 7.1.5)."""

REGISTERED_CLOSE_CODES: Final = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015)))
"""Codes below 3000 that may be on the wire: RFC 6455 section 7.4.1, and 1012-1014 of the IANA registry."""

MASK_BIT: Final = 0x80
LENGTH_16: Final = 126
LENGTH_64: Final = 127

SHORT: Final = Layout("!BB")
MEDIUM: Final = Layout("!BBH")
LONG: Final = Layout("!BBQ")

TRANSLATE_MIN: Final = 384
"""From this many bytes on, translating every fourth byte by a table is faster than one XOR of integers."""

_BYTES: Final = int.from_bytes(bytes(range(256)))
_ONES: Final = int.from_bytes(b"\1" * 256)
XOR_TABLES: Final = tuple((_BYTES ^ _ONES * key).to_bytes(256) for key in range(256))
"""For each key byte, what every byte becomes under it."""


class FrameHeader(Struct, frozen=True, gc=False):
    """A decoded header. ``payload_at`` is where the payload starts in the bytes that were decoded."""

    opcode: int
    final: bool
    length: int
    key: bytes
    payload_at: int


# --- receiving ----------------------------------------------------------------------------------------------


def decode_header(data: bytes, offset: int, *, masked: bool) -> FrameHeader | None:
    """Decode the frame header at ``offset``.

    What the first two bytes show to be wrong is raised before the rest of the header has come.

    Args:
        data: bytes from the peer.
        offset: where the frame starts.
        masked: whether the peer must mask (it is a client) or must not (it is a server).

    Returns:
        The header, or None where not all of its bytes are there yet.

    Raises:
        RemoteProtocolError: the header breaks section 5.
    """
    payload_at = offset + 2
    if payload_at > len(data):
        return None
    first, second = data[offset], data[offset + 1]
    opcode = first & 0x0F
    final = first >= 0x80
    if first & 0x70:
        raise RemoteProtocolError("a reserved bit is set in a WebSocket frame")
    if opcode not in OPCODES:
        raise RemoteProtocolError(f"WebSocket opcode {opcode} is reserved")
    if (second >= MASK_BIT) is not masked:
        raise RemoteProtocolError(
            "a client must mask its WebSocket frames"
            if masked
            else "a server must not mask its WebSocket frames"
        )
    length = second & 0x7F
    if opcode >= CLOSE:
        if not final:
            raise RemoteProtocolError("a WebSocket control frame is fragmented")
        if length > CONTROL_PAYLOAD_MAX:
            raise RemoteProtocolError(f"a WebSocket control frame is longer than {CONTROL_PAYLOAD_MAX} bytes")
    if length >= LENGTH_16:
        length_at, payload_at = payload_at, payload_at + (2 if length == LENGTH_16 else 8)
        if payload_at > len(data):
            return None
        length = _checked_length(int.from_bytes(data[length_at:payload_at]), wide=length == LENGTH_64)
    if not masked:
        return FrameHeader(opcode, final, length, b"", payload_at)
    key = data[payload_at : payload_at + 4]
    return FrameHeader(opcode, final, length, key, payload_at + 4) if len(key) == 4 else None


def decode_close(payload: bytes) -> tuple[int, str]:
    """Decode the payload of a Close frame (section 5.5.1).

    Returns:
        Code and reason; `NO_CODE` where the payload is empty.

    Raises:
        RemoteProtocolError: it is one byte long or its code may not be on the wire (1002), or its reason is
            not UTF-8 (1007).
    """
    if not payload:
        return NO_CODE, ""
    if len(payload) == 1:
        raise RemoteProtocolError("the payload of a Close frame is one byte long")
    code = int.from_bytes(payload[:2])
    if not is_close_code(code):
        raise RemoteProtocolError(f"{code} may not be the code of a Close frame")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        pass  # Raised below, so that the error does not hold the peer's bytes as its context.
    raise RemoteProtocolError("the reason of a Close frame is not UTF-8", 1007)


def is_close_code(code: int) -> bool:
    """Whether this code may be in a Close frame (section 7.4)."""
    return code in REGISTERED_CLOSE_CODES or 3000 <= code <= 4999


def _checked_length(length: int, *, wide: bool) -> int:
    """Return an extended length unless it could be shorter or has the top bit set (section 5.2)."""
    if length < (0x10000 if wide else LENGTH_16):
        raise RemoteProtocolError(
            f"the length {length} of a WebSocket frame is not written in its shortest form"
        )
    if length >> 63:
        raise RemoteProtocolError("the top bit of a WebSocket frame's length is set")
    return length


# --- both directions ----------------------------------------------------------------------------------------


def apply_mask(payload: bytes, key: bytes) -> bytes:
    """Mask a payload, or unmask it: both are the same XOR (section 5.3)."""
    length = len(payload)
    if length < TRANSLATE_MIN:
        keys = (key * (length // 4 + 1))[:length]
        return (int.from_bytes(payload, "little") ^ int.from_bytes(keys, "little")).to_bytes(length, "little")
    masked = bytearray(payload)
    for position in range(4):
        masked[position::4] = masked[position::4].translate(XOR_TABLES[key[position]])
    return bytes(masked)


# --- sending ------------------------------------------------------------------------------------------------


def encode_frame(opcode: int, payload: bytes, key: bytes | None = None, *, final: bool = True) -> bytes:
    """Encode one frame; with ``key`` as a client must, without as a server must.

    The rules between frames and the length of control frames are the caller's to keep.
    """
    head = _encode_header(opcode | 0x80 if final else opcode, len(payload), 0 if key is None else MASK_BIT)
    return head + payload if key is None else b"".join((head, key, apply_mask(payload, key)))


def encode_messages(
    messages: Iterable[Message], mask_bytes: Callable[[int], bytes] | None = None
) -> tuple[bytes, int]:
    """Encode whole messages, one frame each, into one buffer.

    Without ``mask_bytes`` the result depends on the messages alone, so that a server encodes a broadcast
    once.

    Args:
        messages: what to send, in order.
        mask_bytes: gives that many unpredictable bytes; called once, for the keys of all frames.

    Returns:
        The bytes and the number of frames in them.

    Raises:
        LocalProtocolError: something is not a message, or a text holds a lone surrogate.
    """
    opcodes_payloads = [_opcode_and_payload(message) for message in messages]
    count = len(opcodes_payloads)
    parts: list[bytes] = []
    if mask_bytes is None:
        for opcode, payload in opcodes_payloads:
            parts += (_encode_header(opcode | 0x80, len(payload), 0), payload)
    elif count:
        keys = mask_bytes(4 * count)
        assert len(keys) == 4 * count, "mask_bytes must return as many bytes as it is asked for"
        for index, (opcode, payload) in enumerate(opcodes_payloads):
            key = keys[4 * index : 4 * index + 4]
            parts += (_encode_header(opcode | 0x80, len(payload), MASK_BIT), key, apply_mask(payload, key))
    return b"".join(parts), count


def encode_close(code: int, reason: str) -> bytes:
    """Encode the payload of a Close frame; the reason is cut at a character so that it fits.

    Raises:
        LocalProtocolError: the code may not be sent, or there is a reason but no code.
    """
    if code == NO_CODE and not reason:
        return b""
    if not is_close_code(code):
        raise LocalProtocolError(
            f"a Close frame cannot carry the code {code}" + (" and a reason" if reason else "")
        )
    cut = reason.encode(errors="replace")[: CONTROL_PAYLOAD_MAX - 2]
    return code.to_bytes(2) + cut.decode(errors="ignore").encode()


def _opcode_and_payload(message: Message) -> tuple[int, bytes]:
    if isinstance(message, bytes):
        return BINARY, message
    if not isinstance(message, str):
        raise LocalProtocolError(f"a WebSocket message is str or bytes, not {type(message).__name__}")
    try:
        return TEXT, message.encode()
    except UnicodeEncodeError:
        pass  # Raised below: the text may be a secret and must not hang on the error as its context.
    raise LocalProtocolError("a text message holds a lone surrogate, which UTF-8 cannot say")


def _encode_header(first: int, length: int, mask_bit: int) -> bytes:
    """Write a header in its shortest form, without the mask."""
    if length < LENGTH_16:
        return SHORT.pack(first, length | mask_bit)
    if length < 0x10000:
        return MEDIUM.pack(first, LENGTH_16 | mask_bit, length)
    return LONG.pack(first, LENGTH_64 | mask_bit, length)
