"""A direction of a connection: in order, later, held back, cut."""

from __future__ import annotations

import random

import trio

from loadsim.simulation.channel import Channel, Line, Weather
from loadsim.simulation.clock import SimClock


def run(main):
    clock = SimClock()
    trio.run(main, clock, clock=clock)


def test_what_is_sent_arrives_in_order_and_later():
    async def main(clock):
        channel = Channel(clock, Weather(0.1, 0.5, random.Random(1)))
        for number in range(20):
            channel.push(number)
        channel.finish()
        seen = []
        while not (channel.ended and not channel.ready):
            await channel.arrival()
            seen.extend(channel.ready)
            channel.ready.clear()
        assert seen == list(range(20))
        assert 0.1 <= trio.current_time() <= 0.6

    run(main)


def test_a_stall_holds_back_and_a_cut_loses():
    async def main(clock):
        line = Line(1, clock, Weather(0.1, 0, random.Random(1)), on_cut=lambda: None)
        line.stall()
        line.up.push("held")
        await trio.sleep(5)
        assert not line.up.ready
        line.resume()
        await trio.sleep(1)
        assert list(line.up.ready) == ["held"]
        line.up.push("lost")
        line.cut()
        await trio.sleep(1)
        assert list(line.up.ready) == ["held"]
        assert line.up.broken
        assert not line.is_open

    run(main)


def test_a_line_is_cut_after_so_much():
    async def main(clock):
        line = Line(1, clock, Weather(0, 0, random.Random(1)), on_cut=lambda: None)
        assert line.passing(5) is None
        line.cut_in = 7
        assert [line.passing(5), line.passing(5), line.passing(5)] == [None, 2, None]

    run(main)


def test_a_dead_line_loses_what_is_said_and_what_was_not_taken_and_tells_nobody():
    async def main(clock):
        line = Line(1, clock, Weather(0.1, 0, random.Random(1)), on_cut=lambda: None)
        line.up.push("arrived, not taken")
        await trio.sleep(1)
        line.up.push("on its way")
        line.down.push("on its way")
        line.up.die(arrives=False)
        line.down.die(arrives=True)
        line.up.push("said later")
        line.down.push("said later")
        line.finish()
        await trio.sleep(1)
        assert (list(line.up.ready), list(line.down.ready)) == ([], ["on its way"])
        assert (line.up.lost, line.up.in_flight, line.up.ended, line.down.ended) == (3, 0, False, False)

    run(main)


def test_what_a_stall_holds_back_dies_with_the_line():
    async def main(clock):
        line = Line(1, clock, Weather(0.1, 0, random.Random(1)), on_cut=lambda: None)
        line.stall()
        line.down.push("held")
        line.down.die(arrives=True)
        line.resume()
        await trio.sleep(1)
        assert (list(line.down.ready), line.down.in_flight, line.down.lost) == ([], 0, 1)

    run(main)
