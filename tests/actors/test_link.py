"""The state of the link: who waits is woken or told the end, and counters stay true and bounded."""

from __future__ import annotations

from collections import Counter

import pytest
import trio

from potrio.actors.link import NAMES_MAX, OTHER_NAMES, LinkCounters, LinkPhase, LinkState, count
from potrio.errors import AuthError, ClientClosed
from potrio.transport.base import TransportStatistics

from .conftest import settle


async def test_wait_ready_returns_when_the_link_is_up(autojump_clock):
    link = LinkState()
    passed = []

    async def wait() -> None:
        await link.wait_ready()
        passed.append(link.phase)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        for phase in (LinkPhase.CONNECTING, LinkPhase.AUTHENTICATING):
            link.enter(phase, 0.0)
            await settle()
            assert passed == []
        link.enter(LinkPhase.READY, 1.0)
    assert (passed, link.since, link.ready) == ([LinkPhase.READY], 1.0, True)


async def test_wait_ready_raises_what_ended_the_link(autojump_clock):
    link = LinkState()
    link.fatal = AuthError("no")
    with pytest.raises(AuthError):
        await link.wait_ready()
    link = LinkState()
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(ClientClosed):
                await link.wait_ready()

        nursery.start_soon(wait)
        await settle()
        link.enter(LinkPhase.CLOSED, 0.0)


async def test_wait_change_wakes_on_every_phase(autojump_clock):
    link = LinkState()
    with trio.move_on_after(1) as scope:
        await link.wait_change()
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.wait_change)
        await settle()
        link.enter(LinkPhase.CONNECTING, 0.0)


def test_each_connection_has_counters_of_its_own_and_old_ones_stay_in_the_total():
    link = LinkState()
    connections = link.EPOCHS_KEPT * 2
    for number in range(connections):
        counters = link.begin(f"ws://{number}")
        counters.messages_sent += 1
        counters.events_sent["ps"] += 2
        counters.dropped += 1
    assert (link.epoch, link.url) == (connections, f"ws://{connections - 1}")
    assert len(link.counters) == link.EPOCHS_KEPT
    total = link.total()
    assert (total.messages_sent, total.events_sent["ps"], total.dropped) == (
        connections,
        2 * connections,
        connections,
    )
    assert link.total(after_epoch=connections - 3).messages_sent == 3


def test_a_new_connection_knows_nothing_of_the_one_before():
    link = LinkState()
    link.begin("ws://a")
    link.deadline = 5.0
    link.begin("ws://b")
    assert (link.handshake, link.deadline) == (None, None)


def test_names_that_somebody_else_invents_are_bounded_and_the_sum_is_true():
    """P5 and P10."""
    counter: Counter[str] = Counter()
    for number in range(NAMES_MAX * 3):
        count(counter, f"name-{number}")
        count(counter, "name-0")
    assert len(counter) == NAMES_MAX + 1
    assert counter["name-0"] == NAMES_MAX * 3 + 1
    assert counter[OTHER_NAMES] == NAMES_MAX * 2
    assert counter.total() == NAMES_MAX * 6


def test_the_total_over_many_connections_is_bounded_too():
    total = LinkCounters()
    for number in range(NAMES_MAX * 2):
        total.add(LinkCounters(events_received=Counter({f"name-{number}": 3})))
    assert len(total.events_received) == NAMES_MAX + 1
    assert total.events_received.total() == NAMES_MAX * 6


def test_uptime_is_that_of_all_links_and_goes_on_while_one_is_degraded():
    link = LinkState()
    phases = [
        (LinkPhase.CONNECTING, 10.0),
        (LinkPhase.AUTHENTICATING, 11.0),
        (LinkPhase.READY, 12.0),
        (LinkPhase.DEGRADED, 15.0),
        (LinkPhase.READY, 16.0),
        (LinkPhase.RECONNECTING, 20.0),
    ]
    for phase, at in phases:
        link.enter(phase, at)
    assert (link.began, link.up_since, link.up_s(99.0)) == (10.0, None, 8.0)
    link.enter(LinkPhase.READY, 30.0)
    assert (link.up_since, link.up_s(33.0)) == (30.0, 11.0)
    link.enter(LinkPhase.CLOSED, 34.0)
    assert (link.up_since, link.up_s(99.0)) == (None, 12.0)


def test_bytes_are_asked_for_and_stay_with_their_connection():
    link = LinkState()
    for sent in (7, 50):
        link.begin("ws://venue")
        link.meter = lambda sent=sent: TransportStatistics(bytes_sent=sent, bytes_received=2 * sent)
    assert (link.total().bytes_sent, link.total().bytes_received) == (57, 114)
    assert (link.total(after_epoch=1).bytes_sent, link.counters[1].bytes_sent) == (50, 7)
