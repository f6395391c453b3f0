"""Servers that break the rules, after a good handshake, against both kinds of client.

Each ends in the right type, with the right Close frame on the wire, and with TCP closed by us within the close timeout
although the server itself never closes.
"""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager, suppress

import pytest
import trio

from potrio.errors import ConnectionBroken, ConnectionClosed, LimitExceeded, RemoteProtocolError
from potrio.limits import CLOSE_TIMEOUT, CONTROL_FRAMES_BURST, FRAGMENTS_MAX
from potrio.protocol.websocket import Close, Ping, Pong, WebSocketCodec
from potrio.seam import REAL
from potrio.transport.dial import dial

MEGABYTE = 1024 * 1024


def url_of(port):
    """Return the URL of a server of ours."""
    return f"ws://127.0.0.1:{port}/"


class Server:
    """What a scripted server saw of its client."""

    def __init__(self):
        self.events = []
        self.bytes_sent = 0
        self.seen_closed_at = None
        self._heard = trio.Condition()

    async def has_heard(self, count):
        """Wait for that many messages and control frames."""
        async with self._heard:
            while len(self.events) < count:
                await self._heard.wait()

    async def listen(self, stream):
        """Take frames until the client closes TCP."""
        codec = WebSocketCodec("server", mask_bytes=REAL.mask_bytes)
        try:
            while data := await stream.receive_some():
                self.events += codec.receive_data(data, 0.0)
                async with self._heard:
                    self._heard.notify_all()
        except trio.BrokenResourceError:
            pass
        self.seen_closed_at = trio.current_time()


@pytest.fixture
def against(serve, shake_hands, kind):
    """``async with against(script) as (transport, server)``: the script writes; a task listens and never closes."""

    @asynccontextmanager
    async def against(script, **options):
        server = Server()

        async def handler(stream):
            await shake_hands(stream)

            async def write():
                try:
                    await script(stream, server)
                except trio.BrokenResourceError:
                    pass

            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.listen, stream)
                nursery.start_soon(write)

        async with serve(handler) as port, dial(url_of(port), kind=kind, **options) as transport:
            yield transport, server

    return against


def writing(*parts):
    """A script that writes these bytes."""

    async def script(stream, server):
        for part in parts:
            await stream.send_all(part)
            server.bytes_sent += len(part)

    return script


def repeating(part):
    """A script that writes these bytes for ever."""

    async def script(stream, server):
        while True:
            await stream.send_all(part)
            server.bytes_sent += len(part)

    return script


async def ends_with(against, end_of, script, error_type, close_code, **options):
    """Check type, Close frame and the time until TCP is closed; return the error."""
    async with against(script, **options) as (transport, server):
        error = await end_of(transport)
        ended_at = trio.current_time()
        await trio.sleep(CLOSE_TIMEOUT + 0.1)

        assert type(error) is error_type
        assert server.seen_closed_at is not None, "TCP was left open"
        assert server.seen_closed_at <= ended_at + CLOSE_TIMEOUT + 0.1
        closes = [event for event in server.events if isinstance(event, Close)]
        assert [close.code for close in closes] == ([] if close_code is None else [close_code])
        with pytest.raises(error_type):
            await transport.send(["x"])
    return error, server


# --- breaches --------------------------------------------------------------------------------------------------------


BREACHES = {
    "reserved-opcode": (b"\x83\x00", 1002),
    "reserved-control-opcode": (b"\x8b\x00", 1002),
    "reserved-bit": (b"\xc1\x01x", 1002),
    "masked": (b"\x81\x81\0\0\0\0x", 1002),
    "continues-nothing": (b"\x80\x01x", 1002),
    "message-inside-another": (b"\x01\x01x\x81\x01y", 1002),
    "fragmented-ping": (b"\x09\x00", 1002),
    "long-ping": (b"\x89\x7e\x00\x7e" + b"x" * 126, 1002),
    "bad-utf8": (b"\x81\x02\xc3\x28", 1007),
    "bad-utf8-in-a-fragment": (b"\x01\x01x\x80\x01\xff", 1007),
    "close-with-one-byte": (b"\x88\x01x", 1002),
    "close-with-a-bad-code": (b"\x88\x02\x03\xee", 1002),
    "close-with-bad-utf8": (b"\x88\x03\x03\xe8\xff", 1007),
}


@pytest.mark.parametrize(("data", "code"), BREACHES.values(), ids=BREACHES.keys())
async def test_a_breach(against, end_of, data, code, clock):
    error, _ = await ends_with(against, end_of, writing(data), RemoteProtocolError, code)

    assert error.close_code == code
    assert str(error)


async def test_what_came_before_a_breach_is_given_first(against, end_of, clock):
    async with against(writing(b"\x81\x03one\x82\x03two\x83\x00")) as (transport, _):
        messages = []
        while len(messages) < 2:
            messages += await transport.receive()

        assert messages == ["one", b"two"]
        assert type(await end_of(transport)) is RemoteProtocolError


# --- too much --------------------------------------------------------------------------------------------------------


TOO_MUCH = {
    "64-megabytes": (b"\x82\x7f" + (64 * MEGABYTE).to_bytes(8), 1009),
    "exabytes": (b"\x81\x7f" + (2**62).to_bytes(8), 1009),
    "one-byte-too-many": (b"\x82\x7f" + (4 * MEGABYTE + 1).to_bytes(8), 1009),
    "fragments-together": (
        b"\x02\x7f"
        + (3 * MEGABYTE).to_bytes(8)
        + b"x" * (3 * MEGABYTE)
        + b"\x00\x7f"
        + (2 * MEGABYTE).to_bytes(8),
        1009,
    ),
    "empty-fragments": (b"\x01\x00" + b"\x00\x00" * 9, 1009),
    "fragments": (b"\x02\x01x" + b"\x00\x01x" * FRAGMENTS_MAX, 1009),
}


@pytest.mark.parametrize(("data", "code"), TOO_MUCH.values(), ids=TOO_MUCH.keys())
async def test_too_much(against, end_of, data, code, clock):
    error, _ = await ends_with(against, end_of, writing(data), LimitExceeded, code)

    assert error.close_code == code


async def test_a_smaller_limit(against, end_of, clock):
    await ends_with(
        against, end_of, writing(b"\x82\x7e\x03\xe9" + b"x" * 1001), LimitExceeded, 1009, message_max=1000
    )


async def test_a_message_as_long_as_the_limit_is_fine(against, clock):
    async with against(
        writing(b"\x82\x7e\x03\xe8" + b"x" * 1000, b"\x01\x7e\x03\xe7" + b"y" * 999 + b"\x80\x01y"),
        message_max=1000,
    ) as (transport, _):
        messages = []
        while len(messages) < 2:
            messages += await transport.receive()

    assert messages == [b"x" * 1000, "y" * 1000]


@pytest.mark.parametrize(
    "part",
    [b"\x00\x00" * 1000, b"\x00\x01x" * 1000, b"\x82\x7f" + (64 * MEGABYTE).to_bytes(8) + b"x" * MEGABYTE],
    ids=["empty", "one-byte", "huge"],
)
async def test_without_end(against, end_of, part, clock):
    """The flood goes on while we close: the client cuts it off."""

    async def script(stream, server):
        if part[0] == 0:
            await stream.send_all(b"\x01\x00")
        await repeating(part)(stream, server)

    async with against(script) as (transport, server):
        error = await end_of(transport)
        await trio.sleep(CLOSE_TIMEOUT + 0.1)

        assert isinstance(error, LimitExceeded)
        assert server.seen_closed_at is not None
        assert server.bytes_sent < 24 * MEGABYTE


@pytest.mark.parametrize("frame", [b"\x89\x00", b"\x8a\x04pong"], ids=["pings", "pongs"])
async def test_control_frames_without_end(against, end_of, frame, clock):
    async with against(repeating(frame * 100)) as (transport, server):
        error = await end_of(transport)
        await trio.sleep(CLOSE_TIMEOUT + 0.1)

        assert type(error) is LimitExceeded
        assert error.close_code == 1008
        assert server.seen_closed_at is not None


async def test_a_burst_of_pings_is_fine(against, clock):
    async with against(writing(b"\x89\x01x" * (CONTROL_FRAMES_BURST - 1) + b"\x81\x02ok")) as (transport, _):
        assert await transport.receive() == ["ok"]


async def test_a_flood_nobody_takes_waits_in_the_network(against, clock):
    async with against(repeating(b"\x82\x7e\x40\x00" + b"x" * 0x4000)) as (transport, server):
        await transport.receive()
        await trio.sleep(1)
        before = server.bytes_sent
        await trio.sleep(10)

        assert server.bytes_sent == before


# --- ends ------------------------------------------------------------------------------------------------------------


async def test_a_close_after_which_the_server_stays(against, end_of, clock):
    error, server = await ends_with(
        against, end_of, writing(b"\x88\x09\x03\xf5restart"), ConnectionBroken, 1013
    )

    assert str(error) == "the peer closed the connection (code 1013, 'restart')"
    assert len(server.events) == 1


async def test_an_end_without_a_close(serve, shake_hands, kind, end_of, no_leaks, clock):
    async def handler(stream):
        await shake_hands(stream)
        await stream.send_all(b"\x81\x04last")

    async with no_leaks(), serve(handler) as port, dial(url_of(port), kind=kind) as transport:
        assert await transport.receive() == ["last"]
        error = await end_of(transport)

        assert type(error) is ConnectionBroken
        assert str(error) == "the peer ended the connection without a WebSocket Close frame"


async def test_a_reset(serve, shake_hands, kind, end_of, no_leaks, clock):
    async def handler(stream):
        await shake_hands(stream)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    async with no_leaks(), serve(handler) as port, dial(url_of(port), kind=kind) as transport:
        error = await end_of(transport)

        assert type(error) is ConnectionBroken
        assert str(error) == "the connection was lost: Connection reset by peer"
        assert isinstance(error.__cause__, trio.BrokenResourceError)


async def test_writing_to_a_server_that_has_gone(serve, shake_hands, kind, clock):
    async def handler(stream):
        await shake_hands(stream)
        await stream.send_all(b"\x81\x04last")

    async with serve(handler) as port, dial(url_of(port), kind=kind) as transport:
        for _ in range(20):
            try:
                await transport.send(["x" * 1000])
            except ConnectionBroken as error:
                assert "connection" in str(error)  # noqa: PT017  # any of the twenty may be the one that fails
                break
            await trio.sleep(0.01)
        else:
            pytest.fail("writing never failed")


async def test_a_silent_server_is_left_to_the_heartbeat_and_closing_is_bounded(against, clock):
    async with against(writing()) as (transport, server):
        with trio.move_on_after(60):
            await transport.receive()
        before = trio.current_time()
        await transport.aclose(1001)

        assert trio.current_time() - before <= CLOSE_TIMEOUT + 0.1
    assert [event.code for event in server.events] == [1001]


async def test_messages_after_our_close_are_thrown_away(against, end_of, clock):
    async def script(stream, server):
        await server.has_heard(1)
        await stream.send_all(b"\x81\x04late\x89\x01x\x88\x02\x03\xe8")

    async with against(script) as (transport, server):
        before = trio.current_time()
        await transport.aclose()

        assert trio.current_time() - before < CLOSE_TIMEOUT + 0.2
    assert [event for event in server.events if not isinstance(event, Close)] == []


# --- pings -----------------------------------------------------------------------------------------------------------


async def test_a_ping_is_answered_without_another_receive(against, clock):
    async with against(writing(b"\x89\x02p1\x81\x01x")) as (transport, server):
        assert await transport.receive() == ["x"]
        await trio.sleep(0.1)

        assert server.events == [Pong(b"p1")]


async def test_a_ping_is_answered_while_a_receive_waits(against, clock):
    async with against(writing(b"\x89\x02p1")) as (transport, server):
        with trio.move_on_after(0.5):
            await transport.receive()

        assert server.events == [Pong(b"p1")]


async def test_pings_are_answered_between_the_messages_of_a_sender(against, clock):
    pings = 40

    async def script(stream, server):
        for number in range(pings):
            await stream.send_all(b"\x89\x02" + b"%02d" % number)
            await trio.sleep(0.001)

    async with against(script) as (transport, server), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def receive():
            await transport.receive()

        for number in range(300):
            await transport.send([f"message {number}", b"x" * 3000])
        await server.has_heard(600 + pings)
        nursery.cancel_scope.cancel()

    assert [event.payload for event in server.events if isinstance(event, Pong)] == [
        b"%02d" % number for number in range(pings)
    ]
    assert not any(isinstance(event, Ping) for event in server.events)
    assert [event for event in server.events if isinstance(event, str)] == [
        f"message {number}" for number in range(300)
    ]


async def test_a_server_that_pings_and_never_reads(serve, shake_hands, kind, clock):
    """Neither receiving nor closing may hang on a pong that cannot leave, nor on a message that cannot."""

    async def handler(stream):
        await shake_hands(stream)
        while True:
            await stream.send_all((b"\x89\x7d" + b"x" * 125) + b"\x81\x01x")
            await trio.sleep(0.2)

    async with (
        serve(handler) as port,
        dial(url_of(port), kind=kind) as transport,
        trio.open_nursery() as nursery,
    ):

        @nursery.start_soon
        async def send():
            with suppress(ConnectionClosed):
                while True:
                    await transport.send(["y" * 500_000])

        received = []
        with trio.move_on_after(6) as scope:
            while True:
                received += await transport.receive()
        before = trio.current_time()
        await transport.aclose()

        assert trio.current_time() - before <= CLOSE_TIMEOUT + 0.1
        assert scope.cancelled_caught
        if kind == "framed":  # trio-websocket's one task waits for the pong
            assert len(received) >= 20
