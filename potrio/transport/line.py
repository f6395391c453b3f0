"""One socket of a poller: what its owner sends, and what is done when the socket is ready. Nothing here waits."""

from __future__ import annotations

import abc
import os
import socket
from collections import deque
from typing import Final, Protocol

from potrio.errors import ConnectionBroken, ConnectionClosed, OutboundFull
from potrio.transport.readiness import BROKEN, READABLE, WRITABLE, Readiness

__all__ = ["Line", "LineHost", "LineOwner", "SocketLine"]

WRITE_SIZE: Final = 64 * 1024
"""Pieces that wait are joined up to this size: one call of the system for many small ones."""


class LineHost(Protocol):
    """What a line needs of its poller."""

    read_max: int
    readiness: Readiness
    reads: int
    writes: int
    bytes_received: int
    bytes_sent: int

    def forget(self, fd: int, *, watched: bool) -> None:
        """The line is about to close this descriptor."""

    def tell_end(self, line: Line, owner: LineOwner, error: Exception | None) -> None:
        """Tell the owner that its line has ended."""


class LineOwner:
    """Whom a line belongs to. Nothing here may wait; what it raises closes the line."""

    __slots__ = ()

    def connected(self, line: Line) -> None:
        """The connection that was begun stands; called once, and only for `Poller.connect`."""

    def received(self, line: Line, data: bytes) -> None:
        """Bytes of one read have come."""

    def received_eof(self, line: Line) -> None:
        """The peer says no more. Unless this is overridden, that is the end; what still waits for the peer is lost."""
        line.end(line.error)

    def drained(self, line: Line) -> None:
        """Nothing waits any more: all has been written, or nothing can be (``line.error``)."""

    def closed(self, line: Line, error: Exception | None) -> None:
        """The line has ended, and not by the owner's own `Line.close`.

        Args:
            line: what has ended.
            error: None where the peer ended it in order, `ConnectionBroken` where the network did or a connection
                could not be made (its cause is the OSError), `ConnectionClosed` where the poller was closed; otherwise
                what the owner itself raised.
        """


class Line(abc.ABC):
    """What an owner talks to: a connection of a poller, plain (`SocketLine`) or with TLS in between. Nothing waits."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def error(self) -> ConnectionClosed | None:
        """Why nothing can be sent any more."""

    @property
    @abc.abstractmethod
    def is_closed(self) -> bool:
        """Whether the socket is closed."""

    @property
    @abc.abstractmethod
    def waiting(self) -> int:
        """Bytes that have not been written yet."""

    @property
    @abc.abstractmethod
    def socket(self) -> socket.SocketType:
        """The socket, for its options and addresses only."""

    @abc.abstractmethod
    def send(self, data: bytes) -> bool:
        """Write, or queue what cannot be written now; the same bytes object may be sent on any number of lines.

        Returns:
            Whether all of it was written; if not, `LineOwner.drained` says when that has happened.

        Raises:
            OutboundFull: too much is waiting already. What alone is larger than the bound is taken while nothing waits.
            ConnectionClosed: nothing can be sent any more; `ConnectionBroken` where that is not our own doing. What the
                peer sent before may still come.
        """

    @abc.abstractmethod
    def send_eof(self) -> None:
        """Say no more: ends our direction once all is written that waits. Nothing where the line has ended."""

    @abc.abstractmethod
    def forget_unsent(self) -> None:
        """Drop what waits: the peer may have the half of it, so nothing sensible can be sent afterwards."""

    @abc.abstractmethod
    def pause(self) -> None:
        """Read no more until `resume`: the peer is slowed down by TCP. What was read already has been given."""

    @abc.abstractmethod
    def resume(self) -> None:
        """Read on."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close the socket at once, without telling the owner. What waits is lost. Again does nothing."""

    @abc.abstractmethod
    def end(self, error: Exception | None) -> None:
        """Close the socket and tell the owner why."""


class SocketLine(Line):
    """One socket of a poller; made by `Poller.add` and `Poller.connect`."""

    __slots__ = (
        "_connecting",
        "_eof",
        "_error",
        "_fd",
        "_mask",
        "_outbound",
        "_outbound_max",
        "_owner",
        "_paused",
        "_poller",
        "_shuts",
        "_sock",
        "_waiting",
    )

    def __init__(
        self,
        poller: LineHost,
        sock: socket.SocketType,
        owner: LineOwner,
        *,
        connecting: bool,
        outbound_max: int,
    ) -> None:
        self._error: ConnectionClosed | None = None
        self._poller = poller
        self._sock = sock
        self._fd = sock.fileno()
        self._owner = owner
        self._connecting = connecting
        self._outbound_max = outbound_max
        self._outbound: deque[bytes | memoryview] | None = None
        self._waiting = 0
        self._paused = False
        self._eof = False
        self._shuts = False
        self._mask = -1

    def __repr__(self) -> str:
        return f"<Line {self._fd}>" if self._fd >= 0 else "<Line closed>"

    @property
    def error(self) -> ConnectionClosed | None:
        """Why nothing can be sent any more."""
        return self._error

    @property
    def is_closed(self) -> bool:
        """Whether the socket is closed."""
        return self._fd < 0

    @property
    def waiting(self) -> int:
        """Bytes that have not been written yet."""
        return self._waiting

    @property
    def socket(self) -> socket.SocketType:
        """The socket, for its options and addresses only."""
        return self._sock

    # --- out ---

    def send(self, data: bytes) -> bool:
        """Write, or queue: `Line.send`."""
        if self._error is not None or self._shuts:
            raise self._send_error()
        if self._outbound is not None:
            if self._waiting + len(data) > self._outbound_max:
                raise OutboundFull(f"{self._waiting} bytes wait already")
            self._outbound.append(data)
            self._waiting += len(data)
            return False
        sent = 0 if self._connecting else self._write(data)
        if sent < 0:
            raise self._send_error()
        if sent == len(data):
            return True
        self._outbound = deque((memoryview(data)[sent:] if sent else data,))
        self._waiting = len(data) - sent
        self.watch()
        return False

    def send_eof(self) -> None:
        """Say no more: ends our direction once all is written that waits. Nothing where the line has ended."""
        if self._fd >= 0 and not self._shuts:
            self._shuts = True
            if self._outbound is None and not self._connecting:
                self._shut()

    def forget_unsent(self) -> None:
        """Drop what waits: the peer may have the half of it, so nothing sensible can be sent afterwards."""
        self._outbound = None
        self._waiting = 0
        if self._fd >= 0:
            self.watch()

    # --- in ---

    def pause(self) -> None:
        """Read no more until `resume`: the peer is slowed down by TCP. What was read already has been given."""
        if not self._paused and self._fd >= 0:
            self._paused = True
            self.watch()

    def resume(self) -> None:
        """Read on."""
        if self._paused and self._fd >= 0:
            self._paused = False
            self.watch()

    # --- the end ---

    def close(self) -> None:
        """Close the socket at once, without telling the owner. What waits is lost. Again does nothing."""
        self._release(ConnectionClosed("the connection has been closed on this side"))

    def end(self, error: Exception | None) -> None:
        """Close the socket and tell the owner why."""
        if self._fd < 0:
            return
        known = error if isinstance(error, ConnectionClosed) else None
        self._release(self._error or known or ConnectionBroken("the peer has closed the connection"))
        self._poller.tell_end(self, self._owner, error)

    def _release(self, error: ConnectionClosed) -> None:
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        self._poller.forget(fd, watched=self._mask >= 0)
        self._mask = -1
        self._outbound = None
        self._waiting = 0
        if self._error is None:
            self._error = error
        self._sock.close()

    # --- for the poller ---

    def handle(self, mask: int) -> int:
        """Do what a socket is ready for, once for each direction; return how many bytes came."""
        if self._connecting:
            self._finish_connect()
            return 0
        if mask & (WRITABLE | BROKEN) and self._outbound is not None:
            self._flush()
        if self._fd < 0:
            return 0
        if not (self._paused or self._eof):
            return self._read() if mask & (READABLE | BROKEN) else 0
        if mask & BROKEN and self._outbound is None:
            # It would be told for ever. What can be read is read on resume(); a write finds out by itself.
            self.watch(nothing=True)
        return 0

    def _read(self) -> int:
        try:
            data = self._sock.recv(self._poller.read_max)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self.end(self._error if isinstance(self._error, ConnectionBroken) else _broken(error))
            return 0
        if data:
            self._poller.reads += 1
            self._poller.bytes_received += len(data)
            self._owner.received(self, data)
            return len(data)
        self._eof = True
        self.watch()
        self._owner.received_eof(self)
        return 0

    def _write(self, data: bytes | memoryview) -> int:
        """Write once; return how much, -1 where the socket is broken: then ``error`` is set."""
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            # Not the end yet, where we still read: what the peer sent before may be there, and then its end.
            self._error = _broken(error)
            self._outbound = None
            self._waiting = 0
            return -1
        self._poller.writes += 1
        self._poller.bytes_sent += sent
        return sent

    def _flush(self) -> None:
        """Write one piece of what waits."""
        outbound = self._outbound
        assert outbound, "somebody waits"
        piece = outbound.popleft()
        if len(piece) < WRITE_SIZE and outbound:
            pieces = [piece]
            size = len(piece)
            while outbound and size < WRITE_SIZE:
                pieces.append(outbound.popleft())
                size += len(pieces[-1])
            piece = b"".join(pieces)
        sent = self._write(piece)
        if sent < 0:
            self.watch()
            self._owner.drained(self)
            if self._eof:
                self.end(self._error)  # otherwise reading finds the end
            return
        self._waiting -= sent
        if sent < len(piece):
            outbound.appendleft(memoryview(piece)[sent:])
        elif not outbound:
            self._outbound = None
            self.watch()
            if self._shuts:
                self._shut()
            self._owner.drained(self)

    def _finish_connect(self) -> None:
        failure = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            self.end(_broken(OSError(failure, os.strerror(failure))))
            return
        try:
            self._sock.getpeername()
        except OSError:
            return  # told too early: of the descriptor's life before
        self._connecting = False
        self.watch()
        if self._shuts and self._outbound is None:
            self._shut()
        self._owner.connected(self)

    def _shut(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # The peer has gone, which the reading side will tell.

    def watch(self, *, nothing: bool = False) -> None:
        """Watch for what is wanted now."""
        if nothing:
            if self._mask >= 0:
                self._poller.readiness.forget(self._fd)
                self._mask = -1
            return
        writes = self._connecting or self._outbound is not None
        reads = not (self._paused or self._eof or self._connecting)
        mask = (READABLE if reads else 0) | (WRITABLE if writes else 0)
        if mask != self._mask:
            self._poller.readiness.watch(self._fd, self._mask, mask)
            self._mask = mask

    def _send_error(self) -> ConnectionClosed:
        if self._error is None:
            return ConnectionClosed("nothing can be sent after the end of our direction")
        fresh = type(self._error)(*self._error.args)
        fresh.__cause__ = self._error.__cause__
        return fresh


def _broken(error: OSError) -> ConnectionBroken:
    broken = ConnectionBroken(f"the connection was lost: {error.strerror or type(error).__name__}")
    broken.__cause__ = error
    return broken
