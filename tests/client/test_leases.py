"""Leases: a session alone, bounded, in turn; given back whatever happens; its loss is told; counted with the others."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack, suppress

import pytest
import trio

from loadsim.venue import FaultKind
from potrio import (
    AuthError,
    ClientClosed,
    Config,
    ConfigError,
    LinkPhase,
    LocalProtocolError,
    NotConnected,
    RequestError,
    RequestTimeout,
    open_client,
)
from potrio.actors.limiter import Lane, Rate, RateLimits, Rates
from potrio.client.leases import REFUSED
from potrio.client.sessions import SESSIONS
from potrio.limits import LEASE_END_MAX
from potrio.protocol.matchers import event

from .conftest import ASSET, OTHER, SSID, crash, hurt, until

TOKEN = "a0test0session0of0potrio0x"
BALANCE = event("successupdateBalance")
NEVER = event("never")
CHART = {"asset": OTHER, "period": 60}


def wire_now(venue) -> int:
    return venue.stats()["connections"]["now"]


def session_names(client) -> list[str]:
    (sessions,) = [node for node in client.tree().children if node.path.endswith(SESSIONS)]
    return [node.path.rsplit("/", 1)[-1] for node in sessions.children]


def at_venue(venue, name: str) -> int:
    return venue.stats()["events_received"].get(name, 0)


async def all_told(tap) -> None:
    """What the venue says after a login has come."""
    await trio.sleep(1)
    if tap.statistics().waiting:
        await tap.receive_batch()


# --- exclusive -------------------------------------------------------------------------------------------------------


async def test_a_leased_session_answers_and_its_taps_show_it_alone(autojump_clock, connect, venue):
    async with (
        connect(sessions_max=2) as client,
        client.lease() as session,
        client.raw(BALANCE | event("updateStream")) as first,
        session.raw(BALANCE) as own,
    ):
        assert (session.phase, session.epoch, wire_now(venue)) == (LinkPhase.READY, 1, 2)
        await all_told(own)
        with trio.fail_after(5):
            answer = await session.request_raw("getBalance", None, BALANCE)
            assert (await own.receive()).payload == answer.payload
        await trio.sleep(5)
        assert first.statistics().waiting == 0
        await client.send_raw("getBalance")
        assert (await first.receive()).name == "successupdateBalance"
        await trio.sleep(5)
        assert own.statistics().waiting == 0
        assert at_venue(venue, "getBalance") == 2


async def test_it_streams_what_nobody_else_reads_and_still_does_not_trade(autojump_clock, connect, venue):
    async with connect(sessions_max=2) as client, client.ticks(ASSET) as ticks, client.lease() as session:
        async with session.raw(event("updateStream")) as stream:
            await session.send_raw("changeSymbol", CHART)
            assert {(await stream.receive()).json()[0][0] for _ in range(5)} == {OTHER}
        assert {(await ticks.receive()).asset for _ in range(5)} == {ASSET}
        with pytest.raises(LocalProtocolError, match="place"):
            await session.send_raw("openOrder", {})
        with pytest.raises(LocalProtocolError, match="ticks"):
            await client.send_raw("changeSymbol", CHART)
    assert {"openOrder", "auth", "ps", "connect"} <= REFUSED.keys()


async def test_streams_and_leases_share_the_sessions_and_never_one(autojump_clock, connect, venue, network):
    async with open_client(Config(ssid=SSID, url=venue.url, seam=network)) as client:
        many = [row.symbol for row in client.assets.values() if row.is_otc and row.is_active][:5]
    async with connect(sessions_max=2) as client:
        async with client.lease() as session:
            with pytest.raises(RequestError, match="1 are leased"):
                await client.ticks(*many)
            async with client.ticks(*many[:4]) as stream:
                await stream.receive()
                assert session._session.router.feeds.assets == ()
        async with client.ticks(*many) as stream:
            await stream.receive()
            with pytest.raises(RequestTimeout, match="all 2 sessions"):
                async with client.lease(timeout=1):
                    pass
        with trio.fail_after(60):
            async with client.lease():  # when the session of the stream has been idle for long enough
                assert wire_now(venue) == 2


async def test_a_leased_session_is_not_idle_however_long_nothing_is_read(autojump_clock, connect, venue):
    async with connect(sessions_max=2) as client, client.lease() as session:
        await trio.sleep(600)
        assert (session.epoch, wire_now(venue)) == (1, 2)


# --- bounded, in turn ------------------------------------------------------------------------------------------------


async def test_who_waits_has_the_place_in_turn_and_never_are_there_more(autojump_clock, connect, venue):
    turns, most = [], 0
    async with connect(sessions_max=3) as client, trio.open_nursery() as nursery:

        async def work(number: int) -> None:
            nonlocal most
            async with client.lease() as session:
                turns.append(number)
                most = max(most, wire_now(venue))
                await session.request_raw("getBalance", None, BALANCE)
                await trio.sleep(1)

        for number in range(8):
            nursery.start_soon(work, number)
            await trio.sleep(0.01)
    assert (turns, most) == (list(range(8)), 3)


async def test_the_wait_is_bounded_and_leaves_nothing(autojump_clock, connect, venue):
    async with connect(sessions_max=2) as client:
        async with client.lease():
            began = trio.current_time()
            with pytest.raises(RequestTimeout, match="in use for 3 s"):
                async with client.lease(timeout=3):
                    pass
            assert trio.current_time() == began + 3
            with trio.move_on_after(2) as scope:
                async with client.lease():
                    pass
            assert scope.cancelled_caught
            assert wire_now(venue) == 2
        with trio.fail_after(5):
            async with client.lease(timeout=3):
                assert wire_now(venue) == 2


@pytest.mark.parametrize("own", [True, False])
async def test_one_that_is_not_up_in_time_is_taken_back(autojump_clock, connect, venue, network, own):
    connect_tcp = network.connect_tcp
    door = trio.Event()
    door.set()

    async def through_the_door(*address):
        await door.wait()
        return await connect_tcp(*address)

    network.connect_tcp = through_the_door
    async with connect(sessions_max=2) as client:
        door = trio.Event()
        with suppress(RequestTimeout), trio.move_on_after(1000 if own else 3) as scope:
            async with client.lease(timeout=3 if own else 1000):
                raise AssertionError
        assert scope.cancelled_caught is not own
        door.set()
        await trio.sleep(5)
        assert wire_now(venue) == 1
        async with client.lease(timeout=3):
            pass


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), True, "1"])
async def test_what_is_no_time_and_no_pool_is_refused(autojump_clock, connect, timeout):
    async with connect() as client:
        with pytest.raises(ConfigError, match="timeout"):
            async with client.lease(timeout=timeout):
                pass
        with pytest.raises(RequestError, match="sessions_max"):
            async with client.lease():
                pass


# --- given back ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["left", "raised", "cancelled"])
async def test_it_is_given_back_whatever_happens_and_of_no_use_then(autojump_clock, connect, venue, how):
    async with connect(sessions_max=2) as client, AsyncExitStack() as longer:
        with suppress(KeyError), trio.CancelScope() as scope:
            async with client.lease() as session:
                kept = session
                tap = await longer.enter_async_context(session.raw(NEVER))
                if how == "raised":
                    raise KeyError
                if how == "cancelled":
                    scope.cancel()
                    await trio.lowlevel.checkpoint()
        assert wire_now(venue) == 1
        assert client._shared.sessions.sessions == []
        for use in (kept.wait_ready, lambda: kept.send_raw("getBalance"), tap.receive):
            with pytest.raises(RequestError, match="the lease has ended"):
                await use()
        assert kept.phase is LinkPhase.CLOSED
        async with client.lease(timeout=5) as session:
            await session.request_raw("getBalance", None, BALANCE)


async def test_cancelling_at_any_moment_leaves_no_session_and_takes_no_place(autojump_clock, connect, venue):
    """P6, from the first step to the last."""
    async with connect(sessions_max=2) as client:
        entered = 0
        for moment in range(60):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(cancel_after, moment * 3, scope)
                    async with client.lease():
                        entered += 1
                        await trio.sleep_forever()
            assert client._shared.sessions.sessions == []
            with trio.fail_after(2):
                await until(lambda: wire_now(venue) == 1)
        assert 5 < entered < 55, "some were not up yet, and some were"
        async with client.lease(timeout=1):
            pass


async def cancel_after(checkpoints: int, scope: trio.CancelScope) -> None:
    for _ in range(checkpoints):
        await trio.lowlevel.checkpoint()
    scope.cancel()


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_happens_to_many_holders_the_places_come_back(autojump_clock, connect, venue, seed):
    chance = random.Random(seed)
    async with connect(sessions_max=4) as client:

        async def hold() -> None:
            await trio.sleep(chance.uniform(0, 20))
            with suppress(RequestError), trio.move_on_after(chance.uniform(0, 30)):
                async with client.lease(timeout=chance.uniform(0.1, 20)) as session:
                    assert sum(one.leased for one in client._shared.sessions.sessions) <= 3
                    await trio.sleep(chance.uniform(0, 3))
                    await session.request_raw("getBalance", None, BALANCE)

        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(hold)
            for _ in range(6):
                await trio.sleep(chance.uniform(1, 6))
                match chance.randrange(4):
                    case 0:
                        hurt(venue, FaultKind.RESTART, delay_ms=500)
                    case 1:
                        for session in client._shared.sessions.alive():
                            crash_if_there(client, f"{SESSIONS}/link-{session.number}/connection")
                    case 2:
                        for session in client._shared.sessions.alive():
                            crash_if_there(client, f"{SESSIONS}/link-{session.number}/router")
                    case 3:
                        await client.pause()
                        await trio.sleep(2)
                        await client.resume()
        assert client._shared.sessions.sessions == []
        assert session_names(client) == []
        assert wire_now(venue) == 1


async def test_who_still_waits_for_an_answer_when_it_is_given_back_is_told(autojump_clock, connect):
    told = []

    async def ask(session) -> None:
        with pytest.raises(RequestError, match="the lease has ended"):
            await session.wait_raw(NEVER)
        told.append("answer")

    async with connect(sessions_max=2) as client, trio.open_nursery() as nursery, client.lease() as session:
        nursery.start_soon(ask, session)
        await trio.sleep(1)
    assert told == ["answer"]


async def test_a_place_is_free_again_in_bounded_time_though_the_venue_takes_nothing(
    autojump_clock, connect, venue
):
    async with connect(sessions_max=2) as client:
        async with client.lease():
            hurt(venue, FaultKind.HALF_OPEN)
            began = trio.current_time()
        assert trio.current_time() - began <= LEASE_END_MAX


# --- its loss --------------------------------------------------------------------------------------------------------


async def test_a_link_that_is_lost_is_told_and_comes_back_with_what_is_kept(autojump_clock, connect, venue):
    async with (
        connect(sessions_max=2) as client,
        client.lease() as session,
        session.keep_alive("signals/subscribe"),
        session.raw(BALANCE) as tap,
    ):
        await trio.sleep(1)
        assert at_venue(venue, "signals/subscribe") == 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(later, lambda: hurt(venue, FaultKind.RESTART, delay_ms=1_000))
            with pytest.raises(NotConnected, match="before the answer"):
                await session.request_raw("getBalance", None, NEVER)
        with pytest.raises(NotConnected):
            await session.send_raw("getBalance")
        await session.wait_ready()
        assert session.epoch > 1
        await trio.sleep(1)
        assert at_venue(venue, "signals/subscribe") == 2
        await session.request_raw("getBalance", None, BALANCE)
        assert (await tap.receive()).name == "successupdateBalance"


async def later(happens) -> None:
    await trio.sleep(1)
    happens()


async def test_a_session_that_is_over_for_good_says_of_what(autojump_clock, connect, venue):
    async with connect(sessions_max=2) as client:
        async with client.lease() as session, session.raw(NEVER) as tap:
            hurt(venue, FaultKind.REJECT_AUTH, count=1)
            crash(client, f"{SESSIONS}/link-2/connection")
            await until(lambda: session.phase is LinkPhase.CLOSED)
            for use in (session.wait_ready, lambda: session.send_raw("getBalance"), tap.receive):
                with pytest.raises(AuthError):
                    await use()
        assert client.phase is LinkPhase.READY
        async with client.lease(timeout=5):
            pass


async def test_one_that_cannot_be_had_is_told_with_the_cause(autojump_clock, connect, venue):
    async with connect(sessions_max=2) as client:
        hurt(venue, FaultKind.REJECT_AUTH, count=1)
        with pytest.raises(RequestError, match="no further session") as caught:
            async with client.lease():
                pass
        assert isinstance(caught.value.__cause__, AuthError)
        async with client.lease(timeout=5):
            pass


async def test_one_that_breaks_down_says_so(autojump_clock, connect, venue):
    async with connect(sessions_max=2) as client, client.lease() as session, session.raw(NEVER) as tap:
        with trio.fail_after(60), pytest.raises(RequestError, match="broken down"):
            while True:
                crash_if_there(client, f"{SESSIONS}/link-2/router")
                await trio.sleep(0.2)
                await session.wait_ready()
        with pytest.raises(RequestError, match="broken down"):
            await tap.receive()


def crash_if_there(client, name: str) -> None:
    with suppress(LookupError):
        crash(client, name)


async def test_the_client_is_closed_while_it_is_leased_and_while_others_wait(autojump_clock, connect, venue):
    """P6, also for holders outside the block."""
    told = []

    async def hold(client) -> None:
        async with client.lease() as session:
            with pytest.raises(ClientClosed):
                await session.wait_raw(NEVER)
            with pytest.raises(ClientClosed):
                await session.send_raw("getBalance")
            with pytest.raises(ClientClosed):
                await session.wait_ready()
        told.append("holder")

    async def wait(client) -> None:
        with pytest.raises(ClientClosed):
            async with client.lease():
                pass
        told.append("waiter")

    tasks = trio.lowlevel.current_statistics().tasks_living
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery, connect(sessions_max=2) as client:
            for work in (hold, wait, wait):
                nursery.start_soon(work, client)
                await trio.sleep(1)
    assert sorted(told) == ["holder", "waiter", "waiter"]
    with pytest.raises(ClientClosed):
        async with client.lease():
            pass
    await until(lambda: wire_now(venue) == 0)
    assert trio.lowlevel.current_statistics().tasks_living <= tasks


async def test_a_client_that_takes_no_more_calls_takes_none_here(autojump_clock, connect):
    async with connect(sessions_max=2) as client, client.lease() as session:
        client.close()
        with pytest.raises(ClientClosed):
            await session.send_raw("getBalance")


async def test_a_pause_is_for_it_too(autojump_clock, connect, venue):
    async with connect(sessions_max=2) as client, client.lease() as session:
        await client.pause()
        await until(lambda: wire_now(venue) == 0, 5)
        with pytest.raises(NotConnected):
            await session.send_raw("getBalance")
        await client.resume()
        await session.wait_ready()
        await session.request_raw("getBalance", None, BALANCE)


# --- counted, limited, secret ----------------------------------------------------------------------------------------


async def test_what_it_sends_is_counted_with_the_rest(autojump_clock, connect, venue):
    """P10."""
    async with connect(sessions_max=2) as client:
        async with client.lease() as session:
            async with session.raw(BALANCE) as tap:
                await all_told(tap)
            for _ in range(3):
                await session.request_raw("getBalance", None, BALANCE)
            assert session.wire_counters().events_sent["getBalance"] == 3
            during = client.statistics()
        after = client.statistics()
        assert during.events_sent["getBalance"] == after.events_sent["getBalance"] == 3
        assert after.connections == after.connections_ready == 2
        assert after.events_sent["auth"] == 2
        assert after.messages_sent > during.messages_sent, "its goodbye, too"


async def test_it_stands_in_the_queue_of_its_account(autojump_clock, connect, venue):
    limits = RateLimits(account=Rates(requests=Rate(1.0, 1)))
    async with connect(sessions_max=2, limits=limits) as client, client.lease() as session:
        began = trio.current_time()
        for _ in range(3):
            await client.send_raw("getBalance")
            await session.send_raw("getBalance")
        assert trio.current_time() - began >= 5 - 1
        assert limits.statistics()[Lane.REQUESTS].waited >= 5


async def test_its_taps_do_not_show_the_token_nor_a_later_one(autojump_clock, connect):
    async with connect(sessions_max=2) as client, client.lease() as session, session.raw() as tap:
        client._shared.router.raw.hide(
            client._config.parsed_ssid().session.__class__("another0token0of0this0client")
        )
        session._session.router.raw._offer("echo", f'"{TOKEN} another0token0of0this0client"'.encode(), 0.0)
        while (found := await tap.receive()).name != "echo":
            pass
        assert found.payload == b'"*** ***"'
