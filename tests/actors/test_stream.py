"""Streams: policies, batches, ends, and that a waiting reader loses nothing."""

from __future__ import annotations

from collections import deque

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.stream import Gap, Stream
from potrio.errors import ClientFailed, StreamOverflow


def numbers(capacity: int = 4, policy: str = "ring") -> Stream:
    return Stream(
        capacity=capacity, policy=policy, gap=lambda n: Gap("overflow", dropped=n), key=lambda n: n % 3
    )


async def test_items_come_in_order():
    stream = numbers()
    stream.extend([1, 2, 3])
    assert [await stream.receive() for _ in range(3)] == [1, 2, 3]


async def test_a_full_ring_drops_the_oldest_and_says_so_once():
    stream = numbers(capacity=2)
    stream.extend([1, 2, 3, 4, 5])
    assert await stream.receive() == Gap("overflow", dropped=3)
    assert [await stream.receive(), await stream.receive()] == [4, 5]
    assert stream.statistics().dropped == 3


async def test_a_batch_takes_everything_at_hand_gap_first():
    stream = numbers(capacity=2)
    stream.extend([1, 2, 3])
    assert await stream.receive_batch() == [Gap("overflow", dropped=1), 2, 3]
    stream.push(4)
    assert await stream.receive_batch() == [4]


async def test_latest_keeps_the_newest_of_each_key():
    stream = numbers(policy="latest")
    stream.extend([0, 1, 3, 4, 6])
    assert await stream.receive_batch() == [6, 4]
    stream.extend([2, 5])
    assert await stream.receive() == 5


async def test_lossless_ends_the_reader_not_the_feed():
    stream = numbers(capacity=2, policy="lossless")
    stream.extend([1, 2, 3])
    assert [await stream.receive(), await stream.receive()] == [1, 2]
    with pytest.raises(StreamOverflow):
        await stream.receive()


async def test_a_reader_waits_and_is_woken(autojump_clock):
    stream = numbers()
    seen = []

    async def read():
        seen.extend([item async for item in stream])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep(1)
        stream.push(7)
        await trio.sleep(1)
        stream.end()
    assert seen == [7]


async def test_what_waits_can_be_read_after_the_end():
    stream = numbers()
    stream.push(1)
    stream.end(ClientFailed("gone"))
    assert await stream.receive() == 1
    with pytest.raises(ClientFailed):
        await stream.receive()


async def test_closing_wakes_the_reader_and_unsubscribes(autojump_clock):
    closed = []
    stream: Stream = Stream(on_close=lambda: closed.append(True))

    async def close_soon():
        await trio.sleep(1)
        await stream.aclose()
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(close_soon)
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive()
    assert closed == [True]


async def test_two_readers_are_refused(autojump_clock):
    stream = numbers()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 5)

        async def first():
            await stream.receive()

        nursery.start_soon(first)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await stream.receive()
        stream.push(1)


async def test_a_cancelled_wait_loses_nothing(autojump_clock):
    stream = numbers()
    for n in range(50):
        with trio.move_on_after(1):
            await stream.receive()
        stream.push(n)
        assert await stream.receive() == n


async def test_a_full_stream_lets_other_tasks_run():
    stream = numbers(capacity=10)
    others = 0

    async def other():
        nonlocal others
        while True:
            others += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        for _ in range(1_000_000):
            stream.push(1)
            await stream.receive()
            if others > 10:
                break
        nursery.cancel_scope.cancel()
    assert others > 10


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_stream_needs_room(capacity):
    with pytest.raises(ValueError, match="capacity"):
        Stream(capacity=capacity)


def test_latest_needs_a_key():
    with pytest.raises(ValueError, match="key"):
        Stream(policy="latest")


@given(
    st.lists(st.one_of(st.integers(0, 99), st.sampled_from(["read", "batch"])), max_size=60),
    st.integers(1, 5),
)
async def test_everything_pushed_is_delivered_or_counted_in_a_gap(steps, capacity):
    stream = numbers(capacity=capacity)
    model: deque[int] = deque()
    missing = 0
    for step in steps:
        if isinstance(step, int):
            stream.push(step)
            model.append(step)
            if len(model) > capacity:
                model.popleft()
                missing += 1
        elif model:
            got = [await stream.receive()] if step == "read" else await stream.receive_batch()
            if missing:
                assert got.pop(0) == Gap("overflow", dropped=missing)
                missing = 0
            assert got == [model.popleft() for _ in got]
            if step == "batch":
                assert not model


@given(
    st.lists(
        st.one_of(st.lists(st.integers(0, 99), max_size=12), st.sampled_from(["read", "batch", "close"])),
        max_size=20,
    ),
    st.integers(1, 6),
    st.sampled_from(["ring", "latest", "lossless"]),
)
async def test_to_extend_is_to_push_each(steps, capacity, policy):
    """The same items, gaps, ends and counters, whatever happens in between."""
    at_once, each = numbers(capacity, policy), numbers(capacity, policy)
    for step in steps:
        if isinstance(step, list):
            at_once.extend(step)
            for item in step:
                each.push(item)
        elif step == "close":
            at_once.close()
            each.close()
        elif at_once.statistics().waiting:
            if step == "read":
                assert await at_once.receive() == await each.receive()
            else:
                assert await at_once.receive_batch() == await each.receive_batch()
        assert at_once.statistics() == each.statistics()


@pytest.mark.parametrize("batches", [False, True])
async def test_what_was_delivered_is_what_the_reader_got(batches):
    stream = numbers(capacity=3)
    got = 0
    for count in (2, 5, 3, 9):
        stream.extend(range(count))
        if batches:
            got += len(await stream.receive_batch())
        else:
            await stream.receive()
            got += 1
        assert stream.statistics().delivered == got
    stream.close()
    assert stream.statistics().delivered == got


async def test_iterating_delivers_what_receiving_does(autojump_clock):
    one, other = numbers(capacity=50), numbers(capacity=50)
    for stream in (one, other):
        stream.extend(range(60))
        stream.end()
    got = [item async for item in one]
    assert got == [await other.receive() for _ in got]
    with pytest.raises(trio.EndOfChannel):
        await other.receive()
    assert one.statistics() == other.statistics()
