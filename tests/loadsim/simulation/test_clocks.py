"""A machine that sleeps and a venue whose clock goes wrong: what moves, what stands still, and what is told of it."""

from __future__ import annotations

import pytest
import trio

from loadsim.simulation.clock import SimClock
from loadsim.simulation.clocks import SKEW_MAX_S, Clocks
from loadsim.simulation.history import History
from loadsim.simulation.ledger import VenueLedger
from loadsim.simulation.network import SimNetwork
from loadsim.venue.config import VenueConfig
from loadsim.venue.server import open_venue


def in_world(run):
    """Run a function of the clocks, the network and the venue in a world of their own."""
    clock = SimClock()
    history = History(clock)
    network = SimNetwork(1, clock, history, level="message", latency="near")

    async def main():
        async with open_venue(VenueConfig(seed=1, port=8080), seam=network) as venue:
            ledger = VenueLedger(venue, history, lambda: None)
            await run(Clocks(network, venue, ledger), network, venue, ledger)

    trio.run(main, clock=clock)


def test_sleep_puts_both_wall_clocks_forward_and_no_deadline():
    async def run(clocks, network, venue, ledger):
        before = network.now(), network.wall(), venue.exchange._clock.unix()
        clocks.sleep(3600.0)
        after = network.now(), network.wall(), venue.exchange._clock.unix()
        assert [round(b - a, 6) for a, b in zip(before, after, strict=True)] == [0.0, 3600.0, 3600.0]
        assert network.utc() == network.wall()

    in_world(run)


def test_a_doze_is_the_same_and_holds_back_what_is_said_meanwhile():
    async def run(clocks, network, venue, ledger):
        dialled = network._line()
        dead = network._line()
        dead.stall()
        wall, unix, now = network.wall(), venue.exchange._clock.unix(), network.now()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clocks.doze, 20.0)
            await trio.sleep(0.003)
            assert network._line().is_stalled
            assert dialled.is_stalled
            assert network.wall() - wall < 1  # not before it wakes up
        passed = network.now() - now
        assert passed < 0.1
        assert network.wall() - wall == pytest.approx(20 + passed)
        assert venue.exchange._clock.unix() - unix == pytest.approx(20 + passed)
        assert [line.is_stalled for line in network.lines] == [False, True, False]

    in_world(run)


@pytest.mark.parametrize("by_s", [20.0, -20.0])
def test_the_venues_clock_goes_wrong_no_further_than_it_may_and_is_set_right(by_s):
    async def run(clocks, network, venue, ledger):
        leaps = []
        clocks.on_leap = lambda since, until: leaps.append((since, until))
        wrong = venue.exchange._clock.unix() - network.utc()
        first = await clocks.go_wrong(by_s)
        second = await clocks.go_wrong(by_s)
        assert (first, abs(second), abs(clocks.skew_s)) == (by_s, SKEW_MAX_S - 20.0, SKEW_MAX_S)
        assert venue.exchange._clock.unix() - network.utc() == pytest.approx(wrong + clocks.skew_s)
        await clocks.set_right(first + second)
        assert clocks.skew_s == 0.0
        assert venue.exchange._clock.unix() - network.utc() == pytest.approx(wrong)
        assert len(leaps) == 3

    in_world(run)


def test_the_ledger_knows_what_the_venues_clock_showed_before():
    async def run(clocks, network, venue, ledger):
        await trio.sleep(5)
        shown = venue.exchange._clock.unix()
        at = network.now()
        await trio.sleep(5)
        clocks.sleep(600.0)
        await clocks.go_wrong(-7.0)
        assert ledger.utc_at(at) == pytest.approx(shown)
        assert ledger.utc_at(network.now()) == pytest.approx(venue.exchange._clock.unix())

    in_world(run)
