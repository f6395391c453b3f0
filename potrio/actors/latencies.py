"""How long the venue takes, in histograms: to let us in, to answer an order, to answer a page of history.

One look at a clock for each of these and none for a tick. The protocol has no question whose answer says nothing else
(the venue answers no ``ps``, and its own pings measure its side), so the round trip is that of a page of history.
"""

from __future__ import annotations

from typing import Final

import msgspec

from potrio.histogram import Histogram

__all__ = ["LONGEST_S", "Latencies", "Latency", "note"]

LONGEST_S: Final = 3600.0
"""What takes longer counts as this long; so a histogram has some 3200 buckets at most."""


class Latency(msgspec.Struct, frozen=True):
    """What was measured of one kind, in milliseconds; percentiles are off by 0.4 % at most."""

    count: int
    min_ms: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


class Latencies:
    """The histograms of one client, all its sessions together.

    Attributes:
        ready: from the beginning of an attempt to the authenticated link; attempts in vain are not in it.
        order: from `place` to the venue's answer that it has accepted the order: journal, limiter and link included.
        history: from the write of a request for a page of history to its answer.
    """

    __slots__ = ("history", "order", "ready")

    def __init__(self) -> None:
        self.ready = Histogram()
        self.order = Histogram()
        self.history = Histogram()

    def statistics(self) -> dict[str, Latency]:
        """What was measured, by name; what never was is not in it, for not measured is not zero."""
        found = {"ready": self.ready, "order": self.order, "history": self.history}
        return {name: summary(histogram) for name, histogram in found.items() if histogram.n}


def note(histogram: Histogram, seconds: float) -> None:
    """Count a latency, in whole microseconds."""
    histogram.record(round(min(seconds, LONGEST_S) * 1e6))


def summary(histogram: Histogram) -> Latency:
    """The figures of a histogram of microseconds."""
    return Latency(
        count=histogram.n,
        min_ms=histogram.min / 1000,
        mean_ms=histogram.mean / 1000,
        p50_ms=histogram.percentile(50) / 1000,
        p90_ms=histogram.percentile(90) / 1000,
        p99_ms=histogram.percentile(99) / 1000,
        max_ms=histogram.max / 1000,
    )
