"""The guard by itself: what the library may see, what it leaves undone, and when its task is over."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from potrio.errors import (
    ConnectionBroken,
    ConnectionClosed,
    LimitExceeded,
    RemoteProtocolError,
    UpgradeRejected,
)
from potrio.limits import CLOSE_DRAIN_MAX, CLOSE_TIMEOUT
from potrio.protocol.websocket import Close, WebSocketCodec
from potrio.transport.ws_guard import GuardedStream, Reader

HEAD = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


class Reason:
    """As the library reports it."""

    def __init__(self, code, reason=None):
        self.code = code
        self.reason = reason


class Library:
    """What the guard sees of trio-websocket's connection, with a reader that a test writes."""

    def __init__(self, read=trio.sleep_forever):
        self.closed = None
        self.read = read

    async def _reader_task(self):
        await self.read()


async def opened(*, closed=None, **options):
    """A guard past its handshake; its connection, and the peer's end."""
    ours, theirs = trio.testing.memory_stream_pair()
    guarded = GuardedStream(ours, "ws://host:1", **options)
    guarded.connection = Library()
    await theirs.send_all(HEAD)
    assert await guarded.receive_some() == HEAD
    guarded.connection.closed = closed
    return guarded, theirs


# --- the head --------------------------------------------------------------------------------------------------------


async def test_the_head_comes_alone_and_then_what_was_behind_it():
    ours, theirs = trio.testing.memory_stream_pair()
    guarded = GuardedStream(ours, "ws://host:1")
    await theirs.send_all(HEAD + b"\x81\x02hi")

    assert await guarded.receive_some(4096) == HEAD
    assert guarded.reads == 0
    assert await guarded.receive_some(4096) == b"\x81\x02hi"
    assert (guarded.reads, guarded.bytes_received, guarded.meter.frames) == (1, 4, 1)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", 403),
        (b"SSH-2.0\r\n", None),
        (b"", None),
        (b"HTTP/1.1 101 x\r\n", None),
    ],
)
async def test_a_bad_head_is_the_end_for_the_library(answer, status):
    ours, theirs = trio.testing.memory_stream_pair()
    guarded = GuardedStream(ours, "ws://host:1")
    if answer:
        await theirs.send_all(answer)
    await theirs.send_eof()

    assert await guarded.receive_some() == b""
    assert isinstance(guarded.fault, UpgradeRejected)
    assert guarded.fault.status == status


# --- reading ---------------------------------------------------------------------------------------------------------


async def test_a_frame_that_is_too_much_is_kept_from_the_library(autojump_clock):
    guarded, theirs = await opened(message_max=10)
    await theirs.send_all(b"\x81\x02hi\x81\x0bx")

    assert await guarded.receive_some() == b"\x81\x02hi"
    assert await guarded.receive_some() == b""
    assert trio.current_time() == pytest.approx(CLOSE_TIMEOUT)
    assert isinstance(guarded.end_error(), LimitExceeded)
    closes = WebSocketCodec("server", mask_bytes=bytes).receive_data(await theirs.receive_some(), 0.0)
    assert closes == [Close(1009, "the length of a WebSocket message exceeds the limit of 10")]


async def test_when_the_library_stops_listening_it_is_given_the_end(autojump_clock):
    guarded, theirs = await opened(closed=Reason(1002, "Invalid opcode"))
    await theirs.send_all(b"\x81\x02hi")

    assert await guarded.receive_some() == b""
    assert trio.current_time() == pytest.approx(CLOSE_TIMEOUT)
    error = guarded.end_error()
    assert (type(error), str(error), error.close_code) == (RemoteProtocolError, "Invalid opcode", 1002)
    assert await theirs.receive_some() != b""  # the Close frame the library does not send


async def test_a_peer_that_closes_is_not_waited_for(autojump_clock):
    guarded, theirs = await opened(closed=Reason(1002))
    await theirs.send_eof()

    assert await guarded.receive_some() == b""
    assert trio.current_time() == 0


async def test_a_close_of_the_peer_that_was_answered_is_no_breach(autojump_clock):
    guarded, theirs = await opened(closed=Reason(1001, "bye"))
    await guarded.send_all(b"\x88\x82\0\0\0\0\x03\xe9")
    assert await theirs.receive_some() == b"\x88\x82\0\0\0\0\x03\xe9"
    await theirs.send_eof()

    assert await guarded.receive_some() == b""
    assert str(guarded.end_error()) == "the peer closed the connection (code 1001, 'bye')"


async def test_while_we_close_the_library_still_reads_but_not_for_ever():
    guarded, theirs = await opened(closed=Reason(1000))
    guarded.local_close = True
    await theirs.send_all(b"\x88\x00")
    assert await guarded.receive_some() == b"\x88\x00"

    read = 0
    await theirs.send_all(b"\x82\x7f" + (2 * CLOSE_DRAIN_MAX).to_bytes(8) + b"x" * 2 * CLOSE_DRAIN_MAX)
    while data := await guarded.receive_some():
        read += len(data)
    assert read <= CLOSE_DRAIN_MAX
    assert type(guarded.end_error()) is ConnectionClosed


async def test_a_flood_is_not_heard_out(autojump_clock):
    guarded, theirs = await opened(closed=Reason(1002))
    await theirs.send_all(b"x" * 3 * CLOSE_DRAIN_MAX)

    assert await guarded.receive_some() == b""
    assert trio.current_time() == 0


async def test_a_connection_that_is_lost_while_reading():
    guarded, _ = await opened()

    async def reset():
        raise trio.BrokenResourceError from ConnectionResetError(104, "Connection reset by peer")

    guarded.stream.receive_stream.receive_some_hook = reset
    with pytest.raises(trio.BrokenResourceError):
        await guarded.receive_some()
    assert str(guarded.end_error()) == "the connection was lost: Connection reset by peer"


@pytest.mark.parametrize("closed", [None, Reason(1006)])
async def test_an_end_without_a_close_frame(closed):
    guarded, _ = await opened(closed=closed)

    assert str(guarded.end_error()) == "the peer ended the connection without a WebSocket Close frame"


# --- writing ---------------------------------------------------------------------------------------------------------


async def test_writes_are_counted_after_the_handshake():
    ours, theirs = trio.testing.memory_stream_pair()
    guarded = GuardedStream(ours, "ws://host:1")
    await guarded.send_all(b"GET / HTTP/1.1\r\n\r\n")
    await theirs.send_all(HEAD)
    await guarded.receive_some()
    await guarded.send_all(b"\x81\x80\0\0\0\0")
    await guarded.wait_send_all_might_not_block()

    assert (guarded.writes, guarded.frames_sent, guarded.bytes_sent) == (1, 1, 6)


async def test_nothing_is_written_after_a_fault():
    guarded, theirs = await opened()
    guarded.fault = ConnectionBroken("enough")
    with pytest.raises(trio.BrokenResourceError):
        await guarded.send_all(b"\x81\x80\0\0\0\0")
    await guarded.stream.aclose()

    assert await theirs.receive_some() == b""


async def test_a_write_that_is_cancelled_half_way_closes_the_stream(autojump_clock):
    guarded, theirs = await opened()

    async def never(data):
        await trio.sleep_forever()

    guarded.stream.send_all = never
    with trio.move_on_after(1):
        await guarded.send_all(b"\x81\x80\0\0\0\0")

    assert await theirs.receive_some() == b""
    assert str(guarded.end_error()) == "a write was cancelled half way"


async def test_a_write_that_is_cancelled_before_it_begins_does_no_harm():
    guarded, theirs = await opened()
    with trio.CancelScope() as scope:
        scope.cancel()
        await guarded.send_all(b"lost")
    await guarded.send_all(b"\x81\x80\0\0\0\0")

    assert await theirs.receive_some() == b"\x81\x80\0\0\0\0"


async def test_a_write_that_fails_and_a_stream_closed_under_it():
    guarded, _ = await opened()

    async def broken(data):
        raise trio.BrokenResourceError from BrokenPipeError(32, "Broken pipe")

    guarded.stream.send_all = broken
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError):
            await guarded.send_all(b"x")
    assert str(guarded.end_error()) == "the connection was lost: Broken pipe"

    guarded, _ = await opened()
    await guarded.stream.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await guarded.send_all(b"x")


async def test_no_close_frame_into_the_middle_of_another_write(autojump_clock):
    guarded, theirs = await opened(message_max=1)
    writes = []

    async def never(data):
        writes.append(data)
        await trio.sleep_forever()

    guarded.stream.send_all = never
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guarded.send_all, b"\x82\xfe")
        await trio.testing.wait_all_tasks_blocked()
        await theirs.send_all(b"\x81\x02")

        assert await guarded.receive_some() == b""
        nursery.cancel_scope.cancel()
    assert writes == [b"\x82\xfe"]


async def test_a_close_frame_that_cannot_be_written_does_not_hold_up_the_end(autojump_clock):
    guarded, theirs = await opened(message_max=1)

    async def never(data):
        await trio.sleep_forever()

    guarded.stream.send_all = never
    await theirs.send_all(b"\x81\x02")

    assert await guarded.receive_some() == b""
    assert trio.current_time() == pytest.approx(CLOSE_TIMEOUT)
    assert isinstance(guarded.end_error(), LimitExceeded)


async def test_the_librarys_close_does_not_close():
    guarded, theirs = await opened()
    await guarded.aclose()
    await guarded.send_all(b"still open")

    assert await theirs.receive_some() == b"still open"


# --- the reader ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", [None, ValueError("a bug")])
async def test_the_end_of_the_reader_closes_tcp_and_ends_the_waits(crash):
    guarded, theirs = await opened()

    async def read():
        await trio.lowlevel.checkpoint()
        if crash:
            raise crash

    library = Library(read)
    async with trio.open_nursery() as nursery:
        reader = Reader(nursery, guarded)
        with reader.watch() as waiting:
            reader.start_soon(library._reader_task)
            await trio.sleep_forever()
        assert waiting.cancelled_caught
        with reader.watch() as late:
            await trio.sleep_forever()
        assert late.cancelled_caught
        await reader.ended.wait()
    assert guarded.connection is library
    assert await theirs.receive_some() == b""
    assert reader.crash is crash
    if crash:
        assert str(guarded.end_error()) == "trio-websocket failed: ValueError: a bug"
        assert guarded.end_error().__cause__ is crash


async def test_a_fault_that_is_known_is_not_covered_by_a_crash():
    guarded, _ = await opened()
    guarded.fault = LimitExceeded("it", 1)

    async def read():
        await trio.lowlevel.checkpoint()
        raise ValueError

    async with trio.open_nursery() as nursery:
        reader = Reader(nursery, guarded)
        reader.start_soon(Library(read)._reader_task)
    assert isinstance(guarded.end_error(), LimitExceeded)


async def test_only_stop_ends_the_reader():
    guarded, _ = await opened()
    async with trio.open_nursery() as nursery:
        reader = Reader(nursery, guarded)
        reader.start_soon(Library()._reader_task)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.testing.wait_all_tasks_blocked()
            assert not reader.ended.is_set()
        reader.stop()
    assert reader.ended.is_set()
    assert reader.crash is None
