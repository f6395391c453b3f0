"""Latencies: what was measured is told in milliseconds, what was not is not told, and nothing grows for ever."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.latencies import LONGEST_S, Latencies, note


def test_what_was_never_measured_is_not_zero():
    assert Latencies().statistics() == {}


def test_percentiles_in_milliseconds():
    latencies = Latencies()
    for number in range(1, 101):
        note(latencies.order, number / 1000)

    told = latencies.statistics()
    order = told["order"]
    assert list(told) == ["order"]
    assert (order.count, order.min_ms, order.max_ms, order.mean_ms) == (100, 1.0, 100.0, 50.5)
    assert [order.p50_ms, order.p90_ms, order.p99_ms] == pytest.approx([50, 90, 99], rel=0.004)
    assert msgspec.json.decode(msgspec.json.encode(told))["order"]["count"] == 100


@given(st.lists(st.floats(-1, 1e12), max_size=50))
def test_a_histogram_is_bounded_whatever_a_clock_says(seconds):
    latencies = Latencies()
    for each in (*seconds, float("inf")):
        note(latencies.ready, each)

    assert latencies.statistics()["ready"].max_ms == LONGEST_S * 1000
    assert latencies.statistics()["ready"].min_ms >= 0


def test_the_most_buckets_there_can_be():
    latencies = Latencies()
    for exponent in range(32):
        for step in range(256):
            note(latencies.history, (2**exponent * (1 + step / 256)) / 1e6)

    assert len(latencies.history.counts) <= 3300
