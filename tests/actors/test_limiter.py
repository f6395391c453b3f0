"""The limiter: shared budgets, lanes in their order, places kept, and a venue that says it is too much."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.limiter import (
    UNLIMITED,
    Gate,
    Lane,
    LaneStatistics,
    Rate,
    RateLimits,
    Rates,
    account_of,
    address_of,
    check_rate,
    lane_of,
    refused_lane,
)
from potrio.errors import ConfigError, RateLimited
from potrio.limits import RATE_BACK_OFF, RATE_BACK_OFF_MAX, RATE_HOLD_MAX, RATE_WAIT_MIN
from potrio.protocol.ssid import parse_ssid
from potrio.secrets import Secret

OPEN = Rates.unlimited()


def limits(**rates: Rate) -> RateLimits:
    return RateLimits(
        account=Rates(
            **{name: UNLIMITED for name in ("messages", "orders", "subscriptions", "requests")} | rates
        ),
        address=OPEN,
    )


def drain(gate: Gate, lane: Lane, now: float) -> int:
    sent = 0
    while gate.ask(lane, now) == 0.0:
        sent += 1
    gate.withdraw(lane)
    return sent


def test_the_sessions_of_one_account_share_its_budget():
    shared = limits(requests=Rate(1.0, 10))
    one, two, other = (shared.gate(account, "venue", 0.0) for account in ("a", "a", "b"))
    assert drain(one, Lane.REQUESTS, 0.0) == 10
    assert drain(two, Lane.REQUESTS, 0.0) == 0
    assert drain(other, Lane.REQUESTS, 0.0) == 10


def test_the_accounts_of_one_address_share_its_budget():
    shared = RateLimits(account=OPEN, address=Rates(orders=Rate(1.0, 10)))
    gates = [shared.gate(account, "venue", 0.0) for account in range(3)]
    assert sum(drain(gate, Lane.ORDERS, 0.0) for gate in gates) == 10
    assert drain(shared.gate(0, "another venue", 0.0), Lane.ORDERS, 0.0) == 10


def test_two_objects_share_nothing():
    first, second = limits(orders=Rate(1.0, 1)), limits(orders=Rate(1.0, 1))
    assert drain(first.gate("a", "v", 0.0), Lane.ORDERS, 0.0) == 1
    assert drain(second.gate("a", "v", 0.0), Lane.ORDERS, 0.0) == 1


def test_a_flood_of_requests_leaves_half_of_the_messages_to_those_above():
    shared = limits(messages=Rate(1.0, 100))
    gate = shared.gate("a", "v", 0.0)
    assert drain(gate, Lane.REQUESTS, 0.0) == 50
    assert drain(gate, Lane.SUBSCRIPTIONS, 0.0) == 25
    assert drain(gate, Lane.ORDERS, 0.0) == 25


def test_who_waits_in_a_higher_lane_has_its_token_kept():
    shared = limits(messages=Rate(1.0, 1))
    history, trader = shared.gate("a", "v", 0.0), shared.gate("a", "v", 0.0)
    assert history.ask(Lane.REQUESTS, 0.0) == 0.0
    assert history.ask(Lane.REQUESTS, 0.0) == pytest.approx(1.0)
    assert trader.ask(Lane.ORDERS, 0.5) == pytest.approx(0.5), "it goes before what has waited longer"
    assert history.ask(Lane.REQUESTS, 1.0) == pytest.approx(1.0)
    assert trader.ask(Lane.ORDERS, 1.0) == 0.0
    assert history.ask(Lane.REQUESTS, 2.0) == 0.0


@pytest.mark.parametrize("burst", [1, 2, 3])
@pytest.mark.parametrize("held_up", ["by the venue", "by its own rate"])
def test_a_lane_that_is_held_up_for_its_own_reasons_starves_none_below(burst, held_up):
    shared = limits(messages=Rate(10.0, burst), orders=Rate(0.01, 1))
    traders = [shared.gate("a", "v", 0.0) for _ in range(3)]
    history = shared.gate("a", "v", 0.0)
    assert traders[0].ask(Lane.ORDERS, 0.0) == 0.0
    if held_up == "by the venue":
        shared = limits(messages=Rate(10.0, burst))
        traders = [shared.gate("a", "v", 0.0) for _ in range(3)]
        history = shared.gate("a", "v", 0.0)
        for _ in range(9):
            traders[0].refused(Lane.ORDERS, 0.0)
    for trader in traders:
        assert trader.ask(Lane.ORDERS, 0.0) > 0.9
    now, sent = 0.5, 0
    while now < 0.9:
        sent += history.ask(Lane.REQUESTS, now) == 0.0
        now += 0.1
    assert sent >= 4
    assert traders[0].ask(Lane.ORDERS, 200.0) == 0.0


def test_a_lane_is_first_come_first_served_over_all_sessions():
    shared = limits(requests=Rate(1.0, 1))
    gates = [shared.gate("a", "v", 0.0) for _ in range(3)]
    assert gates[0].ask(Lane.REQUESTS, 0.0) == 0.0
    assert [round(gate.ask(Lane.REQUESTS, 0.0)) for gate in gates] == [1, 2, 3]
    assert gates[2].ask(Lane.REQUESTS, 1.0) > 0.0, "there is a token, but it is not this one's"
    assert gates[0].ask(Lane.REQUESTS, 1.0) == 0.0
    assert gates[0].ask(Lane.REQUESTS, 2.0) > 0.0, "the first one queues up again, behind"
    assert gates[1].ask(Lane.REQUESTS, 2.0) == 0.0


def test_a_place_that_is_given_up_or_closed_holds_nobody_up():
    shared = limits(requests=Rate(1.0, 1))
    gone, dead, here = (shared.gate("a", "v", 0.0) for _ in range(3))
    assert here.ask(Lane.REQUESTS, 0.0) == 0.0
    for gate in (gone, dead, here):
        assert gate.ask(Lane.REQUESTS, 0.0) > 0.0
    gone.withdraw(Lane.REQUESTS)
    dead.close()
    dead.close()
    assert here.ask(Lane.REQUESTS, 1.0) == 0.0


def test_a_forecast_takes_nothing_and_counts_ahead():
    gate = limits(orders=Rate(2.0, 2)).gate("a", "v", 0.0)
    assert [gate.forecast(Lane.ORDERS, 0.0, count) for count in (1, 2, 3, 5)] == [0.0, 0.0, 0.5, 1.5]
    assert drain(gate, Lane.ORDERS, 0.0) == 2


def test_no_wait_is_too_short_to_be_waited_for():
    gate = limits(orders=Rate(1e6, 1)).gate("a", "v", 0.0)
    assert gate.ask(Lane.ORDERS, 0.0) == 0.0
    assert gate.ask(Lane.ORDERS, 0.0) == RATE_WAIT_MIN


@given(
    asks=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(Lane), st.floats(0.0, 2.0)), max_size=120),
    burst=st.integers(1, 20),
    rate=st.floats(0.5, 20.0),
)
def test_all_sessions_together_never_exceed_the_budget(asks, burst, rate):
    shared = RateLimits(
        account=Rates(messages=Rate(rate, burst), orders=Rate(rate / 2, burst)), address=Rates.unlimited()
    )
    gates = [shared.gate("a", "v", 0.0) for _ in range(4)]
    now, sent = 0.0, []
    for number, lane, pause in asks:
        now += pause
        if gates[number].ask(lane, now) == 0.0:
            sent.append((now, lane))
    for some, per_second in ((sent, rate), ([s for s in sent if s[1] is Lane.ORDERS], rate / 2)):
        for first, (start, _) in enumerate(some):
            for count, (at, _) in enumerate(some[first:], start=1):
                assert count <= burst + per_second * (at - start) + 1e-6


@given(
    lanes=st.lists(st.sampled_from(Lane), min_size=1, max_size=12),
    burst=st.integers(1, 6),
    rate=st.floats(1.0, 20.0),
)
def test_everybody_who_waits_as_told_has_a_turn(lanes, burst, rate):
    shared = limits(messages=Rate(rate, burst))
    waiting = [(shared.gate("a", "v", 0.0), lane, 0.0) for lane in lanes]
    rounds = 0
    while waiting:
        rounds += 1
        assert rounds < 1000, "somebody starves"
        waiting.sort(key=lambda entry: entry[2])
        gate, lane, now = waiting.pop(0)
        wait = gate.ask(lane, now)
        if wait > 0.0:
            waiting.append((gate, lane, now + wait))


# --- the venue says that it is too much ------------------------------------------------------------------------------


def test_a_refusal_holds_one_lane_up_for_all_sessions_of_the_account():
    shared = limits()
    one, two, other = (shared.gate(account, "v", 0.0) for account in ("a", "a", "b"))
    one.refused(Lane.REQUESTS, 10.0)
    assert two.ask(Lane.REQUESTS, 10.0) == pytest.approx(RATE_BACK_OFF)
    assert two.ask(Lane.ORDERS, 10.0) == 0.0
    assert other.ask(Lane.REQUESTS, 10.0) > 0.0, "it comes from the same address"
    assert shared.gate("b", "w", 10.0).ask(Lane.REQUESTS, 10.0) == 0.0
    assert two.ask(Lane.REQUESTS, 10.0 + RATE_BACK_OFF) == 0.0


def test_refusals_in_a_row_double_the_silence_and_those_under_way_count_once():
    gate = limits().gate("a", "v", 0.0)
    now, silences = 0.0, []
    for _ in range(9):
        for _ in range(5):
            gate.refused(Lane.ORDERS, now)
        silences.append(gate.forecast(Lane.ORDERS, now))
        now += silences[-1]
    assert silences[:4] == [RATE_BACK_OFF, 2 * RATE_BACK_OFF, 4 * RATE_BACK_OFF, 8 * RATE_BACK_OFF]
    assert silences[-1] == RATE_BACK_OFF_MAX
    gate.refused(Lane.ORDERS, now + RATE_BACK_OFF_MAX + 1)
    assert gate.forecast(Lane.ORDERS, now + RATE_BACK_OFF_MAX + 1) == RATE_BACK_OFF, "that was long ago"


# --- the rest --------------------------------------------------------------------------------------------------------


def test_budgets_outlive_sessions_but_not_for_ever():
    shared = limits(requests=Rate(1.0, 5))
    gate = shared.gate("a", "v", 0.0)
    assert drain(gate, Lane.REQUESTS, 0.0) == 5
    gate.close()
    again = shared.gate("a", "v", 1.0)
    assert drain(again, Lane.REQUESTS, 1.0) == 1, "a new session has no new budget"
    again.close()
    for number in range(1000):
        shared.gate(number, number, 1000.0 + number).close()
    assert len(shared._budgets) <= 2


def test_statistics_count_sent_waited_and_denied():
    shared = limits(orders=Rate(1.0, 1))
    gate = shared.gate("a", "v", 0.0)
    gate.ask(Lane.ORDERS, 0.0)
    gate.ask(Lane.ORDERS, 0.0)
    gate.ask(Lane.ORDERS, 0.5)
    gate.ask(Lane.ORDERS, 1.0)
    gate.denied(Lane.ORDERS)
    assert shared.statistics()[Lane.ORDERS] == LaneStatistics(sent=2, waited=1, denied=1)
    assert shared.statistics()[Lane.REQUESTS] == LaneStatistics(0, 0, 0)


def test_lanes_of_events():
    assert lane_of("ps") is lane_of("auth") is lane_of("ping-server") is None
    assert lane_of("openOrder") is lane_of("cancelPendingOrders") is Lane.ORDERS
    assert lane_of("changeSymbol") is lane_of("unsubfor") is Lane.SUBSCRIPTIONS
    assert lane_of("loadHistoryPeriod") is lane_of("what nobody knows") is Lane.REQUESTS


def test_accounts_and_addresses_are_told_apart():
    demo = parse_ssid(
        Secret('42["auth",{"session":"a0test0session0of0potrio0x","isDemo":1,"uid":7,"platform":2}]')
    )
    live = msgspec.structs.replace(demo, is_demo=False)
    again = parse_ssid(
        Secret('42["auth",{"session":"another0session0of0the0same","isDemo":1,"uid":7,"platform":2}]')
    )
    assert account_of(demo) == account_of(again) != account_of(live)
    assert "session" not in repr(account_of(demo))
    assert address_of(None) == address_of(None)
    assert address_of("wss://A.example/x") == address_of("wss://a.example/y") != address_of(None)


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (math.nan, 1), (1, 0), (1, math.nan)])
def test_a_rate_that_cannot_be(rate, burst):
    with pytest.raises(ConfigError):
        Rate(rate, burst)


def test_check_rate_refuses_only_what_has_to_wait_too_long():
    check_rate(Lane.ORDERS, 0.0, now=10.0, wall=0.0, until=9.0)
    check_rate(Lane.ORDERS, 1.0, now=10.0, wall=0.0, until=11.0)
    check_rate(Lane.REQUESTS, 60.0, now=0.0, wall=0.0, until=math.inf, patience=math.inf)
    for lane, wait, until in ((Lane.ORDERS, 1.5, 11.0), (Lane.REQUESTS, RATE_HOLD_MAX + 1, math.inf)):
        with pytest.raises(RateLimited) as refused:
            check_rate(lane, wait, now=10.0, wall=1000.0, until=until)
        assert (refused.value.retry_at, refused.value.retry_in_s) == (1000.0 + wait, wait)
        assert lane.name.lower() in str(refused.value)


@pytest.mark.parametrize(
    ("name", "payload", "lane"),
    [
        ("failopenOrder", b'{"error":"TOO_MANY_REQUESTS","amount":1}', Lane.ORDERS),
        ("failloadHistoryPeriod", b'"too many requests"', Lane.REQUESTS),
        ("failchangeSymbol", b'{"error":"Rate limit exceeded"}', Lane.SUBSCRIPTIONS),
        ("failopenOrder", b'{"error":"MaxDemoTrades","amount":10}', None),
        ("failopenOrder", b"", None),
        ("failps", b'"too_many_requests"', None),
    ],
)
def test_which_refusals_mean_that_it_was_too_much(name, payload, lane):
    assert refused_lane(name, payload) is lane
