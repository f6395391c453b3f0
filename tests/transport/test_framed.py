"""What is special to the framed transport: one write per send, pongs and the write lock, both roles, its own ends."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from potrio.errors import ConnectionBroken, ConnectionClosed, LocalProtocolError, RemoteProtocolError
from potrio.limits import CLOSE_DRAIN_MAX, CLOSE_TIMEOUT, CONTROL_WRITE_TIMEOUT
from potrio.protocol.websocket import Close, Pong, WebSocketCodec
from potrio.seam import REAL
from potrio.transport.framed import FramedTransport


def codec(role, **options):
    """A codec whose masks are zero, so that a test can read what it writes."""
    return WebSocketCodec(role, mask_bytes=bytes, **options)


def against_bytes(role="client", **options):
    """A transport and the naked stream of its peer."""
    ours, theirs = trio.testing.memory_stream_pair()
    return FramedTransport(ours, codec(role), **options), ours, theirs


async def test_trios_own_checks(as_byte_stream, clock):
    async def make():
        one, other = trio.socket.socketpair()
        client = FramedTransport(trio.SocketStream(one), codec("client"), close_timeout=0.01)
        server = FramedTransport(trio.SocketStream(other), codec("server"), close_timeout=0.01)
        return as_byte_stream(client), as_byte_stream(server)

    await trio.testing.check_two_way_stream(make, None)


def hold_writes(stream, wait):
    """Let each write of a stream wait before its bytes go on."""
    send_all = stream.send_all

    async def held(data):
        await wait()
        await send_all(data)

    stream.send_all = held


# --- reads and writes ------------------------------------------------------------------------------------------------


async def test_one_send_is_one_write_and_one_read_is_one_list():
    ours, theirs = trio.testing.memory_stream_pair()
    client, server = FramedTransport(ours, codec("client")), FramedTransport(theirs, codec("server"))
    messages = ["one", b"two", "three"]
    await client.send(messages)

    assert await server.receive() == messages
    assert (client.statistics().writes, server.statistics().reads) == (1, 1)


async def test_what_came_behind_the_head_comes_first():
    transport, _, theirs = against_bytes(received=b"\x81\x03one\x81\x03tw")
    with trio.CancelScope() as scope:
        scope.cancel()
        await transport.receive()
    await theirs.send_all(b"o\x81\x05three")

    assert await transport.receive() == ["one"]
    assert await transport.receive() == ["two", "three"]
    assert transport.statistics().bytes_received == 17


async def test_the_counters_are_the_bytes_on_the_wire():
    transport, _, theirs = against_bytes("server")
    await transport.send(["ab", b"c"])
    assert await theirs.receive_some() == b"\x81\x02ab\x82\x01c"
    await theirs.send_all(b"\x89\x81\0\0\0\0p\x01\x81\0\0\0\0x\x80\x81\0\0\0\0y")
    assert await transport.receive() == ["xy"]
    assert await theirs.receive_some() == b"\x8a\x01p"
    statistics = transport.statistics()

    assert (statistics.bytes_sent, statistics.bytes_received) == (10, 21)
    assert (statistics.frames_sent, statistics.frames_received) == (3, 3)
    assert (statistics.messages_sent, statistics.messages_received) == (2, 1)
    assert (statistics.writes, statistics.reads) == (2, 1)


async def test_a_stream_closed_under_the_transport():
    transport, ours, _ = against_bytes()
    await ours.aclose()

    for call in (transport.receive, lambda: transport.send(["x"])):
        with pytest.raises(ConnectionClosed) as caught:
            await call()
        assert type(caught.value) is ConnectionClosed


# --- pongs and the write lock ----------------------------------------------------------------------------------------


async def test_a_pong_leaves_right_behind_a_write_that_is_under_way():
    transport, ours, theirs = against_bytes()
    free = trio.Event()
    hold_writes(ours, free.wait)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.send, ["x"])
        await trio.testing.wait_all_tasks_blocked()
        await theirs.send_all(b"\x89\x01p\x81\x03now")

        assert await transport.receive() == ["now"]  # it does not wait for the write
        free.set()
    peer = codec("server")

    assert peer.receive_data(await theirs.receive_some(), 0.0) == ["x", Pong(b"p")]


async def test_a_send_waits_for_a_pong_that_is_being_written():
    transport, ours, theirs = against_bytes()
    free = trio.Event()
    hold_writes(ours, free.wait)
    async with trio.open_nursery() as nursery:
        await theirs.send_all(b"\x89\x01p")
        nursery.start_soon(transport.receive)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0.01):
            await transport.send(["ghost"])
        nursery.start_soon(transport.send, ["x"])
        await trio.testing.wait_all_tasks_blocked()
        free.set()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    peer = codec("server")

    assert peer.receive_data(await theirs.receive_some(), 0.0) == [Pong(b"p"), "x"]


async def test_a_pong_that_cannot_be_written_ends_the_transport(autojump_clock):
    transport, ours, theirs = against_bytes()
    hold_writes(ours, trio.sleep_forever)
    await theirs.send_all(b"\x89\x01p\x81\x04last")

    with trio.move_on_after(CONTROL_WRITE_TIMEOUT / 2) as scope:
        assert await transport.receive() == ["last"]  # a half-written pong could not be taken back
    assert not scope.cancelled_caught
    assert trio.current_time() == pytest.approx(CONTROL_WRITE_TIMEOUT)
    assert await theirs.receive_some() == b""
    for call in (transport.receive, lambda: transport.send(["x"])):
        with pytest.raises(ConnectionBroken, match="does not read"):
            await call()


async def test_a_write_that_is_cancelled_half_way_closes_the_stream_at_once(autojump_clock):
    transport, ours, theirs = against_bytes()
    hold_writes(ours, trio.sleep_forever)
    ends = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def receive():
            with pytest.raises(ConnectionBroken) as caught:
                await transport.receive()
            ends.append(str(caught.value))

        with trio.move_on_after(3) as scope:
            await transport.send(["x"])
    assert scope.cancelled_caught
    assert trio.current_time() == 3
    assert ends == ["a write was cancelled half way"]
    assert await theirs.receive_some() == b""
    with pytest.raises(ConnectionBroken, match="half way"):
        await transport.send(["y"])
    await transport.aclose()
    assert trio.current_time() == 3


async def test_a_failed_write_does_not_hide_what_can_still_be_read():
    transport, ours, theirs = against_bytes()

    async def break_down():
        raise trio.BrokenResourceError from BrokenPipeError(32, "Broken pipe")

    hold_writes(ours, break_down)
    await theirs.send_all(b"\x81\x03one\x89\x01p")
    await theirs.send_all(b"\x81\x04last")

    for _ in range(2):
        with pytest.raises(ConnectionBroken, match="the connection was lost: Broken pipe"):
            await transport.send(["x"])
    assert await transport.receive() == ["one", "last"]
    await theirs.aclose()
    with pytest.raises(ConnectionBroken):
        await transport.receive()


async def test_a_pong_that_fails_does_not_hide_what_can_still_be_read():
    transport, ours, theirs = against_bytes()

    async def break_down():
        raise trio.BrokenResourceError from BrokenPipeError(32, "Broken pipe")

    hold_writes(ours, break_down)
    for message in (b"\x81\x03one\x89\x01p", b"\x81\x04last"):
        await theirs.send_all(message)
        assert await transport.receive() in (["one"], ["last"])
    with pytest.raises(ConnectionBroken, match="Broken pipe"):
        await transport.send(["x"])


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_a_server_closes_tcp_as_soon_as_both_have_said_close(autojump_clock):
    transport, _, theirs = against_bytes("server")
    await theirs.send_all(b"\x88\x80\0\0\0\0")
    with pytest.raises(ConnectionBroken):
        await transport.receive()

    assert trio.current_time() == 0
    assert await theirs.receive_some() == b"\x88\x00"
    assert await theirs.receive_some() == b""


async def test_a_client_lets_the_server_close_tcp_first(autojump_clock):
    transport, _, theirs = against_bytes("client")
    await theirs.send_all(b"\x88\x00")
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def close_later():
            await trio.sleep(0.3)
            await theirs.send_eof()

        with pytest.raises(ConnectionBroken):
            await transport.receive()

    assert trio.current_time() == pytest.approx(0.3)


async def test_a_client_does_not_wait_long_for_that(autojump_clock):
    transport, _, theirs = against_bytes("client")
    await theirs.send_all(b"\x88\x00")
    with pytest.raises(ConnectionBroken):
        await transport.receive()

    assert trio.current_time() == pytest.approx(CLOSE_TIMEOUT)


@pytest.mark.parametrize("role", ["client", "server"])
async def test_after_a_breach_the_peer_has_time_to_read_why_but_not_for_a_flood(role, autojump_clock):
    transport, ours, theirs = against_bytes(role)
    drained = 0

    async def flood(max_bytes=None):
        nonlocal drained
        await trio.lowlevel.checkpoint()
        drained += 65_536
        return b"\xff" * 65_536

    await theirs.send_all(b"\xff\xff\xff\xff")
    await trio.testing.wait_all_tasks_blocked()
    ours.receive_some = flood
    with pytest.raises(RemoteProtocolError):
        await transport.receive()
    peer = codec("server" if role == "client" else "client")

    assert [event.code for event in peer.receive_data(await theirs.receive_some(), 0.0)] == [1002]
    assert await theirs.receive_some() == b""
    assert drained <= CLOSE_DRAIN_MAX + 2 * 65_536
    assert trio.current_time() == 0


async def test_a_server_ends_tcp_after_a_breach_without_waiting_for_the_client(autojump_clock):
    transport, _, theirs = against_bytes("server")
    await theirs.send_all(b"\xff\xff")
    told = bytearray()

    async def client():
        async for data in theirs:
            told.extend(data)
        await theirs.aclose()  # only now: RFC 6455 lets a client wait for the server

    async with trio.open_nursery() as nursery:
        nursery.start_soon(client)
        with pytest.raises(RemoteProtocolError):
            await transport.receive()

    assert [event.code for event in codec("client").receive_data(bytes(told), 0.0)] == [1002]
    assert trio.current_time() == 0


async def test_closing_leaves_the_reading_to_the_receiver_and_takes_over_when_it_goes(autojump_clock):
    transport, _, theirs = against_bytes("server")
    peer = codec("client")
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as receiving:

            @nursery.start_soon
            async def close():
                await trio.sleep(1)
                await transport.aclose(1001)

            @nursery.start_soon
            async def cancel_then_answer():
                await trio.sleep(1.1)
                receiving.cancel()
                await trio.sleep(0.1)
                assert peer.receive_data(await theirs.receive_some(), 0.0) == [Close(1001, "")]
                await theirs.send_all(b"\x81\x81\0\0\0\0x" + peer.data_to_send())

            await transport.receive()
    assert receiving.cancelled_caught
    assert trio.current_time() == pytest.approx(1.2)
    with pytest.raises(ConnectionClosed):
        await transport.receive()


async def test_what_comes_after_our_close_is_thrown_away(autojump_clock):
    transport, _, theirs = against_bytes("server")
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def receive():
            with pytest.raises(ConnectionClosed) as caught:
                await transport.receive()
            assert type(caught.value) is ConnectionClosed

        nursery.start_soon(transport.aclose)
        await trio.testing.wait_all_tasks_blocked()
        await theirs.send_all(b"\x81\x81\0\0\0\0x")
    assert transport.statistics().messages_received == 1


async def test_a_bad_close_code_does_not_keep_the_stream_open():
    transport, _, theirs = against_bytes()
    with pytest.raises(LocalProtocolError):
        await transport.aclose(1006)

    assert await theirs.receive_some() == b""


async def test_the_seam_gives_the_masks_and_the_time():
    ours, _ = trio.testing.memory_stream_pair()
    transport = FramedTransport(ours, WebSocketCodec("client", mask_bytes=REAL.mask_bytes), REAL)
    await transport.send(["x"])

    assert transport.statistics().bytes_sent == 7
