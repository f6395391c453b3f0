"""The limiter at work: a venue that enforces limits counts no violation, and many as soon as the limiter is widened."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
import trio

from loadsim.venue import FaultKind, VenueConfig, open_venue
from loadsim.venue.rates import Punishment, RateConfig, Window
from potrio import (
    CircuitOpen,
    NotConnected,
    OrderDenied,
    OrderRejected,
    RateLimited,
    RateLimits,
    Rates,
    RequestTimeout,
    open_client,
)
from potrio.actors.limiter import Lane, Rate, account_of, address_of
from potrio.limits import RATE_BACK_OFF
from potrio.protocol.matchers import ANYTHING
from potrio.protocol.ssid import parse_ssid

from .conftest import ASSET, OTHER, PORT, SSID, hurt, until

STRICT = RateConfig(
    messages=Window(30, 1.0),
    orders=Window(5, 1.0),
    subscriptions=Window(8, 1.0),
    requests=Window(15, 1.0),
    punishment=Punishment.COUNT,
)
FITTING = Rates(messages=Rate(15, 14), orders=Rate(2, 3), subscriptions=Rate(3, 4), requests=Rate(8, 6))
"""Burst and a second's rate together stay below the venue's windows."""

ASSETS = (ASSET, OTHER, "AUDUSD_otc")


@asynccontextmanager
async def sessions(network, count: int, limits: RateLimits, rates: RateConfig = STRICT):
    """A venue with limits and several sessions of one account that share one limiter."""
    config = VenueConfig(seed=3, port=PORT, rates=rates)
    with trio.fail_after(3000):
        async with open_venue(config, seam=network) as venue, AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(open_client(SSID, url=venue.url, seam=network, limits=limits))
                for _ in range(count)
            ]
            yield venue, opened


def too_many(venue) -> int:
    return sum(times for name, times in venue.stats()["violations"].items() if name.startswith("rate "))


async def burst(clients, requests: int) -> dict[str, int]:
    """Requests, orders and subscriptions, all at once from all sessions; what became of them."""
    outcome = {"sent": 0, "limited": 0, "orders": 0, "denied": 0, "ticks": 0, "pages": 0}

    async def ask(client) -> None:
        with trio.CancelScope(shield=True):  # no deadline: it waits for its turn
            await client.send_raw("favorite/load")
        outcome["sent"] += 1

    async def trade(client) -> None:
        try:
            order = await client.place(ASSET, "call", 1, duration=60, valid_for=1.0)
            await order.opened()
            outcome["orders"] += 1
        except (RateLimited, OrderDenied):
            outcome["denied"] += 1
        except OrderRejected:
            outcome["orders"] += 1

    async def watch(client) -> None:
        for _ in range(4):
            async with client.ticks(*ASSETS) as stream:
                await stream.receive()
                outcome["ticks"] += 1

    async def page(client, number) -> None:
        while True:
            try:
                await client.candles(ASSETS[number % 3], "1m", count=10 + number)
                outcome["pages"] += 1
                return
            except RateLimited as refused:
                outcome["limited"] += 1
                await trio.sleep(refused.retry_in_s)

    async with trio.open_nursery() as nursery:
        for number in range(requests):
            nursery.start_soon(ask, clients[number % len(clients)])
        for client in clients:
            nursery.start_soon(watch, client)
            for _ in range(8):
                nursery.start_soon(trade, client)
            for number in range(4):
                nursery.start_soon(page, client, number)
    return outcome


async def test_under_load_over_several_sessions_the_venue_counts_no_violation(autojump_clock, network):
    limits = RateLimits(FITTING, Rates.unlimited())
    async with sessions(network, 4, limits) as (venue, clients):
        outcome = await burst(clients, 500)
        assert too_many(venue) == 0, venue.stats()["violations"]
        assert outcome["sent"] == 500
        assert outcome["ticks"] == outcome["pages"] == 16
        assert outcome["orders"] >= 3
        assert outcome["orders"] + outcome["denied"] == 32
        assert venue.stats()["events_received"]["favorite/load"] == 500
        assert all(client.statistics().reconnects == 0 for client in clients)
        counted = limits.statistics()
        assert counted[Lane.REQUESTS].sent >= 500
        assert counted[Lane.REQUESTS].waited > 0


async def test_with_the_limiter_widened_on_purpose_it_counts_many(autojump_clock, network):
    async with sessions(network, 4, RateLimits.unlimited()) as (venue, clients):
        outcome = await burst(clients, 500)
        assert outcome["sent"] == 500
        assert too_many(venue) > 100


async def test_sessions_with_limiters_of_their_own_are_too_much_together(autojump_clock, network):
    """Each keeps to the limit; only a shared limiter keeps the account to it."""
    async with sessions(network, 1, RateLimits(FITTING, Rates.unlimited())) as (venue, _):
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(
                    open_client(
                        SSID, url=venue.url, seam=network, limits=RateLimits(FITTING, Rates.unlimited())
                    )
                )
                for _ in range(4)
            ]
            await burst(clients, 200)
        assert too_many(venue) > 0


async def test_a_heartbeat_is_never_held_up(autojump_clock, network):
    nothing = Rate(1e-6, 1)
    limits = RateLimits(Rates(messages=nothing, orders=nothing, subscriptions=nothing, requests=nothing))
    async with sessions(network, 1, limits) as (venue, [client]):
        before = venue.stats()["ps_received"]
        await trio.sleep(600)
        assert venue.stats()["ps_received"] - before >= 29
        assert client.statistics().reconnects == 0
        assert venue.stats()["pongs_received"] >= 20


async def test_an_order_without_room_in_its_time_is_refused_at_once_and_never_sent(autojump_clock, network):
    limits = RateLimits(Rates(orders=Rate(0.5, 1)), Rates.unlimited())
    async with sessions(network, 1, limits) as (venue, [client]):
        await (await client.place(ASSET, "call", 1, duration=60)).opened()
        start = trio.current_time()
        with pytest.raises(RateLimited) as refused:
            await client.place(OTHER, "call", 1, duration=60, valid_for=1.0)
        assert trio.current_time() == start
        assert 1.0 < refused.value.retry_in_s <= 2.0
        assert refused.value.retry_at == pytest.approx(network.wall() + refused.value.retry_in_s)
        await trio.sleep(refused.value.retry_in_s)
        await (await client.place(OTHER, "call", 1, duration=60, valid_for=1.0)).opened()
        assert venue.stats()["events_received"]["openOrder"] == 2


async def test_orders_overtake_a_flood_of_requests_of_another_session(autojump_clock, network):
    limits = RateLimits(Rates(messages=Rate(5, 10)), Rates.unlimited())
    async with sessions(network, 2, limits) as (_, [flood, trader]), trio.open_nursery() as nursery:

        async def ask() -> None:
            with trio.CancelScope(shield=True):
                await flood.send_raw("favorite/load")

        for _ in range(100):
            nursery.start_soon(ask)
        await trio.sleep(3)
        start = trio.current_time()
        await (await trader.place(ASSET, "call", 1, duration=60)).opened()
        assert trio.current_time() - start < 0.5
        nursery.cancel_scope.cancel()


async def test_a_venue_that_says_too_many_is_left_alone(autojump_clock, network):
    rates = RateConfig(requests=Window(3, 10.0))
    async with sessions(network, 1, RateLimits.unlimited(), rates) as (venue, [client]):
        answer = await client.request_raw("getBalance", None, ANYTHING)
        while answer.name != "failgetBalance":
            answer = await client.request_raw("getBalance", None, ANYTHING)
        await trio.sleep(0.01)
        start = trio.current_time()
        await client.send_raw("getBalance")
        assert trio.current_time() - start == pytest.approx(RATE_BACK_OFF, abs=0.05)
        order = await client.place(ASSET, "call", 1, duration=60)
        await order.opened()
        assert too_many(venue) >= 1


async def test_a_venue_that_closes_with_1008_is_left_alone_by_all_lanes(autojump_clock, network):
    rates = RateConfig(requests=Window(3, 10.0), punishment=Punishment.CLOSE)
    limits = RateLimits.unlimited()
    async with sessions(network, 1, limits, rates) as (venue, [client]):
        while client.statistics().reconnects == 0:
            with suppress(NotConnected, RequestTimeout):
                await client.request_raw("getBalance", None, ANYTHING)
        closed = trio.current_time()
        await client.wait_ready()
        gate = limits.gate(account_of(parse_ssid(SSID)), address_of(venue.url), closed)
        for lane in Lane:
            assert 0 < gate.forecast(lane, trio.current_time()) <= RATE_BACK_OFF
        gate.close()
        async with client.ticks(ASSET) as stream:
            await stream.receive()
        order = await client.place(ASSET, "call", 1, duration=60)
        await order.opened()
        assert trio.current_time() - closed >= RATE_BACK_OFF / 2


async def test_a_connection_that_ends_otherwise_holds_nobody_up(autojump_clock, network):
    limits = RateLimits.unlimited()
    async with sessions(network, 1, limits) as (venue, [client]):
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.statistics().reconnects == 1)
        gate = limits.gate(account_of(parse_ssid(SSID)), address_of(venue.url), trio.current_time())
        assert [gate.forecast(lane, trio.current_time()) for lane in Lane] == [0.0] * 3
        gate.close()


async def test_history_that_is_not_answered_opens_the_breaker_and_a_probe_closes_it(autojump_clock, network):
    async with sessions(network, 1, RateLimits()) as (venue, [client]):
        hurt(venue, FaultKind.LOSE_REQUEST, event="loadHistoryPeriod", count=None)
        asked_before = venue.stats()["events_received"].get("loadHistoryPeriod", 0)
        for _ in range(2):
            with pytest.raises((RequestTimeout, CircuitOpen)):
                await client.candles(ASSET, "1m", count=10)
        asked = venue.stats()["events_received"]["loadHistoryPeriod"] - asked_before
        with pytest.raises(CircuitOpen) as refused:
            await client.candles(ASSET, "1m", count=10)
        assert venue.stats()["events_received"]["loadHistoryPeriod"] - asked_before == asked
        venue.exchange.plan.clear()
        await trio.sleep(refused.value.retry_in_s)
        assert len(await client.candles(ASSET, "1m", count=10)) == 10


async def test_a_page_that_is_lost_once_is_asked_for_again(autojump_clock, network):
    async with sessions(network, 1, RateLimits()) as (venue, [client]):
        hurt(venue, FaultKind.LOSE_REQUEST, event="loadHistoryPeriod")
        assert len(await client.candles(ASSET, "1m", count=10)) == 10


async def test_a_page_that_has_no_room_within_the_callers_time_is_refused_at_once(autojump_clock, network):
    limits = RateLimits(Rates(requests=Rate(0.25, 1)), Rates.unlimited())
    async with sessions(network, 1, limits) as (_, [client]):
        await client.send_raw("favorite/load")
        start = trio.current_time()
        with trio.fail_after(1), pytest.raises(RateLimited):
            await client.candles(ASSET, "1m", count=10)
        assert trio.current_time() == start


async def test_subscriptions_wait_their_turn_and_all_come(autojump_clock, network):
    limits = RateLimits(Rates(subscriptions=Rate(1, 1)), Rates.unlimited())
    async with sessions(network, 1, limits) as (venue, [client]):
        async with client.ticks(*ASSETS) as stream:
            seen: set[str] = set()
            with trio.fail_after(30):
                while seen != set(ASSETS):
                    item = await stream.receive()
                    seen.add(item.asset)
        await until(lambda: too_many(venue) == 0)
