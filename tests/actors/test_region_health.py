"""Health of addresses: measured order, cool-down, and a host that only fails is the last, however fast it fails."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.region_health import RegionHealth, RegionRecord
from potrio.limits import REGION_COOLDOWN_BASE, REGION_COOLDOWN_CAP
from potrio.protocol.regions import REGIONS, Region

A, B, C = (Region(name, f"wss://{name}.test/", is_demo=True) for name in "abc")


def names(regions) -> str:
    return "".join(region.name for region in regions)


def test_untried_addresses_keep_the_order_of_the_table():
    assert RegionHealth().ranked(REGIONS, 0.0) == list(REGIONS)


def test_the_one_that_worked_last_comes_first_then_the_faster():
    health = RegionHealth()
    health.worked(A, 0.1)
    health.worked(C, 0.3)
    assert names(health.ranked([A, B, C], 0.0)) == "cab"
    health.worked(B, 0.2)
    assert names(health.ranked([A, B, C], 0.0)) == "bac"


def test_a_host_that_only_fails_ranks_last_also_when_it_has_cooled_down():
    """The seed's pool took a failure for a connect time of 0, so that the dead host was the best."""
    health = RegionHealth()
    health.worked(B, 9.0)
    for _ in range(3):
        health.failed(A, now=0.0)
    assert names(health.ranked([A, B, C], 1.0)) == "bca"
    assert names(health.ranked([A, B, C], 10_000.0)) == "bca"


def test_the_last_good_one_loses_its_place_by_a_failure_and_gets_it_back_by_working():
    health = RegionHealth()
    health.worked(A, 0.1)
    health.failed(A, now=5.0)
    assert names(health.ranked([A, B], 5.0)) == "ba"
    health.worked(A, 0.1)
    assert names(health.ranked([A, B], 5.0)) == "ab"
    assert health.of(A) == RegionRecord(connects=2, failures=1, connect_s=0.1)


def test_the_cool_down_grows_up_to_its_cap():
    health = RegionHealth()
    pauses = []
    for _ in range(12):
        health.failed(A, now=100.0)
        pauses.append(health.of(A).cooling_until - 100.0)
    assert pauses[:3] == [REGION_COOLDOWN_BASE, 2 * REGION_COOLDOWN_BASE, 4 * REGION_COOLDOWN_BASE]
    assert pauses[-1] == REGION_COOLDOWN_CAP
    assert pauses == sorted(pauses)


def test_the_connect_time_is_an_average_that_follows():
    health = RegionHealth()
    for _ in range(50):
        health.worked(A, 1.0)
    assert health.of(A).connect_s == pytest.approx(1.0)
    health.worked(A, 2.0)
    assert 1.0 < health.of(A).connect_s < 1.5


@given(
    st.lists(st.tuples(st.sampled_from([A, B, C]), st.one_of(st.none(), st.floats(0.001, 10))), max_size=40)
)
def test_ranking_is_a_permutation_and_who_never_failed_in_a_row_is_before_who_did(story):
    health, now = RegionHealth(), 0.0
    for region, connect_s in story:
        now += 1.0
        if connect_s is None:
            health.failed(region, now)
        else:
            health.worked(region, connect_s)
    ranked = health.ranked([A, B, C], now)
    assert sorted(names(ranked)) == ["a", "b", "c"]
    failing = [health.of(region).failures_in_a_row > 0 for region in ranked]
    assert failing == sorted(failing)
    if health.last_good is not None:
        assert ranked[0].url == health.last_good
