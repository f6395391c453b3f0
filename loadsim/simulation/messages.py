"""The message level: client and venue joined above WebSocket, so that an hour costs a second or two.

Four names are exchanged while such a world runs: how a client dials, how the front of the venue accepts, the venue's
connection, whose broadcasts need no writer task here, and the frames of a broadcast, which nobody sees. Everything else
is the code of production.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, ClassVar
from unittest.mock import patch

import trio

from loadsim.simulation.ends import MessageEnd
from loadsim.simulation.network import Door, SimNetwork
from loadsim.venue import exchange, front
from loadsim.venue.connection import Connection
from potrio.actors import wire
from potrio.protocol.frames import Message
from potrio.transport.target import parse_target

__all__ = ["message_level"]


@contextmanager
def message_level() -> Iterator[None]:
    """Join clients and venues above WebSocket while the block runs."""
    with (
        patch.object(wire, "dial", _dial),
        patch.object(front, "accept", _accept),
        patch.object(front, "Connection", _BroadcastConnection),
        patch.object(exchange, "encode_messages", _no_frames),
    ):
        yield


def _no_frames(messages: Sequence[Message]) -> tuple[bytes, int]:
    """What tells a broadcast from an answer: that it has frames."""
    return b"broadcast", len(messages)


@asynccontextmanager
async def _dial(
    url: str, *, seam: SimNetwork, on_stage: Any = None, **_: object
) -> AsyncIterator[MessageEnd]:
    target = parse_target(url)
    if on_stage is not None:
        on_stage("tcp")
    transport = await seam.connect_messages(target.port, str(target))
    try:
        yield transport
    finally:
        with trio.CancelScope(shield=True):
            await transport.aclose()


async def _accept(stream: Door, **_: object) -> _Request:
    await trio.lowlevel.checkpoint()
    return _Request(stream)


class _Request:
    """Stands for the request that a WebSocket connection begins with."""

    path = "/socket.io/"
    wants_websocket = True
    query: ClassVar = {"transport": "websocket", "EIO": "4"}

    def __init__(self, door: Door) -> None:
        self._door = door

    async def respond(self, status: int, *_: object) -> None:
        self._door.refused = status
        await self._door.aclose()

    async def upgrade(self, **_: object) -> MessageEnd:
        self._door.opened.set()
        await trio.lowlevel.checkpoint()
        return self._door.transport


class _BroadcastConnection(Connection):
    """Writes a broadcast at once where nothing waits, as the real one does on a transport of bytes."""

    def send(self, event: str, messages: Sequence[Message], frames: bytes = b"") -> None:
        transport = self._transport
        assert isinstance(transport, MessageEnd)
        if (
            frames
            and not self._outbound
            and not self.drain_delay_s
            and not (self._flushing or self._silent or self._scope.cancel_called)
            and not self.session.has_output
            and transport.has_room
        ):
            transport.put(messages)
            self._stats.sent(messages)
            self._stats.events_sent.count(event)
            return
        super().send(event, messages, frames)
