"""Two transports joined in memory, for tests and simulations: the same laws, no bytes, no network.

Messages go straight into the peer's inbox; what would be a read takes all that is there. A full inbox makes the sender
wait, as a full socket buffer would. There is no Close handshake to wait for: the peer knows at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import trio

from potrio.errors import ConnectionBroken, ConnectionClosed
from potrio.limits import STREAM_CAPACITY
from potrio.protocol.frames import CLOSE, Message, encode_close, encode_frame, encode_messages
from potrio.transport.base import TransportStatistics
from potrio.transport.ending import Ending, closed_by_peer, closed_here

__all__ = ["MemoryTransport", "memory_transport_pair"]


def memory_transport_pair(*, capacity: int = STREAM_CAPACITY) -> tuple[MemoryTransport, MemoryTransport]:
    """Return two transports; what one sends the other receives.

    Args:
        capacity: messages in an inbox from which on a sender waits.
    """
    one, other = MemoryTransport(capacity), MemoryTransport(capacity)
    one._join(other)
    other._join(one)
    return one, other


class MemoryTransport:
    """A `Transport` without a network; made by `memory_transport_pair`."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._peer = self
        self._inbox: deque[Message] = deque()
        self._ending = Ending()
        self._changed = trio.lowlevel.ParkingLot()  # the inbox of this side, or its end
        self._receiving = False
        self._sending = False
        self._bytes_received = self._bytes_sent = self._frames_received = self._frames_sent = 0
        self._messages_received = self._messages_sent = self._reads = self._writes = 0

    def _join(self, peer: MemoryTransport) -> None:
        self._peer = peer

    # --- receiving and sending ---------------------------------------------------------------------------------------

    async def receive(self) -> list[Message]:
        """Wait for messages and take all that are there; see `Transport.receive`.

        Raises:
            ConnectionClosed, ConnectionBroken: the end.
            trio.BusyResourceError: another task is receiving.

        Waits until a message or the end comes. Cancelling loses nothing.
        """
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this transport")
        self._receiving = True
        try:
            if self._inbox or self._ending.error is not None:
                await trio.lowlevel.checkpoint()
            while not self._inbox:
                self._ending.check()
                await self._changed.park()
        finally:
            self._receiving = False
        messages = list(self._inbox)
        self._inbox.clear()
        self._changed.unpark_all()  # the peer's sender may wait for room
        self._reads += 1
        self._messages_received += len(messages)
        return messages

    async def send(self, messages: Sequence[Message]) -> None:
        """Put messages into the peer's inbox, all or none; see `Transport.send`.

        Raises:
            ConnectionClosed, ConnectionBroken: the end.
            LocalProtocolError: something is not a message; nothing was sent.
            trio.BusyResourceError: another task is sending.

        Waits while the peer's inbox is full. Cancelling sends nothing.
        """
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this transport")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            self._ending.check()
            data, frames = encode_messages(messages)
            while len(self._peer._inbox) >= self._capacity:
                await self._peer._changed.park()
                self._ending.check()
        finally:
            self._sending = False
        if frames:
            self._writes += 1
            self._messages_sent += frames
            self._count(len(data), frames)
            self._peer._inbox.extend(messages)
            self._peer._changed.unpark_all()

    # --- the end -----------------------------------------------------------------------------------------------------

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """End both sides; see `Transport.aclose`.

        Raises:
            LocalProtocolError: the code may not be sent; the peer sees a broken connection.

        A checkpoint. Cancelling does not keep it from closing.
        """
        if self._ending.error is None:
            self._end(closed_here())
            self._inbox.clear()
            try:
                frame = encode_frame(CLOSE, encode_close(code, reason))
            except BaseException:
                self._peer._end(
                    ConnectionBroken("the peer ended the connection without a WebSocket Close frame")
                )
                raise
            self._count(len(frame), 1)
            self._peer._end(closed_by_peer(code, reason))
        await trio.lowlevel.checkpoint()

    def sever(self) -> None:
        """Break the connection as the network does: both sides find it lost; what has arrived can still be received."""
        self._end(ConnectionBroken("the connection was lost: severed"))
        self._peer._end(ConnectionBroken("the connection was lost: severed"))

    def statistics(self) -> TransportStatistics:
        """Return the counters as they are now; bytes and frames as an unmasked WebSocket would have had them."""
        return TransportStatistics(
            bytes_received=self._bytes_received,
            bytes_sent=self._bytes_sent,
            frames_received=self._frames_received,
            frames_sent=self._frames_sent,
            messages_received=self._messages_received,
            messages_sent=self._messages_sent,
            reads=self._reads,
            writes=self._writes,
        )

    def _end(self, error: ConnectionClosed) -> None:
        """End this side; both always end together, so a sender that waits at the other's inbox wakes up too."""
        self._ending.set(error)
        self._changed.unpark_all()

    def _count(self, size: int, frames: int) -> None:
        self._bytes_sent += size
        self._frames_sent += frames
        self._peer._bytes_received += size
        self._peer._frames_received += frames
