"""The last stage of dialling: every answer of a server that is not a WebSocket handshake, by both kinds."""

from __future__ import annotations

import socket

import pytest
import trio

from potrio.errors import LimitExceeded, UpgradeRejected
from potrio.transport.dial import dial


@pytest.mark.parametrize("then", ["close", "stay"])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (302, "HTTP 302 Found; redirects are not followed"),
        (200, "HTTP 200 OK"),
        (403, "HTTP 403 Forbidden"),
        (502, "HTTP 502 Bad Gateway"),
        (522, "HTTP 522"),
    ],
)
async def test_an_answer_other_than_101(serve, fails, status, words, then, answering):
    head = f"HTTP/1.1 {status} \x1b[31mOdd\r\nLocation: wss://elsewhere.test/\r\nContent-Length: 9000\r\n\r\n".encode()
    async with serve(answering(head, b"<html>", then=then)) as port:
        error = await fails(UpgradeRejected, f"ws://127.0.0.1:{port}/?token=secret")

    assert (error.stage, error.status) == ("http", status)
    assert str(error) == f"cannot connect to ws://127.0.0.1:{port}: http: the server answered {words}"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.test ESMTP\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\n\n",
        b"HTTP/2 101 x\r\n\r\n",
        b"HTTP/1.1 banana\r\n\r\n",
        b"\x00" * 100_000,
    ],
    ids=["ssh", "smtp", "tls-alert", "empty-lines", "http2", "no-status", "zeros"],
)
async def test_an_answer_that_is_not_http(serve, fails, answer, answering):
    async with serve(answering(answer, then="stay")) as port:
        error = await fails(UpgradeRejected, f"ws://127.0.0.1:{port}/")

    assert error.status is None
    assert "HTTP" in error.reason


GOOD = [b"Upgrade: websocket", b"Connection: Upgrade"]
BAD_101 = {
    "bare": [],
    "no-upgrade": [b"Connection: Upgrade", b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="],
    "no-connection": [b"Upgrade: websocket", b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="],
    "wrong-accept": [*GOOD, b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="],
    "no-accept": GOOD,
    "not-ascii": [*GOOD, b"Sec-WebSocket-Extensions: \xff\xfe"],
    "bad-header": [*GOOD, b"no colon here"],
    "space-before-colon": [*GOOD, b"Sec-WebSocket-Accept : x"],
}


@pytest.mark.parametrize("lines", BAD_101.values(), ids=BAD_101.keys())
async def test_a_101_that_is_not_a_handshake(serve, fails, lines, answering):
    head = b"\r\n".join([b"HTTP/1.1 101 Switching Protocols", *lines, b"", b""])
    async with serve(answering(head, then="stay")) as port:
        error = await fails(UpgradeRejected, f"ws://127.0.0.1:{port}/")

    assert error.status == 101
    assert error.reason.startswith("the server's 101 is not a WebSocket handshake (")
    assert "class" not in error.reason
    assert error.__cause__ is not None


async def test_compression_nobody_asked_for(serve, fails, shake_hands):
    class Adding(trio.abc.SendStream):
        def __init__(self, stream):
            self.stream = stream
            self.receive_some = stream.receive_some

        async def send_all(self, data):
            await self.stream.send_all(
                data.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-\x1bdeflate\r\n\r\n")
            )

        async def wait_send_all_might_not_block(self):
            pass

        async def aclose(self):
            pass

    async def handler(stream):
        await shake_hands(Adding(stream))
        await stream.receive_some()

    async with serve(handler) as port:
        error = await fails(UpgradeRejected, f"ws://127.0.0.1:{port}/")

    assert r"permessage-\x1bdeflate" in error.reason


@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 101 Switching", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"]
)
async def test_a_server_that_leaves_before_the_end_of_its_answer(serve, fails, sent, answering):
    async with serve(answering(sent)) as port:
        error = await fails(UpgradeRejected, f"ws://127.0.0.1:{port}/")

    assert error.status is None
    assert "closed the connection" in error.reason


async def test_a_server_that_leaves_at_once(serve, fails):
    async def handler(stream):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # close with a reset

    async with serve(handler) as port:
        error = await fails(UpgradeRejected, f"ws://127.0.0.1:{port}/")

    assert error.status is None
    assert "connection" in error.reason


@pytest.mark.parametrize(
    "line",
    [b"X-Header: y\r\n", b"X-Header: " + b"y" * 1000 + b"\r\n"],
    ids=["too-many-lines", "too-many-bytes"],
)
async def test_headers_without_end(serve, fails, line, answering):
    sent = 0

    async def handler(stream):
        nonlocal sent
        await answering(b"HTTP/1.1 101 Switching Protocols\r\n")(stream)
        while True:
            await stream.send_all(line)
            sent += len(line)

    async with serve(handler) as port:
        error = await fails(UpgradeRejected, f"ws://127.0.0.1:{port}/")

    assert isinstance(error.__cause__, LimitExceeded)
    assert sent < 8_000_000  # what fits the socket buffers, not what a server can make up


async def test_a_head_in_single_bytes_is_fine_in_the_end(serve, kind, shake_hands):
    class Dripping(trio.abc.SendStream):
        def __init__(self, stream):
            self.stream = stream
            self.receive_some = stream.receive_some

        async def send_all(self, data):
            for number in range(len(data)):
                await self.stream.send_all(data[number : number + 1])
                await trio.lowlevel.checkpoint()

        async def wait_send_all_might_not_block(self):
            pass

        async def aclose(self):
            pass

    async def handler(stream):
        await shake_hands(Dripping(stream))
        await Dripping(stream).send_all(b"\x81\x02ok")
        await stream.receive_some()

    async with serve(handler) as port, dial(f"ws://127.0.0.1:{port}/", kind=kind) as transport:
        assert await transport.receive() == ["ok"]


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "dripping"])
async def test_a_server_that_takes_for_ever_and_the_callers_deadline(
    serve, kind, no_leaks, clock, silent, answering
):
    async def handler(stream):
        await answering(b"HTTP/1.1 101 Switching Protocols\r\nX: ")(stream)
        while True:
            await trio.sleep(0.5)
            if not silent:
                await stream.send_all(b"y")

    stages = []
    async with no_leaks(), serve(handler) as port:
        before = trio.current_time()
        with trio.move_on_after(3) as scope:
            async with dial(f"ws://127.0.0.1:{port}/", kind=kind, on_stage=stages.append):
                pass
        assert scope.cancelled_caught
        assert trio.current_time() - before < 3.1
    assert stages[-1] == "http"
