"""The pinger: `ps` right after authentication and every 20 s, and a look at a session whose deadline has passed."""

from __future__ import annotations

import pytest
import trio

from potrio.actors.keys import CONNECTION, PINGER
from potrio.actors.link import CheckDeadline, LinkPhase, LinkState, Transmit
from potrio.actors.pinger import pinger
from potrio.limits import PS_INTERVAL
from potrio.protocol.messages.auth import Ps
from potrio.supervision.spec import child

from .conftest import recording, running, settle


@pytest.fixture
async def stage(autojump_clock):
    link, told = LinkState(), []
    note = lambda ctx, message: told.append((trio.current_time(), message))  # noqa: E731  # two lines for one
    async with running(recording(CONNECTION, [], note), child(pinger, link, id=PINGER, shutdown=0.0)):
        yield link, told


def up(link: LinkState) -> None:
    link.begin("ws://venue")
    link.enter(LinkPhase.READY, trio.current_time())


def pings(told) -> list[tuple[float, int]]:
    return [(at, message.epoch) for at, message in told if message == Transmit(Ps(), epoch=message.epoch)]


async def test_nothing_is_sent_before_the_link_is_ready(autojump_clock, stage):
    link, told = stage
    link.begin("ws://venue")
    link.enter(LinkPhase.AUTHENTICATING, 0.0)
    await trio.sleep(100)
    assert told == []


async def test_ps_at_once_and_then_every_interval(autojump_clock, stage):
    link, told = stage
    await trio.sleep(3)
    up(link)
    await trio.sleep(2.5 * PS_INTERVAL)
    assert pings(told) == [(3, 1), (3 + PS_INTERVAL, 1), (3 + 2 * PS_INTERVAL, 1)]


async def test_a_new_link_starts_anew_and_a_lost_one_is_not_pinged(autojump_clock, stage):
    link, told = stage
    up(link)
    await trio.sleep(15)
    link.enter(LinkPhase.RECONNECTING, 15.0)
    await trio.sleep(100)
    up(link)
    await trio.sleep(1)
    assert pings(told) == [(0, 1), (115, 2)]


async def test_a_link_that_was_replaced_between_two_looks_is_pinged_at_once(autojump_clock, stage):
    link, told = stage
    up(link)
    await trio.sleep(5)
    link.enter(LinkPhase.RECONNECTING, 5.0)
    up(link)
    await settle()
    assert pings(told) == [(0, 1), (5, 2)]


async def test_a_deadline_that_passes_is_looked_at_without_a_tight_loop(autojump_clock, stage):
    link, told = stage
    up(link)
    link.deadline = 46.0
    await trio.sleep(45.9)
    looks = [at for at, message in told if isinstance(message, CheckDeadline)]
    assert looks == []
    await trio.sleep(1.05)  # the connection does not answer: asked again, but not in a tight loop
    looks = [at for at, message in told if isinstance(message, CheckDeadline)]
    assert looks[0] == pytest.approx(46.0)
    assert 5 <= len(looks) <= 11


async def test_a_deadline_that_moves_is_not_looked_at(autojump_clock, stage):
    link, told = stage
    up(link)
    for second in range(0, 100, 10):
        link.deadline = second + 46.0
        await trio.sleep(10)
    assert not any(isinstance(message, CheckDeadline) for _, message in told)


async def test_a_deadline_that_comes_nearer_is_kept(autojump_clock, stage):
    """An announced attachment has five seconds; the heartbeat's deadline, twenty seconds away, may not hide that."""
    link, told = stage
    up(link)
    link.set_deadline(trio.current_time() + 40)
    await trio.sleep(1)
    nearer = trio.current_time() + 5
    link.set_deadline(nearer)
    await trio.sleep(10)
    looks = [at for at, message in told if isinstance(message, CheckDeadline)]
    assert looks
    assert looks[0] == pytest.approx(nearer)
