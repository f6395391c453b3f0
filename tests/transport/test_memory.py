"""What is special to the pair in memory: whole inboxes, back-pressure, a network that can be cut."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from potrio.errors import ConnectionBroken, ConnectionClosed
from potrio.transport.memory import memory_transport_pair


async def test_trios_own_checks(as_byte_stream):
    async def make():
        one, other = memory_transport_pair()
        return as_byte_stream(one), as_byte_stream(other)

    await trio.testing.check_two_way_stream(make, None)


async def test_a_receive_takes_all_that_is_there():
    one, other = memory_transport_pair()
    await one.send(["a", b"b"])
    await one.send(["c"])

    assert await other.receive() == ["a", b"b", "c"]
    assert (one.statistics().writes, other.statistics().reads) == (2, 1)


async def test_a_full_inbox_makes_the_sender_wait():
    one, other = memory_transport_pair(capacity=2)
    await one.send(["a"])
    await one.send(["b", "c", "d"])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.send, ["e"])
        await trio.testing.wait_all_tasks_blocked()

        assert await other.receive() == ["a", "b", "c", "d"]
        assert await other.receive() == ["e"]


async def test_a_waiting_send_that_is_cancelled_sends_nothing():
    one, other = memory_transport_pair(capacity=1)
    await one.send(["a"])
    with trio.move_on_after(0.01):
        await one.send(["ghost"])
    assert await other.receive() == ["a"]
    await one.send(["b"])

    assert await other.receive() == ["b"]
    assert one.statistics().messages_sent == 2


@pytest.mark.parametrize("how", ["close", "peer-closes", "sever"])
async def test_the_end_wakes_a_waiting_sender(how):
    one, other = memory_transport_pair(capacity=1)
    await one.send(["a"])
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send():
            with pytest.raises(ConnectionClosed) as caught:
                await one.send(["b"])
            assert isinstance(caught.value, ConnectionBroken) == (how != "close")

        await trio.testing.wait_all_tasks_blocked()
        if how == "sever":
            other.sever()
        else:
            await (one if how == "close" else other).aclose()


async def test_a_cut_line_breaks_both_ends_but_loses_nothing_that_has_arrived():
    one, other = memory_transport_pair()
    await one.send(["arrived"])
    one.sever()
    one.sever()

    assert await other.receive() == ["arrived"]
    for end in (one, other):
        for call in (end.receive, lambda end=end: end.send(["x"])):
            with pytest.raises(ConnectionBroken, match="lost"):
                await call()
        await end.aclose()


async def test_the_counters_are_those_of_a_wire():
    one, other = memory_transport_pair()
    await one.send(["ab", b"c" * 126])
    await other.receive()
    await one.aclose()
    ours, theirs = one.statistics(), other.statistics()

    assert (ours.bytes_sent, ours.frames_sent, ours.messages_sent) == (4 + 130 + 4, 3, 2)
    assert (theirs.bytes_received, theirs.frames_received, theirs.messages_received) == (138, 3, 2)


async def test_it_runs_in_virtual_time(autojump_clock):
    one, other = memory_transport_pair()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send():
            for number in range(3):
                await trio.sleep(3600)
                await one.send([str(number)])

        received = [await other.receive() for _ in range(3)]

    assert received == [["0"], ["1"], ["2"]]
    assert trio.current_time() == 3 * 3600
