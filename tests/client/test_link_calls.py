"""The link in the program's hands: outages told once each, pause and resume, fresh SSIDs, exactly one of everything."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from loadsim.venue import FaultKind, VenueConfig, open_venue
from potrio import (
    AuthError,
    ClientClosed,
    ClientFailed,
    Config,
    ConnectError,
    ConnectionLost,
    ConnectionResumed,
    ConnectTimeout,
    LinkPhase,
    OrderDenied,
    open_client,
)
from potrio.actors.link import Pause, Unpause
from potrio.actors.phases import TRANSITIONS
from potrio.limits import PS_INTERVAL
from potrio.testing.network import MemoryNetwork

from .conftest import ASSET, EPOCH, OTHER, PORT, SSID, hurt, until

FRESH = SSID.replace("a0test", "a9test")


def events(stream) -> list:
    return list(stream._items)


def by_the_table(client) -> bool:
    seen = client._shared.link.transitions
    return all(after in TRANSITIONS[before] for before, after in seen)


# --- outages ---------------------------------------------------------------------------------------------------------


async def test_one_event_for_the_loss_and_one_for_the_return(autojump_clock, connect, venue):
    async with connect() as client, client.ticks(ASSET) as stream, client.outages() as outages:
        await stream.receive()
        hurt(venue, FaultKind.RESTART, delay_ms=20_000)
        lost = await outages.receive()
        assert isinstance(lost, ConnectionLost)
        assert client.phase is not LinkPhase.READY
        resumed = await outages.receive()
        assert isinstance(resumed, ConnectionResumed)
        assert resumed.gaps == ()
        assert resumed.at - lost.at > 15
        assert client.phase is LinkPhase.READY
        await trio.sleep(30)
        assert events(outages) == []
        assert by_the_table(client)


async def test_what_is_missing_is_told_with_the_return(autojump_clock, connect, venue):
    async with connect() as client, client.ticks(ASSET) as stream, client.outages() as outages:
        await stream.receive()
        hurt(venue, FaultKind.LOSE, event="updateHistoryNew", count=None)
        hurt(venue, FaultKind.DROP)
        assert isinstance(await outages.receive(), ConnectionLost)
        resumed = await outages.receive()
        assert [(gap.reason, gap.asset) for gap in resumed.gaps] == [("reconnect", ASSET)]


async def test_the_readers_end_with_the_client(autojump_clock, connect, venue):
    async with connect() as client:
        outages = client.outages()
    assert [event async for event in outages] == []
    with pytest.raises(ClientClosed):
        client.outages()


# --- pause, resume, reconnect ----------------------------------------------------------------------------------------


async def test_pause_ends_the_link_and_resume_brings_it_back_with_its_streams(autojump_clock, connect, venue):
    async with connect() as client, client.ticks(ASSET) as stream, client.outages() as outages:
        await stream.receive()
        began = trio.current_time()
        await client.pause()
        assert trio.current_time() - began < 2
        assert (client.phase, client.paused) == (LinkPhase.DISCONNECTED, True)
        await client.pause()
        with pytest.raises(OrderDenied, match="paused"):
            await client.place(ASSET, "call", 10, duration=60)
        await trio.sleep(600)
        assert venue.stats()["connections"]["now"] == 0
        assert client.statistics().connections == 1, "nothing was tried meanwhile"
        resumed_at = trio.current_time()
        await client.resume()
        assert trio.current_time() - resumed_at < 1
        assert (client.phase, client.paused) == (LinkPhase.READY, False)
        await stream.receive()
        lost = await outages.receive()
        assert lost.reason == "paused"
        assert isinstance(await outages.receive(), ConnectionResumed)
        assert venue.stats()["orders"] == {}
        assert by_the_table(client)


async def test_pausing_while_it_reconnects_and_resuming_at_once(autojump_clock, connect, venue):
    async with connect() as client, client.outages() as outages:
        hurt(venue, FaultKind.RESTART, delay_ms=60_000)
        await until(lambda: client.phase is LinkPhase.RECONNECTING)
        await client.pause()
        attempts = client.statistics().connections
        await trio.sleep(30)
        assert client.statistics().connections == attempts
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.resume)
            await trio.sleep(40)
        assert client.phase is LinkPhase.READY
        assert [type(event) for event in events(outages)] == [ConnectionLost, ConnectionResumed]


async def test_a_paused_client_stays_paused_over_a_crash(autojump_clock, connect, venue):
    async with connect() as client:
        await client.pause()
        client.supervisor.ref("link/connection").tell(object())
        await trio.sleep(60)
        assert client.phase is LinkPhase.DISCONNECTED
        assert venue.stats()["connections"]["now"] == 0
        await client.resume()
        assert client.phase is LinkPhase.READY


async def test_closing_a_paused_client_is_at_once(autojump_clock, connect, venue):
    async with connect() as client:
        await client.pause()
        began = trio.current_time()
    assert trio.current_time() - began < 1


async def test_reconnect_gives_another_link(autojump_clock, connect, venue):
    async with connect() as client:
        epoch = client.epoch
        await client.reconnect()
        assert client.epoch == epoch + 1
        assert venue.stats()["connections"]["now"] == 1


async def test_what_the_program_ends_itself_is_no_failure_of_the_address(autojump_clock, connect, venue):
    async with connect() as client:
        began = trio.current_time()
        for _ in range(5):
            await client.reconnect()
            await client.pause()
            await client.resume()
            epoch = client.epoch
            for message in (Pause(), Unpause()):  # there and back before anything has happened
                client.supervisor.ref("link/connection").tell(message)
            await until(lambda epoch=epoch: client.epoch > epoch and client.phase is LinkPhase.READY)
        assert trio.current_time() - began < 3, "without a pause for a failure"
        (record,) = client.region_health().values()
        assert (record.failures, client.statistics().reconnects) == (0, 0)
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.statistics().reconnects == 1)


# --- silent streams --------------------------------------------------------------------------------------------------


async def test_a_stream_that_goes_silent_is_found_and_the_link_made_anew(autojump_clock, connect, venue):
    """The zombie: the socket is open, heartbeats are answered, and no tick comes."""
    async with (
        connect(stale_after_s=5.0) as client,
        client.ticks(ASSET) as stream,
        client.outages() as outages,
    ):
        await stream.receive()
        hurt(venue, FaultKind.LOSE, event="updateStream", count=None)
        hurt(venue, FaultKind.LOSE, event="updateHistoryNew", count=None)
        silent = trio.current_time()
        await until(lambda: client.phase is LinkPhase.DEGRADED, 10)
        assert trio.current_time() - silent < 5 + 3
        handle = await client.place(ASSET, "call", 10, duration=60)
        await handle.opened()  # degraded still sends
        lost = await outages.receive()
        assert trio.current_time() - silent < 2 * 5 + 5
        assert ASSET in lost.reason
        assert by_the_table(client)


async def test_a_quiet_night_is_no_outage(autojump_clock, connect, venue):
    async with connect() as client, client.ticks(ASSET, OTHER) as stream, client.outages() as outages:
        with trio.move_on_after(900):
            async for _ in stream:
                pass
        assert events(outages) == []
        assert client._shared.router.watch.detected == 0


# --- regions ---------------------------------------------------------------------------------------------------------


async def test_names_and_addresses_several_and_the_dead_one_ranks_last(autojump_clock, network, venue):
    dead = "ws://127.0.0.1:9/socket.io/"
    async with open_client(Config(ssid=SSID, urls=(dead, venue.url), seam=network)) as client:
        assert client.statistics().url == venue.url
        for _ in range(3):
            hurt(venue, FaultKind.DROP)
            before = client.statistics().reconnects
            await until(lambda before=before: client.statistics().reconnects > before)
            await until(lambda: client.phase is LinkPhase.READY)
        health = client.region_health()
        assert health[dead].failures >= 1
        assert health[dead].connects == 0
        assert health[venue.url].connects == 4
        assert health[dead].failures <= 1 + 3, "and it is not asked first each time"


async def test_the_first_round_has_a_deadline_of_its_own(autojump_clock, network):
    class BlackHole(MemoryNetwork):
        async def connect_tcp(self, family, address):
            await trio.sleep_forever()

    urls = tuple(f"ws://127.0.0.1:{port}/" for port in range(1, 18))
    with pytest.raises(ConnectTimeout) as caught:
        async with open_client(Config(ssid=SSID, urls=urls, connect_deadline_s=25.0, seam=BlackHole())):
            pass
    assert trio.current_time() == pytest.approx(25.0, abs=1.0)
    assert caught.value.stage == "tcp"
    assert len(caught.value.__notes__) == 2


async def test_retries_have_an_end_where_one_is_given(autojump_clock, connect, venue):
    with pytest.raises(ClientFailed) as caught:
        async with connect(max_retries=3) as client:
            hurt(venue, FaultKind.RESTART, delay_ms=600_000)
            await until(lambda: client.phase is not LinkPhase.READY)
            await trio.sleep_forever()
    assert isinstance(caught.value.__cause__, ConnectError)
    assert client.statistics().connections == 1 + 3


# --- a fresh SSID ----------------------------------------------------------------------------------------------------


async def test_a_rejected_session_is_replaced_and_the_client_goes_on(autojump_clock, connect, venue):
    asked = []

    async def fresh(error):
        asked.append(error)
        await trio.sleep(30)
        return FRESH

    async with connect(fresh_ssid=fresh) as client, client.ticks(ASSET) as stream:
        await stream.receive()
        hurt(venue, FaultKind.REJECT_AUTH, count=1)
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.phase is not LinkPhase.READY)
        await client.wait_ready()
        await stream.receive()
        assert [type(error) for error in asked] == [AuthError]
        assert client.statistics().events_sent["auth"] == 3


async def test_a_pause_while_the_program_looks_for_a_fresh_session_does_not_wait_for_it(
    autojump_clock, connect, venue
):
    async def fresh(error):
        await trio.sleep(30)
        return FRESH

    async with connect(fresh_ssid=fresh) as client:
        hurt(venue, FaultKind.REJECT_AUTH, count=1)
        hurt(venue, FaultKind.DROP)
        await until(lambda: client.epoch == 2)
        await trio.sleep(1)
        for _ in range(2):
            with trio.fail_after(2):
                await client.pause()
            assert client.phase is LinkPhase.DISCONNECTED
            with trio.move_on_after(1):
                await client.resume()
            assert client.phase is LinkPhase.RECONNECTING
        await client.pause()
        await trio.sleep(100)
        assert (client.phase, client.statistics().connections) == (LinkPhase.DISCONNECTED, 2)
        with trio.fail_after(2):
            await client.resume()
        assert client.phase is LinkPhase.READY
        assert by_the_table(client)


async def test_a_fresh_session_that_is_rejected_too_ends_the_client(autojump_clock, connect, venue):
    async def fresh(error):
        return FRESH

    hurt(venue, FaultKind.REJECT_AUTH, count=None)
    with pytest.raises(AuthError, match="rejected already") as caught:
        async with connect(fresh_ssid=fresh):
            pass
    assert "a9test0" not in str(caught.value)


async def test_a_callback_that_fails_ends_the_client_with_its_cause(autojump_clock, connect, venue):
    async def fresh(error):
        raise OSError("the vault is closed")

    hurt(venue, FaultKind.REJECT_AUTH, count=None)
    with pytest.raises(AuthError) as caught:
        async with connect(fresh_ssid=fresh):
            pass
    assert isinstance(caught.value.__cause__, OSError)


# --- exactly one of everything ---------------------------------------------------------------------------------------


class Counting(MemoryNetwork):
    """Counts the client's sockets, and breaks one after so many of its writes."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed, epoch=EPOCH)
        self.open: set[object] = set()
        self.peak = self.made = 0
        self.break_after: list[int] = []  # for each connection to come: the writes it lives for

    async def connect_tcp(self, family, address):
        stream = await super().connect_tcp(family, address)
        self.made += 1
        self.open.add(stream)
        self.peak = max(self.peak, len(self.open))
        lives = self.break_after.pop(0) if self.break_after else None
        self.watch(stream, lives)
        return stream

    def watch(self, stream, lives) -> None:
        aclose, hook = stream.aclose, stream.send_stream.send_all_hook
        writes = 0

        async def closed() -> None:
            self.open.discard(stream)
            await aclose()

        async def write() -> None:
            nonlocal writes
            writes += 1
            if lives is not None and writes > lives:
                raise trio.BrokenResourceError
            if hook is not None:
                await hook()

        stream.aclose = closed
        stream.send_stream.send_all_hook = write


@asynccontextmanager
async def whole(seed: int):
    network = Counting(seed)
    async with open_venue(VenueConfig(seed=3, port=PORT), seam=network) as venue:
        async with open_client(Config(ssid=SSID, url=venue.url, seam=network)) as client:
            yield network, venue, client
        assert not network.open


STEP = st.one_of(
    st.tuples(st.just("drop"), st.integers(0, 30)),
    st.tuples(
        st.just("break"), st.integers(0, 4)
    ),  # during the handshake of the next connection, or soon after
    st.tuples(st.just("restart"), st.integers(1, 15)),
    st.tuples(st.just("pause"), st.integers(0, 20)),
    st.tuples(st.just("crash"), st.integers(0, 5)),
)


@given(st.integers(0, 2**32), st.lists(STEP, min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_any_number_of_drops_leaves_one_socket_one_of_each_task_and_alternating_events(seed, steps):
    async def story() -> None:
        async with whole(seed) as (network, venue, client), client.ticks(ASSET) as stream:
            outages = client.outages()
            await stream.receive()
            await trio.sleep(1)
            tasks = trio.lowlevel.current_statistics().tasks_living
            for kind, number in steps:
                await play(kind, number, network, venue, client)
            await client.wait_ready()
            await trio.sleep(20)
            await client.wait_ready()
            await trio.sleep(30)
            assert client.phase is LinkPhase.READY
            assert len(network.open) == 1
            assert network.peak <= 2, "the old socket is being closed while the new one is opened, never more"
            assert venue.stats()["connections"]["now"] == 1
            assert trio.lowlevel.current_statistics().tasks_living <= tasks
            kinds = [type(event) for event in events(outages)]
            assert kinds == [(ConnectionLost, ConnectionResumed)[n % 2] for n in range(len(kinds))]
            assert len(kinds) % 2 == 0
            assert by_the_table(client)
            pings = venue.stats()["ps_received"]
            await trio.sleep(3 * PS_INTERVAL)
            assert venue.stats()["ps_received"] - pings == 3

    trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))


async def play(kind: str, number: int, network: Counting, venue, client) -> None:
    match kind:
        case "drop":
            hurt(venue, FaultKind.DROP)
        case "break":
            network.break_after = [number]
            hurt(venue, FaultKind.DROP)
        case "restart":
            hurt(venue, FaultKind.RESTART, delay_ms=number * 1000)
        case "pause":
            await client.pause()
            await trio.sleep(number)
            await client.resume()
        case _:
            client.supervisor.ref("link/connection").tell(object())
    await trio.sleep(random.Random(number).uniform(0, 3) if kind == "drop" else number)
