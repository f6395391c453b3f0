"""A venue in memory under a virtual clock, and a client that shows every frame it gets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from loadsim.venue.config import VenueConfig
from loadsim.venue.server import Venue, open_venue
from potrio.errors import ConnectionClosed
from potrio.seam import Seam
from potrio.transport.base import Transport
from potrio.transport.dial import dial

UNIX = 1_790_000_000.0
"""When every test begins; its venue stamp is a Wednesday, 24 September 2026, in the afternoon."""

PORT = 18_080

Frame = str | bytes
Change = Callable[[trio.abc.Stream], trio.abc.Stream]


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts what `MemorySeam.connect_tcp` brings."""

    def __init__(self) -> None:
        self.send, self._receive = trio.open_memory_channel[trio.abc.Stream](10_000)

    async def accept(self) -> trio.abc.Stream:
        try:
            return await self._receive.receive()
        except trio.ClosedResourceError:
            raise
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None

    async def aclose(self) -> None:
        self._receive.close()
        await trio.lowlevel.checkpoint()


class MemorySeam(Seam):
    """A world of one process: sockets are memory, ids are counted, files are a dictionary, wall time stands still."""

    def __init__(self) -> None:
        self.listeners: dict[int, MemoryListener] = {}
        self.files: dict[Path, bytes] = {}
        self.ids = 0
        self.epoch = UNIX

    def wall(self) -> float:
        return self.epoch

    def new_id(self) -> str:
        self.ids += 1
        return f"{self.ids:08x}-0000-4000-8000-{self.ids:012x}"

    def mask_bytes(self, count: int) -> bytes:
        return bytes(count)

    async def resolve(self, host: str, port: int) -> Any:
        await trio.lowlevel.checkpoint()
        return [(0, (host, port))]

    async def connect_tcp(self, family: int, address: tuple[str | int, ...]) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        try:
            await self.listeners[int(address[1])].send.send(theirs)
        except (KeyError, trio.BrokenResourceError) as error:
            raise ConnectionRefusedError("nobody listens") from error
        return ours

    async def listen_tcp(self, host: str, port: int, *, backlog: int = 0) -> Any:
        await trio.lowlevel.checkpoint()
        self.listeners[port] = MemoryListener()
        return [self.listeners[port]]

    def read_file(self, path: Path) -> bytes:
        try:
            return self.files[path]
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory") from None

    def write_file(self, path: Path, data: bytes, *, mode: int = 0o600) -> None:
        self.files[path] = data


class Client:
    """Sends what it is told and shows what came, frame by frame; it answers pings."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.frames: list[Frame] = []
        """All that came."""
        self._read = 0
        self.closed: ConnectionClosed | None = None
        self.pings = 0
        self.answers_pings = True

    # --- frames ---

    async def send(self, *frames: Frame) -> None:
        await self.transport.send(frames)

    async def emit(self, event: str, value: Any = ...) -> None:
        """Send a text event, as all clients do."""
        arguments = [event] if value is ... else [event, value]
        await self.send("42" + json.dumps(arguments))

    async def frame(self) -> Frame:
        """Return the next frame, pings excepted."""
        while True:
            while self._read < len(self.frames):
                frame = self.frames[self._read]
                self._read += 1
                if frame != "2":
                    return frame
            await self._receive()

    async def _receive(self) -> None:
        try:
            came = await self.transport.receive()
        except ConnectionClosed as error:
            self.closed = error
            raise
        self.frames += came
        pings = came.count("2")
        self.pings += pings
        if pings and self.answers_pings:
            await self.transport.send(["3"] * pings)

    async def idle(self, seconds: float) -> None:
        """Let time pass, listening; what comes stays to be read."""
        with trio.move_on_after(seconds):
            while True:
                await self._receive()

    async def until_closed(self) -> ConnectionClosed:
        """Read until the venue closes; return how."""
        try:
            while True:
                await self._receive()
        except ConnectionClosed as error:
            return error

    # --- events ---

    async def event(self) -> tuple[str, Any]:
        """Return the next event as (name, value), from either framing."""
        frame = await self.frame()
        assert isinstance(frame, str), f"a header, not {frame[:60]!r}"
        if frame.startswith("451-"):
            name = json.loads(frame[4:])[0]
            body = await self.frame()
            assert isinstance(body, bytes), f"an attachment, not {body!r}"
            return name, json.loads(body)
        if frame.startswith("42"):
            name, *rest = json.loads(frame[2:])
            return name, rest[0] if rest else None
        return frame[:2], frame[2:]

    async def until(self, event: str) -> Any:
        """Skip to an event; return its value."""
        while True:
            name, value = await self.event()
            if name == event:
                return value

    async def events(self, seconds: float) -> list[tuple[str, Any]]:
        """Return all events of the next seconds."""
        await self.idle(seconds)
        found = []
        while self._read < len(self.frames):
            if self.frames[self._read] == "2":
                self._read += 1
                continue
            found.append(await self.event())
        return found

    # --- handshake ---

    async def connect(self) -> None:
        """Wait for ``0``, send ``40``, wait for its answer."""
        assert str(await self.frame()).startswith('0{"sid":')
        await self.send("40")
        assert str(await self.frame()).startswith('40{"sid":')

    async def login(self, uid: int = 1, *, demo: int = 1, fast: bool = True, **fields: Any) -> None:
        """Connect, authenticate, and read what is pushed unasked."""
        await self.connect()
        await self.emit("auth", auth(uid, demo=demo, fast=fast, **fields))
        await self.until("successupdatePending")

    async def order(self, **fields: Any) -> Any:
        """Place an order; return the deal."""
        await self.emit("openOrder", order(**fields))
        return await self.until("successopenOrder")


def auth(uid: int = 1, *, demo: int = 1, fast: bool = True, **fields: Any) -> dict[str, Any]:
    """The payload of an ``auth`` event."""
    return {
        "session": "examplesession",
        "isDemo": demo,
        "uid": uid,
        "platform": 2,
        "isFastHistory": fast,
    } | fields


def order(**fields: Any) -> dict[str, Any]:
    """The payload of an ``openOrder`` event."""
    usual = {
        "asset": "EURUSD_otc",
        "amount": 10,
        "action": "call",
        "isDemo": 1,
        "optionType": 100,
        "time": 60,
    }
    return usual | {"requestId": "7b1f3c1e-0000-4000-8000-00000000000a"} | fields


class World:
    """Venues and clients of one test."""

    unix = UNIX
    auth = staticmethod(auth)
    order = staticmethod(order)

    def __init__(self) -> None:
        self.seam = MemorySeam()

    @asynccontextmanager
    async def venue(self, config: VenueConfig | None = None) -> AsyncIterator[Venue]:
        config = msgspec.structs.replace(config or VenueConfig(), port=PORT)
        async with open_venue(config, seam=self.seam) as venue:
            yield venue

    @asynccontextmanager
    async def client(self, venue: Venue, query: str = "EIO=4&transport=websocket") -> AsyncIterator[Client]:
        url = f"ws://127.0.0.1:{venue.port}/socket.io/?{query}"
        async with dial(url, seam=self.seam) as transport:
            yield Client(transport)

    async def http(self, venue: Venue, head: str, body: bytes = b"") -> tuple[int, Any]:
        """Send one raw HTTP request; return status and body (decoded, if it is JSON)."""
        stream = await self.seam.connect_tcp(0, ("", venue.port))
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        await stream.send_all(
            f"{head} HTTP/1.1\r\nHost: 127.0.0.1:{venue.port}\r\n{length}\r\n".encode() + body
        )
        answer = b""
        async for chunk in stream:
            answer += chunk
        await stream.aclose()
        top, _, content = answer.partition(b"\r\n\r\n")
        is_json = b"application/json" in top
        return int(top.split()[1]), json.loads(content) if is_json else content


@pytest.fixture
def world() -> World:
    """A fresh world."""
    return World()
