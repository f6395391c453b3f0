"""Chance as a pure function: the same for ever, and looking like chance."""

from __future__ import annotations

import statistics

from hypothesis import given
from hypothesis import strategies as st

from loadsim.venue.noise import Noise, mix


def test_mix_never_changes() -> None:
    """A number that changed would change every market ever made from a seed."""
    assert mix(1, 2, 3) == 0x8A1E934639F8544
    assert Noise(7).bits() == 0x6A9216023FD7DC5D
    assert Noise(7, 1).unit() == 0.0791748742901307


@given(st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=5))
def test_mix_is_64_bits_and_depends_on_order(parts: list[int]) -> None:
    assert 0 <= mix(*parts) < 1 << 64
    if parts != parts[::-1] and [p % 2**64 for p in parts] != [p % 2**64 for p in parts[::-1]]:
        assert mix(*parts) != mix(*reversed(parts))


def test_unit_and_below_stay_inside_and_fill_their_range() -> None:
    noise = Noise(3)
    units = [noise.unit() for _ in range(4000)]
    assert 0 <= min(units) < 0.01
    assert 0.99 < max(units) < 1
    assert {Noise(index).below(7) for index in range(200)} == set(range(7))


def test_normal_has_the_moments_of_a_bell() -> None:
    noise = Noise(9)
    drawn = [noise.normal() for _ in range(8000)]
    assert abs(statistics.fmean(drawn)) < 0.05
    assert 0.95 < statistics.pstdev(drawn) < 1.05
    assert max(map(abs, drawn)) < 3.5
