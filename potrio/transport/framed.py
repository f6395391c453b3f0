"""The fast transport, for both roles: our own frame codec over any trio stream, without a task of its own.

One read is one pass and one list of messages; one send is one write. Whoever holds the write lock writes
everything that is queued, pongs and Close replies among it, before letting go; so a reply that `receive`
finds while another task is writing leaves with that task's write, and in no case waits for the next read. A
reply written by `receive` itself is shielded from cancellation, since half a frame would break the
connection, and bounded, since the peer may not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import trio

from potrio.errors import ConnectionBroken
from potrio.limits import CLOSE_DRAIN_MAX, CLOSE_TIMEOUT, CONTROL_WRITE_TIMEOUT, READ_MAX
from potrio.protocol.frames import Message
from potrio.protocol.websocket import WebSocketCodec, WebSocketEvent
from potrio.seam import REAL, Seam
from potrio.transport.base import TransportStatistics
from potrio.transport.ending import Ending, closed_by_peer, closed_here, fresh, lost
from potrio.transport.line_stream import LineStream

__all__ = ["FramedTransport"]


class FramedTransport:
    """A `Transport` over a stream that has been upgraded to WebSocket. It owns the stream and closes it.

    Args:
        stream: the connection; whatever is under it (TCP, TLS, memory) stays invisible.
        codec: in the role of this side, and fresh.
        seam: for the clock.
        received: bytes that came behind the HTTP head.
        close_timeout: seconds from our Close frame, or from the end, to our closing of the stream.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        codec: WebSocketCodec,
        seam: Seam = REAL,
        *,
        received: bytes = b"",
        close_timeout: float = CLOSE_TIMEOUT,
    ) -> None:
        self._stream = stream
        self._line = stream if isinstance(stream, LineStream) else None
        self._codec = codec
        self._seam = seam
        self._close_timeout = close_timeout
        self._unread = received
        self._write_lock = trio.Lock()
        self._sending = False
        self._receiving = False
        # Set by a receiver that leaves while aclose() waits for it.
        self._reader_left: trio.Event | None = None
        self._ending = Ending()
        # By aclose(): what still comes is thrown away.
        self._closing = False
        self._write_error: ConnectionBroken | None = None
        # There once the shutting down has begun, set when the stream is closed.
        self._shut: trio.Event | None = None
        self._bytes_received = self._bytes_sent = self._reads = self._writes = 0
        self._messages_received = self._messages_sent = 0

    # --- receiving ------------------------------------------------------------------------------------------

    async def receive(self) -> list[Message]:
        """Wait for messages; see `Transport.receive`.

        When the peer ended the connection, the stream is closed by the time that is raised.

        Raises:
            ConnectionClosed, ConnectionBroken, RemoteProtocolError: the end.
            trio.BusyResourceError: another task is receiving.

        Waits until a message or the end comes. Cancelling loses nothing; it is delayed by a pong that is being written
        and by the closing of the stream, each bounded.
        """
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this transport")
        self._receiving = True
        try:
            return await self._receive()
        finally:
            self._receiving = False
            if self._reader_left is not None:
                self._reader_left.set()

    async def _receive(self) -> list[Message]:
        while True:
            if self._ending.error is not None:
                if self._shut is None:
                    await self._shut_down()
                else:
                    await trio.lowlevel.checkpoint()
                self._ending.check()
            try:
                if self._unread:
                    await trio.lowlevel.checkpoint()
                    data: bytes | bytearray = self._unread
                    self._unread = b""
                else:
                    data = await self._stream.receive_some(READ_MAX)
            except trio.BrokenResourceError as error:
                self._ending.set(self._write_error or lost(error))
                continue
            except trio.ClosedResourceError:
                self._ending.set(closed_here())
                continue
            messages, answer_due = self._take(data)
            if answer_due:
                await self._write_replies()
            if messages and not self._closing:
                return messages

    def _take(self, data: bytes | bytearray) -> tuple[list[Message], bool]:
        """Decode one read; return its messages, and whether the codec may have queued a reply to something."""
        codec = self._codec
        control_frames = codec.control_frames_received
        if not data:
            codec.receive_eof()
            events: list[WebSocketEvent] = []
        else:
            self._reads += 1
            self._bytes_received += len(data)
            events = codec.receive_data(data, self._seam.now())
        if codec.control_frames_received == control_frames:  # cheaper than looking at each
            messages = cast("list[Message]", events)
        else:
            messages = [event for event in events if isinstance(event, str | bytes)]
        self._messages_received += len(messages)
        if codec.closed:
            close = codec.close_received
            assert codec.close_exc is not None or close is not None, "a codec does not end without a cause"
            self._ending.set(codec.close_exc or closed_by_peer(close.code, close.reason))  # type: ignore[union-attr]  # asserted above
        return messages, len(messages) != len(events) and not codec.closed

    async def _write_replies(self) -> None:
        """Write pongs, shielded and bounded; where another task holds the lock, it writes them before letting go."""
        if self._write_lock.locked():
            return
        self._write_lock.acquire_nowait()
        try:
            with trio.CancelScope(shield=True, deadline=self._seam.now() + CONTROL_WRITE_TIMEOUT) as scope:
                await self._flush()
            if scope.cancelled_caught:
                await self._abort(ConnectionBroken("the peer does not read: a pong could not be written"))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            # Not the end yet: what the peer sent before may still be there to read.
            self._write_error = lost(error)
        finally:
            self._write_lock.release()

    # --- sending --------------------------------------------------------------------------------------------

    async def send(self, messages: Sequence[Message]) -> None:
        """Send messages in one write; see `Transport.send`.

        Raises:
            ConnectionClosed, ConnectionBroken, RemoteProtocolError: the end.
            LocalProtocolError: something is not a message; nothing was sent.
            trio.BusyResourceError: another task is sending.

        Waits while the peer does not read. Cancelling before anything was written sends nothing; in the
        middle of a write it ends the transport.
        """
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this transport")
        self._sending = True
        try:
            try:
                self._write_lock.acquire_nowait()
            except trio.WouldBlock:
                await self._write_lock.acquire()
            try:
                # Encoded only now: a message whose sender was cancelled while it waited must not leave with
                # the next.
                await trio.lowlevel.checkpoint_if_cancelled()
                self._check_can_send()
                self._codec.send_messages(messages)
                await self._write_messages()
                self._messages_sent += len(messages)
                if not messages:
                    await trio.lowlevel.checkpoint()  # every call is one, and nothing was written
            finally:
                self._write_lock.release()
        finally:
            self._sending = False

    def send_encoded_nowait(self, data: bytes, count: int) -> bool:
        """Send ``count`` messages that `encode_messages` has encoded already, one frame each, without waiting.

        Only over a `LineStream`, and only as a server, whose frames are the same for every peer.

        Returns:
            False, with nothing sent, where that cannot be now: something waits to be written, or the end has come.
            Then `send` waits, or says what has happened.
        """
        line, codec = self._line, self._codec
        if (
            line is None
            or self._sending
            or self._write_lock.locked()
            or self._ending.error is not None
            or codec.close_sent
            or not line.is_idle
        ):
            return False
        codec.send_encoded(data, count)
        data = codec.data_to_send()
        if not line.send_nowait(data):
            return False
        self._writes += 1
        self._bytes_sent += len(data)
        self._messages_sent += count
        return True

    def _check_can_send(self) -> None:
        self._ending.check()
        if self._write_error is not None:
            raise fresh(self._write_error) from self._write_error.__cause__

    async def _write_messages(self) -> None:
        try:
            await self._flush()
        except trio.BrokenResourceError as error:
            self._write_error = self._write_error or lost(error)
            self._check_can_send()
            raise AssertionError("unreachable: a write error has just been noted") from error
        except trio.ClosedResourceError:
            self._ending.set(closed_here())
            self._ending.check()
            raise
        except BaseException:
            await self._abort(ConnectionBroken("a write was cancelled half way"))
            raise

    async def _flush(self) -> None:
        """Write all that the codec has queued, and what comes to it meanwhile. The caller holds the write lock."""
        while data := self._codec.data_to_send():
            await self._stream.send_all(data)
            self._writes += 1
            self._bytes_sent += len(data)

    # --- the end --------------------------------------------------------------------------------------------

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; see `Transport.aclose`.

        Raises:
            LocalProtocolError: the code may not be sent; the connection is closed all the same.

        Waits for the peer's Close frame, never longer than the close timeout. Cancelling does not shorten it.
        """
        if self._shut is not None:
            with trio.CancelScope(shield=True):  # whoever is shutting down is bounded
                await self._shut.wait()
            await trio.lowlevel.checkpoint()
            return
        self._closing = True
        self._ending.set(closed_here())
        await self._shut_down(code, reason)

    async def _shut_down(self, code: int | None = None, reason: str = "") -> None:
        """Say what is left to say, hear the peer out, close the stream. Shielded, and bounded by the close timeout."""
        assert self._shut is None, "a transport is shut down once"
        self._shut = trio.Event()
        try:
            codec = self._codec
            if code is not None and not codec.close_sent and not codec.closed:
                codec.send_close(code, reason)
            with trio.CancelScope(shield=True, deadline=self._seam.now() + self._close_timeout):
                async with self._write_lock:
                    await self._flush()
                await self._hear_out(by_receiver=code is None)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # The peer has gone: there is nothing left to say to it.
        finally:
            await self._close_stream()

    async def _hear_out(self, *, by_receiver: bool) -> None:
        """Read until the peer has nothing more to say: its Close frame, then (as a client) its closing of
        TCP.

        RFC 6455 section 7.1.1 lets the server close TCP first. A side that saw a breach waits for the other,
        since closing on unread bytes resets the connection and may take our Close frame with it; a server
        ends its own direction first, where the stream can (TLS cannot), so that the client need not wait.
        """
        if self._receiving and not by_receiver:
            self._reader_left = trio.Event()
            await self._reader_left.wait()
        codec = self._codec
        half_closeable = isinstance(self._stream, trio.abc.HalfCloseableStream)
        if codec.role == "server" and codec.close_exc is not None and half_closeable:
            await cast("trio.abc.HalfCloseableStream", self._stream).send_eof()
        drained = 0
        while drained < CLOSE_DRAIN_MAX:
            if codec.closed and codec.role == "server" and codec.close_exc is None:
                break
            data = await self._stream.receive_some(READ_MAX)
            self._take(data)
            drained += len(data)
            if not data:
                break

    async def _abort(self, error: ConnectionBroken) -> None:
        """Close the stream at once: half a frame was written, and nothing can be said after it."""
        self._ending.set(error)
        if self._shut is None:
            self._shut = trio.Event()
        await self._close_stream()

    async def _close_stream(self) -> None:
        assert self._shut is not None, "say first that the transport is being shut down"
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._stream)
        self._shut.set()

    def statistics(self) -> TransportStatistics:
        """Return the counters as they are now; also after the end."""
        return TransportStatistics(
            bytes_received=self._bytes_received,
            bytes_sent=self._bytes_sent,
            frames_received=self._codec.frames_received,
            frames_sent=self._codec.frames_sent,
            messages_received=self._messages_received,
            messages_sent=self._messages_sent,
            reads=self._reads,
            writes=self._writes,
        )
