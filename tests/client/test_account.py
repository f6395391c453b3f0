"""The account of a client: balances as the venue tells them, asked for anew, never made up; the venue's clock."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC
from decimal import Decimal

import pytest
import trio

from loadsim.venue import FaultKind
from potrio import CircuitOpen, ClientClosed, NotConnected, RequestTimeout
from potrio.errors import ClockUnknown
from potrio.protocol.server_clock import ServerClock

from .conftest import ASSET, EPOCH, balance_at, hurt, until


async def test_updates_are_exactly_what_the_venue_told(autojump_clock, connect, venue):
    async with connect() as client, client.balance_updates() as stream:
        result = await client.trade(ASSET, "call", 10, duration=5)
        got = await stream.receive_batch()
        assert [update.balance for update in got] == [Decimal("49990.00"), balance_at(venue)]
        assert got[-1].balance == Decimal(50_000) + result.profit == client.balance
        assert {(update.currency, update.is_demo) for update in got} == {(None, True)}, (
            "this venue names no currency"
        )
        assert got[0].received_at < got[1].received_at <= trio.current_time()


async def test_a_balance_has_an_age_and_is_not_stale_for_it(autojump_clock, connect):
    async with connect() as client:
        before = client.balance_age_s
        await trio.sleep(600)
        assert client.balance_age_s == pytest.approx(before + 600)
        assert not client.stale
        await client.refresh_balance()
        assert client.balance_age_s == pytest.approx(0, abs=1)


async def test_refreshing_waits_for_the_answer(autojump_clock, connect, venue):
    async with connect() as client, client.balance_updates() as stream:
        asked_at = trio.current_time()
        update = await client.refresh_balance()
        assert update.balance == balance_at(venue)
        assert update.received_at >= asked_at
        assert await stream.receive() == update


async def test_refreshing_at_the_same_time_is_one_question(autojump_clock, connect, venue):
    async with connect() as client:
        got = []

        async def refresh(scope: trio.CancelScope) -> None:
            with scope:
                got.append(await client.refresh_balance())

        scopes = [trio.CancelScope() for _ in range(4)]
        async with trio.open_nursery() as nursery:
            for scope in scopes:
                nursery.start_soon(refresh, scope)
                await trio.lowlevel.checkpoint()
            scopes[0].cancel()
        assert len(got) == 3
        assert got[0] == got[1] == got[2]
        assert venue.stats()["events_received"]["getBalance"] == 1
        await client.refresh_balance()
        assert venue.stats()["events_received"]["getBalance"] == 2


async def test_a_silent_venue_is_an_error_not_the_old_value(autojump_clock, connect, venue):
    async with connect() as client:
        hurt(venue, FaultKind.LOSE_REQUEST, event="getBalance", count=None)
        before = trio.current_time()
        with pytest.raises(RequestTimeout, match="balance"):
            await client.refresh_balance()
        assert 30 < trio.current_time() - before < 35, "asked three times"
        assert venue.stats()["events_received"]["getBalance"] == 3


async def test_a_question_that_is_lost_once_is_asked_again(autojump_clock, connect, venue):
    async with connect() as client:
        hurt(venue, FaultKind.LOSE_REQUEST, event="getBalance", count=1)
        assert (await client.refresh_balance()).balance == 50_000
        assert venue.stats()["events_received"]["getBalance"] == 2


async def test_no_question_is_asked_again_beyond_the_callers_deadline(autojump_clock, connect, venue):
    async with connect() as client:
        hurt(venue, FaultKind.LOSE_REQUEST, event="getBalance", count=None)
        with trio.fail_after(10.1), pytest.raises(RequestTimeout):
            await client.refresh_balance()
        assert venue.stats()["events_received"]["getBalance"] == 1


async def test_a_venue_that_never_answers_is_left_alone_for_a_while(autojump_clock, connect, venue):
    async with connect() as client:
        hurt(venue, FaultKind.LOSE_REQUEST, event="getBalance", count=None)
        for _ in range(2):
            with pytest.raises((RequestTimeout, CircuitOpen)):
                await client.refresh_balance()
        asked = venue.stats()["events_received"]["getBalance"]
        with pytest.raises(CircuitOpen, match="the balance") as refused:
            await client.refresh_balance()
        assert venue.stats()["events_received"]["getBalance"] == asked == 5
        venue.exchange.plan.clear()
        await trio.sleep(refused.value.retry_in_s)
        await client.refresh_balance()


async def test_a_lost_link_is_an_error_not_the_old_value(autojump_clock, connect, venue):
    async with connect() as client, trio.open_nursery() as nursery:
        hurt(venue, FaultKind.LOSE_REQUEST, event="getBalance")

        async def drop() -> None:
            await trio.sleep(1)
            hurt(venue, FaultKind.DROP)

        nursery.start_soon(drop)
        with pytest.raises(NotConnected):
            await client.refresh_balance()
        assert client.balance == 50_000, "the last known one stays, and says that it is"


async def test_without_a_link_nothing_is_asked(autojump_clock, connect, venue):
    async with connect() as client:
        hurt(venue, FaultKind.DROP)
        await until(lambda: not client._shared.link.ready)
        with pytest.raises(NotConnected, match="not asked"):
            await client.refresh_balance()


async def test_streams_end_with_the_client(autojump_clock, connect):
    async with AsyncExitStack() as stack:
        async with connect() as client:
            updates = await stack.enter_async_context(client.balance_updates())
            changes = await stack.enter_async_context(client.asset_changes())
        for stream in (updates, changes):
            with pytest.raises(trio.EndOfChannel):
                await stream.receive()
    with pytest.raises(ClientClosed):
        await client.refresh_balance()


async def test_the_clock_with_its_error(autojump_clock, connect, network):
    async with connect() as client:
        clock = client.clock()
        assert abs(clock.offset_s) <= clock.error_s < 2
        assert (clock.zone_s, clock.at.tzinfo) == (7200, UTC)
        assert abs(clock.at.timestamp() - network.wall()) <= clock.error_s
        assert clock.samples >= 1
        assert clock.at.timestamp() >= EPOCH - 1


async def test_an_unknown_clock_is_not_zero(autojump_clock, connect):
    async with connect() as client:
        client._shared.account.clock = ServerClock()
        for ask in (client.clock, client.venue_time):
            with pytest.raises(ClockUnknown, match="has not sent a tick"):
                ask()
