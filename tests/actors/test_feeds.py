"""Feeds: sharing, and that a reconnect is bridged in order, once, or with a gap that says from when to when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.feeds import Feeds
from potrio.actors.stream import Gap, Stream
from potrio.protocol.messages.market import Tick

A, B = "EURUSD_otc", "GBPUSD_otc"


def tick(stamp: float, asset: str = A) -> Tick:
    return Tick(asset, stamp, stamp / 1000)


def subscribed(*assets: str) -> tuple[Feeds, Stream]:
    feeds, stream = Feeds(), Stream(capacity=10_000)
    feeds.add(stream, assets)
    return feeds, stream


async def drained(stream: Stream) -> list:
    stream.end()
    return [item async for item in stream]


async def test_ticks_reach_the_readers_of_their_asset_only():
    feeds, a = subscribed(A)
    b: Stream = Stream()
    feeds.add(b, [B])
    feeds.publish([tick(1), tick(2, B), tick(3)])
    assert [item.timestamp for item in await drained(a)] == [1, 3]
    assert [item.timestamp for item in await drained(b)] == [2]


def test_two_readers_share_one_subscription():
    feeds, first = subscribed(A)
    second: Stream = Stream()
    assert feeds.add(second, [A, B]) == [B]
    assert feeds.remove(first) == []
    assert feeds.remove(second) == [A, B]
    assert feeds.assets == ()


def test_a_fifth_asset_has_no_room():
    feeds, _ = subscribed("a", "b", "c", "d")
    assert not feeds.room_for(["e"])
    assert feeds.room_for(["a", "d"])


def test_ticks_nobody_reads_are_counted():
    feeds = Feeds()
    feeds.publish([tick(1)])
    assert (feeds.unwanted, feeds.delivered) == (1, 0)


async def test_an_older_tick_is_not_delivered():
    feeds, stream = subscribed(A)
    feeds.publish([tick(5), tick(4), tick(5), tick(6)])
    assert [item.timestamp for item in await drained(stream)] == [5, 5, 6]
    assert feeds.out_of_order == 1


async def test_an_older_tick_reaches_those_who_take_it():
    feeds, plain = subscribed(A)
    builder: Stream = Stream(takes_late=True)
    feeds.add(builder, [A])
    feeds.publish([tick(5), tick(4), tick(6)])
    assert [item.timestamp for item in await drained(plain)] == [5, 6]
    assert [item.timestamp for item in await drained(builder)] == [5, 4, 6]
    assert feeds.delivered == 2


def test_a_feed_is_interrupted_from_the_loss_until_it_is_bridged():
    feeds, _ = subscribed(A)
    assert feeds.interrupted(B), "nobody reads it, so nothing is known of it"
    assert not feeds.interrupted(A)
    feeds.publish([tick(1)])
    feeds.lost()
    assert feeds.interrupted(A)
    feeds.start_bridging()
    assert feeds.interrupted(A)
    feeds.bridge(A, ())
    assert not feeds.interrupted(A)


async def test_a_stamp_from_the_future_does_not_silence_its_asset():
    feeds, stream = subscribed(A)
    feeds.publish([tick(1), tick(4e9), tick(2)], latest=20.0)
    assert not feeds.publish_run([tick(3), tick(4e9)], latest=20.0)
    feeds.publish([tick(3)], latest=20.0)
    one, gap, *others = await drained(stream)
    assert [item.timestamp for item in (one, *others)] == [1, 2, 3]
    assert gap == Gap("stamp", A, since=1, until=2), "it may have been true, and our clock wrong"
    assert feeds.unbelievable == 1


async def test_a_run_after_a_tick_that_was_left_out_is_looked_at_one_by_one():
    feeds, stream = subscribed(A)
    feeds.publish([tick(4e9)], latest=20.0)
    feeds.publish([tick(1), tick(4e9)], latest=20.0)
    assert not feeds.publish_run([tick(2), tick(3)], latest=20.0)
    feeds.publish([tick(2), tick(3)], latest=20.0)
    assert feeds.publish_run([tick(4)], latest=20.0)
    told = await drained(stream)
    assert told == [tick(1), Gap("stamp", A, since=1, until=2), tick(2), tick(3), tick(4)]


async def test_a_reconnect_is_bridged_with_the_missing_ticks():
    feeds, stream = subscribed(A)
    feeds.publish([tick(1), tick(2)])
    feeds.lost()
    assert feeds.start_bridging() == [A]
    feeds.publish([tick(6), tick(7)])  # live already, but held back
    feeds.bridge(A, [tick(n) for n in (1, 2, 3, 4, 5, 6)])
    feeds.publish([tick(8)])
    assert [item.timestamp for item in await drained(stream)] == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("publish", ["publish", "publish_run"])
async def test_the_newest_tick_of_a_bridge_may_come_live_once_more_and_is_delivered_once(publish):
    feeds, stream = subscribed(A)
    feeds.publish([tick(1)])
    feeds.lost()
    assert feeds.start_bridging() == [A]
    feeds.bridge(A, [tick(1), tick(2), tick(3)])
    if publish == "publish" or not feeds.publish_run([tick(3), tick(4)]):
        feeds.publish([tick(3), tick(4)])
    assert [item.timestamp for item in await drained(stream)] == [1, 2, 3, 4]
    assert feeds.out_of_order == 1


async def test_history_that_does_not_reach_back_gives_a_gap():
    feeds, stream = subscribed(A)
    feeds.publish([tick(1)])
    feeds.lost()
    feeds.start_bridging()
    feeds.bridge(A, [tick(5), tick(6)])
    assert await drained(stream) == [tick(1), Gap("reconnect", A, since=1, until=5), tick(5), tick(6)]


async def test_no_history_at_all_gives_a_gap():
    feeds, stream = subscribed(A)
    feeds.publish([tick(1)])
    feeds.lost()
    feeds.start_bridging()
    feeds.publish([tick(9)])
    feeds.bridge(A, ())
    assert await drained(stream) == [tick(1), Gap("reconnect", A, since=1, until=9), tick(9)]


async def test_a_second_loss_while_bridging_loses_nothing():
    feeds, stream = subscribed(A)
    feeds.publish([tick(1)])
    feeds.lost()
    feeds.start_bridging()
    feeds.publish([tick(4)])
    feeds.lost()
    feeds.start_bridging()
    feeds.bridge(A, [tick(n) for n in range(1, 7)])
    assert [item.timestamp for item in await drained(stream)] == [1, 2, 3, 4, 5, 6]


async def test_a_bridge_that_never_comes_is_given_up_when_the_buffer_is_full():
    feeds, stream = subscribed(A)
    feeds.publish([tick(1)])
    feeds.lost()
    feeds.start_bridging()
    feeds.publish([tick(10 + n) for n in range(1025)])
    got = await drained(stream)
    assert got[1] == Gap("reconnect", A, since=1, until=10)
    assert [item.timestamp for item in got[2:]] == [10 + n for n in range(1025)]


async def test_ending_tells_every_reader_why():
    feeds, stream = subscribed(A)
    feeds.end(RuntimeError("gone"))
    with pytest.raises(RuntimeError, match="gone"):
        await stream.receive()
    assert feeds.assets == ()


@given(
    st.lists(st.integers(1, 5), min_size=3, max_size=60),  # how many ticks pass between two drops
    st.lists(st.integers(0, 8), min_size=60, max_size=60),  # ticks missed at each drop
    st.lists(st.integers(0, 12), min_size=60, max_size=60),  # how far the venue's answer reaches back
)
async def test_property_in_order_once_and_every_hole_has_a_gap(runs, missed, reach):
    feeds, stream = subscribed(A)
    now = 0
    for run, hole, back in zip(runs, missed, reach, strict=False):
        for _ in range(run):
            now += 1
            feeds.publish([tick(now)])
        feeds.lost()
        now += hole
        feeds.start_bridging()
        feeds.bridge(A, [tick(n) for n in range(max(1, now - back + 1), now + 1)])
    last = 0.0
    gap: Gap | None = None
    for item in await drained(stream):
        if isinstance(item, Gap):
            assert gap is None
            assert item.since == last
            gap = item
            continue
        assert item.timestamp > last
        if item.timestamp != last + 1:
            assert gap is not None, f"a silent hole between {last} and {item.timestamp}"
            assert gap.until == item.timestamp or gap.until is None
        last, gap = item.timestamp, None


# --- runs ------------------------------------------------------------------------------------------------------------

C = "BTCUSD"


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 30), st.sampled_from([A, B, C])), min_size=1, max_size=12),
        max_size=4,
    ),
    st.booleans(),
    st.sampled_from([[[A, B, C]], [[A, B]], [[A], [B], [C]], [[A, B], [B, C]]]),
    st.booleans(),
)
async def test_a_run_is_published_like_each_of_its_ticks(runs, in_order, readers, bridges):
    """The same to every reader and counter; where it cannot be done at once, nothing has been done."""
    sides = []
    for _ in range(2):
        feeds, streams = (
            Feeds(),
            [Stream(capacity=5, gap=lambda n: Gap("overflow", dropped=n)) for _ in readers],
        )
        for stream, assets in zip(streams, readers, strict=True):
            feeds.add(stream, assets)
        if bridges:
            feeds.publish([tick(3)])
            feeds.lost()
            feeds.start_bridging()
        sides.append((feeds, streams))
    (at_once, fast), (each, slow) = sides
    for run in runs:
        ticks = [tick(stamp, asset) for stamp, asset in (sorted(run) if in_order else run)]
        if not at_once.publish_run(ticks):
            at_once.publish(ticks)
        each.publish(ticks)
    for name in ("delivered", "unwanted", "out_of_order"):
        assert getattr(at_once, name) == getattr(each, name)
    for mine, theirs in zip(fast, slow, strict=True):
        assert mine.statistics() == theirs.statistics()
        assert await drained(mine) == await drained(theirs)


def test_a_run_in_order_goes_at_once():
    feeds, stream = subscribed(A, B)
    assert feeds.publish_run([tick(1), tick(2, B), tick(2), tick(3, B)])
    assert stream.statistics().waiting == 4
    assert not feeds.publish_run([tick(4), tick(3)]), "one is older than the one before it"
    assert not feeds.publish_run([tick(5), tick(5, C)]), "nobody reads that one"
    assert stream.statistics().waiting == 4
