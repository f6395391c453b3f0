"""A venue that does what a script says, on a network in memory: the server's half of the protocol, and no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from potrio.errors import PotrioError
from potrio.protocol.events import AuthRequested, Closed, EventReceived
from potrio.protocol.server_session import ServerSession
from potrio.testing.network import MemoryNetwork
from potrio.transport.accept import accept
from potrio.transport.base import Transport

Script = Callable[["Visit"], Awaitable[None]]


class Visit:
    """One connection, seen from the venue. What came in is in ``events`` (names) and ``raw`` (messages)."""

    def __init__(self, network: MemoryNetwork, transport: Transport, number: int) -> None:
        self.network = network
        self.transport = transport
        self.number = number
        self.session = ServerSession(sid=f"sid{number}", now=trio.current_time())
        self.events: list[str] = []
        self.raw: list[Any] = []
        self.error: PotrioError | None = None

    async def flush(self) -> None:
        messages = self.session.messages_to_send()
        if messages:
            await self.transport.send(messages)

    async def receive(self) -> list[Any]:
        await self.flush()
        messages = await self.transport.receive()
        self.raw += messages
        events = self.session.receive_messages(messages, trio.current_time())
        self.events += [event.name for event in events if isinstance(event, EventReceived)]
        await self.flush()
        return events

    async def log_in(self, *, accept: bool = True) -> None:
        while not any(isinstance(event, AuthRequested) for event in await self.receive()):
            pass
        if accept:
            self.session.accept_auth(b"{}")
        else:
            self.session.reject_auth()
        await self.flush()

    async def send(self, name: str, payload: bytes = b"{}") -> None:
        self.session.send_event(name, payload)
        await self.flush()

    async def serve(self) -> None:
        """Answer heartbeats and take what comes, until the end."""
        while not any(isinstance(event, Closed) for event in await self.receive()):
            pass


class ScriptedVenue:
    """Listens on a port; connection number n is played by ``scripts[n]``, the last one by all that follow."""

    def __init__(self, network: MemoryNetwork, port: int, *scripts: Script) -> None:
        self.network, self.port, self.scripts = network, port, list(scripts)
        self.visits: list[Visit] = []
        self.attempts: list[float] = []

    async def run(self, task_status=trio.TASK_STATUS_IGNORED) -> None:
        (listener,) = await self.network.listen_tcp("127.0.0.1", self.port)
        async with listener, trio.open_nursery() as nursery:
            task_status.started()
            while True:
                stream = await listener.accept()
                self.attempts.append(trio.current_time())
                nursery.start_soon(self.welcome, stream)

    async def welcome(self, stream: trio.abc.Stream) -> None:
        number = len(self.attempts)
        script = self.scripts[min(number, len(self.scripts)) - 1]
        try:
            request = await accept(stream, seam=self.network)
            transport = await request.upgrade()
        except PotrioError:
            return
        visit = Visit(self.network, transport, number)
        self.visits.append(visit)
        try:
            await script(visit)
        except PotrioError as error:
            visit.error = error
        finally:
            await transport.aclose()


async def serve(visit: Visit) -> None:
    """A venue as it should be."""
    await visit.log_in()
    await visit.serve()


async def reject(visit: Visit) -> None:
    await visit.log_in(accept=False)
    await visit.serve()


async def hang_up(visit: Visit) -> None:
    await visit.log_in()


async def say_nothing(visit: Visit) -> None:
    await trio.sleep_forever()


async def never_authenticate(visit: Visit) -> None:
    while True:
        await visit.receive()
