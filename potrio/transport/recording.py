"""Recordings of frames: one JSON object per line, with times, without the token; the reader names a bad line."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from potrio.errors import ConfigError
from potrio.protocol.frames import Message
from potrio.seam import REAL, Seam
from potrio.secrets import Secret, redact

__all__ = [
    "FORMAT",
    "Direction",
    "Frame",
    "Header",
    "Recording",
    "frame_line",
    "read_recording",
    "safe_message",
]

FORMAT: Final = 1
AUTH: Final = re.compile(r'42(?:/[^,]*,)?[0-9]*\[\s*"auth"')
MASKED_AUTH: Final = '42["auth","***"]'
"""What stands for the frame that logs in: it was sent then, and nothing of it is kept."""

T = TypeVar("T")

Direction = Literal["in", "out", "open", "end", "lost"]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line. ``wall``: Unix seconds when the recording began."""

    potrio_recording: int
    wall: float


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Every other line.

    Attributes:
        t: seconds since the recording began.
        c: number of the connection, from 1.
        d: ``in`` from the venue, ``out`` to it; ``open`` and ``end`` of a connection; ``lost``: frames that could not
            be written in time, ``n`` of them.
        text: of a text frame.
        data: of a binary frame: base64.
    """

    t: float
    c: int
    d: Direction
    text: str | None = None
    data: str | None = None
    n: int = 0

    @property
    def message(self) -> Message:
        """The frame as it went over the wire (but for what is redacted)."""
        if self.text is not None:
            return self.text
        return base64.b64decode(self.data or "", validate=True)


class Recording(msgspec.Struct, frozen=True):
    """A whole recording."""

    header: Header
    frames: tuple[Frame, ...]

    @property
    def connections(self) -> list[int]:
        """The numbers of its connections, in order."""
        return sorted({frame.c for frame in self.frames})

    def of(self, connection: int, direction: Direction = "in") -> list[Frame]:
        """The frames of one connection in one direction."""
        return [frame for frame in self.frames if frame.c == connection and frame.d == direction]


def safe_message(message: Message, *secrets: Secret, sent: bool) -> Message:
    """A frame without the tokens: the one that logs in is masked whole, in the others the tokens are."""
    if isinstance(message, str):
        return MASKED_AUTH if sent and AUTH.match(message) else redact(message, *secrets)
    text = message.decode("latin-1")
    return redact(text, *secrets).encode("latin-1")


def frame_line(
    at: float, connection: int, direction: Direction, message: Message | None = None, count: int = 0
) -> bytes:
    """One line of the file."""
    text = message if isinstance(message, str) else None
    data = base64.b64encode(message).decode() if isinstance(message, bytes) else None
    frame = Frame(round(at, 6), connection, direction, text, data, count)
    return msgspec.json.encode(frame) + b"\n"


def read_recording(path: Path, *, seam: Seam = REAL) -> Recording:
    """Read a recording.

    Raises:
        ConfigError: it cannot be read, or a line of it is not what it should be; ``path`` names file and line.
    """
    try:
        lines = seam.read_file(path).split(b"\n")
    except OSError as error:
        raise ConfigError(str(path), error.strerror or "cannot be read") from None
    if lines[-1] == b"":
        lines.pop()
    else:
        raise ConfigError(f"{path}: line {len(lines)}", "is cut off")
    if not lines:
        raise ConfigError(f"{path}: line 1", "there is none: the file is empty")
    header = _line(lines[0], Header, f"{path}: line 1")
    if header.potrio_recording != FORMAT:
        raise ConfigError(
            f"{path}: line 1", f"is of format {header.potrio_recording}; this one reads {FORMAT}"
        )
    return Recording(header, tuple(_frames(lines[1:], path)))


def _frames(lines: Iterable[bytes], path: Path) -> Iterator[Frame]:
    last = 0.0
    for number, line in enumerate(lines, 2):
        place = f"{path}: line {number}"
        frame = _line(line, Frame, place)
        if frame.d in ("in", "out") and (frame.text is None) == (frame.data is None):
            raise ConfigError(place, "a frame has either text or data")
        if frame.data is not None:
            try:
                base64.b64decode(frame.data, validate=True)
            except (binascii.Error, ValueError):
                raise ConfigError(place, "data is not base64") from None
        if frame.c < 1 or not last <= frame.t:
            raise ConfigError(place, "connections count from 1, and time does not go back")
        last = frame.t
        yield frame


def _line(line: bytes, kind: type[T], place: str) -> T:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = str(error)
    raise ConfigError(place, problem[:1].lower() + problem[1:])
