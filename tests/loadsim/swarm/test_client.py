"""One client of a swarm, byte by byte, with a line and a swarm that only note."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from loadsim.swarm.client import MuxClient, MuxOwner, MuxPhase
from loadsim.swarm.lean import Kit
from potrio.errors import (
    ConnectionBroken,
    ConnectionClosed,
    ConnectRefused,
    HandshakeFailed,
    LimitExceeded,
    LocalProtocolError,
    UpgradeRejected,
)
from potrio.protocol.frames import encode_messages
from potrio.protocol.ssid import parse_ssid
from potrio.protocol.websocket import WebSocketCodec
from potrio.transport.line import Line

HEADER = '451-["updateStream",{"_placeholder":true,"num":0}]'
OPEN = '0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
HEAD = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
SSID = parse_ssid('42["auth",{"session":"examplesession","isDemo":1,"uid":5,"platform":1}]')


class Upgrade:
    request = b"GET / HTTP/1.1\r\n\r\n"

    def receive_head(self, head: bytes) -> None:
        if b" 101 " not in head:
            raise UpgradeRejected("here", "no", 404)


class Swarm:
    """Notes; it is host and owner."""

    def __init__(self) -> None:
        self.kit = Kit(bytes)
        self.owner: Any = self
        self.ticks = self.events = self.sent = 0
        self.time = 100.0
        self.said: list[Any] = []

    def now(self) -> float:
        return self.time

    def upgrade(self) -> Any:
        return Upgrade()

    def entered(self, client: MuxClient) -> None:
        self.said.append("entered")

    def left(self, client: MuxClient, error: Exception | None, *, told: bool = True) -> None:
        self.said.append((error, told))


class Owner(MuxOwner):
    def __init__(self) -> None:
        self.prices: list[float] = []

    def ticks(self, client: MuxClient, ticks: list[Any], now: float) -> None:
        self.prices += [tick.price for tick in ticks]


class Wire:
    """A line that keeps what is sent."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False
        self.waiting = 0

    def send(self, data: bytes) -> bool:
        self.sent += data
        return True

    def close(self) -> None:
        self.closed = True

    def messages(self) -> list[Any]:
        """What the client has said since the last look."""
        data, self.sent = self.sent, b""
        return list(WebSocketCodec("server", mask_bytes=bytes).receive_data(data, 0.0))


def frames(*messages: Any) -> bytes:
    return encode_messages(messages)[0]


def begun() -> tuple[MuxClient, Swarm, Wire, Line]:
    swarm, wire = Swarm(), Wire()
    swarm.owner = Owner()
    client = MuxClient(swarm, 0, SSID)
    line = cast("Line", wire)
    client.begin(line)
    return client, swarm, wire, line


def test_a_life_cut_anywhere() -> None:
    client, swarm, wire, line = begun()
    client.connected(line)
    assert client.phase is MuxPhase.UPGRADING
    assert wire.sent == Upgrade.request
    wire.sent = b""
    for byte in HEAD + frames(OPEN):
        client.received(line, bytes([byte]))
    assert client.phase is MuxPhase.LOGGING_IN
    assert wire.messages() == ["40"]
    client.received(line, frames('40{"sid":"x"}'))
    (auth,) = wire.messages()
    assert json.loads(auth[2:])[1]["uid"] == 5
    client.received(line, frames('42["successauth",{}]', HEADER, b'[["A",1790000000.5,1.25]]'))
    assert client.phase is MuxPhase.READY
    assert swarm.said == ["entered"]
    assert (client.ticks, swarm.ticks, swarm.owner.prices) == (1, 1, [1.25])
    client.send_event("ps")
    assert wire.messages() == ['42["ps"]']
    client.close()
    assert wire.closed
    assert swarm.said == ["entered", (None, False)]
    with pytest.raises(LocalProtocolError, match="closed"):
        client.send_event("ps")


def logged_in() -> tuple[MuxClient, Swarm, Wire, Line]:
    client, swarm, wire, line = begun()
    client.connected(line)
    client.received(line, HEAD + frames(OPEN))
    client.received(line, frames('40{"sid":"x"}'))
    client.received(line, frames('42["successauth",{}]'))
    assert client.phase is MuxPhase.READY
    return client, swarm, wire, line


def test_who_closes_it_hears_nothing_more_of_the_same_read() -> None:
    client, swarm, _, line = logged_in()
    heard: list[str] = []

    def close(client: MuxClient, name: str, payload: bytes, now: float) -> None:
        heard.append(name)
        client.close()

    swarm.owner.event = close
    client.received(line, frames('42["one",{}]', '42["two",{}]'))
    assert heard == ["one"]
    assert swarm.said[-1] == (None, False)


def test_ticks_and_events_are_counted() -> None:
    client, swarm, wire, line = logged_in()
    client.received(line, frames(HEADER, b'[["A",1790000000.5,1.25],["A",1790000001.0,1.5]]'))
    assert (client.ticks, swarm.ticks, swarm.owner.prices) == (2, 2, [1.25, 1.5])
    client.send_event("ps")
    client.send_event("ps")
    assert swarm.sent == 2
    wire.waiting = 7
    assert client.waiting == 7
    client.close()
    assert client.waiting == 0


def test_a_bad_price_ends_the_client_and_is_no_bug() -> None:
    client, swarm, wire, line = begun()
    client.connected(line)
    client.received(line, HEAD + frames(OPEN))
    client.received(line, frames('40{"sid":"x"}'))
    client.received(line, frames('42["successauth",{}]', HEADER, b"[["))
    assert wire.closed
    error, told = swarm.said[-1]
    assert told
    assert "updateStream" in str(error)


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"HTTP/1.1 404 Not Found\r\n\r\n", UpgradeRejected), (b"HTTP/1.1 200 OK\r\n" * 100, LimitExceeded)],
)
def test_what_is_no_upgrade_ends_it(data: bytes, kind: type[Exception]) -> None:
    client, swarm, wire, line = begun()
    client.connected(line)
    client.received(line, data)
    assert type(swarm.said[-1][0]) is kind
    assert wire.closed
    assert client.phase is MuxPhase.CLOSED


def test_each_end_has_its_name() -> None:
    refused, broken = ConnectionBroken("the connection was lost: refused"), ConnectionBroken("lost")
    client, swarm, _, line = begun()
    client.closed(line, refused)
    assert type(swarm.said[-1][0]) is ConnectRefused
    client, swarm, _, line = begun()
    client.connected(line)
    client.closed(line, None)
    assert type(swarm.said[-1][0]) is HandshakeFailed
    client, swarm, _, line = begun()
    client.connected(line)
    client.received(line, HEAD)
    client.closed(line, broken)
    assert type(swarm.said[-1][0]) is HandshakeFailed
    client, swarm, _, line = begun()
    client.closed(line, ConnectionClosed("the poller has been closed"))
    assert swarm.said == [(None, False)], "the end of the swarm is nobody's news"
