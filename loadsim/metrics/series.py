"""A series: what is known about one metric under one set of tags; and the key that finds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from potrio.histogram import Histogram

__all__ = ["PARTS", "ErrorSample", "Series", "SeriesDelta", "SeriesKey", "key_of"]

PARTS = ("service", "response", "value")
"""Service: from the actual start to the end; response: from the intended instant to the end, the honest one; value:
of what has no two clocks, as the gap between two ticks."""

Tags = tuple[tuple[str, str], ...]
SeriesKey = tuple[str, Tags]
"""The metric's name and its tags, sorted."""


def key_of(metric: str, tags: Mapping[str, str]) -> SeriesKey:
    """The key of a series."""
    return metric, tuple(sorted(tags.items()))


class SeriesDelta(msgspec.Struct, frozen=True):
    """One series as it travels: histograms encoded, counts by outcome (``ok`` and the kinds of error)."""

    metric: str
    tags: dict[str, str]
    histograms: dict[str, dict[str, Any]] = {}
    outcomes: dict[str, int] = {}


class ErrorSample(msgspec.Struct, frozen=True):
    """A kind of error at a place: how often, when first and last (seconds of the run), and one of its texts."""

    kind: str
    where: str
    count: int
    first_t: float
    last_t: float
    sample: str

    def merged(self, other: ErrorSample) -> ErrorSample:
        """Both together; the earlier one's text stays."""
        first = self if self.first_t <= other.first_t else other
        return ErrorSample(
            self.kind,
            self.where,
            self.count + other.count,
            first.first_t,
            max(self.last_t, other.last_t),
            first.sample,
        )


class Series:
    """Histograms by part, and how often which outcome."""

    __slots__ = ("histograms", "outcomes")

    def __init__(self) -> None:
        self.histograms: dict[str, Histogram] = {}
        self.outcomes: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """All outcomes together."""
        return self.outcomes.total()

    def record(self, part: str, value_us: int) -> None:
        """Count a value of one part."""
        found = self.histograms.get(part)
        if found is None:
            found = self.histograms[part] = Histogram()
        found.record(value_us)

    def merge(self, other: Series) -> None:
        """Add another's values and outcomes."""
        for part, histogram in other.histograms.items():
            self.histograms.setdefault(part, Histogram()).merge(histogram)
        self.outcomes.update(other.outcomes)

    def encode(self, key: SeriesKey) -> SeriesDelta:
        """The form in which it travels."""
        metric, tags = key
        return SeriesDelta(
            metric,
            dict(tags),
            {part: histogram.encode() for part, histogram in self.histograms.items()},
            dict(self.outcomes),
        )

    @classmethod
    def decode(cls, found: SeriesDelta) -> Series:
        """Read it back; ConfigError where a histogram is none."""
        made = cls()
        made.histograms = {part: Histogram.decode(each) for part, each in found.histograms.items()}
        made.outcomes = Counter(found.outcomes)
        return made

    @classmethod
    def sum(cls, several: Iterable[Series]) -> Series:
        """All of them in one."""
        made = cls()
        for each in several:
            made.merge(each)
        return made
