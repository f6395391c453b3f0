"""Invariants I1 to I11 of the order book: a machine that searches, permutations that confuse, cases that hit.

The machine checks after each of its steps; each invariant has a test of its own, put where it is most likely to break.
Plain calls in a world of lists (`order_world`): thousands of runs in seconds.
"""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from potrio.actors.evidence import OrderIntent, OrderState
from potrio.actors.link import Written
from potrio.protocol.messages.trading import (
    ClosedDeals,
    DealsClosed,
    OpenedDeals,
    OrderFailed,
    OrderOpened,
    Side,
)

from .conftest import ASSET, OTHER, deal
from .order_world import AT_STAKE, Desk, World

DURATIONS = (5, 60, 900)
EXAMPLES = 2000


def intent(
    world, number: int, asset=ASSET, side=Side.CALL, amount=10, duration=60, valid_for=5.0
) -> OrderIntent:
    return OrderIntent(
        request_id=f"r{number}",
        asset=asset,
        side=side,
        amount=Decimal(amount),
        duration_s=duration,
        is_demo=True,
        created_wall=world.clock.wall(),
        expires_at=world.clock.now() + valid_for,
    )


def place(world, **terms):
    world.placed += 1
    world.hear(intent(world, world.placed, **terms))
    return world.book.handles[f"r{world.placed}"]


# --- what always holds -----------------------------------------------------------------------------------------------


def check(world: World) -> None:
    """I1, I3, I4, I5, I6, I7 and I10 for this moment."""
    book = world.book
    assert all(times <= 1 for times in world.writes.values()), "I1"
    owned = [evidence.deal.id for evidence in book.orders.values() if evidence.deal is not None]
    assert len(owned) == len(set(owned)), "I3: a deal of two orders"
    assert {id: rid for id, rid in book.owner.items() if id in owned} == {
        evidence.deal.id: rid for rid, evidence in book.orders.items() if evidence.deal is not None
    }, "I3: the two directions differ"
    assert not set(owned) & set(book.external), "I4: owned and external"
    assert world.told_deals <= set(owned) | set(book.external), "I4: a deal is lost"
    exposure = Decimal(0)
    for rid, handle in book.handles.items():
        state, real = handle.state, world.deals.get(f"d-{rid}")
        if rid in world.settled:
            assert (state, handle.deal) == (OrderState.SETTLED, world.settled[rid]), "I5"
        if state is OrderState.SETTLED:
            world.settled[rid] = handle.deal
            assert handle.deal == real, "the venue's own result"
        if state is OrderState.VOID:
            assert real is None, "I6: the venue has it"
        if state is OrderState.REJECTED:
            assert rid in world.refused, "I7: the venue did not refuse it"
        if state in AT_STAKE:
            exposure += handle.intent.amount
        if real is not None and not real.is_closed:
            assert state in AT_STAKE or not world.writes[rid], "I10: money at stake that is not shown"
        if handle.deal is not None:
            assert handle.deal.id == f"d-{rid}", "somebody else's deal"
    assert book.exposure() == exposure, "I10"


def check_end(world: World) -> None:
    """I9 in the end everything has ended; I10 profits add up to the venue's; I11 the same log gives the same book."""
    world.become_calm()
    check(world)
    truth = {rid: one.profit for one in world.closed_deals() if (rid := world.mine.get(one.id)) is not None}
    told = {rid: h.deal.profit for rid, h in world.book.handles.items() if h.state is OrderState.SETTLED}
    assert told == truth, "I10: the balance has moved by another sum"
    again = Desk()
    again.replay(world.heard)
    assert again.digest() == world.digest(), "I11"


class OrderBookMachine(RuleBasedStateMachine):
    """Everything that can happen to orders, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.done = 0

    @initialize()
    def begin(self):
        self.world.up()

    @rule(other=st.booleans(), put=st.booleans(), duration=st.sampled_from(DURATIONS), patient=st.booleans())
    def place(self, other, put, duration, patient):
        if self.world.placed < 8:
            asset, side = OTHER if other else ASSET, Side.PUT if put else Side.CALL
            place(self.world, asset=asset, side=side, duration=duration, valid_for=30.0 if patient else 2.0)

    @rule(
        fate=st.sampled_from(["accept", "accept", "refuse", "lost"]), latency=st.sampled_from([0.0, 0.3, 6.9])
    )
    def answer(self, fate, latency):
        self.world.answer(fate, latency)

    @rule(times=st.sampled_from([1, 2, 10]), copies=st.sampled_from([1, 1, 2]))
    def deliver(self, times, copies):
        self.world.deliver(times, copies)

    @rule()
    def lose(self):
        self.world.lose()

    @rule(seconds=st.sampled_from([0.2, 3.0, 11.0, 70.0]))
    def wait(self, seconds):
        self.world.advance(seconds)

    @rule()
    def reconnect(self):
        self.world.down()
        self.world.up()

    @rule()
    def down(self):
        self.world.down()

    @rule()
    def up(self):
        self.world.up()

    @rule()
    def outsider(self):
        self.world.outsider(1)

    @rule()
    def crash(self):
        self.world.hear("crash")

    @invariant()
    def holds(self):
        check(self.world)

    def teardown(self):
        check_end(self.world)


def test_the_machine_finds_nothing():
    run_state_machine_as_test(
        OrderBookMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# --- confluence ------------------------------------------------------------------------------------------------------


def two_in_doubt() -> Desk:
    """Two orders written on a link that is gone, and a new link on which the venue's news of them may come anyhow."""
    desk = World()
    desk.up()
    for asset in (ASSET, OTHER):
        place(desk, asset=asset)
        desk.answer("lost")
    desk.down()
    desk.up()
    desk.clock.time += 20.0
    return desk


def news() -> list:
    one, two = deal("d-r1"), deal("d-r2", asset=OTHER)
    won = deal("d-r1", profit=9, close_price=1.2)
    lost = deal("d-r2", asset=OTHER, profit=-10, close_price=1.0)
    stranger = deal("x", amount=77)
    gone = deal("x", amount=77, profit=-77, close_price=1.0)
    return [
        OrderOpened(one, "r1"),
        OrderOpened(two, "r2"),
        OrderOpened(stranger),
        OpenedDeals([one, two, stranger]),
        OpenedDeals([two]),
        DealsClosed(None, [won]),
        DealsClosed(None, [lost, gone]),
        ClosedDeals([lost, won]),
        ClosedDeals([gone]),
        OrderFailed(error="no", asset=ASSET, amount=Decimal(10)),
    ]


def states(desk) -> tuple:
    book = desk.book
    handles = {rid: (handle.state, handle.deal) for rid, handle in book.handles.items()}
    return handles, dict(book.owner), dict(book.external)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(st.sampled_from(range(len(news()))), unique=True, max_size=10),
    st.lists(st.integers(0, 9), max_size=6),
    st.randoms(use_true_random=False),
)
def test_i8_confluence(chosen, repeated, chance):
    """Any permutation and any duplication of the same news gives the same states, owners and deals."""
    told = news()
    first = two_in_doubt()
    for which in chosen:
        first.hear(told[which])
    mixed = chosen + [which for which in repeated if which in chosen]
    chance.shuffle(mixed)
    second = two_in_doubt()
    for which in mixed:
        second.hear(told[which])
    assert states(second) == states(first)


def test_i8_the_last_message_does_not_win():
    """The directed case: what is told as open after it was told as closed stays closed."""
    desk = two_in_doubt()
    won = deal("d-r1", profit=9, close_price=1.2)
    for message in (OrderOpened(deal("d-r1"), "r1"), DealsClosed(None, [won]), OpenedDeals([deal("d-r1")])):
        desk.hear(message)
    assert states(desk)[0]["r1"] == (OrderState.SETTLED, won)


def test_i8_a_close_without_a_price_counts_before_the_order_is_known():
    desk = World()
    desk.up()
    handle = place(desk)
    desk.answer("lost")
    desk.hear(DealsClosed(None, [deal("d-r1", profit=9)]))
    assert handle.state is OrderState.SENT
    desk.hear(OrderOpened(deal("d-r1"), "r1"))
    assert handle.state is OrderState.SETTLED


# --- each one where it is most likely to break -----------------------------------------------------------------------


@pytest.mark.parametrize("after", ["handed over", "written"])
def test_i1_at_most_once_over_crashes_and_links(after):
    world = World()
    world.up()
    place(world, valid_for=1000.0)
    if after == "written":
        world.answer("lost")
    for _ in range(5):
        world.hear("crash")
        world.down()
        world.up()
        world.deliver(100)
        world.advance(0.1)
    assert world.writes["r1"] + len(world.outstanding) <= 1
    check_end(world)


def test_i2_an_order_that_is_held_is_not_handed_over():
    """The book's half of "journal before wire": what may not leave does not; `tests/actors/test_order_journal.py`."""
    world = World()
    world.up()
    world.clerk.sending.may_leave = lambda request_id: False
    handle = place(world)
    world.advance(1)
    assert not world.outstanding
    world.advance(10)
    assert handle.state is OrderState.DENIED
    assert not world.writes


def test_i3_injective_when_the_venue_names_two_orders_for_one_deal():
    desk = two_in_doubt()
    desk.hear(OrderOpened(deal("d-r1"), "r1"))
    desk.hear(OrderOpened(deal("d-r1"), "r2"))
    assert desk.book.owner == {"d-r1": "r1"}
    assert desk.book.orders["r2"].deal is None
    assert desk.book.anomalies_total == 1


def test_i4_conservation_when_a_deal_changes_hands():
    desk = two_in_doubt()
    alike = deal("guess")
    desk.hear(OpenedDeals([alike]))
    assert desk.book.owner == {"guess": "r1"}
    desk.hear(OrderOpened(deal("d-r1"), "r1"))
    assert (desk.book.owner, list(desk.book.external)) == ({"d-r1": "r1"}, ["guess"])


def test_i5_absorbing_a_correction_of_the_profit_is_never_silent():
    desk = two_in_doubt()
    desk.hear(DealsClosed(None, [deal("d-r1", profit=9, close_price=1.2)]))
    handle = desk.book.handles["r1"]
    assert handle.state is OrderState.SETTLED
    told: list = []
    desk.told = desk.clock.tell = told.append
    desk.hear(ClosedDeals([deal("d-r1", profit=-10, close_price=1.2)]))
    assert (handle.state, handle.deal.profit) == (OrderState.SETTLED, 9)
    (anomaly,) = desk.book.anomalies
    assert anomaly.text == "settled with 9, then reported with -10"
    assert told == [anomaly], "the event"


@pytest.mark.parametrize("latency", [0.5, 6.9])
def test_i6_no_false_void_when_the_request_outlives_its_link(latency):
    world = World()
    world.up()
    handle = place(world, duration=900)
    world.answer("accept", latency)
    world.down()
    for _ in range(4):
        world.up()
        world.deliver(100)
        world.advance(1.5)
        world.down()
        check(world)
    assert handle.state is not OrderState.VOID
    check_end(world)
    assert handle.state is OrderState.SETTLED


def test_i6_absence_is_judged_by_when_the_list_was_taken():
    """Two lists taken before the request arrived, and delivered long after: they prove nothing."""
    world = World()
    world.up()
    handle = place(world, duration=900)
    world.answer("accept", 6.9)
    world.down()
    world.up()
    stale = [OpenedDeals([]), OpenedDeals([])]
    world.wire.clear()
    for late in stale:
        world.advance(12)
        world.hear(late)
        assert handle.state is not OrderState.VOID, "I6"
    check_end(world)


def test_i7_no_false_rejected_a_refusal_of_an_earlier_link_hits_nobody():
    """Failures are matched within their epoch: the order of the link before is not in flight any more."""
    world = World()
    world.up()
    first = place(world)
    world.answer("accept", 3.0)
    world.down()
    world.up()
    world.hear(OrderFailed(error="no", asset=ASSET, amount=Decimal(10)))
    assert first.state is OrderState.UNKNOWN
    second = place(world, amount=11)
    world.answer("accept", 3.0)
    world.hear(OrderFailed(error="no", asset=ASSET, amount=Decimal(11)))
    assert (first.state, second.state) == (OrderState.UNKNOWN, OrderState.REJECTED)


def test_i7_a_refusal_is_soft_evidence_and_gives_way_to_a_deal():
    desk = two_in_doubt()
    third = place(desk, amount=12)
    desk.hear(Written("r3", desk.link.epoch, desk.clock.now(), desk.clock.wall()))
    desk.hear(OrderFailed(error="no", asset=ASSET, amount=Decimal(12)))
    assert third.state is OrderState.REJECTED
    assert desk.book.exposure() == 20
    desk.hear(OrderOpened(deal("d-r3", amount=12), "r3"))
    assert third.state is OrderState.OPEN
    assert desk.book.exposure() == 32
    assert [anomaly.request_id for anomaly in desk.book.anomalies] == ["r3"]


@pytest.mark.parametrize("duration", DURATIONS)
def test_i9_liveness_two_lists_past_the_grace_end_every_doubt(duration):
    world = World()
    world.up()
    handle = place(world, duration=duration)
    world.answer("lost")
    world.down()
    world.up()
    world.deliver(100)
    waited = 0.0
    while not handle.state.ended:
        world.advance(1)
        waited += 1
        if world.resync:
            world.down()
            world.up()
        world.deliver(100)
        assert waited < 120, "I9"
    assert handle.state is OrderState.VOID


def test_i10_money_what_is_reserved_follows_the_state():
    world = World()
    world.up()
    place(world, amount=10, duration=5)
    place(world, asset=OTHER, amount=7, duration=5)
    assert world.book.exposure() == 0
    world.answer("accept")
    world.answer("refuse")
    assert world.book.exposure() == 17
    world.advance(0.1)
    world.deliver(100)
    assert world.book.exposure() == 10
    world.advance(5)
    assert world.book.handles["r1"].state is OrderState.SETTLING
    assert world.book.exposure() == 10
    world.deliver(100)
    assert world.book.exposure() == 0
    check_end(world)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_i11_determinism_of_a_long_random_life(seed):
    """The same log gives the same book, to the last timestamp, whatever was in it."""
    chance, world = random.Random(seed), World()
    world.up()
    for _ in range(60):
        match chance.randrange(8):
            case 0:
                place(world, asset=chance.choice([ASSET, OTHER]), duration=chance.choice(DURATIONS))
            case 1:
                world.answer(chance.choice(["accept", "refuse", "lost"]), chance.choice([0.0, 5.0]))
            case 2 | 3:
                world.deliver(chance.randrange(1, 5), chance.randrange(1, 3))
            case 4:
                world.advance(chance.choice([0.5, 7.0, 61.0]))
            case 5:
                world.down()
                world.up()
            case 6:
                world.outsider(chance.randrange(5))
            case _:
                world.hear("crash")
        check(world)
    check_end(world)


def test_parallel_orders_each_get_their_own_answer():
    """N orders on N assets, answers in any order: N right answers."""
    world = World()
    world.up()
    assets = [f"A{n}_otc" for n in range(40)]
    for n, asset in enumerate(assets):
        place(world, asset=asset, amount=10 + n, duration=60)
    while world.outstanding:
        world.answer(
            "refuse" if len(world.outstanding) % 5 == 0 else "accept", (len(world.outstanding) * 7 % 40) / 10
        )
    world.advance(5)
    random.Random(1).shuffle(world.wire)
    world.deliver(1000)
    for n, asset in enumerate(assets):
        handle = world.book.handles[f"r{n + 1}"]
        if handle.state is OrderState.OPEN:
            assert (handle.deal.asset, handle.deal.amount) == (asset, 10 + n)
        else:
            assert handle.state is OrderState.REJECTED
            assert handle.request_id in world.refused
    assert len(world.refused) == 8
    check_end(world)
