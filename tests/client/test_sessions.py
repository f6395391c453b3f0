"""Additional sessions: opened when streams need them, spread, each bridging its own gaps, closed after use, counted."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import trio

from loadsim.venue import FaultKind
from potrio import Candle, ClientClosed, Config, ConfigError, Gap, LinkPhase, RequestError, open_client
from potrio.actors.link import LinkState, Pause, Unpause
from potrio.actors.router import RouterState
from potrio.client import sessions
from potrio.client.candle_source import CandleSource
from potrio.client.sessions import SESSIONS, SessionPool
from potrio.limits import SESSION_IDLE

from .conftest import ASSET, SSID, crash, hurt, orders_at, until


@pytest.fixture
async def many(venue, network):
    """Thirteen assets that tick day and night: more than three sessions can stream."""
    async with open_client(Config(ssid=SSID, url=venue.url, seam=network)) as client:
        found = [row.symbol for row in client.assets.values() if row.is_otc and row.is_active]
    await until(lambda: wire_now(venue) == 0)
    return found[:13]


class Door:
    """What all connections have to pass: it stands open until it is shut."""

    def __init__(self, connect_tcp) -> None:
        self._connect_tcp = connect_tcp
        self._opened = trio.Event()
        self.open()

    def open(self) -> None:
        self._opened.set()

    def shut(self) -> None:
        self._opened = trio.Event()

    async def connect_tcp(self, *address):
        await self._opened.wait()
        return await self._connect_tcp(*address)


@pytest.fixture
def door(network):
    network.door = Door(network.connect_tcp)
    network.connect_tcp = network.door.connect_tcp
    return network.door


def wire_now(venue) -> int:
    return venue.stats()["connections"]["now"]


def session_names(client) -> list[str]:
    (sessions,) = [node for node in client.tree().children if node.path.endswith(SESSIONS)]
    return [node.path.rsplit("/", 1)[-1] for node in sessions.children]


async def all_of(stream, assets, within: float = 30.0) -> list:
    """Read until each asset has ticked."""
    seen = []
    with trio.fail_after(within):
        while {item.asset for item in seen if not isinstance(item, Gap)} < set(assets):
            seen.append(await stream.receive())
    return seen


def source_of(client, asset: str) -> CandleSource:
    return CandleSource(client.supervisor, client._shared, client._config.seam, asset)


def in_order(items) -> None:
    last: dict[str, float] = {}
    for item in items:
        if not isinstance(item, Gap):
            assert item.timestamp >= last.get(item.asset, 0.0)
            last[item.asset] = item.timestamp


async def test_one_session_is_the_default_and_the_error_names_the_option(
    autojump_clock, connect, venue, many
):
    async with connect() as client:
        with pytest.raises(RequestError, match="sessions_max"):
            await client.ticks(*many[:5])
        assert wire_now(venue) == 1
        async with client.ticks(*many[:4]) as stream:
            await all_of(stream, many[:4])


@pytest.mark.parametrize("number", [0, -1, 17, True])
def test_the_number_of_sessions_is_checked(number):
    with pytest.raises(ConfigError) as caught:
        Config(ssid="x", sessions_max=number).checked()
    assert caught.value.path == "sessions_max"


async def test_one_stream_over_three_sessions_and_no_more_than_are_allowed(
    autojump_clock, connect, venue, many
):
    async with connect(sessions_max=3) as client:
        async with client.ticks(*many[:12]) as stream:
            in_order(await all_of(stream, many[:12]))
            assert wire_now(venue) == 3
            assert session_names(client) == ["link-2", "link-3"]
            with pytest.raises(RequestError, match="sessions_max"):
                await client.ticks(many[12])
            async with client.ticks(many[11], many[0]) as again:  # read already: needs no room
                await all_of(again, (many[11], many[0]))
                assert wire_now(venue) == 3
        await until(lambda: wire_now(venue) == 1, 4 * SESSION_IDLE)
        assert session_names(client) == []
        async with client.ticks(*many[:5]) as stream:
            await all_of(stream, many[:5])
            assert session_names(client) == ["link-4"]


async def test_additional_sessions_do_not_trade_and_tell_nothing_twice(autojump_clock, connect, venue, many):
    async with connect(sessions_max=2) as client, client.ticks(*many[:8]) as stream:
        await all_of(stream, many[:8])
        balance = client.balance
        result = await client.trade(ASSET, "call", 10, duration=10)
        await until(lambda: client.balance == balance + result.profit)
        assert set(orders_at(venue).values()) == {1}
        assert client.statistics().events_sent["openOrder"] == 1


async def test_each_session_bridges_its_own_gaps(autojump_clock, connect, venue, many):
    async with connect(sessions_max=2) as client, client.ticks(*many[:8]) as stream:
        seen = await all_of(stream, many[:8])
        reconnects = client.statistics().reconnects
        hurt(venue, FaultKind.RESTART, delay_ms=1_000)
        await until(lambda: client.statistics().reconnects == reconnects + 2)
        await until(lambda: wire_now(venue) == 2)
        seen += await all_of(stream, many[:8])
        seen += await all_of(stream, many[:8])
        in_order(seen)
        assert not any(isinstance(item, Gap) for item in seen)


async def test_a_crash_in_one_session_is_that_sessions_business(autojump_clock, connect, venue, many):
    async with connect(sessions_max=2) as client, client.ticks(*many[:8]) as stream:
        await all_of(stream, many[:8])
        epoch = client.epoch
        for actor in ("connection", "router", "pinger"):
            if actor == "pinger":
                client.supervisor.supervisor(f"{SESSIONS}/link-2").crash_child(
                    "pinger", RuntimeError("drill")
                )
            else:
                crash(client, f"{SESSIONS}/link-2/{actor}")
            await trio.sleep(5)
            in_order(await all_of(stream, many[:8]))
        assert client.epoch == epoch
        assert client.phase is LinkPhase.READY
        assert wire_now(venue) == 2


async def test_a_session_that_cannot_be_had_fails_the_stream_and_nothing_else(
    autojump_clock, connect, venue, many
):
    async with connect(sessions_max=2) as client, client.ticks(*many[:4]) as stream:
        await all_of(stream, many[:4])
        hurt(venue, FaultKind.REJECT_AUTH, count=1)
        with pytest.raises(RequestError, match="no further session") as caught:
            await client.ticks(many[4])
        assert caught.value.__cause__ is not None
        await all_of(stream, many[:4])
        async with client.ticks(many[4]) as other:  # and it can be tried again
            await all_of(other, many[4:5])


async def test_a_session_that_crashes_at_its_start_is_told_with_the_cause_and_without_the_token(
    autojump_clock, connect, venue, many, monkeypatch
):
    async def broken(ctx, session, account) -> None:
        raise ValueError("no room for a router of a0test0session0of0potrio0x")

    async with connect(sessions_max=2) as client, client.ticks(*many[:4]) as stream:
        with monkeypatch.context() as patch:
            patch.setattr(sessions, "stream_router", broken)
            with pytest.raises(RequestError, match="no room for a router") as caught:
                await client.ticks(many[4])
        assert "a0test" not in str(caught.value)
        assert isinstance(caught.value.__cause__, RequestError)
        await until(lambda: session_names(client) == [])
        await all_of(stream, many[:4])
        async with client.ticks(many[4]) as other:
            await all_of(other, many[4:5])


async def test_who_needs_no_session_does_not_wait_for_one_that_is_being_opened(
    autojump_clock, connect, venue, door, many
):
    async with connect(sessions_max=3) as client, client.ticks(*many[:3]) as stream:
        await all_of(stream, many[:3])
        door.shut()
        scopes, told = [trio.CancelScope() for _ in range(3)], []

        async def more(number: int, assets: list[str]) -> None:
            with scopes[number]:
                told.append((number, await client.ticks(*assets)))

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(more, number, many[4 + 2 * number : 8 + 2 * number])
            await trio.sleep(1)
            assert told == []
            with trio.fail_after(0.5):
                other = await client.ticks(many[0], many[3])
            await all_of(other, (many[0], many[3]))
            scopes[0].cancel()
            await trio.sleep(1)
            scopes[2].cancel()
            door.open()
        ((number, last),) = told
        assert number == 1, "who was cancelled has harmed nobody"
        await all_of(last, many[6:10])
        assert wire_now(venue) == 2


@pytest.mark.parametrize("passes", range(8))
async def test_a_pause_in_the_same_pass_as_a_session_is_begun_is_for_that_session_too(
    autojump_clock, connect, venue, many, passes
):
    async def read(client) -> None:
        async with client.ticks(*many[:5]) as stream:
            async for _ in stream:
                pass

    async with connect(sessions_max=2) as client, trio.open_nursery() as nursery:
        nursery.start_soon(read, client)
        for _ in range(passes):
            await trio.lowlevel.checkpoint()
        await client.pause()
        await trio.sleep(60)
        assert wire_now(venue) == 0
        await client.resume()
        await until(lambda: wire_now(venue) == 2, 5)
        nursery.cancel_scope.cancel()


async def test_a_session_that_has_no_actors_yet_is_told_of_a_pause_and_of_its_end(
    autojump_clock, connect, venue
):
    """Begun and told without a step between."""
    async with connect(sessions_max=3) as client:
        pool = client._shared.sessions
        pool._begin(client.supervisor)
        pool.tell_all(client.supervisor, Pause())
        pool._begin(client.supervisor)
        pool.tell_all(client.supervisor, Unpause())
        pool.tell_all(client.supervisor, Pause())
        await trio.sleep(60)
        assert [session.link.phase for session in pool.sessions] == [LinkPhase.DISCONNECTED] * 2
        pool.tell_all(client.supervisor, Unpause())
        await until(lambda: wire_now(venue) == 3, 5)


async def test_pause_and_resume_are_for_all_sessions(autojump_clock, connect, venue, many):
    async with connect(sessions_max=2) as client, client.ticks(*many[:8]) as stream:
        await all_of(stream, many[:8])
        await client.pause()
        await until(lambda: wire_now(venue) == 0, 5)
        await trio.sleep(60)
        assert wire_now(venue) == 0
        await client.resume()
        await all_of(stream, many[:8])
        assert wire_now(venue) == 2


async def test_the_counters_add_up_over_sessions_present_and_past(autojump_clock, connect, venue, many):
    """P10."""
    others = venue.stats()["ps_received"]
    async with connect(sessions_max=3) as client:
        async with client.ticks(*many[:12]) as stream:
            await all_of(stream, many[:12])
            during = client.statistics()
        await until(lambda: wire_now(venue) == 1, 4 * SESSION_IDLE)
        await trio.sleep(1)
        after, seen = client.statistics(), venue.stats()
        assert after.connections == during.connections == 3
        assert after.events_sent["auth"] == 3
        assert after.ticks_delivered >= during.ticks_delivered > 0
        assert after.events_sent["ps"] == seen["ps_received"] - others
        assert client.wire_counters().messages_sent == after.messages_sent


async def test_closing_closes_all_sessions_also_while_one_is_being_opened(
    autojump_clock, connect, venue, many
):
    """P6."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    with pytest.raises((ClientClosed, RequestError, ExceptionGroup)):
        async with connect(sessions_max=3) as client, trio.open_nursery() as nursery:
            stream = await client.ticks(*many[:8])
            await all_of(stream, many[:8])
            hurt(venue, FaultKind.RESTART, delay_ms=20_000)

            async def more() -> None:
                await client.ticks(*many[8:12])

            nursery.start_soon(more)
            await trio.sleep(0.5)
            raise ClientClosed("enough")
    await trio.sleep(5)
    assert wire_now(venue) == 0
    assert trio.lowlevel.current_statistics().tasks_living <= tasks


async def test_readers_outside_the_block_are_told_that_the_client_is_closed(
    autojump_clock, connect, venue, door, many
):
    """P6: those of an additional session as well, and whoever waits for one: that is not up yet, or not begun."""
    ended: list[object] = []

    async def read(stream) -> None:
        ended.append([item async for item in stream][-1].asset)

    async def more(client, assets) -> None:
        with pytest.raises(ClientClosed, match="closed"):
            await client.ticks(*assets)
        ended.append("told")

    with trio.fail_after(120):
        async with trio.open_nursery() as nursery, connect(sessions_max=4) as client:
            for share in (many[:4], many[4:5]):
                nursery.start_soon(read, await client.ticks(*share))
            await trio.sleep(5)
            door.shut()
            nursery.start_soon(more, client, many[8:12])
            await trio.sleep(0.5)
            nursery.start_soon(more, client, many[4:13])  # its turn comes when there is no tree any more
            await trio.sleep(0.5)
    assert many[4] in ended
    assert (len(ended), ended.count("told")) == (4, 2)


async def test_a_session_that_breaks_down_for_good_ends_its_streams_and_can_be_had_anew(
    autojump_clock, connect, venue, many
):
    """P4: a stream that nothing feeds any more must not look like a quiet market."""
    async with connect(sessions_max=2) as client, client.ticks(*many[:4]) as first:
        second = await client.ticks(many[4])
        broken = f"{SESSIONS}/link-2"
        with trio.fail_after(60), pytest.raises(RequestError, match="broken down"):
            while True:
                if broken.rsplit("/", 1)[-1] in session_names(client):
                    crash(client, f"{broken}/router")
                with trio.move_on_after(0.5):
                    await all_of(second, many[4:5])
        await all_of(first, many[:4])
        async with client.ticks(many[4]) as third:
            await all_of(third, many[4:5])


async def test_streams_that_come_and_go_leave_no_session_behind(autojump_clock, connect, venue, many):
    async with connect(sessions_max=3) as client:
        for start in range(0, 10, 2):
            stream = await client.ticks(*many[start : start + 3])
            other = await client.ticks(*many[: start + 1])
            with trio.move_on_after(0.3):
                await stream.receive()
            await stream.aclose()
            await other.aclose()
        await until(lambda: wire_now(venue) == 1, 4 * SESSION_IDLE)


def test_room_is_counted_by_who_still_reads():
    first = RouterState()
    pool = SessionPool(None, LinkState(), first, None, 2)
    assert pool.room(None) == first.feeds.limit


# --- live candles over sessions ------------------------------------------------------------------------------


async def test_live_candles_of_six_assets_close_in_time_in_two_sessions(autojump_clock, connect, venue, many):
    """A candle is closed as soon as its own session has heard past its end, whichever session that is."""
    found: dict[str, list[tuple[Candle, float]]] = {asset: [] for asset in many[:6]}

    async with connect(sessions_max=2) as client, trio.open_nursery() as nursery:

        async def read(stream, asset: str) -> None:
            async with stream:
                while len(found[asset]) < 6:
                    item = await stream.receive()
                    if isinstance(item, Candle):
                        found[asset].append((item, source_of(client, asset).now() - item.time - 5))

        for asset in found:
            nursery.start_soon(read, await client.live_candles(asset, "5s", history=2), asset)
        assert wire_now(venue) == 2
        (second,) = client._shared.sessions.sessions
        assert set(second.router.feeds.read) == set(many[4:6])
    for asset, candles in found.items():
        assert all(candle.complete for candle, _ in candles)
        assert [b.time - a.time for (a, _), (b, _) in pairwise(candles)] == [5] * 5
        assert max(late for _, late in candles[2:]) < 1, f"{asset}: closed late"


async def test_what_is_known_of_an_asset_is_what_its_own_session_heard(autojump_clock, connect, venue, many):
    async with connect(sessions_max=2) as client:
        async with client.ticks(*many[:6]) as stream:
            await all_of(stream, many[:6])
            second = client._shared.sessions.sessions[0]
            sources = [source_of(client, asset) for asset in (many[0], many[5])]
            assert all(0 <= it.now() - it.known_until() < 3 for it in sources)
            crash(client, f"{SESSIONS}/link-{second.number}/connection")
            while second.link.ready:  # it is back before the clock moves
                await trio.lowlevel.checkpoint()
            assert [it.known_until() == -math.inf for it in sources] == [False, True]
            await until(lambda: all(math.isfinite(it.known_until()) for it in sources))
        await until(lambda: wire_now(venue) == 1, 4 * SESSION_IDLE)
        assert sources[1].known_until() == -math.inf, "nobody reads it"
