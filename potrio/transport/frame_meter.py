"""Counts the frames of a server by their headers, and stops at the one that exceeds a limit trio-websocket lacks.

Sans-I/O. It looks at opcode, FIN bit and length and at nothing else: what makes a frame malformed stays the business of
wsproto, so that the two transports judge the bytes of a peer independently of each other.
"""

from __future__ import annotations

from typing import Final

from potrio.errors import LimitExceeded
from potrio.limits import (
    CLIENT_MESSAGE_MAX,
    CONTROL_FRAMES_BURST,
    CONTROL_FRAMES_PER_SECOND,
    EMPTY_FRAGMENTS_MAX,
    FRAGMENTS_MAX,
)

__all__ = ["FrameMeter"]

LENGTH_16: Final = 126
LENGTH_64: Final = 127
CONTROL_MIN: Final = 0x8
CLOSE: Final = 0x8


class FrameMeter:
    """Hand it all bytes that come after the HTTP head.

    Attributes:
        frames: headers seen so far.
        fault: the limit that was exceeded; nothing after that frame may be looked at.
    """

    def __init__(
        self,
        *,
        message_max: int = CLIENT_MESSAGE_MAX,
        fragments_max: int = FRAGMENTS_MAX,
        empty_fragments_max: int = EMPTY_FRAGMENTS_MAX,
        control_frames_per_second: float = CONTROL_FRAMES_PER_SECOND,
        control_frames_burst: int = CONTROL_FRAMES_BURST,
    ) -> None:
        self.frames = 0
        self.fault: LimitExceeded | None = None
        self._message_max = message_max
        self._fragments_max = fragments_max
        self._empty_fragments_max = empty_fragments_max
        self._per_second = control_frames_per_second
        self._burst = control_frames_burst
        self._tokens = float(control_frames_burst)
        self._filled_at: float | None = None
        self._header = bytearray()
        self._payload_left = 0
        self._message_bytes = 0
        self._fragments = 0
        self._empty_fragments = 0

    def receive_data(self, data: bytes | bytearray, now: float) -> int:
        """Count the frames in these bytes.

        Returns:
            How many of the bytes may be passed on: all of them, or those before the frame that exceeds a limit.
        """
        offset = 0
        end = len(data)
        while offset < end and self.fault is None:
            if self._payload_left:
                step = min(self._payload_left, end - offset)
                self._payload_left -= step
                offset += step
                continue
            started = offset
            while offset < end and len(self._header) < self._header_size():
                self._header.append(data[offset])
                offset += 1
            if len(self._header) == self._header_size():
                self._begin_frame(now)
                if self.fault is not None:
                    return started
        return offset if self.fault is None else 0

    def _header_size(self) -> int:
        """Bytes of the header under way, as far as that can be said."""
        if len(self._header) < 2:
            return 2
        second = self._header[1]
        length = second & 0x7F
        extended = {LENGTH_16: 2, LENGTH_64: 8}.get(length, 0)
        return 2 + extended + (4 if second & 0x80 else 0)

    def _begin_frame(self, now: float) -> None:
        header = self._header
        final = header[0] >= 0x80
        opcode = header[0] & 0x0F
        length = header[1] & 0x7F
        if length >= LENGTH_16:
            length = int.from_bytes(header[2 : 4 if length == LENGTH_16 else 10])
        header.clear()
        self.frames += 1
        self._payload_left = length
        if opcode < CONTROL_MIN:
            self._count_data(length, starts=opcode != 0, final=final)
        elif opcode != CLOSE:
            self._count_control(now)

    def _count_data(self, length: int, *, starts: bool, final: bool) -> None:
        if starts:
            self._message_bytes = self._fragments = self._empty_fragments = 0
        self._message_bytes += length
        self._fragments += 1
        self._empty_fragments += not (length or final)
        if self._message_bytes > self._message_max:
            self.fault = LimitExceeded("the length of a WebSocket message", self._message_max)
        elif self._fragments > self._fragments_max:
            self.fault = LimitExceeded("the count of frames in a WebSocket message", self._fragments_max)
        elif self._empty_fragments > self._empty_fragments_max:
            self.fault = LimitExceeded(
                "the count of empty frames in a WebSocket message", self._empty_fragments_max
            )

    def _count_control(self, now: float) -> None:
        """Take one token for a ping or pong."""
        if self._filled_at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1.0:
            self.fault = LimitExceeded(
                "the rate of WebSocket control frames per second", self._per_second, 1008
            )
        self._tokens -= 1.0
