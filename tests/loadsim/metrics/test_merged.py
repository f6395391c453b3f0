"""Merging reports: exact, independent of order and of how the run was divided; what is missing is known."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.metrics.delta import Delta
from loadsim.metrics.merged import WINDOW_MAX_S, Merged
from loadsim.metrics.recorder import Recorder

ACTIONS = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 9), st.floats(0, 3), st.sampled_from(["a", "b"]), st.booleans()
    ),
    max_size=60,
)


def deltas_of(actions: list[tuple[int, int, float, str, bool]], shards: int) -> list[Delta]:
    """Reports of a run whose actions are spread over so many shards."""
    recorders = [Recorder("r", shard) for shard in range(shards)]
    found = []
    for second in range(10):
        for shard, at, took, tag, fine in actions:
            if at == second:
                recorders[shard % shards].action(
                    "rtt",
                    {"event": tag},
                    intended_s=at,
                    started_s=at,
                    ended_s=at + took,
                    error=None if fine else "timeout",
                )
        found += [recorder.take_delta(float(second)) for recorder in recorders]
    return found


def sum_of(deltas: list[Delta]) -> Merged:
    merged = Merged()
    for delta in deltas:
        merged.add(Delta.decode(delta.encode()))
    return merged


@settings(deadline=None)
@given(ACTIONS, st.randoms(use_true_random=False))
def test_the_sum_does_not_depend_on_shards_order_or_repetition(
    actions: list[tuple], chance: random.Random
) -> None:
    one, three = deltas_of(actions, 1), deltas_of(actions, 3)
    shuffled = three + three[:5]
    chance.shuffle(shuffled)
    a, b = sum_of(one), sum_of(shuffled)

    assert {key: series.histograms for key, series in a.series.items()} == {
        key: series.histograms for key, series in b.series.items()
    }
    assert {key: series.outcomes for key, series in a.series.items()} == {
        key: series.outcomes for key, series in b.series.items()
    }
    assert [(row.ok, row.errors, row.p99_us) for row in a.timeline()] == [
        (row.ok, row.errors, row.p99_us) for row in b.timeline()
    ]
    assert b.duplicates == 5
    assert b.gaps == 0


def test_a_report_that_never_came_is_a_gap() -> None:
    deltas = deltas_of([], 1)
    del deltas[3]

    assert sum_of(deltas).gaps == 1


def test_a_shard_that_starts_again_is_another() -> None:
    merged = sum_of(deltas_of([], 1)[:4])
    again = Recorder("r", 0, incarnation=1)

    assert merged.add(again.take_delta(9.0))
    assert merged.shards[0].incarnation == 1


def test_a_window_holds_the_last_seconds_only() -> None:
    recorder, merged = Recorder("r", 0), Merged()
    for second in range(1, 31):
        recorder.observe("tick_gap", second * 1000)
        recorder.count("ticks", 2)
        merged.add(recorder.take_delta(float(second)))

    window = merged.select("tick_gap", window_s=10)
    assert window is not None
    assert (window.histograms["value"].n, window.histograms["value"].min) == (10, 21_000)
    assert merged.counted("ticks", window_s=10) == 20
    assert merged.counted("ticks") == 60


def test_old_reports_are_forgotten_but_not_their_sums() -> None:
    recorder, merged = Recorder("r", 0), Merged()
    seconds = int(WINDOW_MAX_S) + 200
    for second in range(seconds):
        recorder.action("rtt", intended_s=0, started_s=0, ended_s=0.1)
        merged.add(recorder.take_delta(float(second)))

    assert len(merged._recent) <= WINDOW_MAX_S + 1
    assert merged.select("rtt").count == seconds
    assert sum(row.ok for row in merged.timeline()) == seconds


def test_gauges_of_all_shards_add_up() -> None:
    merged = Merged()
    for shard in range(3):
        recorder = Recorder("r", shard)
        recorder.gauge("clients", 10 + shard)
        merged.add(recorder.take_delta(1.0))

    assert merged.gauge("clients") == 33
    assert [row.clients for row in merged.timeline()] == [33]


@pytest.mark.parametrize("tags", [{}, {"event": "a"}, {"event": "a", "lane": "mux"}])
def test_series_are_found_by_any_of_their_tags(tags: dict[str, str]) -> None:
    recorder, merged = Recorder("r", 0), Merged()
    recorder.action("rtt", {"event": "a", "lane": "mux"}, intended_s=0, started_s=0, ended_s=1)
    merged.add(recorder.take_delta(1.0))

    assert merged.select("rtt", tags) is not None
    assert merged.select("rtt", {"event": "b"}) is None
