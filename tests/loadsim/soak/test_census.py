"""The census finds what hangs on a client, however deep, and tells a leak from what has a bound."""

from __future__ import annotations

from collections import deque

import msgspec
import pytest

from loadsim.soak.census import BOUNDS, Census, census, objects, resident_mb, slope
from potrio.actors.latencies import LONGEST_S, note
from potrio.histogram import Histogram
from potrio.seam import REAL


class Leaf:
    __module__ = "potrio.planted"
    __slots__ = ("rows",)

    def __init__(self, rows: list[int]) -> None:
        self.rows = rows


class Row(msgspec.Struct):
    __module__ = "potrio.planted"
    names: set[str]


class Root:
    __module__ = "potrio.planted"

    def __init__(self) -> None:
        self.leaves = {"a": [Leaf([1, 2, 3])], "b": [Leaf([1])]}
        self.queue = deque([Row({"x", "y"})])
        self.itself = self


def test_containers_in_attributes_slots_and_structs_are_found_by_where_they_hang():
    assert census([Root()]) == {"Root.leaves": 2, "Leaf.rows": 3, "Root.queue": 1, "Row.names": 2}


def test_what_is_not_ours_is_not_gone_into():
    assert census([Root()], packages=("trio.",)) == {}


def grown(lengths: list[int], bounds: dict[str, int] | None = None) -> list[str]:
    root, look = Root(), Census(bounds or {})
    for length in lengths:
        root.queue = deque([None] * length)
        look.take([root])
    return look.breaches()


def test_a_container_that_grows_on_and_on_is_a_leak():
    assert grown([0, 10, 20, 30, 40]) == ["Root.queue grows on and on: 0 ... 40 in 5 looks"]


@pytest.mark.parametrize("lengths", [[40] * 5, [0, 40, 40, 40, 40], [0, 100, 3, 90, 20], [0, 5, 10, 20, 30]])
def test_what_comes_and_goes_or_stays_is_none(lengths):
    assert grown(lengths) == []


def test_a_known_bound_may_be_filled_but_not_passed():
    assert grown([0, 50, 100], {"Root.queue": 100}) == []
    assert grown([0, 50, 101], {"Root.queue": 100}) == ["Root.queue has 101 entries, its bound is 100"]


def test_the_bound_of_a_histogram_is_that_of_the_longest_that_is_noted():
    histogram, value = Histogram(), 0
    while value < 2 * LONGEST_S * 1e6:
        note(histogram, value / 1e6)
        value += max(1, value // 300)
    assert BOUNDS["Histogram.counts"] * 0.9 < len(histogram.counts) <= BOUNDS["Histogram.counts"]


def test_who_never_looked_has_seen_nothing():
    assert Census().breaches() == ["nobody looked"]


def test_objects_and_memory_are_those_of_this_process():
    before = objects()
    kept = [[] for _ in range(10_000)]
    assert 9_000 < objects() - before < 11_000
    assert len(kept) == 10_000
    assert 5 < resident_mb(REAL) < 10_000


def test_a_slope_is_that_of_the_line_of_least_squares():
    assert slope([(0, 1), (1, 3), (2, 5)]) == pytest.approx(2)
    assert slope([(0, 0), (1, 1), (2, 0), (3, 1)]) == pytest.approx(0.2)
    assert slope([(1, 5)]) == slope([]) == slope([(1, 2), (1, 3)]) == 0
