"""What a shard reports each second: everything that was recorded since its last report, as one line of JSON."""

from __future__ import annotations

import msgspec

from loadsim.metrics.series import ErrorSample, SeriesDelta
from potrio.errors import ConfigError

__all__ = ["DELTA_MAX", "Delta"]

DELTA_MAX = 4 * 1024 * 1024
"""Bytes of one line; more is no report of ours."""


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """One report.

    Attributes:
        run: which run it belongs to.
        shard: who reports.
        incarnation: which start of that shard; a shard that runs again is another experiment.
        seq: 0, 1, 2 …: what is missing between is a gap, what comes twice counts once.
        t_s: seconds since the run's start instant.
        series: histograms and outcomes since the last report.
        counters: totals since the last report, by name (``ticks``, ``omitted``, ``bytes_in`` …).
        gauges: values as they are now (``clients``, ``cpu_pct``, ``rss_mb`` …).
        errors: kinds of error since the last report.
        accounts: in the last report: what clients that traded know for certain of their balance, in cents by user.
        last: the shard has nothing more to say after this one.
    """

    run: str
    shard: int
    incarnation: int = 0
    seq: int
    t_s: float
    series: list[SeriesDelta] = []
    counters: dict[str, int] = {}
    gauges: dict[str, float] = {}
    errors: list[ErrorSample] = []
    accounts: dict[str, int] = {}
    last: bool = False

    def encode(self) -> bytes:
        """One line of JSON, without the end of the line."""
        return ENCODER.encode(self)

    @classmethod
    def decode(cls, line: bytes) -> Delta:
        """Read a line.

        Raises:
            ConfigError: it is not a report.
        """
        if len(line) > DELTA_MAX:
            raise ConfigError("delta", f"a report has {DELTA_MAX} bytes at most, not {len(line)}")
        try:
            return DECODER.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError("delta", f"is not a report: {error}") from None


ENCODER = msgspec.json.Encoder()
DECODER = msgspec.json.Decoder(Delta)
