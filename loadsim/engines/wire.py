"""What a shard in another process says, a line of JSON each: hello, reports, how it ended; and what it hears."""

from __future__ import annotations

import msgspec

from loadsim.engines.base import Outcome
from loadsim.metrics.delta import DELTA_MAX, Delta
from potrio.errors import ConfigError

__all__ = ["Bye", "Hello", "Line", "Lines", "Report", "Stop", "decode_line"]


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """A shard has begun: versions and limits, to be compared before anything is sent."""

    potrio: str
    python: str
    plan_digest: str
    pid: int
    host: str
    nofile: int
    wall: float


class Report(msgspec.Struct, frozen=True, tag="report"):
    """What came since the last one."""

    delta: Delta


class Bye(msgspec.Struct, frozen=True, tag="bye"):
    """It has ended."""

    outcome: Outcome


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """To the shard: end now, in good order, within the grace; the end of its input means at once."""

    reason: str
    grace_s: float


Line = Hello | Report | Bye
DECODER: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def decode_line(line: bytes) -> Line:
    """Read a shard's line; ConfigError where it is none."""
    try:
        return DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError("shard", f"said what is none of its lines: {error}") from None


class Lines:
    """Bytes in any pieces into whole lines."""

    def __init__(self, limit: int = DELTA_MAX) -> None:
        self._held = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are whole now; ConfigError where one is longer than the limit."""
        self._held += data
        *whole, rest = bytes(self._held).split(b"\n") if b"\n" in data else [bytes(self._held)]
        self._held = bytearray(rest)
        if len(rest) > self._limit:
            raise ConfigError("line", f"is longer than {self._limit} bytes")
        return whole
