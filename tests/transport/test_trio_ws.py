"""What is special to the trio-websocket transport: the library underneath, its crashes, its half-finished sends."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing
from wsproto.utilities import LocalProtocolError as WsprotoLocalError

from potrio.errors import ConnectionBroken, ConnectionClosed, UpgradeRejected
from potrio.limits import CLOSE_TIMEOUT
from potrio.protocol.websocket import WebSocketCodec
from potrio.transport.accept import accept
from potrio.transport.target import parse_target
from potrio.transport.trio_ws import open_trio_websocket

TARGET = parse_target("ws://127.0.0.1:1/socket.io/?token=canary")


async def serve_one(stream, transports):
    """Be the server of one connection."""
    transports.append(await (await accept(stream)).upgrade())


@pytest.fixture
async def pair(nursery):
    """An open transport over a stream in memory, and the server's."""
    ours, theirs = trio.testing.memory_stream_pair()
    servers = []
    nursery.start_soon(serve_one, theirs, servers)
    async with open_trio_websocket(ours, TARGET, []) as transport:
        yield transport, servers[0], ours


async def test_one_message_for_each_receive_and_one_write_for_each_message(pair, clock):
    client, server, _ = pair
    await server.send(["one", b"two"])
    assert await client.receive() == ["one"]
    assert await client.receive() == [b"two"]
    await client.send(["three", "four"])

    assert client.statistics().writes == 2
    assert client.statistics().reads == 1


async def test_a_crash_of_the_library_is_an_end_with_its_cause(pair, monkeypatch):
    client, server, _ = pair
    monkeypatch.setattr(client._connection, "_message_size", None)  # the next message makes it stumble
    await server.send(["x"])

    with pytest.raises(ConnectionBroken, match="trio-websocket failed: TypeError") as caught:
        await client.receive()
    assert isinstance(caught.value.__cause__, TypeError)
    with pytest.raises(ConnectionBroken, match="trio-websocket failed"):
        await client.send(["y"])
    with pytest.raises(ConnectionBroken):
        await server.receive()


async def test_a_library_that_cannot_send_any_more(pair, monkeypatch, clock):
    client, _, _ = pair

    async def refuse(message):
        await trio.lowlevel.checkpoint()
        raise WsprotoLocalError("Event cannot be sent in state CLOSED.")

    monkeypatch.setattr(client._connection, "send_message", refuse)
    with pytest.raises(ConnectionBroken, match="the peer has closed the connection"):
        await client.send(["x"])


async def test_a_send_cancelled_between_two_messages_ends_the_transport(pair, monkeypatch):
    """A header without its attachment must not be followed by anything."""
    client, server, _ = pair
    send_message = client._connection.send_message
    calls = 0

    async def stumble(message):
        nonlocal calls
        calls += 1
        if calls == 2:
            await trio.sleep_forever()
        await send_message(message)

    monkeypatch.setattr(client._connection, "send_message", stumble)
    with trio.move_on_after(0.05):
        await client.send(["header", b"attachment"])

    with pytest.raises(ConnectionBroken, match="half way"):
        await client.send(["x"])
    with pytest.raises(ConnectionBroken, match="half way"):
        await client.receive()
    assert await server.receive() == ["header"]
    with pytest.raises(ConnectionBroken):
        await server.receive()
    assert client.statistics().messages_sent == 1


async def test_a_ping_after_our_close_does_not_hold_it_up(autojump_clock):
    """The library answers a ping after its own Close frame, fails at that, and would wait for ever."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        servers = []
        nursery.start_soon(serve_one, theirs, servers)
        async with open_trio_websocket(ours, TARGET, []) as transport:

            @nursery.start_soon
            async def ping_then_nothing():
                codec = WebSocketCodec("server", mask_bytes=bytes)
                assert codec.receive_data(await theirs.receive_some(), 0.0)
                await theirs.send_all(b"\x89\x00")

            await transport.aclose()
            assert trio.current_time() < CLOSE_TIMEOUT  # the reader's end is noticed, not only the timeout
            with pytest.raises(ConnectionClosed) as caught:
                await transport.receive()
            assert type(caught.value) is ConnectionClosed


async def test_a_stream_that_breaks_before_the_request_has_left():
    ours, _ = trio.testing.memory_stream_pair()

    async def broken(data):
        raise trio.BrokenResourceError from BrokenPipeError(32, "Broken pipe")

    ours.send_all = broken
    with pytest.raises(UpgradeRejected, match="the connection was lost: Broken pipe"):
        async with open_trio_websocket(ours, TARGET, []):
            pytest.fail("connected")
    with pytest.raises(trio.ClosedResourceError):
        await ours.receive_some()


async def test_several_exceptions_at_once_are_not_grouped(autojump_clock):
    """Whatever the library does while the block fails, the block's own error comes out."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        servers = []
        nursery.start_soon(serve_one, theirs, servers)

        async def fail():
            async with open_trio_websocket(ours, TARGET, []) as transport:
                transport._connection._message_size = None
                await servers[0].send(["x"])
                await trio.sleep(0.1)
                raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await fail()


async def talk_and_close(words: str) -> None:
    """Exchange messages with a server, which says some words in its Close frame."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        servers = []
        nursery.start_soon(serve_one, theirs, servers)
        async with open_trio_websocket(ours, TARGET, [("Cookie", "session=canary")]) as transport:
            await transport.send(["canary"])
            await servers[0].receive()
            await servers[0].send(["canary"])
            await transport.receive()
            nursery.start_soon(servers[0].aclose, 1008, words)
            with pytest.raises(ConnectionBroken, match="code 1008"):
                await transport.receive()


async def test_the_library_writes_no_log_that_nobody_asked_for_by_name(caplog):
    """At DEBUG it would write down the words of the Close frame."""
    caplog.set_level(logging.DEBUG)
    await talk_and_close("bad session canary")

    assert "trio-websocket" not in {record.name for record in caplog.records}
    assert "canary" not in caplog.text


async def test_the_librarys_log_if_asked_for_shows_neither_headers_nor_messages(caplog):
    caplog.set_level(logging.DEBUG, logger="trio-websocket")
    await talk_and_close("bye")

    assert "trio-websocket" in {record.name for record in caplog.records}
    assert "canary" not in caplog.text
