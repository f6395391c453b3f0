"""A trio stream over a line of a poller: what speaks over streams needs not know what is under it.

The poller reads and writes; a task that waits here is woken only when there is something for it. What nobody reads is
kept up to a bound, then the line is paused.
"""

from __future__ import annotations

import operator

import trio

from potrio.errors import ConnectionClosed
from potrio.limits import LINE_INBOUND_MAX
from potrio.transport.line import Line, LineOwner

__all__ = ["LineStream"]


class LineStream(LineOwner, trio.abc.HalfCloseableStream):
    """A stream; give it to `Poller.add` as the owner, and what that returns to `attach`.

    Args:
        inbound_max: bytes kept for a task that does not read.
    """

    def __init__(self, *, inbound_max: int = LINE_INBOUND_MAX) -> None:
        self._inbound_max = inbound_max
        self._line: Line | None = None
        self._inbound = bytearray()
        self._eof = False
        self._closed = False
        self._ended = False
        """By `send_eof`: nothing is sent any more."""
        self._error: Exception | None = None
        self._arrived: trio.Event | None = None
        self._written: trio.Event | None = None
        self._sending = self._receiving = False

    def attach(self, line: Line) -> LineStream:
        """Note the line this stream is the owner of; return the stream."""
        self._line = line
        return self

    @property
    def line(self) -> Line:
        """The line under the stream."""
        assert self._line is not None, "attach() comes first"
        return self._line

    # --- the line's owner ---

    def received(self, line: Line, data: bytes) -> None:
        """Keep what came."""
        self._inbound += data
        if len(self._inbound) >= self._inbound_max:
            line.pause()
        self._wake_reader()

    def received_eof(self, line: Line) -> None:
        """Keep the end; the other direction stays open."""
        self._eof = True
        self._wake_reader()

    def drained(self, line: Line) -> None:
        """Wake the writer."""
        if self._written is not None:
            self._written.set()

    def closed(self, line: Line, error: Exception | None) -> None:
        """Wake both."""
        self._error = error if error is not None else ConnectionClosed("the connection has ended")
        self._wake_reader()
        self.drained(line)

    def _wake_reader(self) -> None:
        if self._arrived is not None:
            self._arrived.set()

    # --- the stream ---

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what came, empty at the end.

        Raises:
            trio.BrokenResourceError: the connection was lost.
            trio.ClosedResourceError: closed on this side.
            trio.BusyResourceError: another task is receiving.

        Waits until something comes. Cancelling loses nothing.
        """
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint()
            while not self._inbound:
                if self._closed:
                    raise trio.ClosedResourceError
                if self._eof:
                    break
                if self._error is not None:
                    raise trio.BrokenResourceError from self._cause()
                self._arrived = trio.Event()
                await self._arrived.wait()
            if self._closed:
                raise trio.ClosedResourceError
            return self._take(max_bytes)
        finally:
            self._receiving = False
            self._arrived = None

    def _take(self, max_bytes: int | None) -> bytes:
        inbound = self._inbound
        if max_bytes is None or len(inbound) <= max_bytes:
            data = bytes(inbound)
            self._inbound = bytearray()
        else:
            data = bytes(inbound[:max_bytes])
            del inbound[:max_bytes]
        if len(self._inbound) < self._inbound_max:
            self.line.resume()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it.

        Raises:
            trio.BrokenResourceError: the connection was lost.
            trio.ClosedResourceError: closed on this side.
            trio.BusyResourceError: another task is sending.

        Waits while the peer does not read. Cancelling in the middle leaves a part sent; the rest is dropped.
        """
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            if self.line.waiting:
                await self._until_written(keep=True)  # of send_nowait()
            if not self._put(bytes(data)):
                await self._until_written()
        finally:
            self._sending = False

    def send_nowait(self, data: bytes) -> bool:
        """Send without waiting: hand these bytes to the system, and keep what it does not take at once.

        Returns:
            False, with nothing sent, where that cannot be now: something waits to be written, or the stream has ended.
        """
        if not self.is_idle:
            return False
        try:
            self.line.send(data)
        except ConnectionClosed:
            return False  # Nothing was written. The reading side tells the end.
        return True

    @property
    def is_idle(self) -> bool:
        """Whether `send_nowait` may be tried."""
        line = self._line
        return not (
            self._sending
            or self._closed
            or self._ended
            or line is None
            or line.waiting
            or line.error is not None
        )

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until nothing waits to be written.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError: as in `send_all`.

        Waits while the peer does not read. Cancelling changes nothing.
        """
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            await self._until_written(keep=True)
        finally:
            self._sending = False

    def _put(self, data: bytes) -> bool:
        """Give bytes to the line, or raise; tell whether nothing waits now."""
        self._check()
        if not data:
            return not self.line.waiting
        try:
            return self.line.send(data)
        except ConnectionClosed as error:
            raise trio.BrokenResourceError from (error.__cause__ or error)

    async def _until_written(self, *, keep: bool = False) -> None:
        try:
            while self.line.waiting:
                self._written = trio.Event()
                await self._written.wait()
        except trio.Cancelled:
            if not keep:
                self.line.forget_unsent()
            raise
        finally:
            self._written = None
        self._check()

    def _check(self) -> None:
        if self._closed or self._ended:
            raise trio.ClosedResourceError
        if self._error is not None or self.line.error is not None:
            raise trio.BrokenResourceError from self._cause()

    def _cause(self) -> BaseException | None:
        error = self._error or self.line.error
        return error if error is None else error.__cause__ or error

    async def send_eof(self) -> None:
        """End our direction.

        Raises:
            trio.ClosedResourceError: closed on this side.
            trio.BusyResourceError: a task is sending.

        A checkpoint; cancelling it changes nothing.
        """
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError
        self._ended = True
        self.line.send_eof()

    async def aclose(self) -> None:
        """Close the socket at once. A checkpoint; cancelling changes nothing."""
        if not self._closed:
            self._closed = True
            self.line.close()
            self._wake_reader()
            self.drained(self.line)
        await trio.lowlevel.checkpoint()
