"""Nobody waits for ever: whoever still waits for a client that is being closed, or comes later, is told."""

from __future__ import annotations

import pytest
import trio

from loadsim.venue import FaultKind
from potrio import ClientClosed
from potrio.actors.link import LinkPhase

from .conftest import ASSET, hurt, until


async def test_a_waiter_for_a_change_is_woken_by_the_closing(autojump_clock, connect):
    phases = []

    async def watch(client):
        await client.wait_change()
        phases.append(client.phase)

    async with trio.open_nursery() as nursery, connect() as client:
        nursery.start_soon(watch, client)
        await trio.sleep(1)
        assert phases == []
    assert phases == [LinkPhase.CLOSED]


async def test_a_loop_over_the_phases_ends_with_the_client(autojump_clock, connect):
    """Each turn of it waits again, also the one after the last change."""
    ended = []

    async def watch(client):
        with pytest.raises(ClientClosed):
            while True:
                await client.wait_change()
        ended.append(True)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery, connect() as client:
            nursery.start_soon(watch, client)
            await trio.sleep(1)
    assert ended == [True]


@pytest.mark.parametrize("method", ["wait_change", "wait_ready"])
async def test_who_comes_after_the_closing_does_not_wait(autojump_clock, connect, method):
    async with connect() as client:
        pass
    with trio.fail_after(1), pytest.raises(ClientClosed):
        await getattr(client, method)()


async def test_a_waiter_for_the_link_is_told_when_the_client_closes_during_an_outage(
    autojump_clock, connect, venue
):
    told = []

    async def wait(client):
        with pytest.raises(ClientClosed):
            await client.wait_ready()
        told.append(True)

    async with trio.open_nursery() as nursery, connect() as client:
        hurt(venue, FaultKind.RESTART, delay_ms=300_000)
        await until(lambda: client.phase is not LinkPhase.READY)
        nursery.start_soon(wait, client)
        await trio.sleep(1)
        assert told == []
    assert told == [True]


async def test_how_long_the_venue_takes_and_how_long_the_link_is_up(autojump_clock, connect, venue):
    async with connect() as client:
        hurt(venue, FaultKind.DELAY, event="successopenOrder", delay_ms=700)
        hurt(venue, FaultKind.DELAY, event="loadHistoryPeriod", delay_ms=1500)
        await (await client.place(ASSET, "call", 10, duration=5)).opened()
        await client.candles(ASSET, "1m", 10)
        first = client.statistics()

        assert 700 <= first.latencies["order"].p50_ms < 720
        assert 1500 <= first.latencies["history"].max_ms < 1520
        assert (first.latencies["ready"].count, first.connections_ready, first.since_drop_s) == (1, 1, None)
        assert first.uptime_s == first.uptime_now_s > 2
        assert first.bytes_received > first.bytes_sent > 0
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.epoch == 2 and client.phase is LinkPhase.READY)
        await trio.sleep(10)
        after = client.statistics()

    assert after.latencies["ready"].count == after.connections_ready == 2
    assert 10 <= after.uptime_now_s <= after.since_drop_s < 11
    assert after.uptime_now_s + first.uptime_s <= after.uptime_s <= after.age_s
    assert after.bytes_received > first.bytes_received
    assert after.rates(first).messages_received > 0


async def test_the_bytes_of_a_connection_are_counted_to_its_end(autojump_clock, connect):
    async with connect() as client:
        before = client.statistics()
    after = client.statistics()

    assert after.bytes_sent > before.bytes_sent, "the word of farewell"
    assert after.uptime_now_s == 0.0
