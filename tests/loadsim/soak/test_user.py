"""One user on a calm venue: it trades, reads and asks; a new start takes its orders along."""

from __future__ import annotations

import pytest
import trio

from loadsim.soak.habits import Habits, faster, has_ended, ssid_of
from loadsim.soak.orders import VenueEar, check_orders
from loadsim.soak.user import SoakUser
from loadsim.soak.verdict import Verdict
from loadsim.venue import Fault, FaultKind, VenueConfig, open_venue
from potrio.client.config import Config
from potrio.testing.network import MemoryNetwork

UID = 4711


@pytest.fixture
async def world(autojump_clock):
    network = MemoryNetwork(seed=5)
    async with open_venue(VenueConfig(seed=3, port=8080), seam=network) as venue:
        verdict = Verdict()
        ear = VenueEar(venue, verdict)
        config = Config(ssid=ssid_of(UID), url=venue.url, seam=network, journal="journal")
        habits = faster(Habits(pauses_per_hour=0.01, slow_s=5.0), 10.0)
        market = venue.exchange._market
        user = SoakUser(UID, habits, config, market=market, zone_s=7200, ear=ear, verdict=verdict, seed=1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(user.live)
            with trio.fail_after(60):
                await user.wait_open()
            yield user, ear, venue, network
            nursery.cancel_scope.cancel()


async def calm(user: SoakUser) -> None:
    user.works = False
    with trio.fail_after(200):
        while not user.is_settled():  # noqa: ASYNC110  # of many orders
            await trio.sleep(0.5)
    await trio.sleep(10)


async def test_a_user_on_a_calm_venue_breaks_nothing(world, autojump_clock):
    user, ear, venue, network = world
    user.works = True
    await trio.sleep(300)
    await calm(user)
    assert user.counts["orders"] > 10
    assert user.counts["pending orders"] > 2
    assert user.counts["answers"] > 5
    assert user.counts["ticks called back"] > 100
    assert user.ticks[1].gaps.get("overflow", 0) == 0
    assert user.candles[0].candles > 30
    check_orders(user.placed.values(), venue, ear, user._verdict)
    user.check_calm(network.wall())
    assert user._verdict.breaches == []
    user.forget()
    assert not user.placed
    assert not ear.deadlines


async def test_a_new_start_goes_on_with_the_orders_of_the_journal(world, autojump_clock):
    user, ear, venue, _ = world
    user.works = True
    while all(map(has_ended, [order.handle for order in user.placed.values()])):  # noqa: ASYNC110  # of many orders
        await trio.sleep(0.2)
    user.works = False
    before = user.client
    await user.start_anew()
    assert user.client is not before
    await calm(user)
    assert all(order.is_old for order in user.placed.values())
    check_orders(user.placed.values(), venue, ear, user._verdict)
    assert user._verdict.breaches == []


async def test_a_rejected_session_is_replaced_by_a_fresh_one(world, autojump_clock):
    user, _, venue, _ = world
    venue.exchange.plan.add((Fault(kind=FaultKind.REJECT_AUTH, uid=UID),))
    venue.exchange.hurt_at_once([Fault(kind=FaultKind.DROP, uid=UID)])
    await trio.sleep(20)
    assert user.counts["fresh ssid"] == 1
    assert user.client.phase.value == "ready"
