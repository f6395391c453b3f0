"""A venue that plays a recording: each client gets the frames that were received then, at their times or faster."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from potrio.errors import ConfigError, ConnectionClosed, RemoteProtocolError
from potrio.seam import REAL, Seam
from potrio.transport.accept import accept
from potrio.transport.base import Transport
from potrio.transport.recording import Frame, Recording

__all__ = ["play", "serve_replay"]

HANDSHAKE_FRAMES = 2
"""What the client has to send before it may be told more: CONNECT, and the authentication. The rest goes by time."""

OVER = 1000


async def serve_replay(
    recording: Recording,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    speed: float = 1.0,
    seam: Seam = REAL,
    task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled. The n-th client gets the n-th connection of the recording; after the last, the first.

    Args:
        recording: what to play.
        host: the address to listen on.
        port: 0 lets the system choose.
        speed: times real time, above 0; 10 is ten times as fast.
        seam: the door to clock and network.

    Raises:
        ConfigError: speed cannot be used, or nothing was received in the recording.
        OSError: the address cannot be listened on.

    Waits for clients. Cancelling closes every connection.
    """
    if not speed > 0:
        raise ConfigError("speed", f"must be above 0, not {speed}")
    played = [connection for connection in recording.connections if recording.of(connection)]
    if not played:
        raise ConfigError("recording", "nothing was received in it")
    count = 0

    async def serve(stream: trio.abc.Stream) -> None:
        nonlocal count
        frames = [frame for frame in recording.frames if frame.c == played[count % len(played)]]
        count += 1
        try:
            request = await accept(stream, seam=seam)
            if not request.wants_websocket:
                await request.respond(404, b"only WebSocket here: this is a recording\n")
                return
            await play(await request.upgrade(), frames, speed=speed, seam=seam)
        except (ConnectionClosed, RemoteProtocolError, trio.BrokenResourceError):
            pass  # the client went away
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)

    listeners = await seam.listen_tcp(host, port)
    task_status.started(listeners)
    await trio.serve_listeners(serve, listeners)


async def play(transport: Transport, frames: Sequence[Frame], *, speed: float, seam: Seam) -> None:
    """Send the received frames of one connection, then close. Waits for their times and for the client's handshake.

    Raises:
        ConnectionClosed, RemoteProtocolError: the client left, or broke the rules.
    """
    async with trio.open_nursery() as nursery:
        listener = _Listener(transport)
        nursery.start_soon(listener.run, nursery.cancel_scope)
        shift = seam.now() - frames[0].t / speed
        sent_by_client = 0
        for frame in frames:
            if frame.d == "out":
                sent_by_client += 1
            elif frame.d == "in":
                await listener.wait_for(min(sent_by_client, HANDSHAKE_FRAMES))
                due = frame.t / speed + shift
                if sent_by_client <= HANDSHAKE_FRAMES:
                    shift = max(
                        shift, seam.now() - frame.t / speed
                    )  # a slow client's handshake moves all that follows
                await trio.sleep_until(max(due, seam.now()))
                await transport.send([frame.message])
        await transport.aclose(OVER, "the recording is over")
        nursery.cancel_scope.cancel("the recording is over")


class _Listener:
    """Counts what the client sends; nothing of it is answered."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._count = 0
        self._more = trio.Event()

    async def run(self, scope: trio.CancelScope) -> None:
        """Count until the client leaves, which ends the play."""
        try:
            while True:
                self._count += len(await self._transport.receive())
                more, self._more = self._more, trio.Event()
                more.set()
        except (ConnectionClosed, RemoteProtocolError):
            scope.cancel("the client has left")

    async def wait_for(self, count: int) -> None:
        """Wait until so many messages have come."""
        while self._count < count:
            await self._more.wait()
