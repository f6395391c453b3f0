"""The histogram: merging is exact and forgets nothing, and percentiles are those of the values, to 0.4 %."""

from __future__ import annotations

import json
import math
import random
from statistics import pstdev

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import ConfigError
from potrio.histogram import Histogram, bucket_of, middle_of

VALUES = st.lists(st.integers(0, 2**45), max_size=200)
ERROR = 1 / 256


def of(values: list[int]) -> Histogram:
    made = Histogram()
    for value in values:
        made.record(value)
    return made


def exact(values: list[int], percent: float) -> int:
    return sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]


@given(st.integers(0, 2**60))
def test_a_bucket_stands_for_its_values(value: int) -> None:
    assert abs(middle_of(bucket_of(value)) - value) <= value * ERROR


@given(st.integers(0, 2**40))
def test_buckets_are_in_the_order_of_values(value: int) -> None:
    assert bucket_of(value) <= bucket_of(value + 1) <= bucket_of(value) + 1


@given(VALUES.filter(bool), st.floats(0, 100))
def test_percentiles_are_those_of_the_values(values: list[int], percent: float) -> None:
    wanted = exact(values, percent)

    assert abs(of(values).percentile(percent) - wanted) <= wanted * ERROR


@given(VALUES, VALUES, VALUES)
def test_merging_is_counting_everything_in_one_in_any_order(a: list[int], b: list[int], c: list[int]) -> None:
    together = of(a + b + c)
    for order in ((a, b, c), (c, a, b), (b, c, a)):
        merged = Histogram()
        for each in order:
            merged.merge(of(each))
        assert merged == together


@given(VALUES)
def test_what_is_written_is_read_back(values: list[int]) -> None:
    made = of(values)

    assert Histogram.decode(json.loads(json.dumps(made.encode()))) == made


@given(VALUES.filter(bool))
def test_mean_is_exact_and_deviation_close(values: list[int]) -> None:
    made = of(values)

    assert made.mean == sum(values) / len(values)
    assert made.stddev == pytest.approx(pstdev(values), abs=max(values) * 2 * ERROR)


def test_agrees_with_hdrhistogram() -> None:
    generator = random.Random(1)
    values = [int(generator.lognormvariate(7, 1.5)) + 1 for _ in range(20_000)]
    reference = HdrHistogram(1, 10**9, 3)
    for value in values:
        reference.record_value(value)

    for percent in (1, 50, 90, 99, 99.9, 99.99):
        assert of(values).percentile(percent) == pytest.approx(
            reference.get_value_at_percentile(percent), rel=2 * ERROR
        )


def test_nothing_recorded() -> None:
    empty = Histogram()

    assert (empty.n, empty.percentile(99), empty.mean, empty.stddev) == (0, 0, 0.0, 0.0)


def test_a_value_that_came_several_times() -> None:
    made = Histogram()
    made.record(7, 3)

    assert made == of([7, 7, 7])


def test_a_clock_that_went_back_counts_as_nothing() -> None:
    assert of([-5]) == of([0])


@pytest.mark.parametrize(
    "change",
    [
        {"layout": "other/1"},
        {"sub_bits": 5},
        {"counts": [1]},
        {"counts": [1, -1]},
        {"counts": "ab"},
        {"n": 3},
        {"sum": 1.5},
        {"min": 9, "max": 1},
    ],
)
def test_what_is_not_a_histogram_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="histogram"):
        Histogram.decode(of([1]).encode() | change)


def test_neither_is_something_else() -> None:
    with pytest.raises(ConfigError):
        Histogram.decode([1, 2])
