"""The two kinds of ends of a simulated connection: whole messages, or bytes under the real WebSocket code."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import trio

from loadsim.simulation.channel import Channel, Line
from loadsim.simulation.history import History
from potrio.errors import ConnectionBroken
from potrio.protocol.frames import Message
from potrio.transport.base import TransportStatistics
from potrio.transport.ending import Ending, closed_here

__all__ = ["ByteEnd", "MessageEnd"]

ROOM: Final = 4096
"""Messages on their way from which on a sender waits, as at a full socket buffer."""

ROOM_BYTES_PIECES: Final = 4096

PAUSE_S: Final = 0.05
"""Between two looks at whether there is room: only a peer that does not read makes anybody wait."""


class MessageEnd:
    """A `Transport`: whole messages, no bytes."""

    def __init__(
        self,
        way: str,
        line: Line[Sequence[Message]],
        out: Channel[Sequence[Message]],
        into: Channel[Sequence[Message]],
        history: History,
    ) -> None:
        self.line = line
        self._way = way
        self._out = out
        self._into = into
        self._history = history
        self._ending = Ending()
        self._received = self._sent = self._reads = self._writes = 0

    async def receive(self) -> list[Message]:
        """Wait for messages; see `Transport.receive`."""
        into = self._into
        while True:
            self._ending.check()
            if into.ready:
                break
            if into.ended:
                self._ending.set(ConnectionBroken("the connection was lost: simulated"))
                self._ending.check()
            await into.arrival()
        messages = [message for some in into.ready for message in some]
        into.ready.clear()
        self._reads += 1
        self._received += len(messages)
        return messages

    async def send(self, messages: Sequence[Message]) -> None:
        """Send messages; see `Transport.send`. Cancelling before that sends nothing."""
        await trio.lowlevel.checkpoint()
        self.check()
        while self._out.in_flight + len(self._out.ready) > ROOM:
            await trio.sleep(PAUSE_S)
            self.check()
        self.put(messages)

    def check(self) -> None:
        """Raise what the end was, if there was one."""
        if self._out.ended:
            self._ending.set(ConnectionBroken("the connection was lost: simulated"))
        self._ending.check()

    def put(self, messages: Sequence[Message]) -> None:
        """Send without waiting."""
        self._history.wire(self._way, self.line.number, messages)
        self._writes += 1
        self._sent += len(messages)
        passes = self.line.passing(len(messages))
        if passes is None:
            self._out.push(tuple(messages))
            return
        if passes:
            self._out.push(tuple(messages[:passes]))
        self.line.cut()

    @property
    def has_room(self) -> bool:
        """May something be put without waiting?"""
        out = self._out
        return not out.ended and self._ending.error is None and out.in_flight + len(out.ready) < ROOM

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """End it; see `Transport.aclose`."""
        if self._ending.error is None:
            self._ending.set(closed_here())
        self._out.finish()
        self._into.cut()
        await trio.lowlevel.checkpoint()

    def statistics(self) -> TransportStatistics:
        """Return the counters; there are no bytes."""
        return TransportStatistics(
            messages_received=self._received,
            messages_sent=self._sent,
            reads=self._reads,
            writes=self._writes,
            frames_received=self._received,
            frames_sent=self._sent,
        )


class ByteEnd(trio.abc.Stream):
    """A stream of bytes that arrive in pieces of any size."""

    def __init__(
        self,
        way: str,
        line: Line[bytes],
        out: Channel[bytes],
        into: Channel[bytes],
        history: History,
        chance: random.Random,
    ) -> None:
        self.line = line
        self._way = way
        self._out = out
        self._into = into
        self._history = history
        self._chance = chance
        self._closed = False
        self._rest = b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes in pieces. Waits while too much is on its way."""
        await trio.lowlevel.checkpoint()
        self._check()
        sent = bytes(data)
        self._history.wire(self._way, self.line.number, sent)
        while self._out.in_flight + len(self._out.ready) > ROOM_BYTES_PIECES:
            await trio.sleep(PAUSE_S)
            self._check()
        passes = self.line.passing(len(sent))
        for piece in self._pieces(sent if passes is None else sent[:passes]):
            self._out.push(piece)
        if passes is not None:
            self.line.cut()

    def _pieces(self, data: bytes) -> list[bytes]:
        if self._chance.random() < 0.7 or len(data) < 2:
            return [data] if data else []
        place = self._chance.randrange(1, len(data))
        return [data[:place], data[place:]]

    async def wait_send_all_might_not_block(self) -> None:
        """A checkpoint."""
        await trio.lowlevel.checkpoint()
        self._check()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes; empty at the end."""
        into = self._into
        while not self._rest:
            if self._closed:
                await trio.lowlevel.checkpoint()
                raise trio.ClosedResourceError("closed on this side")
            if into.ready:
                await trio.lowlevel.checkpoint()
                self._rest = b"".join(into.ready)
                into.ready.clear()
            elif into.ended:
                await trio.lowlevel.checkpoint()
                if into.broken:
                    raise trio.BrokenResourceError("reset by the peer: simulated")
                return b""
            else:
                await into.arrival()
        size = len(self._rest) if max_bytes is None else max_bytes
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    async def aclose(self) -> None:
        """Close it: what was sent still arrives."""
        self._closed = True
        self._out.finish()
        self._into.cut()
        await trio.lowlevel.checkpoint()

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("closed on this side")
        if self._out.ended:
            raise trio.BrokenResourceError("reset by the peer: simulated")
