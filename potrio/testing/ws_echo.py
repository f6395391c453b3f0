"""Both roles of a WebSocket echo on the framed transport, for the Autobahn suite to judge the codec by.

Nothing is special about them but two limits: the suite sends messages of 16 MiB, and messages of 4 MiB in frames of
64 bytes. Compression is neither offered nor accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import quote

import trio

from potrio.errors import ConnectionClosed, RemoteProtocolError
from potrio.seam import REAL, Seam
from potrio.transport.accept import accept
from potrio.transport.base import Transport
from potrio.transport.dial import dial

__all__ = ["ECHO_FRAGMENTS_MAX", "ECHO_MESSAGE_MAX", "echo", "run_cases", "serve_echo"]

ECHO_MESSAGE_MAX: Final = 32 * 1024 * 1024
ECHO_FRAGMENTS_MAX: Final = 128 * 1024
"""Twice what the suite's largest cases need."""


async def echo(transport: Transport) -> None:
    """Send every message back until the connection ends, in whatever way, and close it.

    Waits for the peer. Cancelling closes the connection.
    """
    try:
        while True:
            await transport.send(await transport.receive())
    except (ConnectionClosed, RemoteProtocolError):
        pass  # Half of the suite's cases end like this: it judges how.
    finally:
        await transport.aclose()


async def serve_echo(
    port: int = 0,
    host: str = "127.0.0.1",
    *,
    seam: Seam = REAL,
    task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the echo on every path.

    Args:
        port: 0 lets the system choose.
        host: address to listen on.
        seam: the door to the network.
        task_status: told the listeners once they listen.

    Raises:
        OSError: the address is taken or not ours.

    Waits until it is cancelled; that closes all connections.
    """
    listeners = await seam.listen_tcp(host, port)
    await trio.serve_listeners(partial(_serve, seam), listeners, task_status=task_status)


async def _serve(seam: Seam, stream: trio.abc.Stream) -> None:
    try:
        request = await accept(stream, seam=seam)
        if not request.wants_websocket:
            await request.respond(426, b"this is a WebSocket echo\n", headers=[("Upgrade", "websocket")])
            return
        transport = await request.upgrade(message_max=ECHO_MESSAGE_MAX, fragments_max=ECHO_FRAGMENTS_MAX)
    except (ConnectionClosed, RemoteProtocolError):
        return  # It has been answered, if there was anyone to answer.
    await echo(transport)


async def run_cases(
    url: str, agent: str, *, seam: Seam = REAL, told: Callable[[int, int], None] | None = None
) -> int:
    """Be judged by an Autobahn fuzzing server: ask for its cases, run each, have it write its report.

    Args:
        url: of the server, without a path: ``ws://127.0.0.1:9001``.
        agent: the name in the report.
        seam: the door to the network.
        told: called with number and count before each case.

    Returns:
        How many cases were run. How they went is in the server's report.

    Raises:
        ConnectError: the server is not there.
        RemoteProtocolError: it did not say how many cases there are.

    Waits for the server; the suite bounds each case. Cancelling closes the connection.
    """
    url = url.rstrip("/")
    async with dial(f"{url}/getCaseCount", seam=seam) as transport:
        count = _count(await transport.receive())
    for number in range(1, count + 1):
        if told is not None:
            told(number, count)
        case = f"{url}/runCase?case={number}&agent={quote(agent, safe='')}"
        async with dial(
            case, seam=seam, message_max=ECHO_MESSAGE_MAX, fragments_max=ECHO_FRAGMENTS_MAX
        ) as transport:
            await echo(transport)
    async with dial(f"{url}/updateReports?agent={quote(agent, safe='')}", seam=seam) as transport:
        await echo(transport)
    return count


def _count(messages: list[str | bytes]) -> int:
    match messages:
        case [str(text)] if text.isdecimal() and text.isascii():
            return int(text)
        case _:
            raise RemoteProtocolError("the server did not say how many cases there are")
