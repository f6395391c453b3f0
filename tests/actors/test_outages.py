"""Outages: one lost and one resumed for each, in turn, over every story of attempts and links."""

from __future__ import annotations

import gc

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from potrio.actors.outages import ConnectionLost, ConnectionResumed, Outages
from potrio.actors.stream import Gap
from potrio.errors import AuthError, StreamOverflow
from potrio.limits import STREAM_CAPACITY

GAP = Gap("reconnect", "EURUSD_otc", since=1.0, until=2.0)


def drain(stream) -> list:
    return list(stream._items)


def test_an_outage_is_told_once_however_many_attempts_fail():
    outages = Outages()
    stream = outages.stream()
    assert not outages.link_up()
    outages.link_lost("reset", 1.0)
    for at in (2.0, 3.0):
        outages.link_lost("refused", at)
    assert outages.link_up()
    outages.resumed([GAP], 4.0)
    outages.resumed([], 5.0)
    assert drain(stream) == [ConnectionLost("reset", 1.0), ConnectionResumed((GAP,), 4.0)]
    assert outages.count == 1


def test_what_is_lost_before_it_was_restored_is_the_same_outage():
    outages = Outages()
    stream = outages.stream()
    outages.link_up()
    outages.link_lost("first", 1.0)
    outages.link_up()
    outages.link_lost("second", 2.0)
    outages.resumed([], 3.0)  # late: of the link that has gone
    outages.link_up()
    outages.resumed([], 4.0)
    assert drain(stream) == [ConnectionLost("first", 1.0), ConnectionResumed((), 4.0)]


def test_attempts_before_there_ever_was_a_link_are_no_outage():
    outages = Outages()
    stream = outages.stream()
    outages.link_lost("refused", 1.0)
    outages.link_up()
    outages.resumed([], 2.0)
    assert drain(stream) == []


@given(st.lists(st.sampled_from(["up", "lost", "restored", "twice"]), max_size=60))
def test_the_events_alternate_over_every_story(story):
    outages = Outages()
    stream = outages.stream()
    for at, step in enumerate(story):
        match step:
            case "up":
                outages.link_up()
            case "lost":
                outages.link_lost("x", float(at))
            case "twice":  # a crashed router is handed what it had in hand once more
                outages.link_lost("x", float(at))
                outages.link_lost("x", float(at))
            case _:
                outages.resumed([], float(at))
    events = drain(stream)
    assert [type(event) for event in events] == [
        (ConnectionLost, ConnectionResumed)[number % 2] for number in range(len(events))
    ]
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert outages.out == (len(events) % 2 == 1)
    assert outages.count == sum(isinstance(event, ConnectionLost) for event in events)


def test_readers_that_are_gone_cost_nothing():
    outages = Outages()
    outages.link_up()
    streams = [outages.stream() for _ in range(3)]
    streams[0].close()
    del streams[1:]
    gc.collect()
    outages.link_lost("x", 1.0)
    assert list(outages._streams) == []


async def test_a_reader_that_is_too_slow_is_ended_and_not_told_a_false_story(autojump_clock):
    outages = Outages()
    stream = outages.stream()
    outages.link_up()
    for number in range(STREAM_CAPACITY):
        outages.link_lost("x", float(number))
        outages.link_up()
        outages.resumed([], float(number))
    seen = []
    with pytest.raises(StreamOverflow):
        async for event in stream:
            seen.append(type(event))
    assert seen == [ConnectionLost, ConnectionResumed] * (STREAM_CAPACITY // 2)


async def test_the_end_of_the_client_ends_the_readers(autojump_clock):
    outages = Outages()
    good, bad = outages.stream(), outages.stream()
    good.end(None)
    outages.end(AuthError("expired"))
    with pytest.raises(trio.EndOfChannel):
        await good.receive()
    with pytest.raises(AuthError):
        await bad.receive()
