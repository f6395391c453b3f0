"""What every transport promises: whole WebSocket messages in and out, and an end that is always reached.

The laws, which `tests/transport/conftest.py` checks on each implementation:

1. `Transport.receive` gives messages in the order in which the peer sent them; cancelling it loses none.
2. What came before the end is given before the end is raised; once raised, the end is raised for ever.
3. How it ended is in the type: `ConnectionClosed` our own doing, `ConnectionBroken` the peer's or the
   network's, `RemoteProtocolError` (with `LimitExceeded`) a breach of the rules by the peer.
4. `Transport.send` writes all messages it was given, in order, or the transport has ended: nothing is sent
   later.
5. `Transport.aclose` always comes back and the TCP connection is gone by then, whatever the peer, the network
   or a library does, and also when it is cancelled; it takes `CLOSE_TIMEOUT` at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from potrio.protocol.frames import Message

__all__ = ["Transport", "TransportKind", "TransportStatistics"]

TransportKind: TypeAlias = Literal["framed", "trio-websocket"]
"""Which code speaks WebSocket: our own frame codec, or trio-websocket behind a guard."""


class TransportStatistics(Struct, frozen=True, kw_only=True):
    """Counters since the upgrade, equal to what was on the wire; the HTTP heads and TLS are not in them.

    ``frames_*`` counts every WebSocket frame, control frames and fragments among them. ``messages_sent``
    counts a message once all of it was handed to the network. ``reads`` and ``writes`` are calls of the
    stream that moved bytes.
    """

    bytes_received: int = 0
    bytes_sent: int = 0
    frames_received: int = 0
    frames_sent: int = 0
    messages_received: int = 0
    messages_sent: int = 0
    reads: int = 0
    writes: int = 0


class Transport(Protocol):
    """A connection that moves whole WebSocket messages. One task may receive while another sends and a third closes."""

    async def receive(self) -> list[Message]:
        """Wait for messages.

        Pings of the peer are answered on the way.

        Returns:
            The messages of one read, at least one, in order.

        Raises:
            ConnectionClosed: closed on this side.
            ConnectionBroken: closed by the peer, or lost.
            RemoteProtocolError: the peer broke the protocol; `LimitExceeded` where it sent too much.
            trio.BusyResourceError: another task is receiving.

        Waits until a message or the end comes. Cancelling loses nothing: the next call goes on where this one
            stopped.
        """
        ...

    async def send(self, messages: Sequence[Message]) -> None:
        """Send messages, in order.

        Raises:
            ConnectionClosed: closed on this side.
            ConnectionBroken: closed by the peer, or lost: the peer may have received some of them.
            RemoteProtocolError: the peer broke the protocol before.
            LocalProtocolError: something is not a message; nothing was sent.
            trio.BusyResourceError: another task is sending.

        Waits while the peer does not read. Cancelling before anything was written sends nothing; cancelling
        in the middle of a write ends the transport, since half a frame cannot be taken back.
        """
        ...

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Send a Close frame, wait for the peer's for a moment, and close the connection; again does no harm.

        A task that is receiving or sending gets `ConnectionClosed`.

        Raises:
            LocalProtocolError: the code may not be sent; the connection is closed all the same.

        Waits for the peer, never longer than the close timeout. Cancelling does not shorten it.
        """
        ...

    def statistics(self) -> TransportStatistics:
        """Return the counters as they are now; also after the end."""
        ...
