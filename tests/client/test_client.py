"""The client against a venue over real sockets, on both transports: reading, and how it opens and closes."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import trio

from loadsim.venue import FaultKind, VenueConfig, open_venue
from potrio import (
    AuthError,
    Client,
    ClientClosed,
    ClientFailed,
    Config,
    ConfigError,
    ConnectError,
    ConnectRefused,
    Gap,
    LinkPhase,
    NotConnected,
    OrderState,
    SsidError,
    UpgradeRejected,
    open_client,
)

from .conftest import ASSET, PORT, SSID, UID, crash, hurt, until


async def test_an_open_client_knows_balance_assets_and_account(autojump_clock, connect):
    async with connect() as client:
        assert client.phase is LinkPhase.READY
        assert client.balance == Decimal(50_000)
        assert client.is_demo
        assert not client.stale
        assert len(client.assets) >= 170
        assert client.assets[ASSET].payout > 0


async def test_a_rejected_ssid_is_terminal_and_tried_once(autojump_clock, connect, venue):
    hurt(venue, FaultKind.REJECT_AUTH, count=None)
    with pytest.raises(AuthError, match="NotAuthorized"):
        async with connect():
            pass
    connections = venue.stats()["connections"]
    assert (connections["opened"], connections["rejected"]) == (1, 1)


async def test_a_bare_41_is_a_rejection(autojump_clock, connect, venue):
    hurt(venue, FaultKind.BARE_41, event="auth")
    with pytest.raises(AuthError):
        async with connect():
            pass


@pytest.mark.parametrize("text", ["", "nonsense", '42["auth",{"session":"x"}]'])
async def test_an_ssid_that_is_none_is_named_before_anything_is_sent(autojump_clock, connect, venue, text):
    with pytest.raises(SsidError):
        async with connect(text):
            pass
    assert venue.stats()["connections"]["opened"] == 0


async def test_a_closed_port_is_one_typed_error(autojump_clock, transport):
    with pytest.raises(ConnectRefused) as caught:
        async with open_client(SSID, url="ws://127.0.0.1:9/socket.io/", transport=transport):
            pass
    assert caught.value.stage == "tcp"


async def test_a_refused_upgrade_is_one_typed_error(autojump_clock, connect, venue):
    hurt(venue, FaultKind.REFUSE_CONNECTION, count=None)
    with pytest.raises(UpgradeRejected) as caught:
        async with connect():
            pass
    assert caught.value.status == 503


async def test_a_server_of_another_kind_is_one_typed_error(autojump_clock, transport):
    async def garbage(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"220 mail.example ESMTP\r\n")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, garbage, 0)
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(ConnectError):
            async with open_client(SSID, url=f"ws://127.0.0.1:{port}/", transport=transport):
                pass
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("stage", ["http", "engine.io"])
async def test_a_silent_server_ends_with_the_stage_it_was_silent_at(
    autojump_clock, transport, network, venue, stage
):
    if stage == "http":

        async def serve(stream: trio.SocketStream) -> None:
            await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, serve, await network.listen_tcp("127.0.0.1", PORT + 1))
            url = f"ws://127.0.0.1:{PORT + 1}/"
            with pytest.raises(ConnectError) as caught:
                async with open_client(
                    SSID, url=url, transport=transport, seam=network, handshake_timeout_s=2.0
                ):
                    pass
            nursery.cancel_scope.cancel()
    else:
        hurt(venue, FaultKind.HALF_OPEN, event="auth")
        with pytest.raises(ConnectError) as caught:
            async with open_client(
                SSID, url=venue.url, transport=transport, seam=network, handshake_timeout_s=2.0
            ):
                pass
        stage = "auth"
    assert caught.value.stage == stage


async def test_the_kind_of_account_is_the_venues_word(autojump_clock, connect, venue):
    book = venue.exchange
    assert book is not None
    async with connect() as client:
        assert client.is_demo
    live = SSID.replace('"isDemo":1', '"isDemo":0')
    with pytest.raises((ConfigError, AuthError)):
        async with connect(live.replace("a0test0session0of0potrio0x", "short")):
            pass


async def test_a_balance_of_the_other_kind_is_never_ours(autojump_clock, connect, venue):
    async with connect() as client:
        client._shared.router.in_hand = None
        seat = next(iter(venue.exchange._seats))
        seat.session.send_event("successupdateBalance", b'{"isDemo":0,"balance":7}', binary=True)
        seat.flush_session()
        await trio.sleep(1)
        assert client.is_demo
        assert client.balance == 50_000
        assert client._shared.account.contradicted


@pytest.mark.parametrize("offset_s", [0, 7200, -18_000])
async def test_the_venues_clock_is_known_without_a_stream(autojump_clock, network, transport, offset_s):
    async with open_venue(VenueConfig(seed=3, port=PORT, offset_s=offset_s), seam=network) as venue:
        config = Config(ssid=SSID, url=venue.url, transport=transport, seam=network)
        async with open_client(config) as client:
            candles = await client.candles(ASSET, "1m", 5)
            assert 0 <= network.wall() - (candles[-1].time + 60) < 61
            assert (
                abs((client.venue_time() - datetime.fromtimestamp(network.wall(), UTC)).total_seconds()) < 3
            )
            handle = await client.place(ASSET, "call", 1, duration=60)
            await handle.opened()
            assert handle.state is OrderState.OPEN
            await handle.result()
            assert client.statistics().reconnects == 0


async def test_options_beside_a_config_are_refused(autojump_clock, venue):
    with pytest.raises(ConfigError):
        async with open_client(Config(ssid=SSID), url=venue.url):
            pass


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"transport": "pigeon"}, "transport"),
        ({"handshake_timeout_s": math.nan}, "handshake_timeout_s"),
        ({"url": "ws://127.0.0.1:1/", "region": "eu"}, "region"),
        ({"region": "atlantis"}, "region"),
    ],
)
async def test_a_bad_option_is_named(autojump_clock, options, path):
    with pytest.raises(ConfigError) as caught:
        async with open_client(SSID, **options):
            pass
    assert caught.value.path == path


# --- closing ---------------------------------------------------------------------------------------------------------


async def test_closing_closes(autojump_clock, connect, venue):
    before = trio.lowlevel.current_statistics().tasks_living
    async with connect() as client:
        await client.candles(ASSET, "1m", 5)
    await until(lambda: venue.stats()["connections"]["now"] == 0)
    await until(lambda: trio.lowlevel.current_statistics().tasks_living <= before)
    with pytest.raises(ClientClosed):
        await client.candles(ASSET, "1m", 5)
    with pytest.raises(ClientClosed):
        await client.place(ASSET, "call", 1, duration=60)
    assert client.phase is LinkPhase.CLOSED


async def test_the_venue_is_told_goodbye(autojump_clock, connect, venue):
    async with connect():
        pass
    await until(lambda: venue.stats()["connections"]["closed"] == 1)
    assert "connection" not in str(venue.stats()["connections"]["closes"]).lower()


async def test_a_waiting_reader_is_ended_with_the_client(autojump_clock, connect):
    async with trio.open_nursery() as nursery, connect() as client:
        manager = client.ticks("EURUSD_otc")
        stream = await manager.__aenter__()

        async def read() -> None:
            async for _ in stream:
                pass

        nursery.start_soon(read)
        await trio.sleep(1)
    await manager.__aexit__(None, None, None)


async def test_the_users_own_exception_leaves_unwrapped(autojump_clock, connect):
    class Mine(Exception):
        pass

    with pytest.raises(Mine):
        async with connect():
            raise Mine


async def test_cancelling_closes_in_time(autojump_clock, connect, venue):
    with trio.move_on_after(3) as scope:
        async with connect():
            await trio.sleep_forever()
    assert scope.cancelled_caught
    await until(lambda: venue.stats()["connections"]["now"] == 0)


async def test_cancelling_the_opening_leaves_nothing(autojump_clock, connect, venue):
    for delay in (0.0, 0.05, 0.1, 0.2, 0.4):
        with trio.move_on_after(delay):
            async with connect():
                pass
        await until(lambda: venue.stats()["connections"]["now"] == 0)


async def test_reading_a_balance_that_was_never_told_is_an_error(autojump_clock, connect):
    async with connect() as client:
        client._shared.account.balance = None
        with pytest.raises(NotConnected):
            _ = client.balance


async def test_nothing_shows_the_session(autojump_clock, connect):
    async with connect() as client:
        shown = repr(client) + repr(client.statistics()) + repr(client.history) + repr(client.tree())
        assert "a0test0session" not in shown
        assert str(UID) in repr(client)


async def test_counters_are_the_venues(autojump_clock, connect, venue):
    async with connect() as client:
        await client.candles(ASSET, "1m", 300)
        async with client.ticks(ASSET) as stream:
            for _ in range(5):
                assert not isinstance(await stream.receive(), Gap)

        def equal() -> bool:
            ours, theirs = client.statistics(), venue.stats()
            frames = theirs["frames"]
            return (
                ours.messages_sent == frames["text_received"] + frames["binary_received"]
                and ours.messages_received == frames["text_sent"] + frames["binary_sent"]
                and ours.events_sent == theirs["events_received"]
                and ours.events_received == theirs["events_sent"]
            )

        await until(equal)


async def test_two_clients_do_not_mix(autojump_clock, connect, venue):
    other = SSID.replace(f'"uid":{UID}', '"uid":4712')
    async with connect() as one, connect(other) as two:
        handle = await one.place(ASSET, "call", 100, duration=5)
        await handle.opened()
        await until(lambda: one.balance == 49_900)
        assert two.balance == 50_000
        assert two.external_deals == {}


async def test_the_tree_shows_every_actor(autojump_clock, connect):
    async with connect() as client:
        names = str(client.tree())
        for name in ("monitor", "order_book", "history", "connection", "pinger", "router", "users"):
            assert name in names


async def test_readers_outside_the_block_hear_what_a_client_died_of(autojump_clock, connect):
    """Death of a bug is no end in good order."""
    told: list[BaseException] = []

    async def read(stream) -> None:
        with pytest.raises(ClientFailed, match="gave up") as caught:
            async for _ in stream:
                pass
        told.append(caught.value)

    async with trio.open_nursery() as nursery:
        with pytest.raises(ClientFailed):
            async with connect() as client:
                for stream in (await client.ticks(ASSET), client.outages()):
                    nursery.start_soon(read, stream)
                while True:
                    crash(client, "monitor")
                    await trio.sleep(3)
    assert len(told) == 2


def test_a_client_is_made_by_open_client_only():
    assert "__aenter__" not in vars(Client)
