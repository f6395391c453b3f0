"""`open_venue`: real sockets, TLS, a thousand connections, the same run twice, and a border without groups."""

from __future__ import annotations

import hashlib
import resource
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from loadsim.venue.config import VenueConfig
from loadsim.venue.server import Venue, lone, open_venue
from potrio.errors import ConfigError, ConnectionClosed
from potrio.transport.dial import dial

CLIENTS = 1000


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Enough file descriptors for both ends of all connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CLIENTS + 500
    if soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            pytest.skip(f"the system allows {hard} descriptors, {wanted} are needed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_the_block_owns_everything(world: Any) -> None:
    async with open_venue() as venue, dial(venue.url) as transport:
        assert venue.url == f"ws://127.0.0.1:{venue.port}/socket.io/?EIO=4&transport=websocket"
        assert venue.http_url == f"http://127.0.0.1:{venue.port}"
        await transport.receive()
        living = trio.lowlevel.current_statistics().tasks_living
    with pytest.raises(ConnectionClosed):
        await transport.receive()
    with pytest.raises(OSError, match="all attempts"):
        await trio.open_tcp_stream("127.0.0.1", venue.port)
    assert trio.lowlevel.current_statistics().tasks_living < living


async def test_errors_come_out_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_venue():
            raise ZeroDivisionError
    async with open_venue() as venue:
        with pytest.raises(OSError, match="in use"):
            async with open_venue(VenueConfig(port=venue.port)):
                pass
    with pytest.raises(ConfigError, match=r"tls_cert: No such file"):
        async with open_venue(VenueConfig(tls_cert=Path("none"), tls_key=Path("none"))):
            pass
    inner = ValueError()
    assert lone(ExceptionGroup("", [ExceptionGroup("", [inner])])) is inner


async def test_a_venue_that_cannot_be_made_listens_no_longer(tmp_path: Path) -> None:
    """The error is kept, and with it whatever its traceback holds: nothing is closed by chance."""
    state = tmp_path / "state.json"
    state.write_text("nonsense")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ConfigError, match="not the state of a venue") as kept:
        async with open_venue(VenueConfig(port=port, state_file=state)):
            pass
    async with open_venue(VenueConfig(port=port)):
        assert kept.value


async def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.private_key_pem.write_to_path(key)
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(cert, append=True)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with open_venue(VenueConfig(tls_cert=cert, tls_key=key)) as venue:
        assert venue.url.startswith("wss://127.0.0.1:")
        async with dial(venue.url, ssl_context=context) as transport:
            assert str((await transport.receive())[0]).startswith('0{"sid":')
        async with await trio.open_tcp_stream("127.0.0.1", venue.port) as stream:
            await stream.send_all(b"GET /stats HTTP/1.1\r\n\r\n")
            assert b"HTTP" not in b"".join([chunk async for chunk in stream]), "no plain text on a TLS port"
        assert venue.stats()["violations"] == {}


async def test_a_reader_that_stops_is_closed_and_others_do_not_notice() -> None:
    config = VenueConfig(outbound_bytes_max=1 << 20, events_per_second_max=10_000)
    async with open_venue(config) as venue, dial(venue.url) as stuck, dial(venue.url) as lively:
        for transport, uid in ((stuck, 1), (lively, 2)):
            await log_in(transport, uid)
        with trio.fail_after(60):
            try:
                while True:
                    await stuck.send(['42["assets/load"]'])
            except ConnectionClosed:
                pass
            await lively.send(['42["getBalance"]'])
            assert await lively.receive()
        assert venue.stats()["connections"]["closes"] == {"slow_reader": 1}


async def log_in(transport: Any, uid: int) -> None:
    """The handshake, and everything pushed after it."""
    seen: list[Any] = []
    await transport.send(["40"])
    await transport.send([f'42["auth",{{"session":"s","isDemo":1,"uid":{uid}}}]'])
    while not any("successupdatePending" in str(message) for message in seen):
        seen += await transport.receive()


@pytest.mark.usefixtures("descriptors")
async def test_a_thousand_connections_stream_and_trade() -> None:
    """Both ends in this process: all log in, watch one asset, place an order and see it accepted."""
    done: list[int] = []

    async def one(venue: Venue, uid: int, gate: trio.Semaphore, everybody: trio.Event) -> None:
        async with dial(venue.url) as transport:
            async with gate:
                await log_in(transport, uid)
            await transport.send(
                [
                    '42["subfor","EURUSD_otc"]',
                    f'42["openOrder",{{"asset":"EURUSD_otc","amount":1,"action":"call","time":60,"requestId":{uid}}}]',
                ]
            )
            wanted = {"successopenOrder", "updateStream"}
            while wanted:
                for message in await transport.receive():
                    wanted = {name for name in wanted if name not in str(message)}
            done.append(uid)
            if len(done) == CLIENTS:
                everybody.set()
            await everybody.wait()

    with trio.fail_after(100):
        async with open_venue() as venue, trio.open_nursery() as nursery:
            gate, everybody = trio.Semaphore(50), trio.Event()
            for uid in range(CLIENTS):
                nursery.start_soon(one, venue, uid, gate, everybody)
            await everybody.wait()
            stats = venue.stats()
            assert stats["connections"]["now"] == stats["connections"]["authenticated"] == CLIENTS
            assert stats["deals"]["opened"] == CLIENTS
            assert set(stats["orders"].values()) == {1}
            assert stats["violations"] == {}


async def test_one_seed_one_run(autojump_clock: Any, world: Any) -> None:
    """The same clock, seed and requests give the same bytes."""

    async def run() -> str:
        another = type(world)()
        async with another.venue(VenueConfig(seed=11)) as venue, another.client(venue) as client:
            start = trio.current_time()
            await client.login()
            await client.emit("changeSymbol", {"asset": "EURUSD_otc", "period": 60})
            await client.order(time=5)
            await client.idle(20 - (trio.current_time() - start))
        return hashlib.sha256(repr(client.frames).encode()).hexdigest()

    assert await run() == await run()
