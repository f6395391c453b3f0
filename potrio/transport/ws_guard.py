"""The guard around trio-websocket: a stream it may see, and an owner for its task.

trio-websocket (0.12) waits for ever when a server closes during the handshake, loses TLS errors, answers malformed HTTP
with an error of its own side, leaves TCP open after a breach of protocol without a Close frame, and counts no
fragments. So it never sees the connection itself. `GuardedStream` stands in between: it judges the HTTP head before
the library reads it, meters frames, notices that the library has stopped listening, and does what it leaves undone.
`Reader` stands in for the nursery: it owns the library's one task, knows when that ends and why, and closes TCP then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, cast

import trio

from potrio.errors import ConnectionBroken, RemoteProtocolError, UpgradeRejected
from potrio.limits import CLIENT_MESSAGE_MAX, CLOSE_DRAIN_MAX, CLOSE_TIMEOUT, READ_MAX
from potrio.protocol.frames import CLOSE, encode_close, encode_frame
from potrio.seam import REAL, Seam
from potrio.transport.ending import EndError, closed_by_peer, closed_here, lost
from potrio.transport.frame_meter import FrameMeter
from potrio.transport.http_head import HeadBuffer, receive_head
from potrio.transport.upgrade import check_response

__all__ = ["CloseReason", "GuardedConnection", "GuardedStream", "Reader"]

CLOSE_FRAME_START: Final = 0x80 | CLOSE
ABNORMAL: Final = 1006
"""RFC 6455 section 7.1.5: stands for an end without a Close frame."""


class CloseReason(Protocol):
    """Code and reason of a Close frame, or of a breach, as trio-websocket reports it."""

    code: int
    reason: str | None


class GuardedConnection(Protocol):
    """What the guard wants to know of the library's connection."""

    @property
    def closed(self) -> CloseReason | None:
        """The reason, once the library does not listen any more."""


class GuardedStream(trio.abc.Stream):
    """The connection as trio-websocket sees it: already judged, metered and bounded.

    Attributes:
        stream: the connection itself.
        connection: the library's object, once there is one.
        local_close: `aclose` of the transport is under way; it bounds what the library does.
        fault: why the peer may not be listened to any more, or the connection is of no use.
        failure: what the stream last failed with.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        target: str,
        *,
        seam: Seam = REAL,
        message_max: int = CLIENT_MESSAGE_MAX,
        close_timeout: float = CLOSE_TIMEOUT,
    ) -> None:
        self.stream = stream
        self.connection: GuardedConnection | None = None
        self.local_close = False
        self.fault: EndError | UpgradeRejected | None = None
        self.failure: ConnectionBroken | None = None
        self.bytes_received = self.bytes_sent = self.reads = self.writes = self.frames_sent = 0
        self.meter = FrameMeter(message_max=message_max)
        self._target = target
        self._seam = seam
        self._close_timeout = close_timeout
        self._head = HeadBuffer("response")
        self._opened = False
        self._unread = b""
        self._writing = False
        self._close_sent = False
        self._after_close = 0

    # --- what the library calls --------------------------------------------------------------------------------------

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Read for the library: first the HTTP head, alone, then whatever frames are within the limits.

        The end of the stream is reported to the library once it has stopped listening, or may not listen any more.

        Waits for the peer. Cancelling loses nothing.
        """
        if not self._opened:
            return await self._receive_head()
        while not self._is_over():
            try:
                if self._unread:
                    await trio.lowlevel.checkpoint()
                    data, self._unread = self._unread, b""
                else:
                    data = bytes(await self.stream.receive_some(READ_MAX))
            except trio.BrokenResourceError as error:
                self.failure = self.failure or lost(error)
                raise
            self._after_close += len(data) if self.local_close else 0
            if not data or self._after_close > CLOSE_DRAIN_MAX:
                return b""
            self.reads += 1
            self.bytes_received += len(data)
            passed = self.meter.receive_data(data, self._seam.now())
            if self.meter.fault is not None and self.fault is None:
                self.fault = self.meter.fault
            if passed:
                return data[:passed]
        await self._finish()
        return b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write for the library.

        Waits while the peer does not read. Cancelling in the middle of a write closes the stream.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self.fault is not None or self.failure is not None:
            raise trio.BrokenResourceError("the connection has ended")
        if self._opened and data[0] == CLOSE_FRAME_START:
            self._close_sent = True
        await self._write(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until a write might not block. Cancelling does nothing."""
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Do nothing: the library gives up a connection too late or too early, so the transport closes it.

        A checkpoint. Cancelling does nothing else.
        """
        await trio.lowlevel.checkpoint()

    # --- the guard ---------------------------------------------------------------------------------------------------

    def end_error(self) -> EndError:
        """Say how the connection ended, once the library has noticed."""
        if self.local_close:
            return closed_here()
        if self.fault is not None and not isinstance(self.fault, UpgradeRejected):
            return self.fault
        reason = self.connection.closed if self.connection is not None else None
        if reason is None or reason.code == ABNORMAL:
            return self.failure or ConnectionBroken(
                "the peer ended the connection without a WebSocket Close frame"
            )
        if (
            not self._close_sent
        ):  # The library answers each valid Close frame, and none that breaks the protocol.
            return RemoteProtocolError(reason.reason or "the peer broke the WebSocket protocol", reason.code)
        return closed_by_peer(reason.code, reason.reason or "")

    def _is_over(self) -> bool:
        """Whether the library does not listen any more, or may not."""
        closed = self.connection is not None and self.connection.closed is not None
        return self.fault is not None or (closed and not self.local_close)

    async def _receive_head(self) -> bytes:
        try:
            head = await receive_head(self.stream, self._head)
            check_response(head, self._target)
        except UpgradeRejected as error:
            self.fault = error
            return b""
        except (ConnectionBroken, RemoteProtocolError) as error:
            self.fault = UpgradeRejected(self._target, str(error))
            self.fault.__cause__ = error
            return b""
        self._opened = True
        self._unread = self._head.rest
        return head

    async def _finish(self) -> None:
        """Send the Close frame the library did not send, then hear the peer out, within the close timeout."""
        if self.fault is None:
            error = self.end_error()
            if isinstance(error, RemoteProtocolError):
                self.fault = error
        with trio.move_on_after(self._close_timeout):
            try:
                if isinstance(self.fault, RemoteProtocolError) and not (self._close_sent or self._writing):
                    self._close_sent = True
                    payload = encode_close(self.fault.close_code, str(self.fault))
                    await self._write(encode_frame(CLOSE, payload, self._seam.mask_bytes(4)))
                drained = 0
                while drained < CLOSE_DRAIN_MAX:
                    data = await self.stream.receive_some(READ_MAX)
                    drained += len(data)
                    if not data:
                        break
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # The peer has gone first.

    async def _write(self, data: bytes) -> None:
        self._writing = True
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError as error:
            self.failure = self.failure or lost(error)
            raise
        except trio.ClosedResourceError:
            raise
        except BaseException:
            self.fault = self.fault or ConnectionBroken("a write was cancelled half way")
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self.stream)
            raise
        finally:
            self._writing = False
        if self._opened:
            self.writes += 1
            self.frames_sent += 1  # The library writes frame by frame.
            self.bytes_sent += len(data)


class Reader:
    """Stands in for the nursery trio-websocket wants, and owns the one task it starts.

    Attributes:
        ended: set once the task has ended and the connection is closed.
        crash: what the task failed with.
    """

    def __init__(self, nursery: trio.Nursery, guarded: GuardedStream) -> None:
        self.ended = trio.Event()
        self.crash: Exception | None = None
        self._nursery = nursery
        self._guarded = guarded
        # Shielded: a Close handshake under cancellation still needs its reader, and only `stop` ends it.
        self._scope = trio.CancelScope(shield=True)
        self._watching: list[trio.CancelScope] = []

    def start_soon(self, read: Callable[[], Awaitable[Any]]) -> None:
        """Take the library's reader, a bound method: that is how its connection becomes known before it runs."""
        self._guarded.connection = cast("Any", read).__self__
        self._nursery.start_soon(self._run, read)

    def watch(self) -> trio.CancelScope:
        """Return a scope that is cancelled when the reader ends: for waits that would never come back without it."""
        scope = trio.CancelScope()
        if self.ended.is_set():
            scope.cancel(reason="the reader of trio-websocket has ended")
        self._watching.append(scope)
        return scope

    def stop(self) -> None:
        """End the task; the owner of the nursery waits for it."""
        self._scope.cancel(reason="the transport is closed")

    async def _run(self, read: Callable[[], Awaitable[Any]]) -> None:
        try:
            with self._scope:
                await read()
        except Exception as error:  # noqa: BLE001  # the library's task may fail with anything; it becomes the end
            self.crash = error
            if self._guarded.fault is None:
                self._guarded.fault = ConnectionBroken(
                    f"trio-websocket failed: {type(error).__name__}: {error}"
                )
                self._guarded.fault.__cause__ = error
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self._guarded.stream)
            self.ended.set()
            for scope in self._watching:
                scope.cancel(reason="the reader of trio-websocket has ended")
