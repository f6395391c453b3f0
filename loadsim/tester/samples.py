"""What happened in a load test, operation by operation: nothing is thrown away, so that every figure is exact."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

__all__ = ["PhaseRecord", "Sample", "percentile"]


class Sample(msgspec.Struct, frozen=True):
    """One operation that was begun. Times are seconds of one clock; ``error`` None: its answer was verified."""

    name: str
    intended_s: float
    started_s: float
    ended_s: float
    error: str | None = None

    @property
    def duration_s(self) -> float:
        """From its actual start to its end."""
        return self.ended_s - self.started_s

    @property
    def response_s(self) -> float:
        """From the instant it was intended for: what a late start adds is in it."""
        return self.ended_s - self.intended_s


class PhaseRecord(msgspec.Struct, kw_only=True):
    """One phase as it was; a standard test has one.

    Attributes:
        omitted: operations that were planned and never begun.
        connected: connections that were made; ``connects_s``: how long each took.
        connect_errors: kinds of failure to connect, or of a client that died, and how often.
    """

    name: str
    clients: int
    operation_delay: float
    planned: int
    started_s: float
    ended_s: float = 0.0
    omitted: int = 0
    samples: list[Sample] = msgspec.field(default_factory=list)
    connects_s: list[float] = msgspec.field(default_factory=list)
    connect_errors: Counter[str] = msgspec.field(default_factory=Counter)
    events_sent: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def duration_s(self) -> float:
        """How long it took."""
        return self.ended_s - self.started_s


def percentile(values: Iterable[float], percent: float) -> float:
    """The value that ``percent`` of all values do not exceed (nearest rank, exact); 0 where there is none."""
    ranked: Sequence[float] = sorted(values)
    return ranked[max(1, math.ceil(len(ranked) * percent / 100)) - 1] if ranked else 0.0
