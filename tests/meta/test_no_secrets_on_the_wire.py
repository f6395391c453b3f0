"""Whatever goes wrong with the authentication, and whatever the venue says about it: the token is not shown.

A venue that has the token, or is about to get it, fails in every way there is; searched are tracebacks with captured
locals of what comes out of `open_client`, and all logs at the most talkative level.
"""

from __future__ import annotations

import logging
import socket
import struct
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

import potrio
from potrio.testing.network import MemoryNetwork
from potrio.transport.accept import accept
from potrio.transport.base import Transport

CANARY = "canary7f3a9d2e0session0x1q"
MARK = CANARY[:9]
HEX = "cafe7f3a9d2e0cafe0feed7f3a9d1234"
LIVE = f'a:2:{{s:10:\\"session_id\\";s:32:\\"{HEX}\\";s:10:\\"ip_address\\";s:9:\\"127.0.0.1\\";}}{HEX}'
SSIDS = {
    "demo": f'42["auth",{{"session":"{CANARY}","isDemo":1,"uid":31337,"platform":2}}]',
    "live": f'42["auth",{{"session":"{LIVE}","isDemo":0,"uid":31337,"platform":2}}]',
}
"""Module globals are not captured with a frame's locals: what is found there was put there by the code under test."""

PORT = 8080
URL = f"ws://127.0.0.1:{PORT}/socket.io/?EIO=4&transport=websocket"
OPEN = '0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":%d}'
AUTH_WRITE = 3
"""The client's writes: the HTTP request, CONNECT, the authentication."""


@pytest.fixture(params=["framed", "trio-websocket"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Wire(trio.abc.Stream):
    """A connection whose write number `AUTH_WRITE` does something else."""

    def __init__(self, inner: trio.abc.Stream, fail: Callable[[], Awaitable[None]]) -> None:
        self.inner, self.fail, self.writes = inner, fail, 0

    async def send_all(self, data: Any) -> None:
        self.writes += 1
        if self.writes == AUTH_WRITE:
            await self.fail()
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> Any:
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def nothing() -> None:
    """Let the write be."""


class Network(MemoryNetwork):
    """A network whose connections are `Wire`s, with masks that hide nothing from the search."""

    def __init__(self, fail: Callable[[], Awaitable[None]] = nothing) -> None:
        super().__init__(seed=7)
        self.fail = fail

    async def connect_tcp(self, family: int, address: tuple[str | int, ...]) -> trio.abc.Stream:
        return Wire(await super().connect_tcp(family, address), self.fail)

    def mask_bytes(self, count: int) -> bytes:
        return bytes(count)


Script = Callable[[Transport], Awaitable[None]]


async def until(transport: Transport, start: str) -> str:
    """Wait for a message."""
    while True:
        for message in await transport.receive():
            if isinstance(message, str) and message.startswith(start):
                return message


async def connect(transport: Transport, *more: str | bytes, max_payload: int = 10**6) -> None:
    """Be a good venue up to CONNECT."""
    await transport.send([OPEN % max_payload])
    await until(transport, "40")
    await transport.send(['40{"sid":"x"}', *more])


@asynccontextmanager
async def venue(network: Network, script: Script) -> AsyncIterator[None]:
    """A venue that plays its script on every connection."""

    async def welcome(stream: trio.abc.Stream) -> None:
        transport = await (await accept(stream, seam=network)).upgrade()
        try:
            await script(transport)
        except potrio.PotrioError:
            pass  # the client has gone
        finally:
            await transport.aclose()

    async def listen() -> None:
        while True:
            nursery.start_soon(welcome, await listener.accept())

    (listener,) = await network.listen_tcp("127.0.0.1", PORT)
    async with listener, trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        yield
        nursery.cancel_scope.cancel()


def with_locals(error: BaseException) -> str:
    """A traceback as the most curious of reporters prints it, causes and groups included."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


async def failure(network: Network, transport: str, account: str = "demo", **options: Any) -> BaseException:
    """What comes out of a client that cannot be opened."""
    config = potrio.Config(ssid=SSIDS[account], url=URL, transport=transport, seam=network, **options)  # type: ignore[arg-type]  # one of the two kinds
    try:
        async with potrio.open_client(config):
            raise AssertionError("the client must not open")
    except Exception as error:  # noqa: BLE001  # whatever it is
        return error


def shown(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    """Everything that can be seen of a failure."""
    records = "\n".join(
        repr(vars(record))
        + (with_locals(record.exc_info[1]) if record.exc_info and record.exc_info[1] else "")
        for record in caplog.records
    )
    return "\n".join((str(error), repr(error), with_locals(error), caplog.text, records))


def assert_hidden(text: str) -> None:
    """Nothing of any token is there, and there was something to search in."""
    assert len(text) > 100
    assert MARK not in text
    assert HEX[:9] not in text


# --- the authentication cannot be written ----------------------------------------------------------------------------


async def reset() -> None:
    raise trio.BrokenResourceError from ConnectionResetError(104, "Connection reset by peer")


async def closed() -> None:
    raise trio.ClosedResourceError


async def bug() -> None:
    raise RuntimeError("a bug under the transport")


class Broken(BaseException):
    """Stands for KeyboardInterrupt and its like."""


async def worse() -> None:
    raise Broken


async def connect_and_wait(transport: Transport) -> None:
    await connect(transport)
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("fail", "expected"),
    [
        (reset, potrio.HandshakeFailed),
        (closed, potrio.HandshakeFailed),
        (trio.sleep_forever, potrio.ConnectTimeout),
        (bug, potrio.ClientFailed),
    ],
)
async def test_a_write_that_fails(
    autojump_clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
    transport: str,
    fail: Callable[[], Awaitable[None]],
    expected: type[Exception],
) -> None:
    caplog.set_level(logging.DEBUG)
    network = Network(fail)
    async with venue(network, connect_and_wait):
        error = await failure(network, transport)

    assert isinstance(error, expected), repr(error)
    if isinstance(error, potrio.ConnectError):
        assert error.stage == "auth"  # type: ignore[attr-defined,unused-ignore]  # each has one
    assert_hidden(shown(error, caplog))


async def test_a_write_that_is_interrupted(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture, transport: str
) -> None:
    caplog.set_level(logging.DEBUG)
    network = Network(worse)
    with pytest.raises(BaseException) as caught:  # a group, of whatever shape
        async with venue(network, connect_and_wait):
            await failure(network, transport)

    assert "Broken" in with_locals(caught.value)
    assert_hidden(shown(caught.value, caplog))


@pytest.mark.parametrize("fail", [trio.sleep_forever, nothing], ids=["in the write", "after it"])
async def test_a_client_that_is_cancelled(
    autojump_clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
    transport: str,
    fail: Callable[[], Awaitable[None]],
) -> None:
    caplog.set_level(logging.DEBUG)
    network = Network(fail)
    async with venue(network, connect_and_wait):
        with pytest.raises(trio.TooSlowError) as caught, trio.fail_after(1):
            await failure(network, transport)

    assert_hidden(shown(caught.value, caplog))


async def test_a_reset_of_a_real_connection(caplog: pytest.LogCaptureFixture, transport: str) -> None:
    caplog.set_level(logging.DEBUG)

    async def reset_behind_connect(stream: trio.SocketStream) -> None:
        server = await (await accept(stream)).upgrade()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await connect(server)
        stream.socket.close()
        await server.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, reset_behind_connect, [listener])
        url = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/"
        for _ in range(10):  # which of reading and writing finds out is chance
            with pytest.raises(potrio.HandshakeFailed) as caught:
                async with potrio.open_client(SSIDS["demo"], url=url, transport=transport):
                    raise AssertionError("the client must not open")
            assert caught.value.stage == "auth"
            assert_hidden(shown(caught.value, caplog))
        nursery.cancel_scope.cancel()


# --- the venue repeats the token -------------------------------------------------------------------------------------

SAYINGS = {
    "disconnect": ["41"],
    "disconnect with words": [f"41{CANARY}"],
    "connect error": [f'44{{"message":"no session {CANARY}"}}'],
    "connect error of another kind": [f'44"{CANARY}"'],
    "refusal": [f'42["NotAuthorized","{CANARY}"]'],
    "refusal of another kind": [f'42["auth_error",{{"reason":"{CANARY}"}}]'],
    "no packet": [CANARY],
    "no Socket.IO packet": [f"4{CANARY}"],
    "no JSON": [f'42["{CANARY}'],
    "namespace": [f"42/{CANARY},[1]"],
    "bytes": [CANARY.encode()],
    "attachment that is not one": [f'451-["{CANARY}",{{"_placeholder":true,"num":0}}]', f"42{CANARY}"],
    "handshake again": [f'0{{"sid":"{CANARY}"}}'],
    "close": ["1" + CANARY],
}


@pytest.mark.parametrize("what", SAYINGS)
@pytest.mark.parametrize("when", ["with CONNECT", "after the authentication"])
async def test_a_venue_that_repeats_the_token(
    autojump_clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
    transport: str,
    what: str,
    when: str,
) -> None:
    caplog.set_level(logging.DEBUG)

    async def repeat(server: Transport) -> None:
        if when == "with CONNECT":
            await connect(server, *SAYINGS[what])
        else:
            await connect(server)
            await until(server, '42["auth"')
            await server.send(SAYINGS[what])
        await trio.sleep(1)

    network = Network()
    async with venue(network, repeat):
        error = await failure(network, transport)

    assert isinstance(error, potrio.ConnectError | potrio.AuthError), repr(error)
    assert_hidden(shown(error, caplog))


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        ("demo", f"bad session {CANARY}"),
        ("demo", f"{CANARY[:-3]}..."),
        ("live", LIVE[:120]),
        ("live", LIVE.replace("\\", "")[:120]),
    ],
    ids=["whole", "cut off", "live, escaped", "live"],
)
async def test_a_close_frame_that_repeats_the_token(
    autojump_clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
    transport: str,
    account: str,
    reason: str,
) -> None:
    caplog.set_level(logging.DEBUG)

    async def close(server: Transport) -> None:
        await connect(server)
        await until(server, '42["auth"')
        await server.aclose(1008, reason)

    network = Network()
    async with venue(network, close):
        error = await failure(network, transport, account)

    assert isinstance(error, potrio.HandshakeFailed)
    assert error.stage == "auth"
    assert "code 1008" in str(error)
    assert_hidden(shown(error, caplog))


async def test_a_close_frame_long_after_the_authentication(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture, transport: str
) -> None:
    caplog.set_level(logging.DEBUG)

    async def close(server: Transport) -> None:
        await connect(server)
        await until(server, '42["auth"')
        await server.send(
            [
                '42["successauth",{}]',
                '42["successupdateBalance",{"isDemo":1,"balance":1000}]',
                f'42["updateAssets",[{ASSET_ROW}]]',
            ]
        )
        await trio.sleep(30)
        await server.aclose(4000, f"expired: {CANARY}")

    network = Network()
    config = potrio.Config(ssid=SSIDS["demo"], url=URL, transport=transport, seam=network)  # type: ignore[arg-type]  # one of the two kinds
    async with venue(network, close), potrio.open_client(config) as client:
        while not any(fact.kind == "lost" for fact in client.history):
            await client.wait_change()
            await trio.sleep(0.01)
        text = repr(client.history)
        assert "code 4000, 'expired: ***'" in text
        assert MARK not in text + caplog.text


READY = [
    '42["successauth",{}]',
    '42["successupdateBalance",{"isDemo":1,"balance":1000}]',
    '42["updateAssets",[[1,"EURUSD_otc","EURUSD_otc","currency",5,92,60,5,3,1,0,0,[],1900000000,true,'
    '[{"time":5},{"time":60}],-1,5,-1]]]',
]


@pytest.mark.parametrize("what", SAYINGS)
async def test_callbacks_that_read_along_with_a_venue_that_repeats_the_token(
    autojump_clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
    transport: str,
    what: str,
) -> None:
    """It does so on a link that is up, and in the next two logins; a handler raises with all it was given."""
    caplog.set_level(logging.DEBUG)
    visits = 0
    told: dict[str, list[Any]] = {
        name: [] for name in ("attempt", "attempt_failed", "sent", "received", "error")
    }

    async def repeat(server: Transport) -> None:
        nonlocal visits
        visits += 1
        await connect(server)
        await until(server, '42["auth"')
        if visits in (2, 3):
            await server.aclose(4000, f"expired: {CANARY}")
            return
        await server.send(READY)
        await trio.sleep(5)
        await server.send(SAYINGS[what])
        await trio.sleep(5)
        if visits < 4:
            await server.aclose(4000, f"expired: {CANARY}")
        await trio.sleep(30)

    def raises(payload: object) -> None:
        raise ValueError(payload)

    network = Network()
    config = potrio.Config(ssid=SSIDS["demo"], url=URL, transport=transport, seam=network, max_retries=5)  # type: ignore[arg-type]  # one of the two kinds
    ended = ""
    async with venue(network, repeat):
        try:
            async with potrio.open_client(config) as client:
                for name, payloads in told.items():
                    client.on(name, payloads.append, capacity=1000)
                    client.on(name, raises, capacity=1000)
                await trio.sleep(60)
        except potrio.PotrioError as error:  # some of it ends a client
            ended = with_locals(error)

    errors = "".join(with_locals(report.error) for report in told["error"] if report.error is not None)
    text = "\n".join((repr(told), errors, caplog.text, ended))
    assert_hidden(text)
    assert ("***" in repr(told["received"])) is (CANARY in repr(SAYINGS[what]))
    if not ended:
        assert '42["auth","***"]' in [frame.message for frame in told["sent"]]
        assert len(told["attempt_failed"]) >= 2
        assert "expired: ***" in repr(told["attempt_failed"])


ASSET_ROW = (
    '[1,"EURUSD_otc","EURUSD_otc","currency",5,92,60,5,3,1,0,0,[],1900000000,true,'
    '[{"time":5},{"time":60}],-1,5,-1]'
)

HTTP = {
    "status line": b"HTTP/1.1 403 %s\r\n\r\n",
    "header": b"HTTP/1.1 403 Forbidden\r\nX-Session: %s\r\nContent-Length: 0\r\n\r\n",
    "body": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 26\r\n\r\n%s",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1/%s\r\n\r\n",
    "no HTTP": b"%s\r\n\r\n",
    "almost HTTP": b"HTTP/1.1 %s\r\n\r\n",
    "an upgrade to something else": b"HTTP/1.1 101 Go on\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n",
    "a subprotocol": b"HTTP/1.1 101 Go on\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
    "no header": b"HTTP/1.1 101 Go on\r\n%s\r\n\r\n",
    "no text": b"HTTP/1.1 101 Go on\r\nUpgrade: \xff%s\r\nConnection: \xff%s\r\n\r\n",
}


@pytest.mark.parametrize("what", HTTP)
async def test_an_answer_to_the_upgrade_that_repeats_the_token(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture, transport: str, what: str
) -> None:
    """It was told on an earlier connection."""
    caplog.set_level(logging.DEBUG)
    network = Network()

    async def answer() -> None:
        stream = await listener.accept()
        await stream.receive_some(10_000)
        await stream.send_all(HTTP[what].replace(b"%s", CANARY.encode()))
        await stream.aclose()

    (listener,) = await network.listen_tcp("127.0.0.1", PORT)
    async with listener, trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        error = await failure(network, transport)

    assert isinstance(error, potrio.UpgradeRejected), repr(error)
    assert_hidden(shown(error, caplog))


# --- the token does not fit ------------------------------------------------------------------------------------------


async def test_a_token_that_is_larger_than_the_venue_takes(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture, transport: str
) -> None:
    caplog.set_level(logging.DEBUG)
    network = Network()
    large = SSIDS["demo"].replace(CANARY, CANARY * 100)
    config = potrio.Config(ssid=large, url=URL, transport=transport, seam=network)  # type: ignore[arg-type]  # one of the two kinds
    del large

    async def small(server: Transport) -> None:
        await connect(server, max_payload=1024)
        await trio.sleep_forever()

    async with venue(network, small):
        with pytest.raises(potrio.HandshakeFailed, match="larger than the 1024 bytes") as caught:
            async with potrio.open_client(config):
                raise AssertionError("the client must not open")

    assert_hidden(shown(caught.value, caplog))
