"""Topics: policies of slow subscribers, publishers that do not care, subscriptions over restarts (row D4)."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from potrio.errors import StreamOverflow
from potrio.supervision import (
    Backoff,
    Context,
    Lagged,
    Limit,
    Topic,
    blocking,
    bounded,
    child,
    disconnect,
    latest_of,
    open_supervisor,
    ring,
    supervisor,
)
from potrio.supervision.topic import Subscription

SECOND = Backoff(base=1, cap=1, jitter="none")


def running(*children):
    return open_supervisor(supervisor(*children, id="root", backoff=SECOND, limit=Limit.never()))


@pytest.mark.shuffled
async def test_D4_everybody_gets_everything_in_order() -> None:
    topic: Topic[int] = Topic("numbers")
    got: list[list[int]] = [[], []]

    async def listen(into: list[int], task_status=trio.TASK_STATUS_IGNORED) -> None:
        async with topic.subscribe() as stream:
            task_status.started()
            async for item in stream:
                into.append(item)

    async with trio.open_nursery() as nursery:
        for into in got:
            await nursery.start(listen, into)
        assert topic.publish(1) == 2
        topic.publish(2)
        await trio.sleep(1)
        topic.publish(3)
        topic.close()
    assert got == [[1, 2, 3], [1, 2, 3]]
    assert len(topic) == 0


async def test_D4_ring_tells_exactly_how_many_were_missed(autojump_clock) -> None:
    topic: Topic[int] = Topic()
    async with topic.subscribe(ring(3)) as stream:
        for number in range(10):
            topic.publish(number)
        assert [await stream.receive() for _ in range(4)] == [Lagged(7), 7, 8, 9]
        topic.publish(10)
        assert await stream.receive() == 10
        books = stream.statistics()
        assert (books.published, books.received, books.lost, books.depth) == (11, 4, 7, 0)


async def test_D4_latest_keeps_the_newest_of_each_key(autojump_clock) -> None:
    topic: Topic[tuple[str, int]] = Topic()
    async with topic.subscribe(latest_of(lambda item: item[0])) as stream:
        for item in (("a", 1), ("b", 1), ("a", 2)):
            topic.publish(item)
        assert list(await stream.burst()) == [("a", 2), ("b", 1)]
        assert stream.statistics().lost == 1


async def test_D4_disconnect_ends_a_slow_subscriber_and_only_it(autojump_clock) -> None:
    topic: Topic[int] = Topic()
    async with topic.subscribe(disconnect(2)) as slow, topic.subscribe(ring(9)) as other:
        for number in range(4):
            topic.publish(number)
        assert [await slow.receive(), await slow.receive()] == [0, 1], "what was buffered can be read"
        with pytest.raises(StreamOverflow):
            await slow.receive()
        assert list(await other.burst()) == [0, 1, 2, 3]


@pytest.mark.shuffled
async def test_D4_send_waits_for_the_slowest_blocking_subscriber_only() -> None:
    topic: Topic[int] = Topic()
    got = []

    async def slow(stream: Subscription[int]) -> None:
        async for item in stream:
            got.append(item)
            await trio.sleep(1)

    async with (
        topic.subscribe(blocking(1)) as stream,
        topic.subscribe(ring(1)),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(slow, stream)
        for number in range(4):
            await topic.send(number)
        assert trio.current_time() >= 2, "it waited"
        await trio.sleep(5)
        stream.close()
    assert got == [0, 1, 2, 3], "and nothing was lost"


async def test_D4_publish_never_waits_and_a_blocking_subscriber_is_told(autojump_clock) -> None:
    topic: Topic[int] = Topic()
    async with topic.subscribe(blocking(2)) as stream:
        with trio.testing.assert_no_checkpoints():
            for number in range(5):
                topic.publish(number)
        assert sorted(map(str, await stream.burst())) == ["0", "1", "Lagged(count=3)"]


async def test_D4_a_cancelled_send_has_not_published(autojump_clock) -> None:
    topic: Topic[int] = Topic()
    async with topic.subscribe(blocking(1)) as stream:
        await topic.send(1)
        with trio.move_on_after(1):
            await topic.send(2)
        assert await stream.receive() == 1
        assert stream.statistics().published == 1


async def test_D4_send_goes_on_when_the_slow_subscriber_leaves(autojump_clock) -> None:
    topic: Topic[int] = Topic()
    async with trio.open_nursery() as nursery:

        async def leaves() -> None:
            async with topic.subscribe(blocking(1)):
                await trio.sleep(3)

        nursery.start_soon(leaves)
        await trio.sleep(1)
        await topic.send(1)
        await topic.send(2)
    assert trio.current_time() == 3


@given(st.lists(st.one_of(st.just("publish"), st.just("receive")), max_size=50), st.integers(1, 5))
def test_D4_ring_against_a_model(moves: list[str], capacity: int) -> None:
    """Items and Lagged together tell of everything that was published, in order."""

    async def main() -> None:
        topic: Topic[int] = Topic()
        told = 0
        published = 0
        async with topic.subscribe(ring(capacity)) as stream:
            for move in [*moves, *["receive"] * (capacity + 1)]:
                if move == "publish":
                    topic.publish(published)
                    published += 1
                elif told < published:
                    match await stream.receive():
                        case Lagged(count=count):
                            told += count
                        case item:
                            assert item == told
                            told += 1
        assert told == published

    trio.run(main)


# --- over restarts ---------------------------------------------------------------------------------------------------


@pytest.mark.shuffled
async def test_D4_a_restarted_subscriber_keeps_its_subscription() -> None:
    topic: Topic[int] = Topic()
    got = []

    async def fragile(ctx: Context[str]) -> None:
        async with topic.subscribe(ring(2), owner=ctx.me) as stream:
            ctx.ready()
            async for item in stream:
                if item == 2:
                    raise ValueError("boom")
                got.append((ctx.incarnation, item))

    async with running(child(fragile, id="a", shutdown=0)) as sup:
        topic.publish(1)
        topic.publish(2)
        await trio.sleep(0.5)
        for number in (3, 4, 5):
            topic.publish(number)
        await trio.sleep(2)
        assert len(topic) == 1
        await sup.stop_child("a")
        assert len(topic) == 0, "a dead one is removed"
    assert got == [(1, 1), (2, Lagged(1)), (2, 4), (2, 5)]


async def test_D4_leaving_normally_ends_an_owned_subscription(autojump_clock) -> None:
    topic: Topic[int] = Topic()
    seen = []

    async def leaves(ctx: Context[str]) -> None:
        async with topic.subscribe(owner=ctx.me):
            with pytest.raises(RuntimeError, match="already"):
                async with topic.subscribe(owner=ctx.me):
                    pass
        seen.append(len(topic))
        async with topic.subscribe(ring(3), owner=ctx.me) as stream:
            seen.append(len(topic))
            ctx.ready()
            await stream.receive()

    async with running(child(leaves, id="a", shutdown=0)):
        pass
    assert seen == [0, 1]
    assert len(topic) == 0


@pytest.mark.shuffled
async def test_D4_feed_goes_straight_into_the_mailbox_over_restarts() -> None:
    topic: Topic[int] = Topic()
    got = []

    async def fed(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            if message == ("item", 2):
                raise ValueError("boom")
            got.append(message)

    async with running(child(fed, id="a", mailbox=bounded(2))) as sup:
        topic.feed(sup.ref("a"), lambda item: ("item", item))
        for number in range(1, 4):
            topic.publish(number)
            await trio.sleep(0.1)
        for number in range(4, 7):
            topic.publish(number)  # 3 and 4 wait, 5 and 6 find no room
        await trio.sleep(2)
        topic.publish(7)
        await trio.sleep(1)
        await sup.stop_child("a")
        assert len(topic) == 0
        assert topic.publish(8) == 0
    assert got == [("item", 1), ("item", 3), ("item", 4), ("item", Lagged(2)), ("item", 7)]


async def test_D4_feeding_twice_replaces_and_cancel_ends(autojump_clock) -> None:
    topic: Topic[int] = Topic()
    got = []

    async def fed(ctx: Context[object]) -> None:
        async for message in ctx.inbox:
            got.append(message)

    async with running(child(fed, id="a")) as sup:
        topic.feed(sup.ref("a"))
        feed = topic.feed(sup.ref("a"), lambda item: -item)
        topic.publish(1)
        feed.cancel()
        topic.publish(2)
        await trio.sleep(1)
        ref = sup.ref("a")
        await sup.stop_child("a")
        topic.feed(ref)
        assert len(topic) == 0
    assert got == [-1]


async def test_a_second_reader_is_refused(autojump_clock) -> None:
    topic: Topic[int] = Topic()
    async with topic.subscribe() as stream, trio.open_nursery() as nursery:
        nursery.start_soon(stream.receive)
        await trio.sleep(1)
        with pytest.raises(trio.BusyResourceError):
            await stream.receive()
        topic.publish(1)


async def test_receive_is_atomic_under_cancellation(autojump_clock) -> None:
    topic: Topic[int] = Topic()
    got = []

    async def publisher() -> None:
        for number in range(20):
            await trio.sleep(1)
            topic.publish(number)

    async with topic.subscribe() as stream, trio.open_nursery() as nursery:
        nursery.start_soon(publisher)
        while len(got) < 20:
            with trio.move_on_after(1):
                got.append(await stream.receive())
    assert got == list(range(20))
