"""The turnstile: the order of lanes, deadlines that cannot be met told at once, bounds, and when to look again."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.limiter import UNLIMITED, Lane, Rate, RateLimits, Rates
from potrio.actors.turnstile import Late, Turnstile
from potrio.limits import RATE_HOLD_MAX


def turnstile(capacity: int = 1000, **rates: Rate) -> Turnstile[str]:
    every = {name: UNLIMITED for name in ("messages", "orders", "subscriptions", "requests")} | rates
    return Turnstile(RateLimits(Rates(**every), Rates.unlimited()).gate("a", "v", 0.0), capacity)


def test_orders_then_what_never_waits_then_subscriptions_then_requests():
    waiting = turnstile()
    for item, lane in (
        ("history", Lane.REQUESTS),
        ("stream", Lane.SUBSCRIPTIONS),
        ("ps", None),
        ("order", Lane.ORDERS),
    ):
        assert waiting.add(item, lane)
    assert list(waiting.leaving(0.0)) == ["order", "ps", "stream", "history"]
    assert waiting.wake_at == math.inf
    assert len(waiting) == 0


def test_within_a_lane_first_in_is_first_out():
    waiting = turnstile()
    for item in "abc":
        waiting.add(item, None)
        waiting.add(f"order {item}", Lane.ORDERS)
    assert list(waiting.leaving(0.0)) == ["order a", "order b", "order c", "a", "b", "c"]


def test_what_never_waits_passes_a_lane_that_is_held_up():
    waiting = turnstile(messages=Rate(1.0, 1), orders=Rate(1.0, 1))
    for number in range(3):
        waiting.add(f"order {number}", Lane.ORDERS)
    waiting.add("ps", None)
    assert list(waiting.leaving(0.0)) == ["order 0", "ps"]
    waiting.add("ps", None)
    assert list(waiting.leaving(0.1)) == ["ps"]


def test_it_says_when_to_look_again():
    waiting = turnstile(orders=Rate(2.0, 1))
    waiting.add("first", Lane.ORDERS)
    waiting.add("second", Lane.ORDERS)
    assert list(waiting.leaving(10.0)) == ["first"]
    assert waiting.wake_at == 10.5
    assert list(waiting.leaving(10.5)) == ["second"]
    assert waiting.wake_at == math.inf


def test_a_deadline_that_cannot_be_met_is_told_at_once():
    waiting = turnstile(requests=Rate(1.0, 1))
    for item, expires_at in (("a", math.inf), ("b", 0.5), ("c", 1.5), ("d", 1.5), ("e", math.inf)):
        waiting.add(item, Lane.REQUESTS, expires_at)
    left = list(waiting.leaving(0.0))
    assert left == ["a", Late("b", Lane.REQUESTS, 1.0), Late("d", Lane.REQUESTS, 2.0)]
    assert list(waiting.leaving(1.0)) == ["c"]
    assert list(waiting.leaving(2.0)) == ["e"]


def test_a_deadline_that_has_passed_is_told_even_where_there_is_room():
    waiting = turnstile()
    waiting.add("late", Lane.ORDERS, 5.0)
    assert list(waiting.leaving(5.1)) == [Late("late", Lane.ORDERS, 0.0)]


def test_an_order_is_not_held_long_whatever_its_own_deadline():
    waiting = turnstile(orders=Rate(0.1, 1))
    waiting.add("now", Lane.ORDERS)
    waiting.add("in ten seconds", Lane.ORDERS)
    assert list(waiting.leaving(0.0)) == ["now", Late("in ten seconds", Lane.ORDERS, 10.0)]
    assert RATE_HOLD_MAX < 10.0


def test_bounds_are_for_what_can_be_repeated():
    waiting = turnstile(capacity=2)
    for lane in (None, Lane.SUBSCRIPTIONS, Lane.REQUESTS):
        assert [waiting.add("x", lane) for _ in range(3)] == [True, True, False]
    assert all(waiting.add("order", Lane.ORDERS) for _ in range(5))


def test_clear_gives_everything_back_and_leaves_the_queues_of_the_limiter():
    limits = RateLimits(Rates(requests=Rate(1.0, 1)), Rates.unlimited())
    lost, other = (Turnstile[str](limits.gate("a", "v", 0.0)) for _ in range(2))
    for item, lane in (("r1", Lane.REQUESTS), ("r2", Lane.REQUESTS), ("ps", None)):
        lost.add(item, lane)
    assert list(lost.leaving(0.0)) == ["ps", "r1"]
    assert lost.wake_at == 1.0
    lost.add("order", Lane.ORDERS)
    assert lost.clear() == ["order", "r2"]
    assert lost.wake_at == math.inf  # nothing waits: whoever sleeps until then has nothing to wake for
    other.add("r3", Lane.REQUESTS)
    assert list(other.leaving(1.0)) == ["r3"]


@given(
    items=st.lists(
        st.tuples(st.sampled_from([None, *Lane]), st.floats(0.0, 20.0), st.floats(0.0, 3.0)), max_size=40
    ),
    burst=st.integers(1, 5),
)
def test_everything_leaves_once_in_the_order_of_its_lane_and_in_time(items, burst):
    waiting = turnstile(messages=Rate(4.0, burst), orders=Rate(2.0, burst))
    now, out = 0.0, []

    def collect():
        for left in waiting.leaving(now):
            late = isinstance(left, Late)
            out.append(left.item if late else left)
            _, _, expires_at = out[-1]
            assert late or now <= expires_at, "nothing leaves after its deadline"

    for number, (lane, life, pause) in enumerate(items):
        now += pause
        waiting.add((number, lane, now + life), lane, math.inf if lane is None else now + life)
        collect()
    for _ in range(1000):
        if waiting.wake_at == math.inf:
            break
        now = waiting.wake_at
        collect()
    assert len(waiting) == 0
    assert sorted(number for number, _, _ in out) == list(range(len(items)))
