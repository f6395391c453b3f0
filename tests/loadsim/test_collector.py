"""The collector is rare in the block, as before afterwards, and a swarm's worth of objects brings no full pass."""

from __future__ import annotations

import gc

import pytest

from loadsim.collector import THRESHOLDS, unhurried_collector


def full_passes() -> int:
    return int(gc.get_stats()[2]["collections"])


def test_it_is_as_before_afterwards_however_the_block_ends() -> None:
    before = gc.get_threshold()
    with pytest.raises(KeyError), unhurried_collector():
        assert gc.get_threshold() == THRESHOLDS
        raise KeyError
    assert gc.get_threshold() == before


def test_three_hundred_thousand_objects_more_are_no_reason_to_stop_for_all() -> None:
    with unhurried_collector():
        before = full_passes()
        kept = [[number] for number in range(300_000)]
        assert full_passes() == before
    assert len(kept) == 300_000
