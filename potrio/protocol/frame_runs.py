"""The fast path of the frame layer: whole, short, unfragmented data frames, decoded in one loop.

Both functions take as many frames as they understand completely and return where they stopped; the rest
(fragments, control frames, 64-bit lengths, a frame cut off by the end of the read, anything malformed) is
left untouched for the slow path, which decides alone what it means. So the fast path can never report an
error, and can be wrong only by accepting too much. What it accepts is one exact first byte (FIN, no reserved
bit, text or binary), the right mask bit, the shortest form of the length, a whole payload and, for text,
valid UTF-8: the slow path would accept the same.

The venue sends the same text frame (the header of a binary event) before each binary frame (its attachment).
The second of two equal texts starts a run: while the bytes at a frame boundary are exactly that text frame
and the first byte of a binary frame, both frames are taken with one comparison, without decoding the text
again. Equal bytes at a boundary are the same frame, so nothing is assumed of what lies between; a payload
which happens to contain the header is never looked into. Payloads are cut out of the read by offset, so the
cost is linear, whatever a peer sends. (Cutting a run with ``bytes.split`` was tried: it needs windows and a
check of each part, and is slower below a hundred pairs and no faster above.)
"""

from __future__ import annotations

from typing import Any, Final

from potrio.protocol.frames import BINARY, TEXT, Message, apply_mask

__all__ = ["FAST_LENGTH_MAX", "decode_masked", "decode_unmasked"]

FAST_LENGTH_MAX: Final = 0xFFFF
"""The longest payload accepted here. There is no other check of size: not for use under a smaller limit."""

FINAL_TEXT: Final = 0x80 | TEXT
FINAL_BINARY: Final = 0x80 | BINARY


def decode_unmasked(data: bytes, offset: int, messages: list[Any]) -> int:
    """Decode frames as a server sends them, from ``offset`` on; add their messages to a list of messages and others.

    Returns:
        Where the first frame starts that is not for the fast path, or the end of the data.
    """
    end = len(data)
    last = end - 1  # A header has two bytes at least.
    previous: str | None = None
    append = messages.append
    try:
        while offset < last:
            length = data[offset + 1]
            if length < 126:
                start = offset + 2
            elif length == 126 and offset + 4 <= end:
                length = data[offset + 2] << 8 | data[offset + 3]
                if length < 126:
                    return offset
                start = offset + 4
            else:
                return offset
            stop = start + length
            if stop > end:
                return offset
            first = data[offset]
            if first == FINAL_BINARY:
                append(data[start:stop])
            elif first == FINAL_TEXT:
                text = data[start:stop].decode()
                append(text)
                if text != previous:
                    previous = text
                elif stop < end and data[stop] == FINAL_BINARY:
                    header = data[offset : stop + 1]  # The text frame and the first byte of the binary frame.
                    header_size = len(header)
                    length_at = stop + 1
                    payloads: list[Message] = []
                    take = payloads.append
                    while length_at < end:
                        start = length_at + 1
                        stop = start + data[length_at]
                        if stop > end or stop - start > 125:
                            stop = length_at - 1
                            break
                        take(data[start:stop])
                        length_at = stop + header_size
                        if data[stop:length_at] != header:
                            break
                    else:
                        stop = length_at - 1
                    # Behind the text that is there already: each payload, and an equal text between each two.
                    run: list[Message] = [text] * (2 * len(payloads) - (stop != length_at - 1))
                    run[::2] = payloads
                    messages += run
            else:
                return offset
            offset = stop
    except UnicodeDecodeError:
        pass  # The slow path meets the same bytes and reports them.
    return offset


def decode_masked(data: bytes, offset: int, messages: list[Any]) -> int:
    """Decode frames as a client sends them; as `decode_unmasked`, but unmasking each, and without runs."""
    append = messages.append
    end = len(data)
    last = end - 5  # A header with its mask has six bytes at least.
    try:
        while offset < last:
            length = data[offset + 1] - 0x80
            if 0 <= length < 126:
                key_at = offset + 2
            elif length == 126:
                length = data[offset + 2] << 8 | data[offset + 3]
                if length < 126:
                    return offset
                key_at = offset + 4
            else:
                return offset
            start = key_at + 4
            stop = start + length
            if stop > end:
                return offset
            first = data[offset]
            if first == FINAL_TEXT:
                append(apply_mask(data[start:stop], data[key_at:start]).decode())
            elif first == FINAL_BINARY:
                append(apply_mask(data[start:stop], data[key_at:start]))
            else:
                return offset
            offset = stop
    except UnicodeDecodeError:
        pass  # As above.
    return offset
