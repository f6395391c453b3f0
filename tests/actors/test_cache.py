"""The cache against a model: what it holds, in which order it forgets, and that its counters add up."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from potrio.actors.cache import Cache

CAPACITY, TTL_S = 3, 10
KEYS = st.integers(0, 5)


class CacheMachine(RuleBasedStateMachine):
    """The model: a list of (key, value, put at), the least recently used first."""

    def __init__(self) -> None:
        super().__init__()
        self.cache: Cache[int, int] = Cache(CAPACITY, TTL_S)
        self.model: list[tuple[int, int, int]] = []
        self.now = self.value = self.new = self.asked = self.found = 0

    def young(self) -> list[tuple[int, int, int]]:
        return [entry for entry in self.model if self.now - entry[2] < TTL_S]

    @rule(seconds=st.integers(0, 12))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(key=KEYS)
    def put(self, key: int) -> None:
        self.value += 1
        self.cache.put(key, self.value, self.now)
        if all(key != entry[0] for entry in self.model):
            self.new += 1
            if len(self.model) >= CAPACITY:
                self.model = self.young() if len(self.young()) < len(self.model) else self.model[1:]
        self.model = [entry for entry in self.model if entry[0] != key] + [(key, self.value, self.now)]

    @rule(key=KEYS)
    def get(self, key: int) -> None:
        entry = next((entry for entry in self.young() if entry[0] == key), None)
        assert self.cache.get(key, self.now) == (None if entry is None else entry[1])
        self.asked += 1
        self.found += entry is not None
        self.model = [other for other in self.model if other[0] != key] + ([] if entry is None else [entry])

    @rule(odd=st.one_of(st.none(), st.booleans()))
    def invalidate(self, odd: bool | None) -> None:
        def stale(key: int) -> bool:
            return odd is None or key % 2 == odd

        gone = sum(stale(entry[0]) for entry in self.model)
        assert self.cache.invalidate(None if odd is None else stale) == gone
        self.model = [entry for entry in self.model if not stale(entry[0])]

    @invariant()
    def adds_up(self) -> None:
        facts = self.cache.statistics()
        assert facts.size == len(self.cache) == len(self.model) <= CAPACITY
        assert (facts.hits, facts.hits + facts.misses) == (self.found, self.asked)
        assert facts.size + facts.evicted + facts.expired + facts.invalidated == self.new


CacheMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
test_cache_is_its_model = CacheMachine.TestCase


def test_the_least_recently_used_goes_first():
    cache: Cache[str, int] = Cache(2, 100)
    cache.put("a", 1, 0)
    cache.put("b", 2, 0)
    assert cache.get("a", 1) == 1
    cache.put("c", 3, 2)
    assert (cache.get("a", 3), cache.get("b", 3), cache.get("c", 3)) == (1, None, 3)
    assert cache.statistics().evicted == 1


def test_a_value_is_never_handed_out_at_its_ttl():
    cache: Cache[str, int] = Cache(2, 10)
    cache.put("a", 1, 5)
    assert cache.get("a", 14.999) == 1
    assert cache.get("a", 15.0) is None
    assert (cache.statistics().expired, len(cache)) == (1, 0)


@pytest.mark.parametrize(("capacity", "ttl_s"), [(0, 1), (-1, 1), (1, 0), (1, -1), (1, float("nan"))])
def test_without_room_or_time_there_is_no_cache(capacity, ttl_s):
    with pytest.raises(ValueError, match="room and time"):
        Cache(capacity, ttl_s)
