"""Ends of a connection: bytes in pieces, a cut in the middle, an end in order."""

from __future__ import annotations

import random

import pytest
import trio

from loadsim.simulation.channel import Line, Weather
from loadsim.simulation.clock import SimClock
from loadsim.simulation.ends import ByteEnd, MessageEnd
from loadsim.simulation.history import History
from potrio.errors import ConnectionBroken, ConnectionClosed


def run(main):
    clock = SimClock()

    async def begin():
        line = Line(1, clock, Weather(0.01, 0.01, random.Random(1)), on_cut=lambda: None)
        await main(line, History(clock))

    trio.run(begin, clock=clock)


def byte_ends(line, history):
    chance = random.Random(1)
    return (
        ByteEnd(">", line, line.up, line.down, history, chance),
        ByteEnd("<", line, line.down, line.up, history, chance),
    )


def test_bytes_arrive_whole_whatever_the_pieces():
    async def main(line, history):
        one, other = byte_ends(line, history)
        for _ in range(20):
            await one.send_all(b"abcdef")
        await one.aclose()
        found = b""
        while data := await other.receive_some(7):
            found += data
        assert found == 20 * b"abcdef"
        with pytest.raises(trio.ClosedResourceError):
            await one.send_all(b"x")

    run(main)


def test_a_cut_in_the_middle_of_a_write_breaks_both_ends():
    async def main(line, history):
        one, other = byte_ends(line, history)
        line.cut_in = 3
        await one.send_all(b"abcdef")
        with pytest.raises(trio.BrokenResourceError):
            await other.receive_some(10)
        with pytest.raises(trio.BrokenResourceError):
            await one.send_all(b"x")

    run(main)


def test_messages_and_both_kinds_of_end():
    async def main(line, history):
        one = MessageEnd(">", line, line.up, line.down, history)
        other = MessageEnd("<", line, line.down, line.up, history)
        await one.send(["a", b"b"])
        assert await other.receive() == ["a", b"b"]
        await one.aclose()
        with pytest.raises(ConnectionClosed):
            await one.receive()
        with pytest.raises(ConnectionBroken):
            await other.receive()
        assert one.statistics().messages_sent == 2

    run(main)
