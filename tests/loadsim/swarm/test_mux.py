"""A swarm on the real venue, over loopback: logins, ticks, pings, orders, ends of every kind, and coming back."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trustme

from loadsim.swarm.mux import MuxClient, MuxClients, MuxOwner, MuxPhase, spread_sources
from loadsim.venue.config import VenueConfig
from loadsim.venue.faults import Fault, FaultKind
from loadsim.venue.server import open_venue
from potrio.errors import (
    AuthError,
    ConfigError,
    ConnectionBroken,
    ConnectRefused,
    ConnectTimeout,
    HeartbeatMissed,
    LocalProtocolError,
    TlsFailed,
    UpgradeRejected,
)
from potrio.protocol.messages.market import SubscribeSymbol, Tick
from potrio.protocol.ssid import Ssid, parse_ssid
from potrio.seam import REAL, Seam

WAIT_S = 60
ASSET = "EURUSD_otc"


def ssid(uid: int) -> Ssid:
    return parse_ssid(
        "42" + json.dumps(["auth", {"session": "examplesession", "isDemo": 1, "uid": uid, "platform": 1}])
    )


class Recorder(MuxOwner):
    """Notes everything, and does more where a test says so."""

    def __init__(self) -> None:
        self.ready_at: list[float] = []
        self.prices: list[Tick] = []
        self.heard: list[tuple[int, str, bytes]] = []
        self.errors: list[Any] = []
        self.delay_s: float | None = None
        self.on_ready: Callable[[MuxClient], None] = lambda client: client.send(SubscribeSymbol(ASSET))
        self.on_end: Callable[[MuxClient], None] = lambda client: None

    def ready(self, client: MuxClient) -> None:
        self.ready_at.append(trio.current_time())
        self.on_ready(client)

    def ticks(self, client: MuxClient, ticks: list[Tick], now: float) -> None:
        self.prices += ticks

    def event(self, client: MuxClient, name: str, payload: bytes, now: float) -> None:
        self.heard.append((client.number, name, payload))

    def closed(self, client: MuxClient, error: Exception | None) -> float | None:
        self.errors.append(error)
        self.on_end(client)
        return self.delay_s


@asynccontextmanager
async def running(url: str, owner: MuxOwner, **options: Any) -> AsyncIterator[MuxClients]:
    """A swarm, while the block runs."""
    swarm = MuxClients(url, owner, **options)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(swarm.run)
        yield swarm
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], Any]) -> None:
    with trio.fail_after(WAIT_S):
        while not condition():  # noqa: ASYNC110  # what is waited for is in another task's counters
            await trio.sleep(0.002)


async def test_clients_log_in_watch_and_get_the_venues_ticks() -> None:
    owner = Recorder()
    async with open_venue() as venue, running(venue.url, owner) as swarm:
        clients = [swarm.start(ssid(uid), tag=uid) for uid in range(1, 51)]
        await until(lambda: all(client.ticks >= 2 for client in clients))
        found = swarm.statistics()
        assert (found.ready, found.logins, found.connects, found.ends) == (50, 50, 50, 0)
        assert found.ticks == len(owner.prices) == sum(client.ticks for client in clients)
        assert {tick.asset for tick in owner.prices} == {ASSET}
        assert clients[3].tag == 4
        stats = venue.stats()
        assert stats["connections"]["authenticated"] == 50
        assert 0 <= stats["ticks_sent"] - found.ticks <= 50, "what was sent has come, or is under way"
        assert stats["events_sent"]["updateStream"] == stats["ticks_sent"]
        assert {name for _, name, _ in owner.heard} >= {"updateAssets", "successupdateBalance"}
    assert all(client.phase is MuxPhase.CLOSED for client in clients)
    assert owner.errors == []


async def test_an_idle_client_is_lean() -> None:
    owner = Recorder()
    async with open_venue() as venue, running(venue.url, owner) as swarm:
        client = swarm.start(ssid(1))
        await until(lambda: client.ticks >= 3)
        assert client._lean is not None
        assert client._lean.is_lean


async def test_heartbeats_are_answered_and_ps_is_sent() -> None:
    owner = Recorder()
    config = VenueConfig(ping_interval_ms=100, ping_timeout_ms=30_000)
    async with open_venue(config) as venue, running(venue.url, owner, ps_interval_s=0.1) as swarm:
        client = swarm.start(ssid(1))
        await until(lambda: venue.stats()["pongs_received"] >= 5)
        await until(lambda: venue.stats()["ps_received"] >= 5)
        assert client.phase is MuxPhase.READY
        assert venue.stats()["violations"] == {}


async def test_orders_are_sent_and_answered() -> None:
    owner = Recorder()
    async with open_venue() as venue, running(venue.url, owner) as swarm:
        client = swarm.start(ssid(1))
        with pytest.raises(LocalProtocolError, match="waiting"):
            client.send_event("ps")
        await until(lambda: client.phase is MuxPhase.READY)
        order = {
            "asset": ASSET,
            "amount": 10,
            "action": "call",
            "isDemo": 1,
            "optionType": 100,
            "time": 60,
            "requestId": "7b1f3c1e-0000-4000-8000-00000000000a",
        }
        client.send_event("openOrder", msgspec.json.encode(order))
        await until(lambda: any(name == "successopenOrder" for _, name, _ in owner.heard))
        assert venue.stats()["deals"]["opened"] == 1
        assert client.waiting == 0


async def test_connects_are_paced() -> None:
    owner = Recorder()
    began = trio.current_time()
    async with open_venue() as venue, running(venue.url, owner, connects_per_second=50) as swarm:
        for uid in range(1, 31):
            swarm.start(ssid(uid))
        await until(lambda: swarm.statistics().ready == 30)
        assert owner.ready_at[-1] - began >= 0.4
        late = swarm.start(ssid(99))
        await until(lambda: late.phase is MuxPhase.READY)


async def test_no_more_handshakes_are_under_way_at_once_than_allowed() -> None:
    owner = Recorder()
    most: list[int] = []
    async with open_venue() as venue, running(venue.url, owner, handshakes_max=3) as swarm:
        owner.on_ready = lambda client: most.append(swarm.statistics().connecting)
        for uid in range(30):
            swarm.start(ssid(uid + 1))
        await until(lambda: len(owner.ready_at) == 30)
        assert owner.errors == []
        assert 1 <= max(most) <= 3


async def test_a_handshake_that_fails_makes_room_for_the_next() -> None:
    owner = Recorder()
    fault = Fault(kind=FaultKind.REFUSE_CONNECTION, count=2)
    config = VenueConfig(faults=(fault,))
    async with open_venue(config) as venue, running(venue.url, owner, handshakes_max=1) as swarm:
        for uid in range(4):
            swarm.start(ssid(uid + 1))
        await until(lambda: len(owner.ready_at) == 2)
        assert [type(error) for error in owner.errors] == [UpgradeRejected] * 2
        assert swarm.statistics().connects == 4


async def test_sources_are_used_in_turn() -> None:
    assert spread_sources(25_000) == ()
    assert spread_sources(60_000) == ("127.0.0.1", "127.0.0.2", "127.0.0.3")
    with socket.create_server(("127.0.0.1", 0), backlog=10) as server:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/"
        async with running(url, Recorder(), sources=("127.0.0.7", "127.0.0.8")) as swarm:
            for uid in range(4):
                swarm.start(ssid(uid + 1))
            await until(lambda: swarm.statistics().connects == 4)
            await until(lambda: all(client.phase is MuxPhase.UPGRADING for client in swarm.clients))
        peers = [server.accept() for _ in range(4)]
        assert sorted(address[0] for _, address in peers) == ["127.0.0.7"] * 2 + ["127.0.0.8"] * 2
        for sock, _ in peers:
            sock.close()


async def test_a_client_that_is_dropped_comes_back_as_its_owner_says() -> None:
    owner = Recorder()
    owner.delay_s = 0.05
    async with open_venue() as venue, running(venue.url, owner) as swarm:
        clients = [swarm.start(ssid(uid)) for uid in (1, 2, 3)]
        await until(lambda: swarm.statistics().ready == 3)
        venue.exchange.hurt_at_once([Fault(kind=FaultKind.DROP, count=3)])
        await until(lambda: swarm.statistics().logins == 6)
        assert [type(error) for error in owner.errors] == [ConnectionBroken] * 3
        ticks = [client.ticks for client in clients]
        await until(lambda: all(now.ticks > before for now, before in zip(clients, ticks, strict=True)))


async def test_closing_and_starting_again_is_the_programs_own_doing() -> None:
    owner = Recorder()
    async with open_venue() as venue, running(venue.url, owner) as swarm:
        client = swarm.start(ssid(1))
        await until(lambda: client.phase is MuxPhase.READY)
        with pytest.raises(LocalProtocolError, match="ready"):
            swarm.restart(client)
        client.close()
        client.close()
        assert owner.errors == []
        assert swarm.statistics().ends == 1
        await until(lambda: venue.stats()["connections"]["now"] == 0)
        swarm.restart(client)
        await until(lambda: client.phase is MuxPhase.READY)


async def test_refusals_have_their_names() -> None:
    owner = Recorder()
    faults = (Fault(kind=FaultKind.REJECT_AUTH, uid=7),)
    async with open_venue(VenueConfig(faults=faults)) as venue:
        async with running(venue.url, owner) as swarm:
            swarm.start(ssid(7))
            await until(lambda: owner.errors)
        async with running(venue.http_url.replace("http", "ws") + "/nowhere", owner) as swarm:
            swarm.start(ssid(1))
            await until(lambda: len(owner.errors) == 2)
        url = venue.url
    async with running(url, owner) as swarm:
        swarm.start(ssid(1))
        await until(lambda: len(owner.errors) == 3)
    assert [type(error) for error in owner.errors] == [AuthError, UpgradeRejected, ConnectRefused]


async def test_a_server_that_says_nothing_is_given_up() -> None:
    owner = Recorder()
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/"
        async with running(url, owner, handshake_timeout_s=1.0) as swarm:
            swarm.start(ssid(1))
            await until(lambda: owner.errors)
    assert isinstance(owner.errors[0], ConnectTimeout)
    assert owner.errors[0].stage == "upgrading"


async def test_a_venue_that_falls_silent_is_noticed() -> None:
    owner = Recorder()
    owner.on_ready = lambda client: None
    config = VenueConfig(ping_interval_ms=100, ping_timeout_ms=2_500)
    async with open_venue(config) as venue, running(venue.url, owner, ps_interval_s=0.2) as swarm:
        client = swarm.start(ssid(1))
        await until(lambda: client.phase is MuxPhase.READY)
        venue.exchange.hurt_at_once([Fault(kind=FaultKind.HALF_OPEN)])
        await until(lambda: owner.errors)
    assert isinstance(owner.errors[0], HeartbeatMissed)


# --- wss:// -------------------------------------------------------------------------------------------------


def tls_venue(folder: Path, name: str = "127.0.0.1") -> tuple[VenueConfig, ssl.SSLContext]:
    """A venue's configuration with a certificate for a name, and a context that trusts its authority."""
    authority = trustme.CA()
    certificate = authority.issue_cert(name)
    cert, key = folder / "cert.pem", folder / "key.pem"
    certificate.private_key_pem.write_to_path(key)
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(cert, append=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return VenueConfig(tls_cert=cert, tls_key=key), context


async def test_clients_of_a_venue_with_tls(tmp_path: Path) -> None:
    owner = Recorder()
    owner.delay_s = 0.05
    config, context = tls_venue(tmp_path)
    async with open_venue(config) as venue, running(venue.url, owner, ssl_context=context) as swarm:
        assert venue.url.startswith("wss:")
        clients = [swarm.start(ssid(uid)) for uid in range(1, 21)]
        await until(lambda: all(client.ticks >= 2 for client in clients))
        venue.exchange.hurt_at_once([Fault(kind=FaultKind.DROP, count=3)])
        await until(lambda: swarm.statistics().logins == 23)
        assert all(isinstance(error, ConnectionBroken) for error in owner.errors)
        clients[0].close()
        await until(lambda: venue.stats()["connections"]["now"] == 19)
        assert venue.stats()["violations"] == {}


@pytest.mark.parametrize(
    ("name", "trusts"), [("other.example", True), ("127.0.0.1", False)], ids=["host", "authority"]
)
async def test_a_venue_that_is_not_who_it_says_it_is_never_sees_a_token(
    tmp_path: Path, name: str, trusts: bool
) -> None:
    owner = Recorder()
    config, context = tls_venue(tmp_path, name)
    options = {"ssl_context": context} if trusts else {}  # the system's authorities do not know it
    async with open_venue(config) as venue, running(venue.url, owner, **options) as swarm:
        bad = swarm.start(ssid(1))
        await until(lambda: owner.errors)
        assert type(owner.errors[0]) is TlsFailed
        assert "the certificate is not accepted" in str(owner.errors[0])
        assert bad.phase is MuxPhase.CLOSED
        assert venue.stats()["connections"]["authenticated"] == 0


async def test_tls_that_does_not_answer_is_given_up() -> None:
    owner = Recorder()
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"wss://127.0.0.1:{server.getsockname()[1]}/"
        async with running(url, owner, handshake_timeout_s=1.0) as swarm:
            swarm.start(ssid(1))
            await until(lambda: owner.errors)
    assert isinstance(owner.errors[0], ConnectTimeout)
    assert owner.errors[0].stage == "tls"


# --- bounds and faults of others ----------------------------------------------------------------------------


class FewDescriptors(Seam):
    """Has room for one connection."""

    left = 1

    def start_connect(self, *arguments: Any, **options: Any) -> Any:
        if not self.left:
            raise OSError(24, "Too many open files")
        self.left -= 1
        return super().start_connect(*arguments, **options)


async def test_want_of_descriptors_is_one_clients_trouble() -> None:
    owner = Recorder()
    async with open_venue() as venue, running(venue.url, owner, seam=FewDescriptors()) as swarm:
        first, second = swarm.start(ssid(1)), swarm.start(ssid(2))
        await until(lambda: owner.errors and first.phase is MuxPhase.READY)
        assert isinstance(owner.errors[0], OSError)
        assert second.phase is MuxPhase.CLOSED


async def test_an_owner_that_fails_loses_one_client(caplog: pytest.LogCaptureFixture) -> None:
    owner = Recorder()
    fault = ZeroDivisionError("planted")

    def fail(client: MuxClient) -> None:
        if client.number == 0:
            raise fault

    owner.on_ready = owner.on_end = fail
    async with open_venue() as venue, running(venue.url, owner) as swarm:
        bad, good = swarm.start(ssid(1)), swarm.start(ssid(2))
        await until(lambda: owner.errors and good.phase is MuxPhase.READY)
        assert owner.errors == [fault]
        assert bad.phase is MuxPhase.CLOSED
    assert "the owner of a line failed" in caplog.text
    assert "the owner of a swarm failed" in caplog.text


def test_only_this_machine_and_what_is_allowed() -> None:
    with pytest.raises(ConfigError, match="not this machine"):
        MuxClients("wss://example.com/", MuxOwner())
    with pytest.raises(ConfigError, match="use wss://"):
        MuxClients("ws://example.com/", MuxOwner(), allowed_hosts={"example.com"})
    MuxClients("wss://example.com/", MuxOwner(), allowed_hosts={"example.com"}, seam=REAL)
    with pytest.raises(ConfigError, match="connects_per_second"):
        MuxClients("ws://127.0.0.1/", MuxOwner(), connects_per_second=3000)
    with pytest.raises(ConfigError, match="handshakes_max"):
        MuxClients("ws://127.0.0.1/", MuxOwner(), handshakes_max=0)


async def test_one_broadcast_is_the_same_bytes_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every watcher's line is handed one object, and it is what the codec would have sent."""
    from potrio.protocol.websocket import WebSocketCodec
    from potrio.transport.framed import FramedTransport

    sent: list[bytes] = []
    now = FramedTransport.send_encoded_nowait

    def note(self: FramedTransport, data: bytes, count: int) -> bool:
        sent.append(data)
        return now(self, data, count)

    monkeypatch.setattr(FramedTransport, "send_encoded_nowait", note)
    owner = Recorder()
    async with open_venue() as venue, running(venue.url, owner) as swarm:
        clients = [swarm.start(ssid(uid)) for uid in range(1, 21)]
        await until(lambda: all(client.ticks for client in clients))
        sent.clear()
        await until(lambda: len(sent) >= 20)
        first = sent[:20]
        assert len({id(data) for data in first}) == 1
        messages = WebSocketCodec("client", mask_bytes=bytes).receive_data(first[0], 0.0)
        codec = WebSocketCodec("server", mask_bytes=bytes)
        codec.send_messages([each for each in messages if isinstance(each, str | bytes)])
        assert codec.data_to_send() == first[0]
