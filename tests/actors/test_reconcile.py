"""What the venue's lists prove, and above all what they do not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from potrio.actors.evidence import Evidence, OrderIntent
from potrio.actors.reconcile import absent_from_closed, absent_from_opened, closes_at, looks_like, resembles
from potrio.limits import ORDER_ACK_TIMEOUT
from potrio.protocol.messages.trading import Deal, Side
from potrio.protocol.server_clock import ServerClock

WRITTEN = 1_770_000_000.0
CLOCK = ServerClock()
CLOCK.observe(WRITTEN + 7200, WRITTEN)
UNMEASURED = ServerClock()
INTENT = OrderIntent(
    request_id="r1",
    asset="EURUSD_otc",
    side=Side.PUT,
    amount=Decimal(10),
    duration_s=60,
    is_demo=True,
    created_wall=WRITTEN,
    expires_at=10.0,
)


def written() -> Evidence:
    evidence = Evidence(INTENT)
    evidence.written(epoch=1, at=5.0, wall=WRITTEN)
    return evidence


def deal(opened: float = WRITTEN, duration: int = 60, **changes) -> Deal:
    stamp = int(CLOCK.to_stamp(opened))
    fields = {
        "id": "d1",
        "open_timestamp": stamp,
        "close_timestamp": stamp + duration,
        "amount": Decimal(10),
        "profit": Decimal(9),
        "percent_profit": 90,
        "open_price": 1.1,
        "command": 1,
        "asset": "EURUSD_otc",
    }
    return Deal(**{**fields, **changes})


@pytest.mark.parametrize(
    ("candidate", "like"),
    [
        (deal(), True),
        (deal(WRITTEN + 29), True),
        (deal(WRITTEN + 31), False),
        (deal(WRITTEN - 1), True),
        (deal(WRITTEN - 4), False),
        (deal(duration=30), False),
        (deal(command=0), False),
        (deal(asset="GBPUSD_otc"), False),
        (deal(amount=Decimal("10.01")), False),
    ],
)
def test_a_deal_without_an_id_is_ours_only_if_it_is_just_like_it(candidate, like):
    assert looks_like(candidate, written(), CLOCK) is like


def test_an_order_never_written_owns_nothing():
    assert not looks_like(deal(), Evidence(INTENT), CLOCK)
    assert not absent_from_opened(Evidence(INTENT), WRITTEN + 20, CLOCK)
    assert not absent_from_closed(Evidence(INTENT), [], WRITTEN + 1000, CLOCK)


@pytest.mark.parametrize(
    ("age", "proof"),
    [(0, False), (ORDER_ACK_TIMEOUT - 0.1, False), (ORDER_ACK_TIMEOUT, True), (59, True), (60, False)],
)
def test_open_deals_prove_absence_between_arrival_and_expiry(age, proof):
    assert absent_from_opened(written(), WRITTEN + age, CLOCK) is proof


def test_closed_deals_prove_absence_only_after_the_latest_possible_close():
    assert not absent_from_closed(written(), [], WRITTEN + 89, CLOCK)
    assert absent_from_closed(written(), [], WRITTEN + 90, CLOCK)


def test_a_full_closed_list_must_reach_back_to_before_the_order():
    newer = [deal(WRITTEN + 10, id=f"d{n}") for n in range(20)]
    assert not absent_from_closed(written(), newer, WRITTEN + 500, CLOCK)
    older = [*newer[:19], deal(WRITTEN - 100, id="old")]
    assert absent_from_closed(written(), older, WRITTEN + 500, CLOCK)


def test_a_clock_that_was_never_measured_proves_nothing():
    assert not looks_like(deal(), written(), UNMEASURED)
    assert not absent_from_opened(written(), WRITTEN + 20, UNMEASURED)
    assert not absent_from_closed(written(), [], WRITTEN + 1000, UNMEASURED)


def test_a_deal_closes_by_our_own_reckoning_until_the_venues_clock_is_known():
    evidence = written()
    evidence.join(deal(WRITTEN + 3))
    assert closes_at(evidence, CLOCK) == pytest.approx(WRITTEN + 63, abs=1.1)
    assert closes_at(evidence, UNMEASURED) == WRITTEN + 60


def test_while_a_clock_of_ours_has_jumped_nothing_is_proved_and_what_matches_still_matches():
    clock = ServerClock()
    clock.observe(WRITTEN + 7200, WRITTEN)
    clock.doubt(3600.0, WRITTEN + 15)
    assert not absent_from_opened(written(), WRITTEN + 15, clock)
    assert not absent_from_closed(written(), [], WRITTEN + 1000, clock)
    assert looks_like(deal(), written(), clock)
    for second in range(16, 27):
        clock.observe(WRITTEN + second + 7200, WRITTEN + second)  # it was set, and that is no news
    assert absent_from_opened(written(), WRITTEN + 15, clock)
    assert absent_from_closed(written(), [], WRITTEN + 1000, clock)


def test_an_order_written_between_waking_up_and_the_first_tick_is_looked_for_where_it_is():
    clock = ServerClock()
    clock.observe(WRITTEN - 10 + 7200, WRITTEN - 10)
    clock.doubt(3600.0, WRITTEN - 1)  # it slept for an hour, and does not know that yet
    assert clock.observe(WRITTEN + 3601 + 7200, WRITTEN + 1) == 3600.0
    now = WRITTEN + 3605
    assert looks_like(deal(WRITTEN + 3600.0), written(), clock)
    assert not looks_like(deal(), written(), clock)
    assert not absent_from_closed(written(), [], now, clock), "it was written five seconds ago, not an hour"
    assert not absent_from_opened(written(), now, clock)
    assert absent_from_opened(written(), now + 10, clock)
    assert absent_from_closed(written(), [], now + 100, clock)


@pytest.mark.parametrize(
    ("away_s", "is_like"), [(-121, False), (-120, True), (-3, True), (31, True), (121, False)]
)
def test_a_deal_that_is_like_it_in_all_but_its_time_leaves_the_question_open(
    away_s: float, is_like: bool
) -> None:
    clock = ServerClock()
    clock.observe(WRITTEN + 7200, WRITTEN)
    assert resembles(deal(WRITTEN + away_s), written(), clock) is is_like
    assert not looks_like(deal(WRITTEN + away_s), written(), clock)
    assert not resembles(deal(WRITTEN + away_s, asset="OTHER_otc"), written(), clock)
