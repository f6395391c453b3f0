"""Servers on the loopback, throw-away certificates, pairs of transports of each kind, and a hunter of leaks.

The clock of these tests is virtual, but jumps only when nothing has happened for some real milliseconds: the sockets
are real, and what one end writes must have the time to arrive. A wait of a second then costs a fiftieth.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
import trio.testing
import trustme
from wsproto.utilities import generate_accept_token

from potrio.errors import ConnectionBroken, ConnectionClosed, PotrioError
from potrio.protocol.websocket import WebSocketCodec
from potrio.seam import REAL
from potrio.transport.accept import accept
from potrio.transport.base import Transport, TransportKind
from potrio.transport.dial import dial
from potrio.transport.framed import FramedTransport
from potrio.transport.memory import memory_transport_pair
from potrio.transport.trio_ws import TrioWebSocketTransport
from potrio.transport.ws_guard import GuardedStream

Handler = Callable[[trio.abc.Stream], Awaitable[None]]
Pair = AbstractAsyncContextManager[tuple[Transport, Transport]]

AUTOJUMP_AFTER = 0.02
"""Real seconds of silence after which the virtual clock jumps."""


@pytest.fixture
def clock() -> trio.testing.MockClock:
    """The clock of a test that asks for it."""
    return trio.testing.MockClock(autojump_threshold=AUTOJUMP_AFTER)


PATIENCE_S = 30.0
"""How long a close may take in a test in real time: a machine that stalls for a second would cut off a second's."""


@pytest.fixture(autouse=True)
def patient_closes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is for tests in virtual time; others may be as slow as the machine."""
    if not {"clock", "autojump_clock"} & set(request.fixturenames):
        for made in (FramedTransport, TrioWebSocketTransport, GuardedStream):
            monkeypatch.setitem(made.__init__.__kwdefaults__, "close_timeout", PATIENCE_S)


# --- certificates ----------------------------------------------------------------------------------------------------


class Certificates:
    """One authority for all tests, and what it says of 127.0.0.1 and others."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.stranger = trustme.CA()

    def server(
        self, name: str = "127.0.0.1", *, expired: bool = False, unknown: bool = False
    ) -> ssl.SSLContext:
        """A server's context with a certificate for a name."""
        authority = self.stranger if unknown else self.authority
        not_after = datetime.now(UTC) - timedelta(days=1) if expired else None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name, not_after=not_after).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        """A client's context that trusts the authority, and nothing else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.authority.configure_trust(context)
        return context


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    """Made once: keys are slow."""
    return Certificates()


# --- servers ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _serve(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def handle(stream: trio.abc.Stream) -> None:
        if tls is not None:
            stream = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
        try:
            await handler(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError, ConnectionBroken):
            pass  # a client that refuses us goes away in the middle; what it says of that is the test's business
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, handle, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@pytest.fixture
def serve() -> Callable[..., AbstractAsyncContextManager[int]]:
    """``async with serve(handler, tls) as port``: a server that calls the handler with each connection."""
    return _serve


async def _read_request(stream: trio.abc.Stream) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        data = await stream.receive_some()
        if not data:
            raise trio.BrokenResourceError("the client went away")
        request += data
    return request


async def _shake_hands(stream: trio.abc.Stream) -> None:
    """Accept an upgrade by hand, so that a scripted server can go on with any bytes."""
    request = await _read_request(stream)
    key = next(
        line.split(b": ")[1]
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    await stream.send_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + generate_accept_token(key) + b"\r\n\r\n"
    )


@pytest.fixture
def read_request() -> Callable[[trio.abc.Stream], Awaitable[bytes]]:
    """Read one request head."""
    return _read_request


@pytest.fixture
def shake_hands() -> Callable[[trio.abc.Stream], Awaitable[None]]:
    """Do the server's half of the handshake without a library behind it."""
    return _shake_hands


# --- pairs -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _network_pair(
    kind: TransportKind, certificates: Certificates | None = None, message_max: int = 4 * 1024 * 1024
) -> AsyncIterator[tuple[Transport, Transport]]:
    accepted: list[FramedTransport] = []
    ready = trio.Event()

    async def handler(stream: trio.abc.Stream) -> None:
        request = await accept(stream)
        accepted.append(await request.upgrade(message_max=message_max))
        ready.set()
        await trio.sleep_forever()

    tls = certificates.server() if certificates else None
    context = certificates.client() if certificates else None
    async with _serve(handler, tls) as port:
        url = f"{'wss' if certificates else 'ws'}://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        async with dial(url, kind=kind, ssl_context=context, message_max=message_max) as client:
            await ready.wait()
            try:
                yield client, accepted[0]
            finally:
                await _close_both(client, accepted[0])


@asynccontextmanager
async def _stream_pair() -> AsyncIterator[tuple[Transport, Transport]]:
    """Two framed transports over a stream that is not TCP."""
    one, other = trio.socket.socketpair()
    client = FramedTransport(trio.SocketStream(one), WebSocketCodec("client", mask_bytes=REAL.mask_bytes))
    server = FramedTransport(trio.SocketStream(other), WebSocketCodec("server", mask_bytes=REAL.mask_bytes))
    try:
        yield client, server
    finally:
        await _close_both(client, server)


@asynccontextmanager
async def _memory_pair() -> AsyncIterator[tuple[Transport, Transport]]:
    one, other = memory_transport_pair()
    try:
        yield one, other
    finally:
        await _close_both(one, other)


async def _close_both(one: Transport, other: Transport) -> None:
    """Close both ends at once: each waits for the other's Close frame."""
    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.aclose)
            nursery.start_soon(other.aclose)


PAIRS = ["framed", "framed-tls", "framed-socketpair", "trio-websocket", "trio-websocket-tls", "memory"]


@pytest.fixture(params=PAIRS)
def open_pair(request: pytest.FixtureRequest, certificates: Certificates) -> Callable[[], Pair]:
    """``async with open_pair() as (client, server)``: two joined transports, of each kind in turn."""
    name: str = request.param
    if name == "memory":
        return _memory_pair
    if name == "framed-socketpair":
        return _stream_pair
    kind: TransportKind = "framed" if name.startswith("framed") else "trio-websocket"
    return lambda: _network_pair(kind, certificates if name.endswith("tls") else None)


@pytest.fixture(params=["framed", "trio-websocket"])
def kind(request: pytest.FixtureRequest) -> TransportKind:
    """The two kinds of `dial`."""
    kind: TransportKind = request.param
    return kind


# --- byte streams ---


class _ByteStream(trio.abc.HalfCloseableStream):
    """A transport in the clothes of a byte stream, for trio's own conformance checks."""

    def __init__(self, transport):
        self.transport = transport
        self.buffer = bytearray()
        self.closed = False

    async def send_all(self, data):
        if self.closed:
            raise trio.ClosedResourceError
        try:
            await self.transport.send([bytes(data)] if data else [])
        except ConnectionBroken:
            raise trio.BrokenResourceError from None
        except ConnectionClosed:
            raise trio.ClosedResourceError from None

    async def wait_send_all_might_not_block(self):
        await self.send_all(b"")

    async def receive_some(self, max_bytes=None):
        if max_bytes is not None and (not isinstance(max_bytes, int) or max_bytes < 1):
            raise ValueError(max_bytes) if isinstance(max_bytes, int) else TypeError(max_bytes)
        if self.closed:
            raise trio.ClosedResourceError
        if not self.buffer:
            try:
                self.buffer += b"".join(await self.transport.receive())
            except ConnectionBroken:
                return b""
            except ConnectionClosed:
                raise trio.ClosedResourceError from None
        else:
            await trio.lowlevel.checkpoint()
        data = bytes(self.buffer[:max_bytes])
        del self.buffer[:max_bytes]
        return data

    async def send_eof(self):
        raise NotImplementedError

    async def aclose(self):
        self.closed = True
        await self.transport.aclose()


@pytest.fixture
def as_byte_stream() -> Callable[[Transport], trio.abc.Stream]:
    """Dress a transport as a stream of bytes."""
    return _ByteStream


# --- leaks -----------------------------------------------------------------------------------------------------------


def _open_sockets() -> int:
    folder = "/proc/self/fd"
    if not os.path.isdir(folder):
        return 0  # not Linux: an open socket is found by its ResourceWarning only
    count = 0
    for name in os.listdir(folder):
        try:
            count += os.readlink(f"{folder}/{name}").startswith("socket:")
        except OSError:
            continue  # the descriptor of the listing itself
    return count


@asynccontextmanager
async def _no_leaks() -> AsyncIterator[None]:
    tasks = trio.lowlevel.current_statistics().tasks_living
    sockets = _open_sockets()
    yield

    def left_behind() -> tuple[int, int]:
        return trio.lowlevel.current_statistics().tasks_living - tasks, _open_sockets() - sockets

    for _ in range(100):  # a server in the same process sees a moment later that its client has gone
        if left_behind() == (0, 0):
            return
        await trio.testing.wait_all_tasks_blocked(0.001)
    assert left_behind() == (0, 0), "(tasks, sockets) left behind"


@pytest.fixture
def no_leaks() -> Callable[[], AbstractAsyncContextManager[None]]:
    """``async with no_leaks()``: as many tasks and sockets after the block as before."""
    return _no_leaks


class _CancelAtStep(trio.abc.Instrument):
    """Cancels a scope just before the k-th step of one task."""

    def __init__(self, task: trio.lowlevel.Task, scope: trio.CancelScope, step: int) -> None:
        self.task = task
        self.scope = scope
        self.steps_left = step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.steps_left -= 1
            if self.steps_left == 0:
                self.scope.cancel()


async def _cancelled_at(step: int, call: Callable[[], Awaitable[None]]) -> bool:
    """Run a call and cancel it at a step; return whether the call was over before that."""
    with trio.CancelScope() as scope:
        instrument = _CancelAtStep(trio.lowlevel.current_task(), scope, step)
        trio.lowlevel.add_instrument(instrument)
        try:
            await call()
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return instrument.steps_left > 0


@pytest.fixture
def cancelled_at() -> Callable[[int, Callable[[], Awaitable[None]]], Awaitable[bool]]:
    """Cancel a call at its k-th step: ask with k = 1, 2, ... until it says that the call was over before."""
    return _cancelled_at


@pytest.fixture
def end_of() -> Callable[[Transport], Awaitable[PotrioError]]:
    """Receive until the end; return how it ended."""

    async def end_of(transport: Transport) -> PotrioError:
        try:
            while True:
                await transport.receive()
        except PotrioError as error:
            return error

    return end_of


# --- dialling that must fail -----------------------------------------------------------------------------------------


@pytest.fixture
def fails(kind: TransportKind) -> Callable[..., Awaitable[PotrioError]]:
    """``error = await fails(type, url, ...)``: dialling raises exactly that, and leaves nothing behind."""

    async def fails(error_type: type[PotrioError], url: str, **options: Any) -> PotrioError:
        async with _no_leaks():
            with pytest.raises(error_type) as caught:
                async with dial(url, kind=kind, **options):
                    pytest.fail("connected")
        assert type(caught.value) is error_type
        return caught.value

    return fails


@pytest.fixture
def answering() -> Callable[..., Handler]:
    """``answering(*parts, then=...)``: a server that reads a request, answers with these bytes, and closes or stays."""

    def answering(*parts: bytes, then: str = "close") -> Handler:
        async def handler(stream: trio.abc.Stream) -> None:
            await _read_request(stream)
            for part in parts:
                await stream.send_all(part)
            if then == "stay":
                while await stream.receive_some():
                    pass

        return handler

    return answering
