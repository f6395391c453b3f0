"""A log-linear histogram of whole microseconds: merging is exact, whatever the order, and nothing is averaged.

Below 256 every value has a bucket of its own; above, each power of two is cut into 128 buckets, so that a value read
back is off by 0.4 % at most (the layout is HdrHistogram's idea; ``loadsim.md`` 4.1). Buckets are kept sparsely: a
histogram is as large as the spread of what is in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from potrio.errors import ConfigError

__all__ = ["Histogram", "bucket_of"]

SUB_BITS = 7
LAYOUT = "loglinear/1"


def bucket_of(value: int) -> int:
    """The number of the bucket a value falls into."""
    shift = max(0, value.bit_length() - SUB_BITS - 1)
    return (shift << SUB_BITS) + (value >> shift)


def middle_of(bucket: int) -> int:
    """The value that stands for a bucket: its middle."""
    if bucket < 2 << SUB_BITS:
        return bucket
    shift = (bucket >> SUB_BITS) - 1
    return ((bucket - (shift << SUB_BITS)) << shift) + (1 << shift) // 2


class Histogram:
    """How often which value came. Values are whole and >= 0; a negative one counts as 0."""

    __slots__ = ("counts", "max", "min", "n", "sum")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.n = 0
        self.min = 0
        self.max = 0
        self.sum = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.encode() == other.encode()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"<Histogram of {self.n} values, {self.min} to {self.max}>"

    def record(self, value: int, times: int = 1) -> None:
        """Count a value."""
        value = max(value, 0)
        bucket = bucket_of(value)
        self.counts[bucket] = self.counts.get(bucket, 0) + times
        self.min = value if not self.n else min(self.min, value)
        self.max = max(self.max, value)
        self.n += times
        self.sum += value * times

    def merge(self, other: Histogram) -> None:
        """Add another's counts: the result is that of one histogram which all the values were recorded in."""
        if not other.n:
            return
        self.min = other.min if not self.n else min(self.min, other.min)
        self.max = max(self.max, other.max)
        self.n += other.n
        self.sum += other.sum
        counts = self.counts
        for bucket, times in other.counts.items():
            counts[bucket] = counts.get(bucket, 0) + times

    # --- what it says ------------------------------------------------------------------------------------------------

    def percentile(self, percent: float) -> int:
        """The value that ``percent`` of all values do not exceed (nearest rank); 0 where there is none."""
        if not self.n:
            return 0
        rank = max(1, math.ceil(self.n * percent / 100))
        seen = 0
        for bucket, times in self:
            seen += times
            if seen >= rank:
                return min(max(middle_of(bucket), self.min), self.max)
        raise AssertionError("the counts are fewer than n")

    @property
    def mean(self) -> float:
        """The exact mean; 0 where there is no value."""
        return self.sum / self.n if self.n else 0.0

    @property
    def stddev(self) -> float:
        """The standard deviation of the population, of values as their buckets tell them."""
        if not self.n:
            return 0.0
        middles = [(middle_of(bucket), times) for bucket, times in self]
        mean = sum(value * times for value, times in middles) / self.n
        return math.sqrt(sum(times * (value - mean) ** 2 for value, times in middles) / self.n)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Buckets and their counts, smallest first."""
        return iter(sorted(self.counts.items()))

    # --- as plain values ---------------------------------------------------------------------------------------------

    def encode(self) -> dict[str, Any]:
        """The form of ``report.json``: the buckets as a list of gap, count, gap, count."""
        counts: list[int] = []
        before = 0
        for bucket, times in self:
            counts += (bucket - before, times)
            before = bucket
        return {
            "layout": LAYOUT,
            "unit": "us",
            "sub_bits": SUB_BITS,
            "n": self.n,
            "min": self.min,
            "max": self.max,
            "sum": self.sum,
            "counts": counts,
        }

    @classmethod
    def decode(cls, found: Any) -> Histogram:
        """Read what `encode` wrote.

        Raises:
            ConfigError: it is not that, or its numbers contradict each other.
        """
        if not isinstance(found, dict) or found.get("layout") != LAYOUT or found.get("sub_bits") != SUB_BITS:
            raise ConfigError("histogram", f"is not of layout {LAYOUT} with {SUB_BITS} sub-bits")
        counts: Any = found.get("counts")
        numbers: Any = [found.get(key) for key in ("n", "min", "max", "sum")]
        if not whole_numbers(counts) or not whole_numbers(numbers) or len(counts) % 2:
            raise ConfigError("histogram", "its numbers are whole and not negative, its counts come in pairs")
        made = cls()
        made.n, made.min, made.max, made.sum = numbers
        bucket = 0
        for gap, times in zip(counts[::2], counts[1::2], strict=True):
            bucket += gap
            made.counts[bucket] = made.counts.get(bucket, 0) + times
        if sum(made.counts.values()) != made.n or made.min > made.max:
            raise ConfigError("histogram", "its counts do not add up to n")
        return made


def whole_numbers(values: Any) -> bool:
    """Is it a list of whole numbers that are not negative?"""
    return isinstance(values, Sequence) and all(type(value) is int and value >= 0 for value in values)
