"""The echo in both roles: every message back, the limits of the suite, ends that are nobody's fault."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from potrio.errors import ConnectionBroken, RemoteProtocolError
from potrio.testing.network import MemoryNetwork
from potrio.testing.ws_echo import ECHO_FRAGMENTS_MAX, echo, run_cases, serve_echo
from potrio.transport.accept import HttpRequest, accept
from potrio.transport.dial import dial
from potrio.transport.framed import FramedTransport

PORT = 9001
URL = f"ws://127.0.0.1:{PORT}"


@pytest.fixture
async def network() -> AsyncIterator[MemoryNetwork]:
    """A network in memory with an echo server on it."""
    network = MemoryNetwork()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_echo, PORT, seam=network))
        yield network
        nursery.cancel_scope.cancel()


async def test_every_message_comes_back_as_it_was(network: MemoryNetwork) -> None:
    messages = ["", "text", b"", b"bytes", "\N{SNOWMAN}" * 30_000]
    received: list[str | bytes] = []
    async with dial(f"{URL}/any/path", seam=network) as transport:
        await transport.send(messages)
        while len(received) < len(messages):
            received += await transport.receive()

    assert received == messages


async def test_messages_as_large_as_the_suites_are_taken(network: MemoryNetwork) -> None:
    large = b"x" * (16 * 1024 * 1024)
    async with dial(URL, seam=network, message_max=len(large)) as transport:
        with trio.fail_after(90):
            await transport.send([large])
            (received,) = await transport.receive()

    assert received == large


async def test_a_message_in_as_many_frames_as_the_suites_is_taken(network: MemoryNetwork) -> None:
    count = 4 * 1024 * 1024 // 64
    assert count < ECHO_FRAGMENTS_MAX
    async with dial(URL, seam=network) as transport:
        assert isinstance(transport, FramedTransport)
        frame = b"\x00\x80\0\0\0\0"
        fragments = b"\x02\x81\0\0\0\0x" + b"\x00\x81\0\0\0\0y" * (count - 2) + b"\x80" + frame[1:]
        await transport._stream.send_all(fragments)
        (received,) = await transport.receive()

    assert received == b"x" + b"y" * (count - 2)


async def test_a_connection_that_ends_badly_does_not_end_the_server(network: MemoryNetwork) -> None:
    for rubbish in (
        b"",
        b"GET",
        b"rubbish\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
    ):
        stream = await network.connect_tcp(0, ("127.0.0.1", PORT))
        if rubbish:
            await stream.send_all(rubbish)
        await stream.aclose()
    async with dial(URL, seam=network) as transport:
        assert isinstance(transport, FramedTransport)
        await transport._stream.send_all(b"\xff\xff")
        with pytest.raises(ConnectionBroken, match="1002"):
            await transport.receive()
    async with dial(URL, seam=network) as transport:
        await transport.send(["still there"])
        assert await transport.receive() == ["still there"]


async def test_plain_http_is_told_what_this_is(network: MemoryNetwork) -> None:
    stream = await network.connect_tcp(0, ("127.0.0.1", PORT))
    await stream.send_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")

    assert bytes(await stream.receive_some()).startswith(b"HTTP/1.1 426 ")
    await stream.aclose()


# --- the client ----------------------------------------------------------------------------------------------------


Serve = Callable[[HttpRequest], Awaitable[None]]


@asynccontextmanager
async def fuzzing_server(serve: Serve) -> AsyncIterator[MemoryNetwork]:
    """A server on a network of its own; the function is given each request."""
    network = MemoryNetwork()

    async def handle(stream: trio.abc.Stream) -> None:
        await serve(await accept(stream, seam=network))

    listeners = await network.listen_tcp("127.0.0.1", PORT)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, handle, listeners))
        yield network
        nursery.cancel_scope.cancel()


async def test_the_client_runs_every_case_and_asks_for_the_report() -> None:
    asked: list[str] = []
    echoed: list[list[str | bytes]] = []

    async def serve(request: HttpRequest) -> None:
        asked.append(request.target)
        transport = await request.upgrade()
        if request.path == "/getCaseCount":
            await transport.send(["3"])
        elif request.path == "/runCase":
            case = request.query["case"]
            await transport.send([f"case {case}", b"x"])
            echoed.append(await transport.receive())
            if case == "2":
                await trio.aclose_forcefully(transport._stream)  # a case may end like this
        await transport.aclose()

    told: list[tuple[int, int]] = []
    async with fuzzing_server(serve) as network:
        count = await run_cases(f"{URL}/", "a b&c", seam=network, told=lambda *each: told.append(each))

    assert count == 3
    assert asked == [
        "/getCaseCount",
        "/runCase?case=1&agent=a%20b%26c",
        "/runCase?case=2&agent=a%20b%26c",
        "/runCase?case=3&agent=a%20b%26c",
        "/updateReports?agent=a%20b%26c",
    ]
    assert echoed == [["case 1", b"x"], ["case 2", b"x"], ["case 3", b"x"]]
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("answer", ["many", "-1", "", "٣", b"3"])
async def test_a_server_that_does_not_say_how_many_cases_there_are(answer: str | bytes) -> None:
    async def serve(request: HttpRequest) -> None:
        transport = await request.upgrade()
        await transport.send([answer])
        await transport.aclose()

    async with fuzzing_server(serve) as network:
        with pytest.raises(RemoteProtocolError, match="how many cases"):
            await run_cases(URL, "potrio", seam=network)


async def test_cancelling_an_echo_closes_the_connection(network: MemoryNetwork) -> None:
    async with dial(URL, seam=network) as transport:
        with trio.CancelScope() as scope:
            scope.cancel()
            await echo(transport)

        assert scope.cancelled_caught
        assert isinstance(transport, FramedTransport)
        with pytest.raises(trio.ClosedResourceError):
            await transport._stream.send_all(b"x")
