"""The echo servers, as the official suites meet them: in virtual time, so that a slow machine misses no ping."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from loadsim.conformance import Suite, serve_conformance
from potrio.errors import ConnectionClosed
from potrio.testing.network import MemoryNetwork
from potrio.transport.base import Transport
from potrio.transport.dial import dial

PORT = 3000


@asynccontextmanager
async def served(suite: Suite) -> AsyncIterator[tuple[Transport, MemoryNetwork]]:
    """A server of a suite, and a connection to it."""
    network = MemoryNetwork()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_conformance, suite, port=PORT, seam=network))
        url = f"ws://127.0.0.1:{PORT}/{suite}/?EIO=4&transport=websocket"
        async with dial(url, seam=network) as transport:
            yield transport, network
        nursery.cancel_scope.cancel()


async def said(transport: Transport, count: int) -> list[Any]:
    """The next messages, pings apart."""
    messages: list[Any] = []
    with trio.fail_after(2):
        while len(messages) < count:
            messages += [message for message in await transport.receive() if message != "2"]
    return messages


async def ended(transport: Transport, *, pong: bool = False) -> None:
    """Read until the server closes."""
    try:
        while True:
            if "2" in await transport.receive() and pong:
                await transport.send(["3"])
    except ConnectionClosed:
        return


async def test_engineio_opens_with_exactly_the_asked_fields_and_echoes(autojump_clock: MockClock) -> None:
    async with served("engine.io") as (transport, _):
        (opening,) = await said(transport, 1)
        handshake = json.loads(opening[1:])
        assert set(handshake) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
        assert (handshake["upgrades"], handshake["maxPayload"]) == ([], 1_000_000)
        assert (handshake["pingInterval"], handshake["pingTimeout"]) == (300, 200)
        await transport.send(["4hello", b"\x01\x02\x03"])
        assert await said(transport, 2) == ["4hello", b"\x01\x02\x03"]


async def test_engineio_pings_and_closes_who_does_not_answer(autojump_clock: MockClock) -> None:
    async with served("engine.io") as (transport, _):
        await said(transport, 1)
        start = trio.current_time()
        for _ in range(3):
            assert await transport.receive() == ["2"]
            await transport.send(["3"])
        assert trio.current_time() - start == pytest.approx(0.9)
        await ended(transport)
        assert trio.current_time() - start == pytest.approx(
            1.4
        )  # a fourth ping, and 200 ms without an answer


async def test_socketio_connects_and_emits_auth(autojump_clock: MockClock) -> None:
    async with served("socket.io") as (transport, _):
        await said(transport, 1)
        await transport.send(['40{"token":"123"}'])
        connected, auth = await said(transport, 2)
        assert set(json.loads(connected[2:])) == {"sid"}
        assert auth == '42["auth",{"token":"123"}]'
        await transport.send(["40/custom,"])
        connected, auth = await said(transport, 2)
        assert connected.startswith('40/custom,{"sid":')
        assert auth == '42/custom,["auth",{}]'
        await transport.send(["40/random"])
        assert await said(transport, 1) == ['44/random,{"message":"Invalid namespace"}']


async def test_socketio_echoes_events_acks_and_binary(autojump_clock: MockClock) -> None:
    async with served("socket.io") as (transport, _):
        await said(transport, 1)
        await transport.send(["40"])
        await said(transport, 2)
        await transport.send(['42["message",1,"2",{"3":[true]}]'])
        assert await said(transport, 1) == ['42["message-back",1,"2",{"3":[true]}]']
        placeholders = '{"_placeholder":true,"num":0},"2",{"_placeholder":true,"num":1}'
        await transport.send([f'452-["message",{placeholders}]', b"\x01\x02", b"\x03"])
        assert await said(transport, 3) == [f'452-["message-back",{placeholders}]', b"\x01\x02", b"\x03"]
        await transport.send(['42456["message-with-ack",1,"2",{"3":[false]}]'])
        assert await said(transport, 1) == ['43456[1,"2",{"3":[false]}]']
        await transport.send(
            [
                '452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
                b"a",
                b"b",
            ]
        )
        answer = await said(transport, 3)
        assert answer == ['462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', b"a", b"b"]


async def test_socketio_gives_up_on_who_does_not_connect_and_lets_go_who_disconnects(
    autojump_clock: MockClock,
) -> None:
    async with served("socket.io") as (transport, _):
        start = trio.current_time()
        await ended(transport, pong=True)
        assert trio.current_time() - start == pytest.approx(1.0)
    async with served("socket.io") as (transport, _):
        await said(transport, 1)
        await transport.send(["40", "40/custom,"])
        await said(transport, 4)
        await transport.send(["41", '42/custom,["message","still here"]'])
        assert await said(transport, 1) == ['42/custom,["message-back","still here"]']


@pytest.mark.parametrize("suite", ["engine.io", "socket.io"])
async def test_polling_gets_a_quick_400(suite: Suite, autojump_clock: MockClock) -> None:
    async with served(suite) as (_, network):
        for target, status in ((f"/{suite}/?EIO=4&transport=polling", 400), ("/other", 404)):
            async with await network.connect_tcp(0, ("127.0.0.1", PORT)) as stream:
                await stream.send_all(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                with trio.fail_after(1):
                    answer = b"".join([chunk async for chunk in stream])
            assert answer.startswith(f"HTTP/1.1 {status} ".encode())
