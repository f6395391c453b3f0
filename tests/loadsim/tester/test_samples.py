"""Percentiles are exact, by nearest rank, of any number of values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadsim.tester.samples import PhaseRecord, Sample, percentile


def test_a_percentile_of_few_is_not_their_highest() -> None:
    assert percentile(range(1, 21), 95) == 19
    assert percentile(range(1, 101), 95) == 95
    assert percentile([7.0], 95) == 7.0
    assert percentile([], 95) == 0.0
    assert percentile([3, 1, 2], 0) == 1


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.floats(0.1, 100))
def test_so_many_percent_do_not_exceed_it(values: list[float], percent: float) -> None:
    found = percentile(values, percent)

    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-6
    assert sum(value < found for value in values) < len(values) * percent / 100 + 1e-6


def test_both_clocks() -> None:
    sample = Sample("ping", 1.0, 3.0, 3.5)

    assert (sample.duration_s, sample.response_s) == (0.5, 2.5)


def test_a_phase_begins_with_nothing_of_another() -> None:
    one, two = (
        PhaseRecord(name="x", clients=1, operation_delay=1, planned=1, started_s=2.0, ended_s=5.0)
        for _ in range(2)
    )
    one.samples.append(Sample("ping", 0, 0, 0))

    assert two.samples == []
    assert one.duration_s == 3.0
