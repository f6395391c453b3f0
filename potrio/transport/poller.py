"""One trio task for thousands of sockets: reads and writes with back-pressure, each in its turn.

A task, a stream and a wait for each socket cost trio some 30 µs for every small message. A `Poller` waits once for all
of its sockets (`readiness`) and calls their owners, one after the other, so that a wake-up is shared by all that are
ready. Laws, which `tests/transport/test_poller.py` checks:

1. Whatever was read is given to the owner, in order, before its `LineOwner.closed` is called.
2. In one pass each line is read once (`LINE_READ_MAX` bytes) and written once: a flood on one waits for all others. A
   pass that lasts longer than a slice lets other tasks run; after each pass they do anyway.
3. What a peer does not read waits here, up to the bound of its line; then `Line.send` raises `OutboundFull`. What an
   owner does not want to read stays in the kernel (`Line.pause`), and the peer is slowed down.
4. An exception in an owner's method closes that line and is logged; the others never notice.
5. When `Poller.run` is cancelled or `Poller.close` called, every socket is closed and every owner told.
"""

from __future__ import annotations

import logging
import math
import socket
from collections.abc import Callable
from typing import Final

import trio
from msgspec import Struct

from potrio.errors import ConnectionClosed
from potrio.limits import LINE_OUTBOUND_MAX, LINE_READ_MAX, POLLER_EVENTS_MAX, POLLER_SLICE
from potrio.seam import REAL, Seam
from potrio.transport.line import Line, LineOwner, SocketLine
from potrio.transport.readiness import Readiness, open_readiness

__all__ = ["Poller", "PollerStatistics"]

LOG: Final = logging.getLogger("potrio.poller")

LOOK_COST: Final = 512
LOOK_BUDGET: Final = 16 * 1024
"""The clock is looked at after so many bytes, where each event counts as `LOOK_COST` more."""


class PollerStatistics(Struct, frozen=True, kw_only=True):
    """Counters since the start. ``reads`` and ``writes`` are calls of the system that moved bytes."""

    lines: int
    lines_added: int
    passes: int
    reads: int
    writes: int
    bytes_received: int
    bytes_sent: int
    owner_errors: int


class Poller:
    """Owns sockets and drives them. One task runs `run`; everything else may be called from any task of its loop.

    Args:
        seam: the door to clock and sockets.
        readiness: how to find out what is ready; None for what fits this system.
        read_max: bytes of one read.
        events_max: sockets of one pass.
        slice_s: seconds until other tasks have their turn.

    Raises:
        OSError: no descriptor is left.
    """

    def __init__(
        self,
        seam: Seam = REAL,
        *,
        readiness: Readiness | None = None,
        read_max: int = LINE_READ_MAX,
        events_max: int = POLLER_EVENTS_MAX,
        slice_s: float = POLLER_SLICE,
    ) -> None:
        self.readiness = readiness if readiness is not None else open_readiness()
        self.read_max = read_max
        self.reads = self.writes = self.bytes_received = self.bytes_sent = 0
        self._seam = seam
        self._events_max = events_max
        self._slice_s = slice_s
        self._lines: dict[int, SocketLine] = {}
        self._added = self._passes = self._owner_errors = 0
        self._running = self._closed = False
        self._waiting: trio.CancelScope | None = None

    async def run(self, *, timers: Callable[[], float] | None = None) -> None:
        """Read and write for all lines until cancelled; then everything is closed.

        Args:
            timers: called before each pass; returns when (trio's clock) it wants to be called next if nothing happens.

        Raises:
            trio.BusyResourceError: it is running already.
            trio.ClosedResourceError: it has been closed.

        Waits for sockets. Cancelling closes all lines; what had been read has been given to its owner.
        """
        if self._running:
            raise trio.BusyResourceError("a poller is run by one task")
        self._running = True
        try:
            while True:
                if timers is None:
                    await self.readiness.wait()
                else:
                    with trio.CancelScope(deadline=timers()) as self._waiting:
                        await self.readiness.wait()
                await self._pass()
        finally:
            self.close()

    def look(self) -> None:
        """Let the timers of `run` be called soon: there is something new for them."""
        if self._waiting is not None:
            self._waiting.deadline = -math.inf

    async def _pass(self) -> None:
        """Give each line that is ready its turn."""
        self._passes += 1
        lines = self._lines
        now = self._seam.now
        ends = now() + self._slice_s
        budget = LOOK_BUDGET
        for fd, mask in self.readiness.ready(self._events_max):
            line = lines.get(fd)
            if line is None:
                continue  # closed by another's callback in this very pass
            try:
                budget -= line.handle(mask) + LOOK_COST
            except Exception as error:  # the supervised edge of one line: reported, the others live on
                self._owner_errors += 1
                LOG.exception("the owner of a line failed")
                line.end(error)
            if budget < 0:
                budget = LOOK_BUDGET
                if now() >= ends:
                    await trio.lowlevel.checkpoint()
                    ends = now() + self._slice_s

    def add(
        self, sock: socket.SocketType, owner: LineOwner, *, outbound_max: int = LINE_OUTBOUND_MAX
    ) -> Line:
        """Take over a connected, non-blocking socket (`Seam.take_socket`).

        Raises:
            OSError: the system has no room for one more; the socket is closed.
            ConnectionClosed: the poller has been closed; the socket too.
        """
        return self._open(sock, owner, connecting=False, outbound_max=outbound_max)

    def connect(
        self,
        family: int,
        address: tuple[str | int, ...],
        owner: LineOwner,
        *,
        source: str | None = None,
        outbound_max: int = LINE_OUTBOUND_MAX,
    ) -> Line:
        """Begin a connection; `LineOwner.connected` or `LineOwner.closed` says how that ended.

        What is sent before is queued. There is no time limit but the system's: the owner keeps one and closes the line.

        Raises:
            OSError: it failed at once, as for want of descriptors; nothing stays open.
            ConnectionClosed: the poller has been closed.
        """
        sock = self._seam.start_connect(family, address, source=source)
        return self._open(sock, owner, connecting=True, outbound_max=outbound_max)

    def _open(
        self, sock: socket.SocketType, owner: LineOwner, *, connecting: bool, outbound_max: int
    ) -> Line:
        if self._closed:
            sock.close()
            raise ConnectionClosed("the poller has been closed")
        line = SocketLine(self, sock, owner, connecting=connecting, outbound_max=outbound_max)
        try:
            line.watch()
        except OSError:
            sock.close()
            raise
        self._lines[sock.fileno()] = line
        self._added += 1
        return line

    def close(self) -> None:
        """Close every line and tell its owner; `run` ends with `trio.ClosedResourceError`. Again does nothing."""
        if self._closed:
            return
        self._closed = True
        for line in tuple(self._lines.values()):
            line.end(ConnectionClosed("the poller has been closed"))
        self.readiness.close()

    def statistics(self) -> PollerStatistics:
        """Return the counters as they are now."""
        return PollerStatistics(
            lines=len(self._lines),
            lines_added=self._added,
            passes=self._passes,
            reads=self.reads,
            writes=self.writes,
            bytes_received=self.bytes_received,
            bytes_sent=self.bytes_sent,
            owner_errors=self._owner_errors,
        )

    # --- for lines ---

    def forget(self, fd: int, *, watched: bool) -> None:
        """A line is closing its socket."""
        del self._lines[fd]
        if watched:
            self.readiness.forget(fd)

    def tell_end(self, line: Line, owner: LineOwner, error: Exception | None) -> None:
        """Tell an owner that its line has ended."""
        try:
            owner.closed(line, error)
        except Exception:  # the supervised edge of one line: it has ended already
            self._owner_errors += 1
            LOG.exception("the owner of a line failed when told of its end")
