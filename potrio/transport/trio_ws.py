"""The same transport by trio-websocket, for whoever prefers a library to speed.

The library gets a connection on which TLS is done, and that only through the guard of `ws_guard`, which keeps it from
hanging: nothing here waits longer than the close timeout once the connection has ended.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn, cast

import trio
import trio_websocket
from wsproto.utilities import ProtocolError as WsprotoError
from wsproto.utilities import RemoteProtocolError as WsprotoRemoteError

from potrio.errors import ConnectionBroken, UpgradeRejected
from potrio.limits import CLIENT_MESSAGE_MAX, CLOSE_TIMEOUT, READ_MAX
from potrio.protocol.frames import NO_CODE, Message, encode_close, encode_messages
from potrio.seam import REAL, Seam
from potrio.transport.base import Transport, TransportStatistics
from potrio.transport.ending import Ending, closed_here, fresh
from potrio.transport.target import Target
from potrio.transport.upgrade import not_a_handshake
from potrio.transport.ws_guard import GuardedStream, Reader

__all__ = ["TrioWebSocketTransport", "open_trio_websocket"]

# At DEBUG the library writes down URLs and the words of Close frames, in which a server may repeat the token (P8).
# Who wants that must ask this logger for it by name; a root logger at DEBUG does not.
_LIBRARY_LOG = logging.getLogger("trio-websocket")
if _LIBRARY_LOG.level == logging.NOTSET:
    _LIBRARY_LOG.setLevel(logging.INFO)


class TrioWebSocketTransport:
    """A `Transport` by trio-websocket, made by `open_trio_websocket`: one message per `receive`, one write for each."""

    def __init__(
        self,
        connection: trio_websocket.WebSocketConnection,
        guarded: GuardedStream,
        reader: Reader,
        seam: Seam = REAL,
        *,
        close_timeout: float = CLOSE_TIMEOUT,
    ) -> None:
        self._connection = connection
        self._guarded = guarded
        self._reader = reader
        self._seam = seam
        self._close_timeout = close_timeout
        self._ending = Ending()
        self._receiving = False
        self._sending = False
        self._shut: trio.Event | None = None
        self._messages_received = self._messages_sent = 0

    async def receive(self) -> list[Message]:
        """Wait for one message; see `Transport.receive`.

        Raises:
            ConnectionClosed, ConnectionBroken, RemoteProtocolError: the end; TCP is closed within the close timeout.
            trio.BusyResourceError: another task is receiving.

        Waits until a message or the end comes. Cancelling loses nothing.
        """
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this transport")
        self._receiving = True
        try:
            if self._ending.error is not None:
                await trio.lowlevel.checkpoint()
                self._ending.check()
            message = await self._connection.get_message()
        except trio_websocket.ConnectionClosed:
            await self._end()
        finally:
            self._receiving = False
        self._messages_received += 1
        return [message]

    async def send(self, messages: Sequence[Message]) -> None:
        """Send messages, one write each; see `Transport.send`.

        Raises:
            ConnectionClosed, ConnectionBroken, RemoteProtocolError: the end.
            LocalProtocolError: something is not a message; nothing was sent.
            trio.BusyResourceError: another task is sending.

        Waits while the peer does not read. Cancelling before anything was written sends nothing; later, it ends the
        transport.
        """
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this transport")
        self._sending = True
        sent = 0
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            self._ending.check()
            encode_messages(messages)  # for its checks
            for message in messages:
                await self._connection.send_message(message)
                sent += 1
            if not messages:
                await trio.lowlevel.checkpoint()  # every call is one, and nothing was written
        except (trio_websocket.ConnectionClosed, WsprotoError) as error:
            self._cannot_send(error)
        except BaseException:
            if sent:
                await self._abort(ConnectionBroken("a write was cancelled half way"))
            raise
        finally:
            self._sending = False
            self._messages_sent += sent

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; see `Transport.aclose`.

        Raises:
            LocalProtocolError: the code may not be sent; the connection is closed all the same.

        Waits for the peer's Close frame, never longer than the close timeout. Cancelling does not shorten it.
        """
        if self._shut is not None:
            with trio.CancelScope(shield=True):  # whoever is closing is bounded
                await self._shut.wait()
            await trio.lowlevel.checkpoint()
            return
        self._shut = trio.Event()
        if not self._reader.ended.is_set() and self._connection.closed is None:
            self._ending.set(closed_here())
            self._guarded.local_close = True
        try:
            encode_close(code, reason)  # for its checks
            with trio.CancelScope(shield=True, deadline=self._seam.now() + self._close_timeout):
                with self._reader.watch():
                    # The library's own word for a Close frame without a code is None.
                    await self._connection.aclose(
                        cast("int", None if code == NO_CODE else code), reason or None
                    )
                await self._reader.ended.wait()
        finally:
            self._ending.set(self._guarded.end_error())
            await self._stop()
            self._shut.set()

    def statistics(self) -> TransportStatistics:
        """Return the counters as they are now; also after the end."""
        guarded = self._guarded
        return TransportStatistics(
            bytes_received=guarded.bytes_received,
            bytes_sent=guarded.bytes_sent,
            frames_received=guarded.meter.frames,
            frames_sent=guarded.frames_sent,
            messages_received=self._messages_received,
            messages_sent=self._messages_sent,
            reads=guarded.reads,
            writes=guarded.writes,
        )

    # --- the end -----------------------------------------------------------------------------------------------------

    async def _end(self) -> NoReturn:
        """Note and raise how the connection ended, when the library has said that it did."""
        if self._connection.closed is None:
            # No reason yet: its reader is on its way out, because of a crash perhaps, and says why when it is there.
            with trio.CancelScope(shield=True, deadline=self._seam.now() + self._close_timeout):
                await self._reader.ended.wait()
        self._ending.set(self._guarded.end_error())
        self._ending.check()
        raise AssertionError("unreachable: the end has just been noted")

    def _cannot_send(self, error: Exception) -> NoReturn:
        """Raise why nothing can be sent. What `receive` may still find is not the end yet."""
        self._ending.check()
        cause = self._guarded.fault or self._guarded.failure
        if cause is None or isinstance(cause, UpgradeRejected):
            raise ConnectionBroken("the peer has closed the connection") from error
        raise fresh(cause) from cause.__cause__

    async def _abort(self, error: ConnectionBroken) -> None:
        self._ending.set(error)
        self._guarded.fault = self._guarded.fault or error
        await self._stop()

    async def _stop(self) -> None:
        """Close TCP now, and wait for the reader's end."""
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._guarded.stream)
            self._reader.stop()
            await self._reader.ended.wait()


@asynccontextmanager
async def open_trio_websocket(
    stream: trio.abc.Stream,
    target: Target,
    headers: list[tuple[str, str]],
    *,
    seam: Seam = REAL,
    message_max: int = CLIENT_MESSAGE_MAX,
    on_stage: Callable[[str], None] | None = None,
) -> AsyncIterator[Transport]:
    """Upgrade a connection by trio-websocket; the stream is ours from here on and closed in every case.

    Raises:
        UpgradeRejected: the server does not speak WebSocket, or does not want to.

    Waits for the server without a limit of its own. Cancelling closes the stream.
    """
    guarded = GuardedStream(stream, str(target), seam=seam, message_max=message_max)
    # The nursery is entered and left by hand: the block's own exception must not come out wrapped in a group. That is
    # sound because the reader catches everything and is stopped below, so nothing but the block can fail.
    manager = trio.open_nursery()
    nursery = await manager.__aenter__()
    reader = Reader(nursery, guarded)
    try:
        if on_stage is not None:
            on_stage("http")
        transport = await _handshake(guarded, reader, target, headers, seam, message_max)
        try:
            yield transport
        finally:
            await transport.aclose()
    finally:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)
        reader.stop()
        await manager.__aexit__(None, None, None)


async def _handshake(
    guarded: GuardedStream,
    reader: Reader,
    target: Target,
    headers: list[tuple[str, str]],
    seam: Seam,
    message_max: int,
) -> TrioWebSocketTransport:
    with reader.watch():
        connection = await trio_websocket.wrap_client_stream(
            cast("trio.Nursery", reader),
            cast("trio.SocketStream", guarded),
            target.authority,
            target.path,
            extra_headers=[(name.encode("ascii"), value.encode("ascii")) for name, value in headers],
            max_message_size=message_max,
            receive_buffer_size=READ_MAX,
        )
        return TrioWebSocketTransport(connection, guarded, reader, seam)
    # The reader ended first, and with it all hope of an answer.
    if isinstance(guarded.fault, UpgradeRejected):
        raise guarded.fault
    if reader.crash is not None:
        raise not_a_handshake(str(target), _first_fault(reader.crash)) from reader.crash
    reason = str(guarded.failure or "the connection was closed")
    raise UpgradeRejected(str(target), reason) from guarded.failure


def _first_fault(crash: BaseException) -> BaseException:
    """Find what was wrong with the 101: the library tries to answer it as if it were the server, and fails at that."""
    error: BaseException | None = crash
    while error is not None and not isinstance(error, WsprotoRemoteError):
        error = error.__context__
    return error or crash
